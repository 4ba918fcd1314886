//! One small request to a replica on this host.
//!
//! For: whether it is ready, and sending it to sleep and waking it. Only the status of the answer counts; its body is
//! not read. Never waits longer than it was told to.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use trimtab_sandbox::clean;

use crate::target::HttpCall;

/// Makes the call; an error is what went wrong instead of a 2xx, one line.
pub(super) async fn call(port: u16, call: &HttpCall, within: Duration) -> Result<(), String> {
    let what = || format!("{} {}", call.method, clean(&call.path, 200));
    match tokio::time::timeout(within, status(port, call)).await {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(format!("{} was answered with {}", what(), status.as_u16())),
        Ok(Err(error)) => Err(format!("{} failed: {}", what(), clean(&error, 200))),
        Err(_) => Err(format!("{} was not answered within {:.0} s", what(), within.as_secs_f64())),
    }
}

async fn status(port: u16, call: &HttpCall) -> Result<http::StatusCode, String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let request = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .header("host", format!("127.0.0.1:{port}"))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    // The connection ends with this function: the rest of the answer is of no interest.
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status()).map_err(|e| e.to_string())
}
