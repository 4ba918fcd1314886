//! A decision as a line or more of the story.
//!
//! For: golden files that people read. Never leaves out what was unusual.

use trimtab_control::decision::{Decision, InputKind};

use super::{START, Stage};

impl Stage {
    /// One line per decision; quiet ones that repeat the last are left out.
    pub(super) fn tell(&mut self, decision: &Decision) {
        let mut lines = Vec::new();
        for pool in &decision.pools {
            let standby = if (pool.standby_from, pool.standby_to) == (0, 0) {
                String::new()
            } else {
                format!(" standby {} -> {}", pool.standby_from, pool.standby_to)
            };
            lines.push(format!("  {} {} -> {}{standby}", pool.name, pool.from, pool.to));
        }
        for stage in decision.stages.iter().filter(|s| s.error.is_some()) {
            lines.push(format!(
                "  stage {} failed: {}",
                stage.name,
                stage.error.as_ref().map_or("", |e| e.code.as_str())
            ));
        }
        for input in decision.inputs.iter().filter(|i| !matches!(i.kind, InputKind::Fresh)) {
            lines.push(format!(
                "  input {} {} covers {:.2}",
                input.signal,
                format!("{:?}", input.kind).to_lowercase(),
                input.coverage
            ));
        }
        for step in decision.guardrails.iter().filter(|s| s.from != s.to || s.standby_from != s.standby_to) {
            lines.push(format!("  {:?} {}: {} -> {} ({})", step.rule, step.pool, step.from, step.to, step.why));
        }
        for (pool, ids) in &decision.remove_first {
            lines.push(format!("  remove first of {pool}: {}", ids.join(", ")));
        }
        let at = decision.at.since(START).as_seconds();
        self.say(&format!("{at}s"));
        for line in lines {
            self.say(&line);
        }
    }
}
