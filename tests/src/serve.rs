//! A small HTTP server whose answers a test writes: good ones, wrong ones, none, and ones without an end.
//!
//! For: peers that misbehave as real ones do, on real sockets. Ends with its handle, its connections too.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PUT`...
    pub method: String,
    /// Path and query.
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: String,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Status, content type, body.
    Page(u16, &'static str, String),
    /// Says nothing, and keeps the connection open.
    Hang,
    /// 200, the first text once and the second for ever.
    Endless(String, String),
    /// Closes the connection.
    Hangup,
}

impl Reply {
    /// 200 and JSON.
    pub fn json(body: &serde_json::Value) -> Reply {
        Reply::Page(200, "application/json", body.to_string())
    }

    /// An error page.
    pub fn status(code: u16) -> Reply {
        Reply::Page(code, "text/plain", format!("{code}\n"))
    }
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    served: AtomicU64,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, TcpStream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// On a port of its own.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// On a listener that is there already.
    pub fn on(listener: TcpListener, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let answer: Arc<dyn Fn(&Request) -> Reply + Send + Sync> = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (shared, answer) = (Arc::clone(&accepting), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let id = shared.next.fetch_add(1, Ordering::SeqCst);
                    if let Ok(clone) = stream.try_clone() {
                        shared.open().insert(id, clone);
                    }
                    // A peer that goes away ends its connection, nothing else.
                    let _ = converse(stream, &shared, &*answer);
                    shared.open().remove(&id);
                });
            }
        });
        Server { address, shared, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests read so far.
    pub fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The accept that waits sees the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for stream in self.shared.open().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn converse(stream: TcpStream, shared: &Shared, answer: &dyn Fn(&Request) -> Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        if shared.stop.load(Ordering::SeqCst) {
            break;
        }
        shared.served.fetch_add(1, Ordering::SeqCst);
        let stream = reader.get_mut();
        match answer(&request) {
            Reply::Page(status, kind, body) => {
                let head =
                    format!("HTTP/1.1 {status} .\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes())?;
            }
            Reply::Hang => {
                // Until the peer gives up, or the server ends.
                let mut rest = [0; 64];
                while stream.read(&mut rest)? > 0 {}
                break;
            }
            Reply::Endless(first, more) => {
                stream.write_all(format!("HTTP/1.1 200 .\r\ncontent-type: text/plain\r\n\r\n{first}").as_bytes())?;
                loop {
                    stream.write_all(more.as_bytes())?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Reply::Hangup => break,
        }
    }
    Ok(())
}

/// None: the peer has no further request.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}
