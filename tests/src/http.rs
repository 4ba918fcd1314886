//! A small HTTP client: one request, one connection, one answer.
//!
//! For: asking the daemon and replicas what a user would ask. Never follows, retries or keeps a connection.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::Value;

/// No answer of a healthy peer takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Of the content; empty where none is stated.
    pub content_type: String,
    /// The whole body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.body).map_err(|e| format!("{} is no JSON: {e}: {}", self.status, self.body))
    }

    /// The answer, where it says that all went well.
    pub fn ok(self) -> Result<Answer, String> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(format!("{}: {}", self.status, self.body)) }
    }
}

/// `GET`.
pub fn get(url: &str) -> Result<Answer, String> {
    send("GET", url, &[], "")
}

/// `POST` of JSON.
pub fn post(url: &str, body: &Value) -> Result<Answer, String> {
    send("POST", url, &[("content-type", "application/json")], &body.to_string())
}

/// Any request.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url} is no http:// URL"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let at = |e: std::io::Error| format!("{method} {url}: {e}");
    let address = authority.to_socket_addrs().map_err(at)?.next().ok_or_else(|| format!("{authority}: no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(at)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(at)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    let host = headers.iter().find(|(name, _)| *name == "host").map_or(authority, |(_, value)| value);
    head.push_str("host: ");
    head.push_str(host);
    head.push_str("\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
        head.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).map_err(at)?;
    read(BufReader::new(stream)).map_err(|e| format!("{method} {url}: {e}"))
}

fn read(mut from: impl BufRead) -> Result<Answer, String> {
    let mut line = String::new();
    from.read_line(&mut line).map_err(|e| e.to_string())?;
    let status =
        line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| format!("answered {line:?}"))?;
    let (mut length, mut chunked, mut content_type) = (None, false, String::new());
    loop {
        line.clear();
        from.read_line(&mut line).map_err(|e| e.to_string())?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = value.parse::<u64>().ok(),
            ("transfer-encoding", value) => chunked = value.eq_ignore_ascii_case("chunked"),
            ("content-type", value) => value.clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        unchunk(&mut from, &mut body)?;
    } else {
        from.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body).map_err(|e| e.to_string())?;
    }
    Ok(Answer { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
}

fn unchunk(from: &mut impl BufRead, body: &mut Vec<u8>) -> Result<(), String> {
    let mut line = String::new();
    loop {
        line.clear();
        from.read_line(&mut line).map_err(|e| e.to_string())?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(|e| format!("chunk {line:?}: {e}"))?;
        from.by_ref().take(size).read_to_end(body).map_err(|e| e.to_string())?;
        line.clear();
        from.read_line(&mut line).map_err(|e| e.to_string())?;
        if size == 0 {
            return Ok(());
        }
    }
}
