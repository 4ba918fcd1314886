//! What happens in the demo, seen from outside: frames for the picture, lines for those without one, and the swaps.
//!
//! For: watching the daemon as any user could, by its published views. Never reaches into it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trimtab_control::time::Time;
use trimtab_engine::load::Snapshot;
use trimtab_live::daemon::{Daemon, View};

use super::picture::Picture;
use super::setting::{BROKEN, SWAPPED, Setting, drop_in, rebuilt};
use crate::output::{Paint, clean, short_digest};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Lines of the story that are kept.
const LINES: usize = 64;

/// What the summary says of the fleet.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals {
    pub(super) first: u32,
    pub(super) peak: u32,
    pub(super) last: u32,
    pub(super) ups: u32,
    pub(super) downs: u32,
    pub(super) swaps: u32,
    pub(super) refused: u32,
    pub(super) missed_ticks: u64,
}

/// One look at everything.
#[derive(Debug, Default, Clone)]
pub(super) struct Frame {
    pub(super) elapsed: f64,
    pub(super) rate: f64,
    pub(super) in_flight: u64,
    pub(super) served: u64,
    pub(super) failed: u64,
    pub(super) desired: u32,
    pub(super) ready: u32,
    pub(super) starting: u32,
    pub(super) draining: u32,
    pub(super) digest: String,
}

/// See the module.
pub(super) struct Story {
    daemon: Daemon,
    policies: PathBuf,
    duration: Duration,
    load: watch::Receiver<Option<Snapshot>>,
    frames: Vec<Frame>,
    lines: Vec<String>,
    printed: usize,
    totals: Totals,
    told_until: Time,
    digest: String,
    broken: bool,
    refused: bool,
    swapped: bool,
}

impl Story {
    pub(super) fn new(
        daemon: Daemon,
        setting: &Setting,
        duration: Duration,
        load: watch::Receiver<Option<Snapshot>>,
    ) -> Story {
        Story {
            daemon,
            policies: setting.policies(),
            duration,
            load,
            frames: Vec::new(),
            lines: Vec::new(),
            printed: 0,
            totals: Totals::default(),
            told_until: Time(0),
            digest: String::new(),
            broken: false,
            refused: false,
            swapped: false,
        }
    }

