//! What is shown to a server, read from its file at every request.
//!
//! For: secrets that are rotated under a running daemon. Never keeps one, and never puts one into a message.

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::failure::Fault;
use super::{AuthSpec, file};

/// No token is longer; servers refuse longer headers.
const MOST_BYTES: u64 = 16 * 1024;

/// The header to send.
pub(super) async fn header(auth: &AuthSpec) -> Result<(HeaderName, HeaderValue), Fault> {
    let (name, prefix, path) = match auth {
        AuthSpec::Bearer { file } => (AUTHORIZATION, "Bearer ", file.clone()),
        AuthSpec::Header { name, file } => (name.clone(), "", file.clone()),
    };
    let wrong = {
        let path = path.display().to_string();
        move |why: &str| {
            Fault::Auth(format!("the secret in {path} {why}; put the secret alone into the file, on one line"))
        }
    };
    let read = tokio::task::spawn_blocking(move || file::read(&path, MOST_BYTES)).await;
    let (bytes, _) = read
        .map_err(|_| Fault::Broken("the daemon is stopping".to_owned()))?
        .map_err(|why| Fault::Auth(format!("no secret: {why}; `auth` must name a file that the daemon can read")))?;
    let secret = bytes.trim_ascii();
    if secret.is_empty() {
        return Err(wrong("is empty"));
    }
    if secret.iter().any(u8::is_ascii_control) {
        return Err(wrong("has a line break or another control character"));
    }
    let value = [prefix.as_bytes(), secret].concat();
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| wrong("cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
