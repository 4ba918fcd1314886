//! The other end of a `webhook` target: what something that runs replicas would answer, and what it was asked.
//!
//! For: asserting the real PUT, and being down, slow or of another opinion. Never starts anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::serve::{Reply, Request, Server};

/// What it makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Does as it is told: each replica is ready at once.
    Willing,
    /// 503 to everything.
    Down,
    /// Reports, and answers every PUT with 409.
    Refusing,
    /// Accepts, and starts nothing.
    Slow,
}

/// One PUT, and when it came.
#[derive(Debug, Clone)]
pub struct Put {
    /// When it was read.
    pub at: Instant,
    /// As it was asked.
    pub request: Request,
    /// Its body.
    pub body: Value,
}

#[derive(Debug)]
struct Script {
    mood: Mood,
    desired: u64,
    ready: u64,
    endpoints: Vec<String>,
    puts: Vec<Put>,
}

/// One pool's end point.
#[derive(Debug)]
pub struct Webhook {
    server: Server,
    script: Arc<Mutex<Script>>,
}

impl Webhook {
    /// With so many replicas; the first has the first endpoint, and so on.
    pub fn start(replicas: u64, endpoints: Vec<String>) -> Webhook {
        let script = Script { mood: Mood::Willing, desired: replicas, ready: replicas, endpoints, puts: Vec::new() };
        let script = Arc::new(Mutex::new(script));
        let told = Arc::clone(&script);
        let server = Server::start(move |request| answer(&mut lock(&told), request));
        Webhook { server, script }
    }

    /// For the manifest.
    pub fn url(&self) -> String {
        format!("{}/pools/chat", self.server.url())
    }

    /// From now on.
    pub fn mood(&self, mood: Mood) {
        lock(&self.script).mood = mood;
    }

    /// Every PUT it ever read, those it refused too.
    pub fn puts(&self) -> Vec<Put> {
        lock(&self.script).puts.clone()
    }

    /// What it was last asked for and accepted.
    pub fn desired(&self) -> u64 {
        lock(&self.script).desired
    }

    /// Somebody else changes the pool.
    pub fn set(&self, replicas: u64) {
        let mut script = lock(&self.script);
        (script.desired, script.ready) = (replicas, replicas);
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
    let put = request.method == "PUT";
    let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
    if put {
        script.puts.push(Put { at: Instant::now(), request: request.clone(), body: body.clone() });
    }
    match (script.mood, put) {
        (Mood::Down, _) => Reply::status(503),
        (Mood::Refusing, true) => Reply::Page(409, "text/plain", "no more than that in this zone\n".to_owned()),
        (mood, true) => {
            script.desired = body["replicas"].as_u64().unwrap_or(script.desired);
            if mood == Mood::Willing {
                script.ready = script.desired;
            }
            Reply::Page(200, "text/plain", String::new())
        }
        (_, false) => Reply::json(&report(script)),
    }
}

fn report(script: &Script) -> Value {
    let replicas: Vec<Value> = (0..script.ready)
        .map(|n| {
            let mut replica = json!({"id": format!("r{n}"), "state": "ready", "since": "2026-01-01T00:00:00Z"});
            if let Some(endpoint) = usize::try_from(n).ok().and_then(|n| script.endpoints.get(n)) {
                replica["endpoint"] = json!(endpoint);
            }
            replica
        })
        .collect();
    json!({"desired": script.desired, "replicas": replicas})
}
