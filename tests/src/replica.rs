//! A replica that reports what a test says: vLLM's names on `/metrics`, and every way in which such a page goes wrong.
//!
//! For: metrics that no engine would give on command. Its counters move by themselves as those of a busy engine do,
//! unless it is told to freeze. Never answers a completion.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::serve::{Reply, Request, Server};

/// How the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As it should be.
    None,
    /// 404.
    Gone,
    /// A good page on which the metrics are not.
    Empty,
    /// The same page again and again.
    Frozen,
    /// The gauges are NaN.
    Nan,
    /// The gauges are negative.
    Negative,
    /// The counters begin again at zero with every page.
    Reset,
    /// 200, and an HTML page.
    Html,
    /// Never an answer.
    Hang,
    /// A page without an end.
    Endless,
    /// The connection is closed without an answer.
    Hangup,
}

#[derive(Debug)]
struct Script {
    running: u32,
    waiting: u32,
    fault: Fault,
    /// The page that was given last.
    last: String,
    born: Instant,
    ready: bool,
}

/// One of them.
#[derive(Debug)]
pub struct Replica {
    server: Server,
    script: Arc<Mutex<Script>>,
}

impl Replica {
    /// Running and waiting requests to report.
    pub fn start(running: u32, waiting: u32) -> Replica {
        let script =
            Script { running, waiting, fault: Fault::None, last: String::new(), born: Instant::now(), ready: true };
        let script = Arc::new(Mutex::new(script));
        let told = Arc::clone(&script);
        let server = Server::start(move |request| answer(&mut lock(&told), request));
        Replica { server, script }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on.
    pub fn load(&self, running: u32, waiting: u32) {
        let mut script = lock(&self.script);
        (script.running, script.waiting) = (running, waiting);
    }

    /// From now on.
    pub fn fail(&self, fault: Fault) {
        lock(&self.script).fault = fault;
    }

    /// Whether `/health` says 200.
    pub fn ready(&self, ready: bool) {
        lock(&self.script).ready = ready;
    }

    /// Requests read so far.
    pub fn served(&self) -> u64 {
        self.server.served()
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(script: &mut Script, request: &Request) -> Reply {
    if request.path == "/health" {
        return Reply::status(if script.ready { 200 } else { 503 });
    }
    if !request.path.starts_with("/metrics") {
        return Reply::status(404);
    }
    let text = |body: String| Reply::Page(200, "text/plain; version=0.0.4; charset=utf-8", body);
    match script.fault {
        Fault::None => {
            script.last = page(script, 1.0, true);
            text(script.last.clone())
        }
        Fault::Frozen => text(script.last.clone()),
        Fault::Nan => text(page(script, f64::NAN, true)),
        Fault::Negative => text(page(script, -1.0, true)),
        Fault::Reset => {
            script.born = Instant::now();
            text(page(script, 1.0, true))
        }
        Fault::Gone => Reply::status(404),
        Fault::Empty => text("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 12.5\n".to_owned()),
        Fault::Html => {
            let body = "<!doctype html><html><body><h1>It works!</h1></body></html>\n";
            Reply::Page(200, "text/html", body.to_owned())
        }
        Fault::Hang => Reply::Hang,
        Fault::Endless => Reply::Endless(page(script, 1.0, true), "# and on and on\n".repeat(512)),
        Fault::Hangup => Reply::Hangup,
    }
}

/// As an engine that finishes `running` requests a second would show itself.
fn page(script: &Script, factor: f64, busy: bool) -> String {
    let seconds = script.born.elapsed().as_secs_f64();
    let done = if busy { (seconds * f64::from(script.running.max(1))).floor() } else { 0.0 };
    let rows = [
        ("num_requests_running", "gauge", f64::from(script.running) * factor),
        ("num_requests_waiting", "gauge", f64::from(script.waiting) * factor),
        ("request_success_total", "counter", done),
        ("prompt_tokens_total", "counter", done * 100.0),
        ("generation_tokens_total", "counter", (seconds * 1000.0).floor()),
    ];
    let mut page = String::new();
    for (name, kind, value) in rows {
        // -0.0 is no negative number.
        let value = if value == 0.0 && factor < 0.0 { -1.0 } else { value };
        let value = if value.is_nan() { "NaN".to_owned() } else { format!("{value:?}") };
        writeln!(page, "# TYPE vllm:{name} {kind}\nvllm:{name}{{engine=\"0\",model_name=\"m\"}} {value}").unwrap();
    }
    page
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http;
    use crate::views::{Series, series};

    fn read(replica: &Replica) -> Vec<Series> {
        series(&http::get(&format!("{}/metrics", replica.url())).unwrap().body)
    }

    fn value(replica: &Replica, name: &str) -> Option<f64> {
        read(replica).into_iter().find(|s| s.name == name).map(|s| s.value)
    }

    #[test]
    fn it_says_what_it_was_told_to() {
        let replica = Replica::start(8, 2);
        assert_eq!(value(&replica, "vllm:num_requests_running"), Some(8.0));
        assert_eq!(value(&replica, "vllm:num_requests_waiting"), Some(2.0));
        replica.fail(Fault::Frozen);
        let page = read(&replica);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(read(&replica), page);
        replica.fail(Fault::None);
        assert!(value(&replica, "vllm:generation_tokens_total") > Some(100.0));
        replica.fail(Fault::Reset);
        assert!(value(&replica, "vllm:generation_tokens_total") < Some(10.0));
        replica.fail(Fault::Nan);
        assert!(value(&replica, "vllm:num_requests_running").unwrap().is_nan());
        replica.fail(Fault::Negative);
        assert!(value(&replica, "vllm:num_requests_waiting") < Some(0.0));
        replica.fail(Fault::Hangup);
        assert!(http::get(&replica.url()).is_ok_and(|answer| answer.status == 404));
        assert!(http::get(&format!("{}/metrics", replica.url())).is_err());
    }

    #[test]
    fn it_ends_although_a_peer_waits_for_it() {
        let replica = Replica::start(1, 0);
        replica.fail(Fault::Hang);
        let url = format!("{}/metrics", replica.url());
        let waiting = std::thread::spawn(move || http::get(&url));
        while replica.served() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(replica);
        assert!(waiting.join().unwrap().is_err());
    }
}
