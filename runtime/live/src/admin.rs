//! The admin port: what the daemon is and why, for people, scrapers and verbs, and the orders of people in charge.
//!
//! For: HTTP over the views and orders of `daemon`, with the checks that keep web pages and strangers out. Never holds
//! state of its own, never waits for a tick, never speaks to a replica.

mod connections;
mod guard;
mod orders;
mod problem;
mod routes;
mod secrets;
mod shapes;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::daemon::Daemon;
use guard::Guard;
use secrets::{Certificate, Token};

/// How the admin port is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminOptions {
    /// Holds the bearer token that everything under `/v1` asks for. Read again when the file changes.
    pub token_file: Option<PathBuf>,
    /// Certificate chain and private key, both PEM; read again when a file changes. None: plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// Why the admin port cannot be opened as asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Anybody on the network could give orders.
    #[error(
        "{0} is not a loopback address: off loopback the admin port wants a bearer token; name its file with --token-file"
    )]
    Unprotected(SocketAddr),
    /// The token is no use.
    #[error("token file {}: {why}", .file.display())]
    Token {
        /// As it was named.
        file: PathBuf,
        /// What is wrong, and the fix.
        why: String,
    },
    /// The certificate or its key is no use.
    #[error("{}: {why}", .file.display())]
    Certificate {
        /// The file at fault.
        file: PathBuf,
        /// What is wrong, and the fix.
        why: String,
    },
}

impl AdminOptions {
    /// Whether the port may be opened at this address: to be asked before binding. Reads the files.
    pub fn fit(&self, address: SocketAddr) -> Result<(), AdminError> {
        self.open(address).map(drop)
    }

    fn open(&self, address: SocketAddr) -> Result<(Option<Token>, Option<Certificate>), AdminError> {
        if self.token_file.is_none() && !is_loopback(address.ip()) {
            return Err(AdminError::Unprotected(address));
        }
        let token = self.token_file.clone().map(Token::open).transpose()?;
        let certificate = self.tls.clone().map(|(chain, key)| Certificate::open(chain, key)).transpose()?;
        Ok((token, certificate))
    }
}

/// Also where it is written as an IPv6 address.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Serves until `shutdown`; then answers what has begun, and ends within a second.
///
/// The clock is the one the daemon decides by: ages of sources count from it. Fails where the options do not fit the
/// listener's address; never because of what a client does.
pub async fn serve(
    listener: TcpListener,
    options: AdminOptions,
    daemon: Daemon,
    clock: Clock,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (token, certificate) =
        options.open(address).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let guard = Arc::new(Guard { loopback: is_loopback(address.ip()), token });
    connections::accept(listener, certificate, routes::router(daemon, clock, guard), shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
