//! A source of series as it is written, and how to prove who asks and whom to trust.
//!
//! For: the part of the description under `spec.metrics`, and the `auth` and `tls` that others share. Never reads a secret.

use crate::manifest::address::{Url, UrlPath};
use crate::manifest::collection::Map;
use crate::manifest::field::{At, words, written};
use crate::manifest::problem::{Report, Spot};
use crate::manifest::scalar::{Count, Signal, Text};

written! {
    /// A secret from a file, read again when it changes.
    struct Auth as "auth" {
        /// File with a bearer token, relative to the manifest's folder.
        bearer_file: Text = "bearerFile" optional;
        /// Another header whose value stands in a file.
        header: Header = "header" optional;
    }
    later { "bearerSecretRef": "secrets of a cluster" }
    one of { "bearerFile", "header" }
}

written! {
    /// A header whose value stands in a file.
    struct Header as "auth.header" {
        /// The header's name.
        name: Signal = "name" required;
        /// File with the value, relative to the manifest's folder.
        file: Text = "file" required;
    }
    check header_holds
}

fn header_holds(header: &Header, _: Spot, report: &mut Report) {
    let fault = match header.name.value.0.parse::<http::HeaderName>() {
        Err(_) => "`name` is not the name of a header",
        Ok(name) if RESERVED.contains(&name.as_str()) => "`name` is a header that belongs to the request itself",
        Ok(_) => return,
    };
    report.field(header.name.spot, fault, "letters, digits and hyphens, such as X-Api-Key");
}

/// Headers that say how a request is made, not who makes it.
const RESERVED: [&str; 9] =
    ["accept", "connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// Trust has no meaning where nothing is encrypted.
pub(super) fn tls_holds(url: &At<Url>, tls: Option<&At<Tls>>, report: &mut Report) {
    if let Some(tls) = tls
        && url.value.0.starts_with("http://")
    {
        report.field(tls.spot, "`tls` has no meaning for an http:// address", "write https://, or remove `tls`");
    }
}

written! {
    /// Whom to trust behind `https`.
    struct Tls as "tls" {
        /// PEM file of the authorities to trust, relative to the manifest's folder.
        ca_file: Text = "caFile" required;
    }
    later { "caSecretRef": "secrets of a cluster" }
}

words! {
    /// Engines whose pages are understood.
    enum Engine {
        /// vLLM, and `trimtab engine`.
        Vllm = "vllm",
        /// llama.cpp's server.
        LlamaCpp = "llama-cpp",
    }
    later { "sglang", "tgi", "triton", "tensorrt-llm", "ray-serve", "dynamo", "auto" }
}

words! {
    /// How to reach a replica's page.
    enum Scheme {
        /// Plain.
        Http = "http",
        /// Over TLS.
        Https = "https",
    }
}

written! {
    /// A source of series: an engine's page on each replica (with the fields beside `engine`), or one page of anything.
    struct Metric as "spec.metrics[]" {
        /// Reads each replica.
        engine: Engine = "engine" optional;
        /// With `engine`: path of the page.
        path: UrlPath = "path" default("/metrics");
        /// With `engine`: port of the page. Left out: that of the replica's own address.
        port: Count<1, 65535> = "port" optional;
        /// With `engine`: left out, that of the replica's own address.
        scheme: Scheme = "scheme" optional;
        /// With `engine`: labels a series must carry to count, on pages that several models share.
        labels: Map<Text> = "match" optional;
        /// With `engine`: who asks.
        auth: Auth = "auth" optional;
        /// With `engine`: whom to trust.
        tls: Tls = "tls" optional;
        /// One page that speaks for the whole workload.
        exposition: Exposition = "exposition" optional;
    }
    later { "prometheus": "queries to a Prometheus server", "nvml": "GPUs of this host", "dcgm": "GPUs of a DCGM exporter" }
    one of { "engine", "exposition" }
    check metric_holds
}

fn metric_holds(metric: &Metric, _: Spot, report: &mut Report) {
    if metric.exposition.is_none() {
        return;
    }
    let strays = [
        ("path", metric.path.given.then_some(metric.path.spot)),
        ("port", metric.port.as_ref().map(|at| at.spot)),
        ("scheme", metric.scheme.as_ref().map(|at| at.spot)),
        ("match", metric.labels.as_ref().map(|at| at.spot)),
        ("auth", metric.auth.as_ref().map(|at| at.spot)),
        ("tls", metric.tls.as_ref().map(|at| at.spot)),
    ];
    for (name, spot) in strays {
        if let Some(spot) = spot {
            report.field(
                spot,
                format!("`{name}` belongs to `engine`, not beside `exposition`"),
                "move it into `exposition`, or remove it",
            );
        }
    }
}

written! {
    /// One page in Prometheus' text format or OpenMetrics.
    struct Exposition as "spec.metrics[].exposition" {
        /// The page.
        url: Url = "url" required;
        /// What to take from it, by the name of the signal it becomes.
        signals: Map<Taken> = "signals" required;
        /// Who asks.
        auth: Auth = "auth" optional;
        /// Whom to trust.
        tls: Tls = "tls" optional;
    }
    check exposition_holds
}

fn exposition_holds(page: &Exposition, _: Spot, report: &mut Report) {
    tls_holds(&page.url, page.tls.as_ref(), report);
}

words! {
    /// How readings of one series become one value per step.
    enum Within {
        /// The newest.
        Last = "last",
        /// The mean.
        Mean = "mean",
        /// The greatest.
        Max = "max",
        /// The increase per second of a running total.
        Rate = "rate",
    }
}

words! {
    /// How several series become one.
    enum Across {
        /// Added.
        Sum = "sum",
        /// The mean.
        Mean = "mean",
        /// The greatest.
        Max = "max",
        /// The smallest.
        Min = "min",
        /// The median.
        P50 = "p50",
        /// 90 of 100 are below.
        P90 = "p90",
        /// 95 of 100 are below.
        P95 = "p95",
        /// 99 of 100 are below.
        P99 = "p99",
    }
}

written! {
    /// One signal of a page.
    struct Taken as "spec.metrics[].exposition.signals.NAME" {
        /// The metric's name on the page.
        metric: Signal = "metric" required;
        /// Labels a series must carry to count.
        labels: Map<Text> = "match" optional;
        /// How readings over time become one. Left out: as the page declares the metric.
        within: Within = "within" optional;
        /// How the series that match become one. Left out: they stay apart.
        across: Across = "across" optional;
    }
}
