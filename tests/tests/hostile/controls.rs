//! What each control is for: the corpus with one of them removed.
//!
//! For: the proof that no control is idle, and that no case passes by chance. A case without the control that contains it
//! may loop, eat memory or end its process, so it runs in a child: this same test binary, told by the environment what to
//! play. Never runs such a case here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use trimtab_control::time::Span;
use trimtab_sandbox::{Allocator, Limits};

use super::case::{self, Case};
use super::play::{contained, patient, sandbox};

/// What the child is told: the control that is removed, a colon, the cases separated by commas.
const VARIABLE: &str = "TRIMTAB_HOSTILE_CHILD";
/// Begins a line that the child says to its parent.
const MARK: &str = "@@ ";
/// A case without its control has so long.
const PATIENCE: Duration = Duration::from_secs(4);
/// The child's own memory; what a removed bound lets through ends here.
const CHILD_BYTES: u64 = 6 << 30;
/// Pairs of the table that are tried again in each run.
pub(super) const PAIRS: usize = 2;

/// Out of reach, without overflowing where it is added to something.
const FAR: usize = 1 << 40;
/// CPU and wall times out of reach.
const LONG: Duration = Duration::from_secs(3600);

/// Name, and how it is taken away. For numbers that is a greater number.
type Control = (&'static str, &'static str, fn(&mut Limits));

pub(super) const CONTROLS: &[Control] = &[
    ("module-bytes", "size of a module", |l| l.module_bytes = FAR),
    ("call-cpu", "CPU time of a call", |l| l.call_cpu = LONG),
    ("start-cpu", "CPU time of instantiation", |l| l.start_cpu = LONG),
    ("call-wall", "wall time of a call", |l| l.call_wall = LONG),
    ("memory-bytes", "memories and tables of a store, summed", |l| l.memory_bytes = FAR),
    ("table-elements", "elements of a table", |l| l.table_elements = FAR),
    ("instances", "core instances", |l| l.instances = FAR),
    ("memories", "number of memories", |l| l.memories = FAR),
    ("tables", "number of tables", |l| l.tables = FAR),
    ("handles", "handles of a guest's own resources", |l| l.handles = FAR),
    ("lifted-bytes", "what a guest hands over in one piece", |l| l.lifted_bytes = FAR),
    ("state-bytes", "state", |l| l.state_bytes = FAR),
    ("text-bytes", "reasons, messages and log lines", |l| l.text_bytes = FAR),
    ("notes", "number of notes", |l| l.notes = FAR),
    ("note-bytes", "size of a note", |l| l.note_bytes = FAR),
    ("log-lines", "log lines of a call", |l| l.log_lines = FAR),
    ("schema-bytes", "size of a schema", |l| l.schema_bytes = FAR),
    ("needs", "series that a stage asks for", |l| l.needs = FAR),
    ("steps", "steps of a series", |l| l.steps = u64::MAX),
    ("window", "how far back a series reaches", |l| l.window = Span(u64::MAX)),
    ("series", "series of an observation", |l| l.series = FAR),
    ("values", "values of an observation", |l| l.values = FAR),
    ("interruption", "calls are interrupted at all", |l| l.controls.deadline = false),
    ("imports", "the contract is all that may be imported", |l| l.controls.imports = false),
    ("shape", "nesting, names and instances are counted before anything is parsed", |l| l.controls.shape = false),
    ("schema", "a schema is measured before it is compiled", |l| l.controls.schema = false),
    ("escapes", "control characters of guests are escaped", |l| l.controls.escape = false),
    ("answers", "targets are checked against the observation", |l| l.controls.answers = false),
    ("codes", "a policy's own errors have codes of the contract", |l| l.controls.codes = false),
    ("description", "a name is a name", |l| l.controls.description = false),
    ("needs-words", "signals, labels and aggregations are checked", |l| l.controls.needs = false),
];

/// Cases that fail without a control.
pub(super) fn failing<'a>(control: &str, cases: &'a [Case]) -> Vec<&'a str> {
    let mut left: Vec<&Case> = cases.iter().collect();
    let mut failed = Vec::new();
    while !left.is_empty() {
        let mut child = Player::start(control, &left);
        while let Some(case) = left.first().copied() {
            let outcome = child.next();
            left.remove(0);
            match outcome.as_deref() {
                Some("ok") => {}
                // It went on: so does the child.
                Some(_) => failed.push(case.name.as_str()),
                // It hung, or ended the process: the others get another child.
                None => {
                    failed.push(case.name.as_str());
                    break;
                }
            }
        }
    }
    failed
}

struct Player {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Player {
    fn start(control: &str, cases: &[&Case]) -> Player {
        let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile::controls::a_child_plays_without_a_control", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, format!("{control}:{}", names.join(",")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The harness may have written the beginning of the line.
                if let Some((_, said)) = line.split_once(MARK)
                    && told.send(said.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Player { child, lines }
    }

    /// What came of the next case; none: nothing within its time, or the child has ended.
    fn next(&mut self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE).ok()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing, unless the environment says so.
#[test]
#[allow(clippy::print_stdout)] // it is how it answers
fn a_child_plays_without_a_control() {
    let Ok(task) = std::env::var(VARIABLE) else { return };
    let (control, names) = task.split_once(':').unwrap();
    setrlimit(Resource::Data, Rlimit { current: Some(CHILD_BYTES), maximum: Some(CHILD_BYTES) }).unwrap();
    let remove = CONTROLS.iter().find(|(name, ..)| *name == control).map(|(.., remove)| *remove);
    let limits = |case: Option<&Case>| {
        let mut limits = patient();
        if control.ends_with("-cpu") {
            // A loop whose CPU time is not bounded ends at the wall.
            limits.call_wall = Duration::from_millis(400);
        }
        if let Some(case) = case {
            limits = case.limits(limits);
        }
        if let Some(remove) = remove {
            remove(&mut limits);
        }
        limits
    };
    let shared = sandbox(limits(None), Allocator::OnDemand);
    let cases: BTreeMap<String, Case> = case::all().into_iter().map(|case| (case.name.clone(), case)).collect();
    for name in names.split(',') {
        let case = &cases[name];
        let own = case.has_limits().then(|| sandbox(limits(Some(case)), Allocator::OnDemand));
        let wasm = case.wasm().unwrap();
        let result = contained(case, &wasm, own.as_ref().unwrap_or(&shared));
        println!("{MARK}{}", if result.is_ok() { "ok" } else { "fails" });
    }
}
