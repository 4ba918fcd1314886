//! The addresses of a manifest: URLs, paths, calls, ranges of ports.
//!
//! For: what `scalar` is for numbers and names. Never resolves a name or opens a connection.

use http::Uri;
use serde_json::json;

use super::field::{Shape, Written};
use super::problem::{Report, quoted};
use super::scalar::scalar;
use super::tree::Node;
use crate::target::HttpCall;

/// An address: `http://` or `https://`, a host, perhaps a path and a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Url(pub(super) String);

impl Written for Url {
    fn shape() -> Shape {
        Shape::Leaf("URL".into(), json!({ "type": "string", "pattern": "^https?://[^@#\\s]+$" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "`http://HOST:PORT/PATH` or `https://…`";
        scalar(node, report, "a URL", hint, |text| {
            if text.contains('@') {
                // Not quoted: what stands before the `@` may be a secret.
                return Err("a URL with a user name or password; secrets belong in a file (`auth`)".into());
            }
            let wrong = |why: &str| Err(format!("{} is not a URL: {why}", quoted(text)));
            let Ok(uri) = text.parse::<Uri>() else { return wrong("it cannot be parsed") };
            match (uri.scheme_str(), uri.authority()) {
                _ if text.contains('#') => wrong("a fragment has no meaning here"),
                (_, Some(host)) if host.port_u16().is_none() && host.as_str() != host.host() => {
                    wrong("its port is no number from 0 to 65535")
                }
                (Some("http" | "https"), Some(host)) if !host.host().is_empty() => Ok(Url(text.to_owned())),
                _ => wrong("it does not begin with http:// or https:// and a host"),
            }
        })
    }
}

/// The path of a URL, perhaps with a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UrlPath(pub(super) String);

impl Written for UrlPath {
    fn shape() -> Shape {
        Shape::Leaf("URL path".into(), json!({ "type": "string", "pattern": "^/[^#\\s]*$" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        scalar(node, report, "a path", "it begins with `/`, such as /metrics", |text| {
            if is_path(text) { Ok(UrlPath(text.to_owned())) } else { Err(format!("{} is not a path", quoted(text))) }
        })
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('#') && text.parse::<http::uri::PathAndQuery>().is_ok()
}

/// A request without a body: `POST /sleep?level=1`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call(pub(super) HttpCall);

impl Written for Call {
    fn shape() -> Shape {
        Shape::Leaf("method and path".into(), json!({ "type": "string", "pattern": "^(GET|PUT|POST) /[^#\\s]*$" }))
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        scalar(node, report, "a method and a path", "GET, PUT or POST, then a path: `POST /wake_up`", |text| {
            text.parse().map(Call).map_err(|_| format!("{} is not a method and a path", quoted(text)))
        })
    }
}

/// Ports of this host, first and last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ports(pub(super) u16, pub(super) u16);

impl Written for Ports {
    fn shape() -> Shape {
        Shape::Leaf(
            "port range such as `18100-18199`".into(),
            json!({ "type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,5}$" }),
        )
    }

    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let hint = "FIRST-LAST, both from 1 to 65535, such as 18100-18199";
        scalar(node, report, "a range of ports", hint, |text| {
            let port =
                |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
            match text.split_once('-').map(|(first, last)| (port(first), port(last))) {
                Some((Some(first), Some(last))) if first > 0 && first <= last => Ok(Ports(first, last)),
                Some((Some(first), Some(last))) if first > last => {
                    Err(format!("{} ends before it begins", quoted(text)))
                }
                _ => Err(format!("{} is not a range of ports", quoted(text))),
            }
        })
    }
}
