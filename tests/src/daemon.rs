//! One `trimtab run` with folders, ports and replicas of its own.
//!
//! For: starting, killing and asking the real binary. When it is dropped, the daemon and everything it ever started
//! ends; when a test fails, what the daemon said last is shown. Never in the same process as the daemon.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::{self, Answer};
use crate::processes::{self, Process};
use crate::views::{Decision, Decisions, Policies, Policy, Pool, Series, Workload, Workloads, series};
use crate::wait::{eventually, holds};
use crate::{place, ports};

/// Lines of its log that a failed test shows.
const TAIL: usize = 60;

/// A daemon, running or not.
#[derive(Debug)]
pub struct Daemon {
    folder: tempfile::TempDir,
    port: u16,
    mark: String,
    state: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// What a verb said.
#[derive(Debug)]
pub struct Said {
    /// Exit code; none: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a verb to its end.
pub fn trimtab(arguments: &[&str]) -> Said {
    Command::new(place::trimtab()).args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

impl Default for Daemon {
    fn default() -> Self {
        Daemon::new()
    }
}

impl Daemon {
    /// Folders, and no process yet.
    pub fn new() -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        for name in ["manifests", "policies"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let state = folder.path().join("state");
        let port = ports::one();
        Daemon { folder, port, mark: processes::mark(), state, arguments: Vec::new(), child: None }
    }

    /// With one manifest, running and ready.
    #[track_caller]
    pub fn with(manifest: &str) -> Daemon {
        let mut daemon = Daemon::new();
        daemon.manifest("workloads.yaml", manifest);
        daemon.start();
        daemon
    }

    /// A folder of the test's own, gone with the daemon.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where policies are dropped.
    pub fn policies_folder(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// Where it keeps what it must not forget.
    pub fn state_folder(&self) -> &Path {
        &self.state
    }

    /// Another state directory.
    pub fn use_state_folder(&mut self, state: &Path) {
        state.clone_into(&mut self.state);
    }

    /// More arguments for `run`.
    pub fn argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    /// Writes a manifest by rename.
    pub fn manifest(&self, name: &str, text: &str) {
        crate::policies::put(&self.folder.path().join("manifests").join(name), text.as_bytes());
    }

    /// Takes a manifest away.
    pub fn remove_manifest(&self, name: &str) {
        fs::remove_file(self.folder.path().join("manifests").join(name)).unwrap();
    }

    /// Drops a policy by rename.
    pub fn policy(&self, name: &str, module: &[u8]) {
        crate::policies::put(&self.policies_folder().join(format!("{name}.wasm")), module);
    }

    /// The command line of `run`.
    pub fn command(&self) -> Command {
        let mut command = Command::new(place::trimtab());
        command
            .arg("run")
            .arg("-f")
            .arg(self.folder.path().join("manifests"))
            .arg("--policies")
            .arg(self.policies_folder())
            .arg("--state")
            .arg(&self.state)
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.arguments)
            .env(processes::VARIABLE, &self.mark)
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Starts it without waiting for anything.
    #[track_caller]
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = self.command().stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
    }

    /// Starts it, and waits until every workload has made a decision.
    #[track_caller]
    pub fn start(&mut self) {
        self.spawn();
        self.until_ready();
    }

    /// Waits until `/readyz` says so.
    #[track_caller]
    pub fn until_ready(&mut self) {
        let url = self.url("/readyz");
        let child = self.child.as_mut().unwrap();
        let end = Instant::now() + crate::wait::PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                self.child = None;
                panic!("the daemon ended by itself: {status}");
            }
            match http::get(&url).and_then(Answer::ok) {
                Ok(_) => return,
                Err(wrong) => assert!(Instant::now() < end, "not ready: {wrong}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and the time it took to end.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let mut child = self.child.take().unwrap();
        let asked = Instant::now();
        processes::terminate(child.id());
        (child.wait().unwrap(), asked.elapsed())
    }

    /// Everything it ever said, over restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Waits for a line that holds all of these.
    #[track_caller]
    pub fn until_logged(&self, words: &[&str]) -> String {
        eventually(&format!("a log line with {words:?}"), || {
            let log = self.log();
            let line = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned).ok_or("no such line")
        })
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// An address on its admin port.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its admin port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `trimtab load`.
    pub fn endpoints_url(&self, workload: &str) -> String {
        self.url(&format!("/v1/endpoints/{workload}"))
    }

    /// A page as JSON.
    pub fn try_get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let answer = http::get(&self.url(path))?.ok()?;
        serde_json::from_str(&answer.body).map_err(|e| format!("{path}: {e}: {}", answer.body))
    }

    /// The same; panics.
    #[track_caller]
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.try_get(path).unwrap_or_else(|e| panic!("{e}"))
    }

    /// An order, as a program would give it.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        http::post(&self.url(path), body).unwrap_or_else(|e| panic!("{e}"))
    }

