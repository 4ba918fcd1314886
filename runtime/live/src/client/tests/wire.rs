//! A real server on a local socket that answers as a test says, byte for byte.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What a server does with one request, in order. After the last the connection waits for the next request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Say(Vec<u8>),
    /// Says it again and again until nobody listens.
    Flood(Vec<u8>),
    /// Says nothing until the client has gone.
    Hang,
    /// Says nothing until the test says so.
    Until(Arc<AtomicBool>),
    Close,
}

/// An answer with its length.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
    vec![Step::Say([head.as_bytes(), body.as_bytes()].concat())]
}

/// One request, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.len()));
        let line = self.head.lines().find(|line| of(line).is_some_and(|(n, _)| n == name))?;
        line.split_once(": ").map(|(_, value)| value)
    }
}

type Script = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// The server. It ends when it is dropped.
pub(crate) struct Wire {
    pub(crate) url: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// Clients that went while the server was silent.
    left: AtomicUsize,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Wire {
        Wire::listen(script, None, false).await
    }

    /// One that resets connections where others close them.
    pub(crate) async fn resetting(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Wire {
        Wire::listen(script, None, true).await
    }

    /// One behind TLS, with the certificate in `server.pem`.
    pub(crate) async fn tls(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Wire {
        let pem = include_bytes!("server.pem");
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Wire::listen(script, Some(TlsAcceptor::from(Arc::new(config))), false).await
    }

    async fn listen(
        script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
        reset: bool,
    ) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            script: Box::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            // Dropped with the server: no connection outlives it.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if reset {
                    stream.set_zero_linger().unwrap();
                }
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (serving, tls) = (serving.clone(), tls.clone());
                connections.spawn(async move {
                    // Clients that go, or that do not trust us, are part of the test.
                    let _ = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(&serving, stream).await,
                            Err(error) => Err(error),
                        },
                        None => serve(&serving, stream).await,
                    };
                });
            }
        });
        Wire { url, shared, task: task.abort_handle() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }
}

async fn serve(shared: &Shared, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let seen = request(&mut stream).await?;
        shared.seen.lock().unwrap().push(seen.clone());
        for step in (shared.script)(&seen) {
            match step {
                Step::Say(bytes) => stream.write_all(&bytes).await?,
                Step::Flood(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Step::Hang => {
                    let gone = stream.read(&mut [0; 64]).await;
                    shared.left.fetch_add(1, Ordering::SeqCst);
                    gone?;
                }
                Step::Until(open) => {
                    while !open.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                Step::Close => {
                    // What was said shall have arrived before a reset.
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return Ok(());
                }
            }
        }
        stream.flush().await?;
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut seen = Seen { head, body: String::new() };
            let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                seen.body = String::from_utf8_lossy(&bytes[end + 4..end + 4 + length]).into_owned();
                return Ok(seen);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
