//! What sources and targets reported, against what they reported before.
//!
//! For: the bulk of a journal. Voices mostly come in their order and say nearly the same; a target that says the same of a
//! pool costs three bytes. Never drops a sample, never rounds a number.

use std::sync::Arc;

use super::dictionary::{Dictionary, Kind, Voice};
use super::wire::{Malformed, Reader, Writer};
use crate::sample::{Histogram, Intake, Labels, Origin, PoolReport, Reading, Replica, ReplicaState, Sample};
use crate::time::Time;

const STATES: [ReplicaState; 5] =
    [ReplicaState::Ready, ReplicaState::Starting, ReplicaState::Draining, ReplicaState::Standby, ReplicaState::Failed];

/// Whole, or the same as the one before but for its instant.
const WHOLE: u8 = 0;
const SAME: u8 = 1;

fn ahead(at: Time, of: Time) -> i64 {
    at.0.wrapping_sub(of.0) as i64
}

fn back(of: Time, ahead: i64) -> Time {
    Time(of.0.wrapping_add(ahead as u64))
}

impl Dictionary {
    pub(super) fn write_intake(&mut self, intake: &Intake, now: Time, out: &mut Writer) {
        out.signed(i64::from(intake.utc_offset_minutes.wrapping_sub(self.utc_offset_minutes)));
        self.utc_offset_minutes = intake.utc_offset_minutes;
        out.unsigned(intake.pools.len() as u64);
        for report in &intake.pools {
            self.write_report(report, now, out);
        }
        self.write_samples(&intake.samples, now, out);
    }

    pub(super) fn read_intake(&mut self, now: Time, input: &mut Reader<'_>) -> Result<Intake, Malformed> {
        self.utc_offset_minutes = self.utc_offset_minutes.wrapping_add(input.signed()? as i32);
        let count = input.length()?;
        let pools = (0..count).map(|_| self.read_report(now, input)).collect::<Result<_, _>>()?;
        let samples = self.read_samples(now, input)?;
        Ok(Intake { samples, pools, utc_offset_minutes: self.utc_offset_minutes })
    }

    fn write_report(&mut self, report: &PoolReport, now: Time, out: &mut Writer) {
        self.write_name(&report.pool, out);
        out.signed(ahead(report.at, now));
        if let Some(before) = self.reports.get_mut(&report.pool) {
            let at = std::mem::replace(&mut before.at, report.at);
            if before == report {
                return out.byte(SAME);
            }
            before.at = at;
        }
        out.byte(WHOLE);
        out.unsigned(u64::from(report.desired));
        out.unsigned(u64::from(report.standby));
        out.byte(u8::from(report.can_standby) | u8::from(report.rolling_out) << 1);
        out.unsigned(report.replicas.len() as u64);
        for replica in &report.replicas {
            self.write_name(&replica.id, out);
            let state = STATES.iter().position(|s| *s == replica.state).unwrap_or_default();
            out.byte(state as u8 | u8::from(replica.restarting) << 4);
            out.signed(ahead(replica.since, now));
        }
        self.reports.insert(Arc::clone(&report.pool), report.clone());
    }

    fn read_report(&mut self, now: Time, input: &mut Reader<'_>) -> Result<PoolReport, Malformed> {
        let pool = self.read_name(input)?;
        let at = back(now, input.signed()?);
        if input.byte()? == SAME {
            let before = self.reports.get_mut(&pool).ok_or(Malformed::Value("a report to repeat"))?;
            before.at = at;
            return Ok(before.clone());
        }
        let number = |n: u64| u32::try_from(n).map_err(|_| Malformed::Value("a number of replicas"));
        let (desired, standby) = (number(input.unsigned()?)?, number(input.unsigned()?)?);
        let flags = input.byte()?;
        let count = input.length()?;
        let mut replicas = Vec::with_capacity(count);
        for _ in 0..count {
            let id = self.read_name(input)?;
            let form = input.byte()?;
            let state = STATES.get(usize::from(form & 0x0f)).copied().ok_or(Malformed::Value("a state"))?;
            let since = back(now, input.signed()?);
            replicas.push(Replica { id, state, since, restarting: form & 0x10 != 0 });
        }
        let (can_standby, rolling_out) = (flags & 1 != 0, flags & 2 != 0);
        let report = PoolReport { pool, at, desired, standby, can_standby, rolling_out, replicas };
        self.reports.insert(Arc::clone(&report.pool), report.clone());
        Ok(report)
    }

