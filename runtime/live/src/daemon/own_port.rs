//! No manifest makes the daemon talk to itself.
//!
//! For: refusing addresses that are the daemon's own admin port, where a webhook or a page could give it orders. Never
//! resolves a name: `localhost` and loopback addresses are all that can mean this host.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use trimtab_sandbox::Stage;

use crate::manifest::{Place, Problem, Scaler, Step};
use crate::source::SourceSpec;
use crate::target::TargetSpec;

/// One problem for each address of a workload that is the admin port.
pub fn problems(scaler: &Scaler, listen: Option<SocketAddr>) -> Vec<Problem> {
    let Some(listen) = listen.filter(|listen| listen.port() != 0) else { return Vec::new() };
    let mut named: Vec<(String, Place)> = Vec::new();
    for (source, place) in &scaler.sources {
        if let SourceSpec::Exposition(page) = source {
            named.push((page.url.to_string(), place.clone()));
        }
    }
    for (_, target) in &scaler.targets {
        match target {
            TargetSpec::Webhook(webhook) => named.push((webhook.url.clone(), scaler.place.clone())),
            TargetSpec::DryRun(dry) => {
                named.extend(dry.endpoints.iter().map(|url| (url.clone(), scaler.place.clone())));
            }
            TargetSpec::Process(_) => {}
        }
    }
    named
        .into_iter()
        .filter(|(url, _)| is_own(url, listen))
        .map(|(url, place)| Problem {
            place,
            stage: Step::Admission(Stage::Config),
            message: format!("{url} is the daemon's own admin port"),
            hint: "name another address, or start the daemon with another --listen".into(),
        })
        .collect()
}

fn is_own(url: &str, listen: SocketAddr) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    if uri.port_u16().unwrap_or(default) != listen.port() {
        return false;
    }
    let host = uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) => address == listen.ip() || address.is_loopback() || address.is_unspecified(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_and_this_port() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9470));
        for own in [
            "http://127.0.0.1:9470/x",
            "http://localhost:9470",
            "http://localhost.:9470",
            "http://[::1]:9470/",
            "http://[::ffff:127.0.0.1]:9470/",
            "http://0.0.0.0:9470/v1",
        ] {
            assert!(is_own(own, listen), "{own}");
        }
        for other in ["http://127.0.0.1:9471/", "http://10.0.0.1:9470/", "http://localhost/", "http://example.org:9470"]
        {
            assert!(!is_own(other, listen), "{other}");
        }
    }
}
