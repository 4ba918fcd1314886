//! From the first request that waits in an engine to the PUT, or the spawn, of one replica more.
//!
//! Each round fills one simulated engine (it runs 256 requests at once), waits until the daemon has seen it full, then
//! sends one request more at a random point of the interval and waits for what the daemon does about it. The clock starts
//! when that request was written to the engine's socket, so the way through the engine's own server counts too. Several
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

/// A request that stays for longer than any round.
fn send(address: &str) -> TcpStream {
    let body = json!({"prompt": "abc", "max_tokens": 4000, "ignore_eos": true, "stream": false}).to_string();
    let head = "content-type: application/json\r\ncontent-length";
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("POST /v1/completions HTTP/1.1\r\nhost: {address}\r\n{head}: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Fills an engine until the daemon has seen it full, and a random time more.
fn fill(daemon: &Daemon, id: &str, address: &str, chance: &mut Chance) -> Vec<TcpStream> {
    let open: Vec<TcpStream> = (0..RUNS).map(|_| send(address)).collect();
    wait::eventually("a full engine", || {
        let value = daemon.decision(id).input("active-sequences").and_then(|input| input.value);
        wait::holds(value == Some(RUNS as f64), || format!("{value:?}"))
    });
    std::thread::sleep(chance.duration(Duration::from_secs(1)));
    open
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
                let daemon = &daemon;
                scope.spawn(move || {
                    let mut chance = Chance::new(number as u64 + 1);
                    let id = format!("default/chat-{number}");
                    let one = |_| one_put(daemon, &id, &engine.1, hook, &mut chance);
                    (0..rounds.div_ceil(WORKLOADS)).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    drop(daemon);
    report("latency-put", &took);
}

fn one_put(daemon: &Daemon, id: &str, address: &str, hook: &Webhook, chance: &mut Chance) -> Duration {
    let mut open = fill(daemon, id, address, chance);
    let seen = hook.puts().len();
    open.push(send(address));
    let at = Instant::now();
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
    let groups: Value = daemon.get(&format!("/v1/endpoints/{id}"));
    let address = groups[0]["targets"][0].as_str().unwrap().to_owned();
    let mut open = fill(daemon, id, &address, chance);
    let seen = spawned(spawns).len();
    open.push(send(&address));
    let wall = SystemTime::now();
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
