//! What goes from the windows: points, tracks and names that nothing reaches any more.
//!
//! For: bounds in time. A running total of a replica that serves stays, and so does what a configured page owes. Never
//! forgets because of a single bad reading.

use super::{BASE_RETENTION, Limits, Windows};
use crate::sample::Origin;
use crate::time::{Span, Time};

impl Windows {
    /// Forgets what no window reaches any more.
    pub(crate) fn forget(&mut self, limits: Limits, now: Time) {
        let reach = self.reach.values().copied().max().unwrap_or_default().max(BASE_RETENTION);
        let keep = now - Span(reach.0.saturating_add(self.slack.0).max(limits.silent_after.0));
        self.members.forget(keep);
        self.ledger.forget(keep);
        // A signal that nobody has given for so long, while the replicas speak, is one they no longer have (another
        // engine, another version): it is then as if it had never been seen.
        let long = self.first_heard.is_some_and(|at| now.since(at) > limits.silent_after);
        let speaks = long && self.members.someone_speaks(limits, now);
        let (members, mut left) = (&self.members, 0);
        for (signal, tracks) in &mut self.signals {
            let owed = self.owed.contains(&**signal).then(|| tracks.page_newest());
            // Running totals of a replica that serves stay, whatever their labels: without them they would seem to grow
            // at once by all they ever counted when they come back. So does what is given, if only as nonsense.
            tracks.list.retain(|t| match t.newest_at() {
                Some(at) => {
                    at >= keep
                        || ((t.is_running() || t.given_at() >= Some(keep)) && members.serves(&t.origin))
                        || owed.is_some_and(|newest| t.left_with_its_page(newest, now.since(keep)))
                }
                None => members.serves(&t.origin),
            });
            left += tracks.list.len();
            let mut of_late =
                tracks.list.iter().filter(|t| t.given_at().is_some_and(|at| now.since(at) <= limits.silent_after));
            if speaks {
                // Pages come last in the order of origins.
                let first = of_late.next();
                tracks.known = (first.is_some(), first.is_some_and(|first| first.origin != Origin::Query));
            }
        }
        self.tracks = left;
        self.signals.retain(|_, tracks| !tracks.list.is_empty());
        if speaks {
            let given = |signal: &str| self.signals.get(signal).map_or((false, false), |tracks| tracks.known);
            self.seen.retain(|signal| self.owed.contains(signal) || given(signal).0);
            self.spoken.retain(|signal| given(signal).1);
            for (signal, _) in self.signals.iter().filter(|(_, tracks)| tracks.known.1) {
                if !self.spoken.contains(&**signal) {
                    self.spoken.insert(signal.to_string());
                }
            }
            self.note_known();
        }
    }
}
