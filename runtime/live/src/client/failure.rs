//! What can go wrong with a request, in words for a person and in codes for metrics.
//!
//! For: telling "nothing listens there" from "the certificate is not trusted". Text of servers is escaped and cut here;
//! secrets never get into a message.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use trimtab_sandbox::clean;

/// Longest part of a message that others wrote, bytes.
const MOST_TEXT: usize = 512;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct ClientError {
    /// The address, without its query.
    pub place: String,
    /// What went wrong there.
    pub fault: Fault,
}

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error("cannot connect ({0}); see whether it runs and listens there")]
    Connect(String),
    /// No whole answer in time.
    #[error("no whole answer within {0:?}; see whether it hangs or is overloaded")]
    Timeout(Duration),
    /// An answer that is neither a 2xx nor a redirect.
    #[error("answered {status}{}", first_line(body))]
    Status {
        /// Its status.
        status: StatusCode,
        /// The beginning of its body, as the server wrote it.
        body: Vec<u8>,
    },
    /// An answer that names another address.
    #[error("answered {status}, a redirect{to}; redirects are not followed, so name the final address")]
    Redirect {
        /// 300 to 399.
        status: StatusCode,
        /// ` to ADDRESS`, escaped and without a query; perhaps empty.
        to: String,
    },
    /// More than was asked for.
    #[error("the answer is larger than {0} bytes; see whether this is the right address")]
    TooLarge(usize),
    /// No trust behind `https`.
    #[error("{0}")]
    Tls(String),
    /// What to show the server cannot be read.
    #[error("{0}")]
    Auth(String),
    /// The answer broke off, or is no HTTP.
    #[error("the exchange broke ({0})")]
    Broken(String),
}

impl ClientError {
    /// Stable, safe as a metric label: `connect`, `timeout`, `status`, `too-large`, `tls`, `auth`, `other`.
    pub fn code(&self) -> &'static str {
        match self.fault {
            Fault::Connect(_) => "connect",
            Fault::Timeout(_) => "timeout",
            Fault::Status { .. } | Fault::Redirect { .. } => "status",
            Fault::TooLarge(_) => "too-large",
            Fault::Tls(_) => "tls",
            Fault::Auth(_) => "auth",
            Fault::Broken(_) => "other",
        }
    }
}

impl Fault {
    pub(super) fn redirect(status: StatusCode, location: Option<&str>) -> Fault {
        let without_query = location.map(|to| to.split(['?', '#']).next().unwrap_or(""));
        Fault::Redirect {
            status,
            to: without_query.map_or(String::new(), |to| format!(" to {}", clean(to, MOST_TEXT))),
        }
    }

    /// Of an error of the HTTP library.
    pub(super) fn of(error: &(dyn Error + 'static), connecting: bool) -> Fault {
        let mut innermost = error;
        loop {
            if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
                return Fault::of_tls(tls);
            }
            match beneath(innermost) {
                Some(next) => innermost = next,
                None => break,
            }
        }
        let text = clean(&innermost.to_string(), MOST_TEXT);
        if connecting { Fault::Connect(text) } else { Fault::Broken(text) }
    }

    fn of_tls(error: &rustls::Error) -> Fault {
        let hint = match error {
            rustls::Error::InvalidCertificate(_) => {
                "name the authority that signed its certificate: `tls.caFile`, or `--ca-file` of a verb"
            }
            rustls::Error::InvalidMessage(_) => "see whether it speaks TLS at all, else write http",
            _ => "see the server's TLS settings",
        };
        Fault::Tls(format!("no TLS connection ({}); {hint}", clean(&error.to_string(), MOST_TEXT)))
    }
}

/// The cause of an error. An I/O error hides the one it wraps from `source`.
fn beneath<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

/// `: ` and the first line of a body that has any text, escaped and cut; or nothing.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map_or(String::new(), |line| format!(": {}", clean(line, MOST_TEXT)))
}
