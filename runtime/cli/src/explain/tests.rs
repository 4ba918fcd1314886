//! Tests of the story.

use super::*;
use crate::admin::{Decisions, parse};

const PAGE: &str = r#"{"decisions":[{"id":"1-17-4","at":"2026-01-02T03:04:05.678Z",
 "pools":[{"name":"default","from":2,"to":4,"standbyFrom":0,"standbyTo":0,"outcome":{"state":"applied","message":""}}],
 "inputs":[{"signal":"queue-depth","labels":{},"value":12,"ageSeconds":0.4,"coverage":1,"kind":"fresh"},
  {"signal":"ttft-p95","labels":{"pool":"a"},"value":null,"ageSeconds":null,"coverage":0.5,"kind":"missing"}],
 "stages":[{"name":"up","policy":"concurrency","digest":"sha256:0123456789abcdef0123","targets":[{"pool":"default","tier":"serving","replicas":9}],
   "reason":"72 active over 8","notes":{"active":"72"},"log":[{"level":"info","message":"hi\u001b[2J"}],"error":null},
  {"name":"cooldown","policy":"cooldown","digest":"","targets":[],"reason":"","notes":{},"log":[],"error":{"code":"trap","message":"unreachable"}}],
 "guardrails":[{"rule":"pause","pool":"default","from":9,"to":9,"why":"not paused"},
  {"rule":"bounds","pool":"default","from":9,"to":4,"why":"at most 4"}],"later":1}]}"#;

#[test]
fn it_names_inputs_stages_rules_and_outcome() {
    let page: Decisions = parse(PAGE).unwrap();
    let text = story("team-a/chat", &page.decisions[0], Paint::PLAIN);
    for part in [
        "team-a/chat  decision 1-17-4  2026-01-02T03:04:05.678Z",
        "default: 2 -> 4\n",
        "queue-depth          12   0.4s      100%  fresh",
        "ttft-p95{pool=a}      -  never       50%  missing",
        "1 up (policy concurrency sha256:0123456789ab)",
        "proposes default serving 9",
        "because 72 active over 8",
        "active=72",
        "log info: hi\\u{1b}[2J",
        "no answer, trap: unreachable",
        "bounds  default  9 -> 4  at most 4",
        "let pass: pause",
        "default: applied",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
