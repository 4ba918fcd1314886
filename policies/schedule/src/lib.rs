//! Bounds on replicas by local time.
//!
//! For: load that follows the clock, such as office hours. Raises or cuts what the stages before it propose while a
//! rule applies. Never looks at load.

mod clock;

use serde::Deserialize;
use trimtab_sdk::{Decision, Need, Observation, Policy, Refusal};

use crate::clock::{Days, Minute, Moment};

/// See `schema.json`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    rules: Vec<Rule>,
}

/// Bounds for part of the week.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rule {
    days: Days,
    from: Minute,
    to: Option<Minute>,
    pool: Option<String>,
    min: Option<u32>,
    max: Option<u32>,
}

impl Rule {
    /// Whether the rule applies then. One whose end is not after its beginning runs over midnight, and belongs to the
    /// day on which it begins.
    fn applies(&self, then: Moment) -> bool {
        let (from, to) = (self.from, self.to.unwrap_or(Minute::END));
        if from < to {
            self.days.has(then.day) && (from..to).contains(&then.minute)
        } else {
            (self.days.has(then.day) && then.minute >= from) || (self.days.has(then.yesterday()) && then.minute < to)
        }
    }
}

/// The policy.
pub struct Schedule;

impl Policy for Schedule {
    type Config = Config;
    type State = ();
    const NAME: &'static str = "schedule";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Bounds on replicas by weekday and local time.";
    const SCHEMA: &'static str = include_str!("../schema.json");

    fn prepare(config: &Config) -> Result<Vec<Need>, Refusal> {
        for (index, rule) in config.rules.iter().enumerate() {
            if rule.min.is_none() && rule.max.is_none() {
                return Err(Refusal::bad_config(
                    format!("/rules/{index}"),
                    "says neither min nor max; give one of them",
                ));
            }
            if let (Some(min), Some(max)) = (rule.min, rule.max)
                && min > max
            {
                return Err(Refusal::bad_config(
                    format!("/rules/{index}/min"),
                    format!("is above the rule's max of {max}"),
                ));
            }
        }
        Ok(Vec::new())
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Decision, Refusal> {
        let offset = seen.fact("utc-offset-minutes").unwrap_or(0.0) as i64;
        let now = Moment::at(seen.now, offset);
        let mut decision = Decision::default();
        let mut reasons = Vec::new();
        for pool in &seen.pools {
            let rules =
                config.rules.iter().filter(|r| r.pool.as_ref().is_none_or(|p| *p == pool.name) && r.applies(now));
            let (mut min, mut max) = (0, u32::MAX);
            for rule in rules {
                min = min.max(rule.min.unwrap_or(0));
                max = max.min(rule.max.unwrap_or(u32::MAX));
            }
            let proposed = seen.proposed(&pool.name, "serving");
            let answer = proposed.min(max).max(min); // of rules that contradict each other, the floor wins
            if answer != proposed {
                let bound = if answer > proposed { "at least" } else { "at most" };
                reasons.push(format!("{}: {bound} {answer} at {now}", pool.name));
            }
            decision = decision.serving(&pool.name, answer);
        }
        let reason = if reasons.is_empty() { format!("within the schedule at {now}") } else { reasons.join("; ") };
        Ok(Decision { reason, ..decision })
    }
}

trimtab_sdk::export!(Schedule);

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(days: &[&str], from: &str, to: &str) -> Rule {
        Rule {
            days: Days::named(days).unwrap_or_default(),
            from: Minute::parse(from).unwrap_or_default(),
            to: Minute::parse(to),
            ..Rule::default()
        }
    }

    fn moment(day: u8, time: &str) -> Moment {
        Moment { day, minute: Minute::parse(time).unwrap_or_default() }
    }

    #[test]
    fn within_a_day() {
        let office = rule(&["weekdays"], "09:00", "18:00");
        for (day, time, applies) in
            [(0, "08:59", false), (0, "09:00", true), (4, "17:59", true), (4, "18:00", false), (5, "12:00", false)]
        {
            assert_eq!(office.applies(moment(day, time)), applies, "day {day} {time}");
        }
    }

    #[test]
    fn over_midnight_belongs_to_the_day_it_begins() {
        let night = rule(&["fri"], "22:00", "06:00");
        for (day, time, applies) in [
            (4, "21:59", false),
            (4, "22:00", true),
            (5, "05:59", true),
            (5, "06:00", false),
            (4, "03:00", false),
            (5, "22:00", false),
        ] {
            assert_eq!(night.applies(moment(day, time)), applies, "day {day} {time}");
        }
        let sunday = rule(&["sun"], "20:00", "04:00");
        assert!(sunday.applies(moment(0, "03:00")), "over the end of the week");
    }

    #[test]
    fn all_day() {
        for (from, to) in [("00:00", "24:00"), ("07:00", "07:00")] {
            assert!((0..7).all(|day| rule(&[], from, to).applies(moment(day, "12:00"))), "{from} to {to}");
        }
    }
}
