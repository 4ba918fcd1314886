//! Days of the week and minutes of the day, as people write them and as instants give them.
//!
//! For: matching rules. Never knows a time zone: the host gives the offset.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days of the week; Monday is bit 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Days(u8);

impl Default for Days {
    fn default() -> Days {
        Days(0b111_1111)
    }
}

impl Days {
    /// The days of those names; none named: every day.
    pub(crate) fn named(names: &[impl AsRef<str>]) -> Result<Days, String> {
        let mut days = 0;
        for name in names {
            days |= match name.as_ref() {
                "weekdays" => 0b001_1111,
                "weekend" => 0b110_0000,
                day => match NAMES.iter().position(|n| *n == day) {
                    Some(index) => 1 << index,
                    None => {
                        return Err(format!("{day:?} is no day; write one of {}, weekdays, weekend", NAMES.join(", ")));
                    }
                },
            };
        }
        Ok(if names.is_empty() { Days::default() } else { Days(days) })
    }

    pub(crate) fn has(self, day: u8) -> bool {
        self.0 & (1 << day) != 0
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Days, D::Error> {
        Days::named(&Vec::<String>::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// A minute of the day, 0 to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub(crate) struct Minute(u16);

impl Minute {
    pub(crate) const END: Minute = Minute(1440);

    /// From `HH:MM`, `00:00` to `24:00`.
    pub(crate) fn parse(text: &str) -> Option<Minute> {
        let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5)?;
        let two = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
        let (hour, minute) = (two(hour)?, two(minute)?);
        (minute < 60 && hour <= 24 && hour * 60 + minute <= 1440).then_some(Minute(hour * 60 + minute))
    }
}

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Minute, D::Error> {
        let text = String::deserialize(from)?;
        Minute::parse(&text)
            .ok_or_else(|| D::Error::custom(format_args!("{text:?} is no time of day; write one such as \"09:00\"")))
    }
}

/// A local day of the week (Monday is 0) and minute of the day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment {
    pub(crate) day: u8,
    pub(crate) minute: Minute,
}

impl Moment {
    /// The local moment of a Unix instant in milliseconds, so many minutes east of UTC.
    pub(crate) fn at(millis: u64, offset_minutes: i64) -> Moment {
        let minutes = i64::try_from(millis / 60_000).unwrap_or(0) + offset_minutes;
        // The first of January 1970 was a Thursday.
        let day = (minutes.div_euclid(1440) + 3).rem_euclid(7);
        Moment { day: day as u8, minute: Minute(minutes.rem_euclid(1440) as u16) }
    }

    pub(crate) fn yesterday(self) -> u8 {
        (self.day + 6) % 7
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Minute(minute) = self.minute;
        write!(f, "{} {:02}:{:02}", NAMES[usize::from(self.day) % 7], minute / 60, minute % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_become_local_moments() {
        // 2026-11-23 22:30 UTC is a Monday.
        let now = 1_795_473_000_000;
        for (offset, said) in
            [(0, "mon 22:30"), (60, "mon 23:30"), (120, "tue 00:30"), (-1410, "sun 23:00"), (345, "tue 04:15")]
        {
            assert_eq!(Moment::at(now, offset).to_string(), said, "offset {offset}");
        }
        assert_eq!(Moment::at(0, -1).to_string(), "wed 23:59");
    }

    #[test]
    fn times_of_day() {
        assert_eq!(Minute::parse("24:00"), Some(Minute::END));
        for text in ["24:01", "9:00", "09:60", "0900", "", "+9:00"] {
            assert_eq!(Minute::parse(text), None, "{text}");
        }
        assert!(Days::named(&["mo"]).is_err());
    }
}