    /// Tells it until told to stop.
    pub(super) async fn tell(mut self, picture: bool, paint: Paint, stop: CancellationToken) -> anyhow::Result<Totals> {
        let mut picture = picture.then(Picture::open).transpose()?;
        let mut looks = tokio::time::interval(LOOK);
        let mut second = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = looks.tick() => {}
            }
            self.act()?;
            self.look();
            match &mut picture {
                Some(picture) => picture.draw(&self.frames, &self.lines, self.duration)?,
                None => {
                    if second.elapsed() >= Duration::from_secs(1) {
                        second = Instant::now();
                        self.print(paint);
                    }
                }
            }
        }
        self.look();
        if let Some(picture) = picture {
            picture.close();
        } else {
            self.print(paint);
        }
        Ok(self.totals)
    }

    /// What the demo does itself: in the burst a new version is dropped in, after it a broken one.
    fn act(&mut self) -> std::io::Result<()> {
        let Some(load) = *self.load.borrow() else { return Ok(()) };
        let share = load.elapsed_seconds / self.duration.as_secs_f64();
        if share > 0.4 && !self.swapped {
            self.swapped = true;
            if let Some(bytes) = rebuilt(SWAPPED) {
                drop_in(&self.policies, SWAPPED, &bytes)?;
                self.say(format!("dropped a new build of {SWAPPED}.wasm into the policies directory"));
            }
        }
        if share > 0.6 && !self.broken {
            self.broken = true;
            drop_in(&self.policies, BROKEN, b"\0asm but not really")?;
            self.say(format!("dropped a broken {BROKEN}.wasm into the policies directory"));
        }
        Ok(())
    }

    fn look(&mut self) {
        let Some(view) = self.daemon.workloads().into_iter().next() else { return };
        let Some(pool) = view.status.pools.first() else { return };
        let load = *self.load.borrow();
        let (desired, ready) = (pool.desired, pool.ready);
        self.totals.missed_ticks = view.missed_ticks;
        self.totals.last = ready;
        self.totals.peak = self.totals.peak.max(ready);
        if self.totals.first == 0 {
            self.totals.first = ready;
        }
        let mut frame = Frame {
            desired,
            ready,
            starting: pool.starting,
            draining: pool.draining,
            digest: view.status.policies.first().map_or(String::new(), |stage| short_digest(&stage.digest)),
            ..Frame::default()
        };
        if let Some(load) = load {
            frame.elapsed = load.elapsed_seconds;
            frame.in_flight = load.in_flight as u64;
            frame.served = load.completed;
            frame.failed = load.failed + load.shed;
            frame.rate = self.rate(load);
            self.frames.push(frame);
        }
        self.note_decisions(&view);
        self.note_policies(&view);
    }

    /// Arrivals a second over the last two seconds.
    fn rate(&self, load: Snapshot) -> f64 {
        let back = self.frames.len().saturating_sub(8);
        let before = self.frames.get(back).map_or((0.0, 0), |f| (f.elapsed, f.served + f.failed + f.in_flight));
        let passed = load.elapsed_seconds - before.0;
        if passed > 0.0 { load.offered.saturating_sub(before.1) as f64 / passed } else { 0.0 }
    }

    fn note_decisions(&mut self, view: &Arc<View>) {
        let unseen: Vec<_> = view.decisions.iter().take_while(|d| d.at > self.told_until).cloned().collect();
        self.told_until = unseen.first().map_or(self.told_until, |newest| newest.at);
        for decision in unseen.iter().rev().filter(|decision| decision.changes()) {
            for pool in decision.pools.iter().filter(|pool| pool.from != pool.to) {
                if pool.to > pool.from {
                    self.totals.ups += 1;
                } else {
                    self.totals.downs += 1;
                }
                self.say(format!("{} -> {} replicas; {}", pool.from, pool.to, clean(&decision.reason())));
            }
        }
    }

    fn note_policies(&mut self, view: &Arc<View>) {
        for stage in &view.status.policies {
            if stage.policy == SWAPPED && stage.digest != self.digest {
                if !self.digest.is_empty() {
                    self.totals.swaps += 1;
                    let (old, new) = (short_digest(&self.digest), short_digest(&stage.digest));
                    self.say(format!("{SWAPPED} was swapped between two ticks: {old} -> {new}"));
                }
                self.digest.clone_from(&stage.digest);
            }
            if stage.policy == BROKEN && !stage.message.is_empty() && !self.refused {
                self.refused = true;
                self.totals.refused += 1;
                self.say(format!("{BROKEN} was refused, the last good one serves on: {}", clean(&stage.message)));
            }
        }
    }

    fn say(&mut self, line: String) {
        let at = self.load.borrow().map_or(0.0, |load| load.elapsed_seconds);
        if self.lines.len() == LINES {
            self.lines.remove(0);
            self.printed = self.printed.saturating_sub(1);
        }
        self.lines.push(format!("{at:5.1}s  {line}"));
    }

    /// What is new, and how it stands, one line each.
    fn print(&mut self, paint: Paint) {
        let mut text = String::new();
        for line in &self.lines[self.printed..] {
            text.push_str(&format!("{}\n", paint.strong(line)));
        }
        self.printed = self.lines.len();
        if let Some(f) = self.frames.last() {
            text.push_str(&format!(
                "{:5.1}s  {:>4.0} requests/s, {:>3} in flight | {} desired: {} ready, {} starting, {} draining | {} served, {} failed\n",
                f.elapsed, f.rate, f.in_flight, f.desired, f.ready, f.starting, f.draining, f.served, f.failed
            ));
        }
        // A reader that went away ends the demo at the summary.
        let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes());
    }
}
