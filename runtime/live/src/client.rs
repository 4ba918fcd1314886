//! HTTP as a client: one request, one bounded answer.
//!
//! For: everything the daemon asks of others (pages of metrics, webhooks, readiness of processes) and what the verbs ask
//! of the daemon. Never follows a redirect, never reads more than it was told to, never waits longer than it was told to.

use std::path::PathBuf;

use http::Uri;
use http::header::HeaderName;

/// What to show a server that wants to know who asks. Files are read again at every request, so that a rotated secret
/// takes effect at once; white space around the content is cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSpec {
    /// `Authorization: Bearer …` from a file.
    Bearer {
        /// Holds the token.
        file: PathBuf,
    },
    /// Any other header, its value from a file.
    Header {
        /// The header.
        name: HeaderName,
        /// Holds the value.
        file: PathBuf,
    },
}

/// Whom to trust behind `https`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// PEM file of the only authorities to trust. None: those that browsers trust.
    pub ca_file: Option<PathBuf>,
}

/// Reads an address from a manifest: `http` or `https`, a host, no user name or password, no fragment.
///
/// The error says what is wrong and how it is written right.
pub fn parse_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|e| format!("not a URL ({e}); write it as \"http://host:port/path\""))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => return Err(format!("scheme \"{other}\" is not supported; use http or https")),
        None => return Err("a URL needs a scheme and a host; write it as \"http://host:port/path\"".to_owned()),
    }
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if authority.contains('@') {
        return Err("a URL must not carry a user name or password; keep the secret in a file and use `auth`".to_owned());
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err("a URL needs a host; write it as \"http://host:port/path\"".to_owned());
    }
    Ok(uri)
}