    /// All workloads.
    #[track_caller]
    pub fn workloads(&self) -> Vec<Workload> {
        self.get::<Workloads>("/v1/workloads").workloads
    }

    /// One, by `NS/NAME`.
    #[track_caller]
    pub fn workload(&self, id: &str) -> Workload {
        self.get(&format!("/v1/workloads/{id}"))
    }

    /// Its only pool, named `default`.
    #[track_caller]
    pub fn pool(&self, id: &str) -> Pool {
        self.workload(id).pool("default").clone()
    }

    /// Newest first.
    #[track_caller]
    pub fn decisions(&self, id: &str) -> Vec<Decision> {
        self.get::<Decisions>(&format!("/v1/workloads/{id}/decisions?last=50")).decisions
    }

    /// The newest one.
    #[track_caller]
    pub fn decision(&self, id: &str) -> Decision {
        self.decisions(id).into_iter().next().unwrap_or_else(|| panic!("{id}: no decision"))
    }

    /// Waits for a decision made after this call, of which something holds.
    #[track_caller]
    pub fn until_decided(&self, id: &str, what: &str, mut wanted: impl FnMut(&Decision) -> bool) -> Decision {
        let seen = self.decision(id).id;
        eventually(what, || {
            let newest = self.decision(id);
            if newest.id != seen && wanted(&newest) { Ok(newest) } else { Err(format!("{newest:#?}")) }
        })
    }

    /// Waits for a count of a workload's only pool.
    #[track_caller]
    pub fn until_pool(&self, id: &str, what: &str, wanted: impl Fn(&Pool) -> bool) -> Pool {
        eventually(&format!("{id}: {what}"), || {
            let pool = self.try_get::<Workload>(&format!("/v1/workloads/{id}"))?.pool("default").clone();
            if wanted(&pool) { Ok(pool) } else { Err(format!("{pool:?}")) }
        })
    }

    /// Waits until so many replicas are wanted.
    #[track_caller]
    pub fn until_desired(&self, id: &str, replicas: u32) {
        self.until_pool(id, &format!("{replicas} desired"), |pool| pool.desired == replicas);
    }

    /// Waits until all is as wanted, and nothing is on its way.
    #[track_caller]
    pub fn until_settled(&self, id: &str, replicas: u32) {
        self.until_pool(id, &format!("settled at {replicas}"), |pool| {
            pool.desired == replicas && pool.ready == replicas && pool.starting == 0 && pool.draining == 0
        });
    }

    /// Waits until a stage is served by that digest.
    #[track_caller]
    pub fn until_digest(&self, id: &str, stage: &str, digest: &str) {
        eventually(&format!("{id}: {stage} served by {digest}"), || {
            let workload: Workload = self.try_get(&format!("/v1/workloads/{id}"))?;
            let stage = workload.stage(stage).clone();
            holds(stage.digest.as_deref() == Some(digest) && stage.state == "ok", || format!("{stage:?}"))
        });
    }

    /// Every policy it knows.
    #[track_caller]
    pub fn policies(&self) -> Vec<Policy> {
        self.get::<Policies>("/v1/policies").policies
    }

    /// Series of its own page with these labels.
    #[track_caller]
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> Vec<Series> {
        let page = http::get(&self.url("/metrics")).and_then(Answer::ok).unwrap_or_else(|e| panic!("{e}"));
        let has = |s: &Series| labels.iter().all(|(key, value)| s.labels.get(*key).is_some_and(|v| v == value));
        series(&page.body).into_iter().filter(|s| s.name == name && has(s)).collect()
    }

    /// Their sum; 0 where there is none.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).iter().fold(0.0, |sum, s| sum + s.value)
    }

    /// Processes that it started, itself aside, also before it was restarted.
    pub fn replicas(&self) -> Vec<Process> {
        let own = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        processes::marked(&self.mark).into_iter().filter(|process| Some(process.pid) != own).collect()
    }

    /// Waits until it runs so many processes.
    #[track_caller]
    pub fn until_replicas(&self, count: usize) -> Vec<Process> {
        eventually(&format!("{count} replica processes"), || {
            let replicas = self.replicas();
            if replicas.len() == count { Ok(replicas) } else { Err(format!("{replicas:?}")) }
        })
    }

    /// A verb that talks to this daemon.
    pub fn verb(&self, arguments: &[&str]) -> Said {
        let server = self.url("");
        trimtab(&[arguments, &["--server", &server]].concat())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let status = http::get(&self.url("/v1/workloads")).map_or_else(|e| e, |answer| answer.body);
            let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            // The test harness captures this with the rest of a failed test.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("--- the daemon's status\n{status}\n--- the end of its log\n{tail}");
            }
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        processes::end(&self.mark);
    }
}
