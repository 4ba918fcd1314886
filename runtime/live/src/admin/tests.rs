//! The admin port over real connections: what it answers, whom it answers, and how it ends.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use trimtab_sandbox::{Allocator, Compiler, Sandbox, SandboxConfig};

use super::*;
use crate::daemon::{DaemonConfig, Running, View, prepare};
use crate::manifest::Problem;
use crate::modules::{Modules, ModulesConfig};

/// A core module that has no opinion: every proposal stays.
const STILL: &str = r#"(module (memory (export "memory") 2)
  (data (i32.const 16) "still")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (func (export "trimtab:policy/policy@0.1.0#describe") (result i32)
    (i32.store (i32.const 1024) (i32.const 16)) (i32.store (i32.const 1028) (i32.const 5)) i32.const 1024)
  (func (export "trimtab:policy/policy@0.1.0#prepare") (param i32 i32) (result i32) i32.const 1104)
  (func (export "trimtab:policy/policy@0.1.0#decide") (param i32) (result i32) i32.const 1200))"#;

static STILL_WASM: LazyLock<Vec<u8>> = LazyLock::new(|| wat::parse_str(STILL).unwrap());

const MANIFEST: &str = r#"
apiVersion: trimtab.dev/v1alpha1
kind: InferenceScaler
metadata: {name: chat, namespace: team-a}
spec:
  interval: 1s
  pools:
    - minReplicas: 0
      maxReplicas: 4
      scaleToZero: {wakeOn: [{http: true}]}
      dryRun: {replicas: 2, endpoints: ["http://127.0.0.1:18100", "https://replica.local"]}
  policies: [{name: first, policy: still}]
"#;

/// A daemon with one workload, and its admin port.
struct Place {
    folder: tempfile::TempDir,
    running: Running,
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<io::Result<()>>,
}

async fn open_with(options: impl FnOnce(&Path) -> AdminOptions) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("chat.yaml"), MANIFEST).unwrap();
    let clock = Clock::system();
    let config = DaemonConfig {
        manifests: vec![at("chat.yaml")],
        policies: Vec::new(),
        state: at("state"),
        bundled: vec![("still", STILL_WASM.as_slice())],
        allocator: Allocator::default(),
        compiler: Compiler::InProcess,
        dry_run: false,
        listen: None,
        clock: clock.clone(),
    };
    let running = prepare(config).unwrap_or_else(|error| panic!("{error:?}")).start(false);
    let options = options(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve(listener, options, running.daemon.clone(), clock, shutdown.clone()));
    Place { folder, running, address, shutdown, served }
}

async fn open() -> Place {
    open_with(|_| AdminOptions::default()).await
}

impl Place {
    async fn close(self) {
        self.shutdown.cancel();
        self.served.await.unwrap().unwrap();
        self.running.stop().await;
    }

