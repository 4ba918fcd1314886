//! A pool as it is written: bounds, the grant for zero, and what runs its replicas.
//!
//! For: the part of the description under `spec.pools`. Never says what a pool does: that is `control`'s and the targets'.

use trimtab_control::signals::canonical;

use super::DAY;
use super::metric::{Auth, Tls, tls_holds};
use crate::manifest::address::{Call, Ports, Url, UrlPath};
use crate::manifest::collection::{Map, Some1};
use crate::manifest::field::{At, written};
use crate::manifest::problem::{Report, Spot};
use crate::manifest::quantity::Lasting;
use crate::manifest::scalar::{Count, Name, Number, Price, Signal, Text, True};

/// Replicas a pool may have.
const MOST: u32 = 10_000;

written! {
    /// A group of equal replicas. Exactly one of `process`, `webhook` and `dryRun` says what runs them.
    struct Pool as "spec.pools[]" {
        /// Unique within the workload.
        name: Name = "name" default("default");
        /// Pools of one group are granted and woken together.
        group: Name = "group" optional;
        /// Fewest serving replicas; 0 needs `scaleToZero`.
        min_replicas: Count<0, MOST> = "minReplicas" default("1");
        /// Most serving and standby replicas together.
        max_replicas: Count<1, MOST> = "maxReplicas" required;
        /// The grant to go to zero, and the way back.
        scale_to_zero: ScaleToZero = "scaleToZero" optional;
        /// GPUs that one replica holds.
        gpus_per_replica: Count<0, 1024> = "gpusPerReplica" default("1");
        /// Price of one replica, in any currency.
        price_per_hour: Price = "pricePerHour" optional;
        /// Expected time from start to ready, until three starts were measured.
        startup: Lasting<0, DAY> = "startup" default("180s");
        /// Free pairs that policies see, such as `gpu` and `role`.
        attributes: Map<Text> = "attributes" optional;
        /// Servers on this host.
        process: Process = "process" optional;
        /// Anything that answers one URL.
        webhook: Webhook = "webhook" optional;
        /// Replicas in memory only.
        dry_run: DryRun = "dryRun" optional;
    }
    later { "scaleTargetRef": "workloads in a Kubernetes cluster" }
    one of { "process", "webhook", "dryRun" }
    check pool_holds
}

fn pool_holds(pool: &Pool, _: Spot, report: &mut Report) {
    let (min, max) = (pool.min_replicas.value.0, pool.max_replicas.value.0);
    if min > max {
        let at = if pool.min_replicas.given { pool.min_replicas.spot } else { pool.max_replicas.spot };
        report.field(
            at,
            format!("minReplicas {min} is more than maxReplicas {max}"),
            "lower minReplicas or raise maxReplicas",
        );
    }
    match &pool.scale_to_zero {
        None if min == 0 => report.field(
            pool.min_replicas.spot,
            "minReplicas 0 needs the grant scaleToZero",
            "add `scaleToZero: {wakeOn: [{http: true}]}`, or write minReplicas: 1",
        ),
        Some(zero) if zero.wake_replicas.value.0 > max => report.field(
            zero.wake_replicas.spot,
            format!("wakeReplicas {} is more than maxReplicas {max}", zero.wake_replicas.value.0),
            "lower wakeReplicas or raise maxReplicas",
        ),
        _ => {}
    }
    if let Some(process) = &pool.process {
        let Ports(first, last) = process.ports.value;
        let ports = u32::from(last) - u32::from(first) + 1;
        if ports < max {
            let what = format!("{ports} ports are too few for maxReplicas {max}");
            report.field(
                process.ports.spot,
                what,
                "each replica needs a port: widen process.ports or lower maxReplicas",
            );
        }
    }
}

written! {
    /// The grant to go to zero: once the chain has proposed 0 and nothing ran or waited for `after`.
    struct ScaleToZero as "spec.pools[].scaleToZero" {
        /// How long nothing must have run or waited.
        after: Lasting<1, DAY> = "after" default("10m");
        /// What wakes the pool.
        wake_on: Some1<Wake> = "wakeOn" required;
        /// The floor that a wake raises.
        wake_replicas: Count<1, MOST> = "wakeReplicas" default("1");
        /// For how long a wake holds the floor.
        hold: Lasting<1, DAY> = "hold" default("5m");
    }
}

written! {
    /// What wakes a pool: a signal that outlives the replicas, or the wake verb alone.
    struct Wake as "spec.pools[].scaleToZero.wakeOn[]" {
        /// A signal that a source other than the replicas gives.
        signal: Signal = "signal" optional;
        /// Wakes when the signal is greater.
        above: Number = "above" default("0");
        /// The wake verb and `POST …/wake` alone.
        http: True = "http" optional;
    }
    one of { "signal", "http" }
}

