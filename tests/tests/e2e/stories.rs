//! What every decision must tell, whatever it decided.

use trimtab_tests::views::Decision;

/// The words of the surface for each open choice.
const KINDS: [&str; 6] = ["fresh", "stale", "missing", "partial", "reset", "suspicious"];
const RULES: [&str; 12] = [
    "pause",
    "override",
    "wake",
    "bounds",
    "staleness",
    "cooldown",
    "rate",
    "shift",
    "group",
    "rollout",
    "budget",
    "check",
];
const OUTCOMES: [&str; 7] = ["unchanged", "applied", "observed", "refused", "failed", "superseded", "dropped"];

/// Checks one decision: inputs with their ages, each stage with its proposal and reason, guardrails that lead from what
/// the last stage proposed to what was decided, and what happened.
#[track_caller]
pub(super) fn assert_whole(decision: &Decision, stages: &[&str]) {
    let context = || format!("{decision:#?}");
    assert!(!decision.id.is_empty() && decision.at.ends_with('Z'), "{}", context());
    for input in &decision.inputs {
        assert!(KINDS.contains(&input.kind.as_str()), "{}", context());
        assert!((0.0..=1.0).contains(&input.coverage), "{}", context());
        assert!(input.kind == "missing" || input.age_seconds.is_some_and(|age| age >= 0.0), "{}", context());
    }
    let names: Vec<&str> = decision.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, stages, "{}", context());
    for stage in &decision.stages {
        let answered = !stage.targets.is_empty() && !stage.reason.is_empty();
        assert!(stage.error.is_some() || answered, "{}", context());
        assert!(stage.digest.starts_with("sha256:"), "{}", context());
    }
    for rule in &decision.guardrails {
        assert!(RULES.contains(&rule.rule.as_str()) && !rule.why.is_empty(), "{}", context());
    }
    for pool in &decision.pools {
        let mut replicas = decision.stages.iter().rev().find_map(|stage| decision.proposal(&stage.name, &pool.name));
        // Rules are told in the order in which they looked.
        for rule in decision.guardrails.iter().filter(|rule| rule.pool == pool.name) {
            if let Some(replicas) = replicas {
                assert_eq!(rule.from, replicas, "{} begins elsewhere: {}", rule.rule, context());
            }
            replicas = Some(rule.to);
        }
        assert!(replicas.is_none_or(|replicas| replicas == pool.to), "{}", context());
        if let Some(outcome) = &pool.outcome {
            assert!(OUTCOMES.contains(&outcome.state.as_str()), "{}", context());
        }
    }
}
