//! From the first request that waits in an engine to the PUT, or the spawn, of one replica more.
//!
//! Each round fills one simulated engine (it runs 256 requests at once) with four requests more than it can run, at a
//! random point of the interval, and waits for what the daemon does about it. The clock starts when the first request
//! that must wait was written to the engine's socket, so the way through the engine's own server counts too. Several
//! workloads of one daemon are measured at a time.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use trimtab_tests::daemon::Daemon;
use trimtab_tests::figures::{Chance, note, quantile_ms, tell};
use trimtab_tests::webhook::{Mood, Webhook};
use trimtab_tests::{http, place, ports, processes, wait};

/// Requests that an engine runs at once.
const RUNS: usize = 256;
/// Workloads at a time.
const WORKLOADS: usize = 4;

fn document(name: &str, pool: &str) -> String {
    format!(
        "apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {{name: {name}}}
spec:
  interval: 1s
  pools:
    - maxReplicas: 2
      startup: 1s
      {pool}
  metrics: [{{engine: vllm}}]
  policies:
    - {{name: concurrency, config: {{target: {RUNS}, tolerance: 0}}}}
  guardrails: {{scaleDown: {{maxStep: 100%, per: 1s, cooldown: 0s}}}}
---
"
    )
}

/// Fills an engine; the connections, and when the first request that must wait was written.
fn fill(address: &str) -> (Vec<TcpStream>, Instant, SystemTime) {
    let body = json!({"prompt": "abc", "max_tokens": 2000, "ignore_eos": true, "stream": false}).to_string();
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let send = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let mut open: Vec<TcpStream> = (0..RUNS).map(|_| send()).collect();
    open.push(send());
    let (at, wall) = (Instant::now(), SystemTime::now());
    open.extend((0..3).map(|_| send()));
    (open, at, wall)
}

fn report(measured: &str, took: &[Duration]) {
    tell(&json!({
        "measured": measured,
        "rounds": took.len(),
        "intervalMs": 1000,
        "firstWaitingRequestToActionMs": {
            "p50": quantile_ms(took, 0.5),
            "p95": quantile_ms(took, 0.95),
            "max": quantile_ms(took, 1.0),
        },
    }));
}

/// An engine of this program's own.
struct Engine(Child, String);

impl Engine {
    fn start() -> Engine {
        let port = ports::one();
        let child = Command::new(place::trimtab())
            .args(["engine", "--startup", "0s", "--port", &port.to_string()])
            .env(processes::VARIABLE, processes::mark())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        wait::eventually("an engine", || http::get(&format!("http://{address}/health")).and_then(http::Answer::ok));
        Engine(child, address)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The pool is a webhook: the action is the PUT.
fn to_the_put(rounds: usize) {
    let engines: Vec<Engine> = (0..WORKLOADS).map(|_| Engine::start()).collect();
    let hooks: Vec<Webhook> = engines.iter().map(|e| Webhook::start(1, vec![format!("http://{}", e.1)])).collect();
    let mut manifest = String::new();
    for (number, hook) in hooks.iter().enumerate() {
        // Replicas that it is asked for never come up, so there is always one engine to look at.
        hook.mood(Mood::Slow);
        manifest += &document(&format!("chat-{number}"), &format!("webhook: {{url: {:?}}}", hook.url()));
    }
    let daemon = Daemon::with(&manifest);
    let took: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = engines
            .iter()
            .zip(&hooks)
            .enumerate()
            .map(|(number, (engine, hook))| {
                scope.spawn(move || {
                    let mut chance = Chance::new(number as u64 + 1);
                    (0..rounds.div_ceil(WORKLOADS)).map(|_| one_put(&engine.1, hook, &mut chance)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    drop(daemon);
    report("latency-put", &took);
}

fn one_put(address: &str, hook: &Webhook, chance: &mut Chance) -> Duration {
    std::thread::sleep(Duration::from_millis(1200) + chance.duration(Duration::from_secs(1)));
    let seen = hook.puts().len();
    let (open, at, _) = fill(address);
    let put = wait::eventually("a PUT of two", || {
        let up = hook.puts().into_iter().skip(seen).find(|put| put.body["replicas"].as_u64() == Some(2));
        up.ok_or("none")
    });
    drop(open);
    wait::eventually("a PUT of one", || wait::holds(hook.desired() == 1, || "two".to_owned()));
    put.at.saturating_duration_since(at)
}

/// The pool is processes of this host: the action is the spawn, as a shell in front of the engine writes it down.
fn to_the_spawn(rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let all = ports::range(10 * u16::try_from(WORKLOADS).unwrap());
    let mut manifest = String::new();
    for number in 0..WORKLOADS {
        let first = all.start() + 10 * u16::try_from(number).unwrap();
        let script = format!(
            "date +%s%N >> {}; exec {} engine --startup 0s --port $0",
            folder.path().join(number.to_string()).display(),
            place::trimtab().display()
        );
        let pool = format!(
            "process: {{command: [sh, -c, {script:?}, \"{{port}}\"], ports: {first}-{}, drain: {{grace: 0s, timeout: 1s}}}}",
            first + 9
        );
        manifest += &document(&format!("chat-{number}"), &pool);
    }
    let daemon = Daemon::with(&manifest);
    let took: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKLOADS)
            .map(|number| {
                let (daemon, spawns) = (&daemon, folder.path().join(number.to_string()));
                scope.spawn(move || {
                    let mut chance = Chance::new(number as u64 + 11);
                    let id = format!("default/chat-{number}");
                    let one = |_| one_spawn(daemon, &id, &spawns, &mut chance);
                    (0..rounds.div_ceil(WORKLOADS)).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    report("latency-spawn", &took);
}

fn spawned(spawns: &PathBuf) -> Vec<u128> {
    let text = std::fs::read_to_string(spawns).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn one_spawn(daemon: &Daemon, id: &str, spawns: &PathBuf, chance: &mut Chance) -> Duration {
    daemon.until_settled(id, 1);
    std::thread::sleep(Duration::from_millis(1200) + chance.duration(Duration::from_secs(1)));
    let groups: Value = daemon.get(&format!("/v1/endpoints/{id}"));
    let address = groups[0]["targets"][0].as_str().unwrap().to_owned();
    let seen = spawned(spawns).len();
    let (open, _, wall) = fill(&address);
    let at = wait::eventually("a spawn", || spawned(spawns).get(seen).copied().ok_or("none"));
    drop(open);
    let began = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    Duration::from_nanos(u64::try_from(at.saturating_sub(began)).unwrap())
}

pub(crate) fn run(rounds: usize) {
    note(&format!("{rounds} rounds to the PUT"));
    to_the_put(rounds);
    note(&format!("{rounds} rounds to the spawn"));
    to_the_spawn(rounds);
}
