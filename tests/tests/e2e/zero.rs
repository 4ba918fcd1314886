//! To zero when nothing was asked for, and back when the queue in front says so.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use trimtab_tests::daemon::Daemon;
use trimtab_tests::load::{Load, part, trace};
use trimtab_tests::serve::{Reply, Server};
use trimtab_tests::views::Decision;
use trimtab_tests::wait::{eventually, holds};

use super::{engines, scaler};

#[test]
fn an_idle_pool_goes_to_zero_and_the_gateways_queue_wakes_it() {
    let queued = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&queued);
    let gateway = Server::start(move |_| {
        let mut page = "# TYPE gateway_queued_requests gauge\n".to_owned();
        writeln!(page, "gateway_queued_requests{{backend=\"chat\"}} {}", told.load(Ordering::SeqCst)).unwrap();
        writeln!(page, "gateway_queued_requests{{backend=\"other\"}} 99").unwrap();
        Reply::Page(200, "text/plain; version=0.0.4", page)
    });
    let pool = engines(
        "0s",
        "minReplicas: 0
      maxReplicas: 3
      startup: 1s
      scaleToZero: {after: 3s, wakeOn: [{signal: gateway-queue, above: 0}], wakeReplicas: 1, hold: 4s}",
    );
    let rest = format!(
        "  metrics:
    - engine: vllm
    - exposition:
        url: \"{}/metrics\"
        signals: {{gateway-queue: {{metric: gateway_queued_requests, match: {{backend: chat}}, within: last, across: sum}}}}
  policies: [{{name: concurrency, config: {{target: 8}}}}]
  guardrails: {{scaleDown: {{maxStep: 100%, per: 1s, cooldown: 2s}}}}",
        gateway.url()
    );
    let daemon = Daemon::with(&scaler("chat", &pool, &rest));
    queued.store(2, Ordering::SeqCst);
    daemon.until_settled("default/chat", 1);
    queued.store(0, Ordering::SeqCst);
    daemon.until_settled("default/chat", 0);
    daemon.until_replicas(0);

    // A request that waits in front of nothing.
    let load = Load::start(&daemon.endpoints_url("default/chat"), &trace(&[part(4, 1.0)], 16, 16));
    queued.store(1, Ordering::SeqCst);
    daemon.until_settled("default/chat", 1);
    let woken = daemon.decisions("default/chat").into_iter().find(Decision::goes_up).unwrap();
    assert!(!woken.bites("wake").is_empty(), "{woken:#?}");
    queued.store(0, Ordering::SeqCst);
    let (report, text) = load.finish();
    report.assert_whole(&text);
    eventually("asleep again", || {
        let pool = daemon.pool("default/chat");
        holds(pool.desired == 0 && pool.ready == 0, || format!("{pool:?}"))
    });
}
