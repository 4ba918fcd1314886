//! Real llama.cpp servers, from the xllamacpp wheel, with a tiny model.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use trimtab_tests::daemon::Daemon;
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::wait::within;
use trimtab_tests::{place, ports};

use super::scaler;

#[test]
fn real_llama_cpp_servers_go_from_one_to_four_and_back_and_no_request_fails() {
    let name = "real_llama_cpp_servers_go_from_one_to_four_and_back_and_no_request_fails";
    let Some(python) = place::python().filter(|python| has_llama(python)) else {
        place::skip(name, "no test environment with xllamacpp and gguf; run tests/setup");
        return;
    };
    let mut daemon = Daemon::new();
    let scripts = place::root().join("tests/llama").canonicalize().unwrap();
    let model = daemon.folder().join("tiny.gguf");
    let made = Command::new(&python).arg(scripts.join("model.py")).arg(&model).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let ports = ports::range(12);
    let pool = format!(
        "    - minReplicas: 1
      maxReplicas: 4
      startup: 3s
      process:
        command: [{python:?}, {:?}, --model, {model:?}, --port, \"{{port}}\", --parallel, \"2\"]
        ports: {}-{}
        ready: {{httpGet: /health, timeout: 60s}}
        drain: {{grace: 3s, timeout: 60s}}",
        scripts.join("server.py"),
        ports.start(),
        ports.end()
    );
    let rest = "  metrics: [{engine: llama-cpp}]
  policies:
    - {name: concurrency, config: {target: 2}}
    - {name: queue-depth, combine: max, config: {drainWithin: 10s}}
    - {name: cooldown, config: {down: 3s}}
  guardrails:
    staleAfter: 10s
    scaleDown: {maxStep: 1, per: 2s, cooldown: 3s}";
    daemon.manifest("llama.yaml", &scaler("llama", &pool, rest));
    daemon.start();
    daemon.until_settled("default/llama", 1);

    // More than one server decodes, for some seconds; then little, so that the fleet shrinks under load.
    let course = trace(&[part(1, 1.0), part(10, 14.0), part(20, 0.5)], 8, 700);
    let load = Load::start(&daemon.endpoints_url("default/llama"), &course);
    daemon.until_pool("default/llama", "four ready", |pool| pool.ready == 4);
    let (report, text) = load.finish();
    report.assert_whole(&text);
    assert_eq!(report.peak_endpoints, 4, "{text}");
    within(Duration::from_secs(90), "back to one server", || {
        let pool = daemon.pool("default/llama");
        let one = pool.desired == 1 && pool.ready == 1 && pool.draining == 0;
        if one { Ok(()) } else { Err(format!("{pool:?}")) }
    });
    daemon.until_replicas(1);
}

fn has_llama(python: &Path) -> bool {
    let tried = Command::new(python).args(["-c", "import gguf, xllamacpp"]).output();
    tried.is_ok_and(|output| output.status.success())
}
