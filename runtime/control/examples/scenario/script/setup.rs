//! The first lines of a scenario: the workload, its pools and its stages; what its pages say, and restarts.
//!
//! For: everything that a manifest would say, and the process itself. Never ticks.

use std::sync::{Arc, Mutex};

use trimtab_control::Saved;
use trimtab_control::config::{
    Combine, ModuleRef, OnFailure, PoolConfig, Rate, StageConfig, Step, WakeRule, ZeroGrant,
};
use trimtab_control::policy::MetricNeed;
use trimtab_control::time::Span;

use super::{Answers, Stage, number, span, words};

fn rate(text: &str) -> Result<Rate, String> {
    let (step, per) = text.split_once('/').ok_or("a rate is STEP/PER, such as 10%/60s")?;
    let max_step = match step.strip_suffix('%') {
        Some(percent) => Step::Percent(number(percent)?),
        None => Step::Count(number(step)?),
    };
    Ok(Rate { max_step, per: span(per)? })
}

impl Stage {
    pub(super) fn workload(&mut self, rest: &str) -> Result<(), String> {
        let rules = &mut self.config.guardrails;
        for (name, value) in words(rest) {
            match name {
                "interval" => self.config.interval = span(value)?,
                "stale" => rules.stale_after = Some(span(value)?),
                "silent" => rules.silent_after = Some(span(value)?),
                "coverage" => rules.min_coverage = number(value)?,
                "cooldown" => rules.cooldown = span(value)?,
                "down" => rules.scale_down = rate(value)?,
                "up" => rules.scale_up = Some(rate(value)?),
                _ => return Err(format!("workload has no {name}")),
            }
        }
        Ok(())
    }

    pub(super) fn pool(&mut self, rest: &str) -> Result<(), String> {
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut pool = PoolConfig {
            name: name.to_owned(),
            group: None,
            min: 1,
            max: 8,
            zero: None,
            gpus_per_replica: 1,
            price_per_hour: None,
            startup: Span::seconds(180),
            attributes: Vec::new(),
        };
        let mut zero =
            ZeroGrant { after: Span::seconds(600), wake_on: Vec::new(), wake_replicas: 1, hold: Span::seconds(300) };
        for (name, value) in words(rest) {
            match name {
                "min" => pool.min = number(value)?,
                "max" => pool.max = number(value)?,
                "group" => pool.group = Some(value.to_owned()),
                "startup" => pool.startup = span(value)?,
                "gpus" => pool.gpus_per_replica = number(value)?,
                "zero" => zero.after = span(value)?,
                "wake" => {
                    let (signal, above) = value.split_once('>').ok_or("wake=SIGNAL>VALUE")?;
                    zero.wake_on.push(WakeRule { signal: signal.to_owned(), above: number(above)? });
                }
                "wakeReplicas" => zero.wake_replicas = number(value)?,
                "hold" => zero.hold = span(value)?,
                _ => return Err(format!("pool has no {name}")),
            }
        }
        if pool.min == 0 {
            pool.zero = Some(zero);
        }
        self.config.pools.retain(|p| p.name != pool.name);
        self.config.pools.push(pool);
        if self.controller.is_some() {
            let (config, now) = (self.config.clone(), self.now);
            self.controller().reconfigure(config, now);
        }
        Ok(())
    }

    pub(super) fn stage(&mut self, rest: &str) -> Result<(), String> {
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let module = ModuleRef { policy: name.to_owned(), config: "{}".to_owned(), digest: None };
        let mut stage = StageConfig {
            name: name.to_owned(),
            module,
            combine: Combine::Replace,
            on_failure: OnFailure::NoDown,
            shadow: None,
        };
        let mut needs = Vec::new();
        for (key, value) in words(rest) {
            match (key, value) {
                ("needs", list) => needs.extend(list.split(',').map(need)),
                ("combine", "max") => stage.combine = Combine::Max,
                ("combine", "min") => stage.combine = Combine::Min,
                ("combine", "replace") | ("onFailure", "noDown") => {}
                ("onFailure", "hold") => stage.on_failure = OnFailure::Hold,
                ("onFailure", "skip") => stage.on_failure = OnFailure::Skip,
                _ => return Err(format!("stage has no {key}={value}")),
            }
        }
        self.config.stages.push(stage);
        self.needs.insert(name.to_owned(), needs);
        self.answers.insert(name.to_owned(), Arc::new(Mutex::new(Answers::Keep)));
        Ok(())
    }

    pub(super) fn page(&mut self, rest: &str) -> Result<(), String> {
        for (name, value) in words(rest) {
            match value {
                "-" => self.pages.remove(name),
                value => self.pages.insert(name.to_owned(), number(value)?),
            };
        }
        Ok(())
    }

    pub(super) fn owes(&mut self, rest: &str) {
        let (pages, replicas) = rest.split_once('/').unwrap_or((rest, ""));
        let names = |list: &str| list.split_whitespace().map(str::to_owned).collect();
        self.owed = [names(pages), names(replicas)];
        let [pages, replicas] = self.owed.clone();
        self.controller().set_page_signals(&pages);
        self.controller().set_replica_signals(&replicas);
    }

    /// The process ends, and another begins after so long.
    pub(super) fn restart(&mut self, after: &str) -> Result<(), String> {
        self.tape(false);
        let saved = self.controller().save();
        let text = serde_json::to_string(&saved).map_err(|e| e.to_string())?;
        let saved: Saved = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        self.controller = None;
        if !after.is_empty() {
            self.now = self.now + span(after)?;
        }
        self.start(Some(saved));
        Ok(())
    }
}

fn need(text: &str) -> MetricNeed {
    let (name, required) = text.strip_suffix('!').map_or((text, false), |name| (name, true));
    let (signal, by) = name.split_once('@').map_or((name, Vec::new()), |(signal, by)| (signal, vec![by.to_owned()]));
    MetricNeed {
        signal: signal.to_owned(),
        by,
        within: String::new(),
        across: String::new(),
        step: Span(0),
        window: Span(0),
        required,
    }
}