    /// Runs of voices in their order, and jumps: so many in a row, then the number of another.
    fn write_samples(&mut self, samples: &[Sample], now: Time, out: &mut Writer) {
        out.unsigned(samples.len() as u64);
        let mut known = self.voices.len();
        let mut likely = 0;
        let numbers: Vec<usize> = samples
            .iter()
            .map(|sample| {
                let number = self.voice(sample, likely);
                likely = number + 1;
                number
            })
            .collect();
        let (mut at, mut next, mut index) = (now, 0, 0);
        while index < samples.len() {
            let run = (index..samples.len()).take_while(|i| numbers[*i] == next + (i - index) && numbers[*i] < known);
            let run = run.count();
            out.unsigned(run as u64);
            for i in index..index + run {
                self.write_sample(&samples[i], numbers[i], &mut at, out);
            }
            index += run;
            next += run;
            if index < samples.len() {
                let number = numbers[index];
                out.unsigned(number as u64);
                if number == known {
                    self.write_voice(number, out);
                    known += 1;
                }
                self.write_sample(&samples[index], number, &mut at, out);
                (next, index) = (number + 1, index + 1);
            }
        }
    }

    fn read_samples(&mut self, now: Time, input: &mut Reader<'_>) -> Result<Vec<Sample>, Malformed> {
        let count = input.length()?;
        let mut samples = Vec::with_capacity(count);
        let (mut at, mut next) = (now, 0);
        while samples.len() < count {
            let run = input.length()?;
            if run > count - samples.len() {
                return Err(Malformed::Value("a run of samples"));
            }
            for number in next..next + run {
                samples.push(self.read_sample(number, &mut at, input)?);
            }
            next += run;
            if samples.len() < count {
                let number = usize::try_from(input.unsigned()?).map_err(|_| Malformed::Value("a voice"))?;
                if number == self.voices.len() {
                    self.read_voice(input)?;
                }
                samples.push(self.read_sample(number, &mut at, input)?);
                next = number + 1;
            }
        }
        Ok(samples)
    }

    fn write_voice(&mut self, number: usize, out: &mut Writer) {
        let voice = &self.voices[number];
        let (origin, signal, labels) = (voice.origin.clone(), Arc::clone(&voice.signal), voice.labels.clone());
        out.byte(voice.kind as u8);
        match &origin {
            Origin::Query => out.byte(0),
            Origin::Replica { pool, replica } => {
                out.byte(1);
                self.write_name(pool, out);
                self.write_name(replica, out);
            }
        }
        self.write_name(&signal, out);
        out.unsigned(labels.len() as u64);
        for (name, value) in &labels {
            out.text(name);
            out.text(value);
        }
    }

    fn read_voice(&mut self, input: &mut Reader<'_>) -> Result<(), Malformed> {
        let kind = Kind::parse(input.byte()?)?;
        let origin = match input.byte()? {
            0 => Origin::Query,
            _ => Origin::Replica { pool: self.read_name(input)?, replica: self.read_name(input)? },
        };
        let signal = self.read_name(input)?;
        let count = input.length()?;
        let mut labels = Labels::with_capacity(count);
        for _ in 0..count {
            labels.push((input.text()?.to_owned(), input.text()?.to_owned()));
        }
        self.voices.push(Voice { origin, signal, labels, kind, number: 0, histogram: None });
        Ok(())
    }

    fn write_sample(&mut self, sample: &Sample, number: usize, at: &mut Time, out: &mut Writer) {
        out.signed(ahead(sample.at, *at));
        *at = sample.at;
        let voice = &mut self.voices[number];
        match &sample.reading {
            Reading::Gauge(v) | Reading::Counter(v) => {
                out.number(*v, voice.number);
                voice.number = v.to_bits();
            }
            Reading::Histogram(histogram) => {
                let bounds = |h: &Histogram| h.buckets.iter().map(|b| b.0.to_bits()).collect::<Vec<u64>>();
                match voice.histogram.as_ref().filter(|before| bounds(before) == bounds(histogram)) {
                    Some(before) => {
                        out.byte(SAME);
                        out.counts(&histogram.buckets, &before.buckets);
                    }
                    None => {
                        out.byte(WHOLE);
                        out.histogram(&histogram.buckets);
                    }
                }
                voice.histogram = Some(Arc::clone(histogram));
            }
        }
    }

    fn read_sample(&mut self, number: usize, at: &mut Time, input: &mut Reader<'_>) -> Result<Sample, Malformed> {
        *at = back(*at, input.signed()?);
        let voice = self.voices.get_mut(number).ok_or(Malformed::Value("a voice"))?;
        let reading = match voice.kind {
            Kind::Gauge | Kind::Counter => {
                let v = input.number(voice.number)?;
                voice.number = v.to_bits();
                if voice.kind == Kind::Gauge { Reading::Gauge(v) } else { Reading::Counter(v) }
            }
            Kind::Histogram => {
                let buckets = match (input.byte()?, &voice.histogram) {
                    (SAME, Some(before)) => input.counts(&before.buckets)?,
                    (SAME, None) => return Err(Malformed::Value("a histogram to repeat")),
                    _ => input.histogram()?,
                };
                let histogram = Arc::new(Histogram { buckets });
                voice.histogram = Some(Arc::clone(&histogram));
                Reading::Histogram(histogram)
            }
        };
        let (origin, signal) = (voice.origin.clone(), Arc::clone(&voice.signal));
        Ok(Sample { origin, signal, labels: voice.labels.clone(), at: *at, reading })
    }
}