    async fn ask(&self, head: &str, body: &str) -> Answer {
        ask(TcpStream::connect(self.address).await.unwrap(), head, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost:9470"), "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8");
        self.ask(&head, body).await
    }

    /// Until the first decision was made.
    async fn ready(&self) {
        for _ in 0..200 {
            if self.get("/readyz").await.status == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{:?}", self.get("/readyz").await);
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The detail of a problem of this status.
    fn problem(&self, status: u16) -> String {
        assert_eq!(
            (self.status, self.headers["content-type"].as_str()),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((&problem["type"], &problem["status"]), (&json!("about:blank"), &json!(status)));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// One request, its head without the closing lines, on a connection of its own.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, head: &str, body: &str) -> Answer {
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // The port may answer, and close, before it has read a body that it refuses.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answer { status, headers: lines.map(header).collect(), body: body.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_a_running_daemon() {
    let place = open().await;
    assert_eq!(place.get("/healthz").await.body, "ok\n");
    place.ready().await;

    let page = place.get("/v1/workloads").await.json();
    assert_eq!(page["problems"], json!([]));
    let workload = &page["workloads"][0];
    assert_eq!((&workload["namespace"], &workload["name"]), (&json!("team-a"), &json!("chat")));
    let stage = &workload["policies"][0];
    assert_eq!((&stage["source"], &stage["state"]), (&json!("bundled"), &json!("ok")), "{stage}");
    assert_eq!(place.get("/v1/workloads/team-a/chat").await.json()["name"], json!("chat"));

    let page = place.get("/v1/workloads/team-a/chat/decisions?last=1").await.json();
    assert_eq!(page["decisions"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["decisions"][0]["stages"][0]["name"], json!("first"));

    let page = place.get("/v1/policies").await.json();
    let policy = &page["policies"][0];
    assert_eq!((&policy["name"], &policy["tenant"]), (&json!("still"), &Value::Null));
    assert_eq!((&policy["description"]["name"], &policy["usedBy"]), (&json!("still"), &json!(["team-a/chat"])));

    let page = place.get("/v1/endpoints/team-a/chat").await.json();
    assert_eq!(page[0]["targets"], json!(["127.0.0.1:18100"]));
    assert_eq!(
        (&page[1]["targets"], &page[1]["labels"]["__scheme__"]),
        (&json!(["replica.local:443"]), &json!("https"))
    );

    let page = place.get("/metrics").await;
    assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(page.body.contains(r#"trimtab_ticks_total{namespace="team-a",workload="chat"}"#), "{}", page.body);
    let open = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text; version=1.0.0";
    assert!(place.ask(open, "").await.body.ends_with("# EOF\n"));
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_reach_the_workload() {
    let place = open().await;
    place.ready().await;
    let at = |verb: &str| format!("/v1/workloads/team-a/chat/{verb}");
    let said = async |verb: &str, body: &str| {
        let answer = place.post(&at(verb), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        said("pause", r#"{"forSeconds":90,"reason":"node\nmaintenance"}"#).await,
        "team-a/chat paused for 90s: node\\nmaintenance"
    );
    let conditions = place.get("/v1/workloads/team-a/chat").await.json()["conditions"].clone();
    let paused = conditions.as_array().unwrap().iter().find(|c| c["type"] == "Paused").unwrap().clone();
    assert_eq!(paused["status"], "True", "{paused}");
    assert_eq!(said("resume", "{}").await, "team-a/chat resumed (pause ended): no reason given");
    assert_eq!(
        said("override", r#"{"pools":{"default":3},"reason":"launch"}"#).await,
        "team-a/chat overridden with default=3 for 30m: launch"
    );
    assert!(said("override", r#"{"pools":{"default":9}}"#).await.contains("its bounds, "));
    assert_eq!(said("wake", "").await, "team-a/chat woken (default): no reason given");
    assert!(said("wake", r#"{"forSeconds":5}"#).await.contains("forSeconds is not used"));

    for (verb, body, status, detail) in [
        ("pause", r#"{"forSeconds":0}"#, 400, "forSeconds is more than 0"),
        ("pause", r#"{"forSeconds":-1}"#, 400, "forSeconds is more than 0"),
        ("pause", r#"{"forSeconds":1e300}"#, 400, "at most 604800 (7 days)"),
        ("pause", r#"{"for":"30m"}"#, 400, "unknown field `for`"),
        ("pause", r#"{"pools":{"default":1}}"#, 400, "pools belongs to an override"),
        ("pause", "{", 400, "the body is not an order"),
        ("pause", "[]", 400, "it is no object"),
        ("override", r#"{"pools":{"default":-1}}"#, 400, "the body is not an order"),
        ("override", r#"{"pools":{}}"#, 422, "names at least one pool"),
        ("override", r#"{"pools":{"other":1}}"#, 422, "there is no pool"),
    ] {
        let said = place.post(&at(verb), body).await.problem(status);
        assert!(said.contains(detail), "{verb} {body}: {said}");
    }
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(70_000));
    place.post(&at("pause"), &large).await.problem(413);
    assert_eq!(
        place.post("/v1/workloads/team-a/other/pause", "{}").await.problem(404),
        "there is no workload team-a/other"
    );
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_forgotten_by_name() {
    let place = open().await;
    let said = async |path: &str| place.post(path, "{}").await;
    assert_eq!(said("/v1/policies/other/forget").await.problem(404), "there is no policy other");
    said("/v1/policies/still/forget?tenant=team-b").await.problem(404);
    said("/v1/policies/still/forget?whose=all").await.problem(400);
    let answer = said("/v1/policies/still/forget").await;
    assert!(answer.json()["message"].as_str().unwrap().starts_with("still: "), "{answer:?}");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_problems() {
    let place = open().await;
    let name = "/v1/workloads/team-a/chat";
    assert_eq!(place.get("/v1/nothing").await.problem(404), "there is no page /v1/nothing");
    place.get("/").await.problem(404);
    place.get("/v1/workloads/team-a/%ff").await.problem(400);
    place.get("/v1/endpoints/team-a/other").await.problem(404);
    for query in ["last=0", "last=-1", "last=x", "last=", "first=1", "last=1&last=2"] {
        place.get(&format!("{name}/decisions?{query}")).await.problem(400);
    }
    let answer = place.get(&format!("{name}/pause")).await;
    answer.problem(405);
    assert_eq!(answer.headers["allow"], "POST");
    let answer = place.post(name, "{}").await;
    answer.problem(405);
    assert!(answer.headers["allow"].contains("GET"), "{answer:?}");

    for kind in ["", "\r\nContent-Type: text/plain", "\r\nContent-Type: application/x-www-form-urlencoded"] {
        let head = format!("POST {name}/pause HTTP/1.1\r\nHost: localhost{kind}");
        place.ask(&head, "{}").await.problem(415);
    }
    let preflight = format!("OPTIONS {name}/pause HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example");
    let answer = place.ask(&preflight, "").await;
    answer.problem(405);
    assert!(!answer.headers.keys().any(|header| header.starts_with("access-control-")), "{answer:?}");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_names_of_this_host_are_answered() {
    let place = open().await;
    for (head, answered) in [
        ("GET /v1/workloads HTTP/1.1\r\nHost: localhost:9470", true),
        ("GET /v1/workloads HTTP/1.1\r\nHost: LOCALHOST", true),
        ("GET /v1/workloads HTTP/1.1\r\nHost: 127.0.0.1:1", true),
        ("GET /v1/workloads HTTP/1.1\r\nHost: [::1]:9470", true),
        ("GET http://localhost/v1/workloads HTTP/1.1\r\nHost: localhost", true),
        ("GET /v1/workloads HTTP/1.1\r\nHost: evil.example", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: evil.example:9470", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: localhost.evil.example", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: localhost@evil.example", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: evil@localhost", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: 127.0.0.1.evil.example", false),
        ("GET /v1/workloads HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", false),
        ("GET http://evil.example/v1/workloads HTTP/1.1\r\nHost: localhost", false),
        ("GET /v1/workloads HTTP/1.0", false),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example", true),
        ("GET /metrics HTTP/1.0", true),
    ] {
        let answer = place.ask(head, "").await;
        if answered {
            assert_eq!(answer.status, 200, "{head}: {answer:?}");
        } else {
            answer.problem(421);
        }
    }
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_and_may_change() {
    let file = |folder: &Path| folder.join("token");
    let place = open_with(|folder| {
        std::fs::write(file(folder), "first-token\n").unwrap();
        AdminOptions { token_file: Some(file(folder)), tls: None }
    })
    .await;
    let shown = async |value: &str| {
        let head = format!("GET /v1/workloads HTTP/1.1\r\nHost: localhost{value}");
        place.ask(&head, "").await
    };
    for wrong in [
        "",
        "\r\nAuthorization: Bearer other-token",
        "\r\nAuthorization: Basic first-token",
        "\r\nAuthorization: Bearer",
    ] {
        let answer = shown(wrong).await;
        answer.problem(401);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(shown("\r\nAuthorization: Bearer first-token").await.status, 200);
    assert_eq!(shown("\r\nauthorization: bearer first-token").await.status, 200);
    for free in ["/healthz", "/metrics"] {
        assert_eq!(place.get(free).await.status, 200);
    }
    let token = file(place.folder.path());
    std::fs::write(&token, "the-second-token").unwrap();
    assert_eq!(shown("\r\nAuthorization: Bearer the-second-token").await.status, 200);
    shown("\r\nAuthorization: Bearer first-token").await.problem(401);
    for broken in ["", "short"] {
        std::fs::write(&token, broken).unwrap();
        assert_eq!(shown("\r\nAuthorization: Bearer the-second-token").await.status, 200, "{broken:?}");
    }
    std::fs::remove_file(&token).unwrap();
    assert_eq!(shown("\r\nAuthorization: Bearer the-second-token").await.status, 200);
    place.close().await;
}

#[test]
fn options_that_do_not_fit_are_refused_before_binding() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, text) in [("good", "0123456789abcdef\n"), ("empty", "\n"), ("two", "one-token\nanother-token")] {
        std::fs::write(at(name), text).unwrap();
    }
    let token = |name: &str| AdminOptions { token_file: Some(at(name)), tls: None };
    let (near, far): (SocketAddr, SocketAddr) = ("127.0.0.1:9470".parse().unwrap(), "0.0.0.0:9470".parse().unwrap());
    for address in
        [near, "[::1]:1".parse().unwrap(), "127.8.0.1:1".parse().unwrap(), "[::ffff:127.0.0.1]:1".parse().unwrap()]
    {
        AdminOptions::default().fit(address).unwrap();
    }
    for address in [far, "[::]:1".parse().unwrap(), "192.0.2.1:1".parse().unwrap()] {
        let said = AdminOptions::default().fit(address).unwrap_err().to_string();
        assert!(said.contains("--token-file") && said.contains(&address.to_string()), "{said}");
        token("good").fit(address).unwrap();
    }
    for name in ["empty", "two", "missing"] {
        for address in [near, far] {
            let said = token(name).fit(address).unwrap_err().to_string();
            assert!(said.contains(name), "{said}");
        }
    }
    let (chain, key) = certificate();
    for tls in
        [(at("missing"), key.clone()), (at("good"), key.clone()), (chain.clone(), at("good")), (chain.clone(), chain)]
    {
        AdminOptions { token_file: None, tls: Some(tls) }.fit(near).unwrap_err();
    }
}

/// Self-signed, for `localhost`.
fn certificate() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/tests");
    (folder.join("server.pem"), folder.join("server-key.pem"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_where_a_certificate_is_given() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let place = open_with(|_| AdminOptions { token_file: None, tls: Some(certificate()) }).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate().0).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(place.address).await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    assert_eq!(ask(stream, "GET /healthz HTTP/1.1\r\nHost: localhost", "").await.body, "ok\n");

    let mut plain = TcpStream::connect(place.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP"), "{bytes:?}");
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_within_a_second_whatever_clients_hold_open() {
    let place = open().await;
    let mut idle = TcpStream::connect(place.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut some = [0; 15];
    idle.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200 OK");
    let mut slow = TcpStream::connect(place.address).await.unwrap();
    slow.write_all(b"POST /v1/workloads/team-a/chat/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{").await.unwrap();
    let mut halting = TcpStream::connect(place.address).await.unwrap();
    halting.write_all(b"GET /heal").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    place.shutdown.cancel();
    let begun = Instant::now();
    place.served.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    TcpStream::connect(place.address).await.unwrap_err();
    place.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_most_wait_for_a_seat() {
    let place = open().await;
    let mut idle = Vec::new();
    for _ in 0..256 {
        idle.push(TcpStream::connect(place.address).await.unwrap());
    }
    let mut late = TcpStream::connect(place.address).await.unwrap();
    late.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let waiting = tokio::time::timeout(Duration::from_millis(300), late.read_to_string(&mut answer)).await;
    assert!(waiting.is_err(), "{answer}");
    idle.truncate(255);
    late.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
    place.close().await;
}

#[tokio::test]
async fn before_the_first_decision_it_is_not_ready_and_says_why() {
    let sandbox = SandboxConfig { allocator: Allocator::OnDemand, ..SandboxConfig::default() };
    let modules = ModulesConfig {
        dirs: Vec::new(),
        state: None,
        bundled: Vec::new(),
        watch: false,
        wanted: Vec::new(),
        tenants: Arc::default(),
        on_event: Box::new(|_| {}),
    };
    let modules = Modules::start(modules, Sandbox::new(sandbox).unwrap()).unwrap();
    let view = View { ticked: false, ..shapes::tests::view() };
    let stray = Problem { hint: "mend it".into(), ..view.problems[0].clone() };
    let daemon = Daemon::showing(vec![view], vec![stray], modules);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(serve(listener, AdminOptions::default(), daemon, Clock::system(), shutdown.clone()));
    let asked = async |head: &str| ask(TcpStream::connect(address).await.unwrap(), head, "").await;

    let said = asked("GET /readyz HTTP/1.1\r\nHost: pod").await.problem(503);
    assert_eq!(said, "team-a/chat has not made its first decision yet");
    assert_eq!(asked("GET /healthz HTTP/1.1\r\nHost: pod").await.status, 200);
    let page = asked("GET /v1/workloads HTTP/1.1\r\nHost: localhost").await.json();
    let hints: Vec<&Value> = page["problems"].as_array().unwrap().iter().map(|problem| &problem["hint"]).collect();
    assert_eq!(hints, [&json!("mend it"), &json!("remove it")]);
    let pause = "POST /v1/workloads/team-a/chat/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
    assert_eq!(asked(pause).await.problem(503), "the daemon is stopping");
    shutdown.cancel();
    served.await.unwrap().unwrap();
}