written! {
    /// Servers on this host, one process each (Linux).
    struct Process as "spec.pools[].process" {
        /// Program and arguments; `{port}`, `{name}` and `{pool}` are filled in.
        command: Some1<Text> = "command" required;
        /// Ports the replicas listen on, one each.
        ports: Ports = "ports" default("18100-18199");
        /// Added to the daemon's own environment; `{port}`, `{name}` and `{pool}` are filled in.
        env: Map<Text> = "env" optional;
        /// Where it runs, relative to the manifest's folder. Left out: where the daemon runs.
        working_dir: Text = "workingDir" optional;
        /// When a replica counts as ready.
        ready: Ready = "ready" default("{}");
        /// How a replica leaves.
        drain: Drain = "drain" default("{}");
        /// How a replica goes to sleep and wakes. Left out: the pool has no standby tier.
        standby: Standby = "standby" optional;
    }
    check process_holds
}

fn process_holds(process: &Process, _: Spot, report: &mut Report) {
    let env = process.env.iter().flat_map(|env| env.value.0.values());
    let mut texts = process.command.value.0.iter().map(|text| &text.value).chain(env.map(|text| &text.value));
    if !texts.any(|text| text.0.contains("{port}")) {
        report.field(
            process.command.spot,
            "nothing tells the server its port",
            "write `{port}` in command, such as `--port`, `{port}`",
        );
    }
}

written! {
    /// A replica is ready when a GET is answered with a 2xx.
    struct Ready as "spec.pools[].process.ready" {
        /// Path of the GET.
        http_get: UrlPath = "httpGet" default("/health");
        /// A replica that is not ready so long after its start is ended.
        timeout: Lasting<1, DAY> = "timeout" default("60s");
    }
}

written! {
    /// How a replica leaves: it is no endpoint any more, `grace` passes, then it ends once it has no work.
    struct Drain as "spec.pools[].process.drain" {
        /// For clients to notice.
        grace: Lasting<0, DAY> = "grace" default("5s");
        /// It is ended after so long whatever it still does.
        timeout: Lasting<0, DAY> = "timeout" default("120s");
    }
    check drain_holds
}

fn drain_holds(drain: &Drain, _: Spot, report: &mut Report) {
    let (grace, timeout) = (drain.grace.value.0, drain.timeout.value.0);
    if grace > timeout {
        let what = format!("drain.grace {grace} is longer than drain.timeout {timeout}, which ends the replica");
        report.field(drain.grace.spot, what, "raise drain.timeout above the grace and the longest request");
    }
}

written! {
    /// The requests that put a replica to sleep and wake it.
    struct Standby as "spec.pools[].process.standby" {
        /// Made once the replica has drained.
        enter: Call = "enter" required;
        /// Made to serve again.
        leave: Call = "leave" required;
    }
}

written! {
    /// Anything that answers one URL: GET reports, PUT asks.
    struct Webhook as "spec.pools[].webhook" {
        /// The URL.
        url: Url = "url" required;
        /// Of one request.
        timeout: Lasting<1, 300> = "timeout" default("10s");
        /// Who asks.
        auth: Auth = "auth" optional;
        /// Whom to trust.
        tls: Tls = "tls" optional;
    }
    check webhook_holds
}

fn webhook_holds(webhook: &Webhook, _: Spot, report: &mut Report) {
    tls_holds(&webhook.url, webhook.tls.as_ref(), report);
}

written! {
    /// Replicas in memory: decisions are followed, nothing is run.
    struct DryRun as "spec.pools[].dryRun" {
        /// How many there are at the start.
        replicas: Count<0, MOST> = "replicas" default("1");
        /// Where metrics may be read; the first belongs to the first replica, and so on.
        endpoints: Vec<At<Url>> = "endpoints" optional;
        /// Signals with a fixed value.
        signals: Map<Number> = "signals" optional;
    }
    check dry_run_holds
}

/// What no engine can say is not believed, and would be missing.
fn dry_run_holds(dry: &DryRun, _: Spot, report: &mut Report) {
    for (name, value) in dry.signals.iter().flat_map(|signals| &signals.value.0) {
        if let Some(signal) = canonical(name)
            && !(0.0..=signal.ceiling).contains(&value.value.0)
        {
            let what = format!("signals.{name}: {} is no possible value", value.value.0);
            report.field(value.spot, what, format!("write a number from 0 to {:e}", signal.ceiling));
        }
    }
}
