//! Connections of the admin port: accepted, encrypted, served, ended.
//!
//! For: bounds on everything a client can make the daemon hold: how many connections, how long each, how long the
//! handshake and the head of a request may take. Never knows what is asked.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::secrets::Certificate;

/// Connections at once; more wait in the system's queue.
const CONNECTIONS: usize = 256;
/// Until the head of a request is there, from the moment the connection waits for one: also how long it may idle.
/// Longer than the 15 s that most scrapers wait between two pages.
const HEAD: Duration = Duration::from_secs(20);
/// Until the handshake of TLS is done.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// No connection lasts longer, so that one that never reads its answer ends too.
const LIFETIME: Duration = Duration::from_mins(10);
/// What has begun may go on for so long when the connection's or the daemon's time is over.
const FAREWELL: Duration = Duration::from_millis(800);
/// Bytes of a request's head, with room for a long token.
const HEAD_BYTES: usize = 16 * 1024;
/// After a connection could not be accepted: the system has no more files to give.
const RESPITE: Duration = Duration::from_millis(200);

/// Accepts until `shutdown`, then lets what has begun end.
pub(super) async fn accept(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    shutdown: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let arrival = async {
            // The semaphore is never closed: without a seat there would be a connection too many, no fault.
            let seat = Arc::clone(&seats).acquire_owned().await.ok();
            (seat, listener.accept().await)
        };
        let (seat, arrived) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = open.join_next() => continue,
            arrival = arrival => arrival,
        };
        match arrived {
            Ok((stream, _)) => {
                // Answers are small and whole; without it they only come later.
                let _ = stream.set_nodelay(true);
                let (router, shutdown) = (router.clone(), shutdown.clone());
                let config = certificate.as_ref().map(Certificate::current);
                open.spawn(async move {
                    match config {
                        None => serve(stream, router, shutdown).await,
                        Some(config) => secure(stream, TlsAcceptor::from(config), router, shutdown).await,
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin port cannot accept a connection");
                sleep(RESPITE).await;
            }
        }
    }
    drop(listener);
    let rest = async { while open.join_next().await.is_some() {} };
    // Those that do not end by then are dropped.
    let _ = timeout(FAREWELL, rest).await;
}

async fn secure(stream: TcpStream, acceptor: TlsAcceptor, router: Router, shutdown: CancellationToken) {
    let shaken = tokio::select! {
        () = shutdown.cancelled() => return,
        shaken = timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
    };
    // A client that does not speak TLS, or not soon enough, is not worth a line.
    if let Ok(Ok(stream)) = shaken {
        serve(stream, router, shutdown).await;
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    router: Router,
    shutdown: CancellationToken,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // How a client ends its connection is its own affair.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = sleep(LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(FAREWELL, connection).await;
}
