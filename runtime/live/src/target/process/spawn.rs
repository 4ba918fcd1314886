//! Starting one process.
//!
//! For: filling in the command, and running it in its own session with its output in a file. Whoever calls has recorded
//! the intent before. Never waits for the process, and never reads what it prints.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trimtab_sandbox::clean;

use super::life::Process;
use super::{host, log, session};

/// Everything that one start needs.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) working_dir: Option<PathBuf>,
    pub(super) log: PathBuf,
    pub(super) marks: host::Marks,
}

/// Why a process was not started. The text names the command and the fix.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("the command is empty: name a program in `command`")]
    Empty,
    #[error("working directory {0} is not a directory: create it, or correct `workingDir`")]
    Directory(String),
    #[error("{0} was not found: install it, correct `command`, or write its full path")]
    NotFound(String),
    #[error("{0} may not be run: it must be a program that this user can execute (chmod +x)")]
    NotAllowed(String),
    #[error("{0} cannot be started: {1}")]
    Other(String, io::Error),
    #[error("{0} was started and cannot be watched ({1}); this needs Linux 5.4 or later")]
    Unwatched(String, io::Error),
}

/// Fills in `{port}`, `{name}` and `{pool}`; any other brace stays as it is, and what was filled in is not looked at again.
pub(super) fn fill(text: &str, port: u16, name: &str, pool: &str) -> String {
    let port = port.to_string();
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    'text: while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        for (place, value) in [("{port}", port.as_str()), ("{name}", name), ("{pool}", pool)] {
            if let Some(after) = rest.strip_prefix(place) {
                out.push_str(value);
                rest = after;
                continue 'text;
            }
        }
        out.push('{');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// Starts it. Blocks for as long as a fork and an exec take.
pub(super) fn spawn(order: &Order) -> Result<Process, SpawnError> {
    let (program, arguments) = order.command.split_first().ok_or(SpawnError::Empty)?;
    let shown = format!("`{}`", clean(program, 200));
    let mut command = Command::new(program);
    let marks = &order.marks;
    command.args(arguments).envs(order.env.iter().map(|(k, v)| (k, v))).envs([
        (host::TOKEN, marks.token.as_str()),
        (host::STATE, &marks.state),
        (host::POOL, &marks.pool),
        (host::NAME, &marks.name),
        (host::PORT, &marks.port.to_string()),
        (host::START, &marks.nth.to_string()),
    ]);
    if let Some(place) = &order.working_dir {
        if !place.is_dir() {
            return Err(SpawnError::Directory(clean(&place.to_string_lossy(), 200)));
        }
        command.current_dir(place);
    }
    let (output, errors, begins) = outputs(&order.log);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    session::own(&mut command);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SpawnError::NotFound(shown.clone()),
        io::ErrorKind::PermissionDenied => SpawnError::NotAllowed(shown.clone()),
        _ => SpawnError::Other(shown.clone(), error),
    })?;
    // Not waited for here: its end is collected by whoever watches it.
    watched(child, &marks.token, order.log.clone(), begins).map_err(|error| SpawnError::Unwatched(shown, error))
}

fn watched(mut child: std::process::Child, token: &str, log: PathBuf, begins: u64) -> io::Result<Process> {
    // Numbers of processes are far below the limit.
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Process::child(pid, token, log, begins).inspect_err(|_| {
        // Nobody could ever end it again.
        let _ = child.kill();
        let _ = child.wait();
    })
}

/// The log twice, and where the output begins. A replica without a log is better than none.
fn outputs(path: &Path) -> (Stdio, Stdio, u64) {
    let opened = log::open(path).and_then(|(file, begins)| Ok((file.try_clone()?, file, begins)));
    match opened {
        Ok((output, errors, begins)) => (output.into(), errors.into(), begins),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a replica's output cannot be kept; it runs without a log");
            (Stdio::null(), Stdio::null(), 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_names_are_filled_in() {
        for (text, filled) in [
            ("--port={port}", "--port=80"),
            ("{name}/{pool}/{port}{port}", "{port}/p/8080"),
            ("{\"a\": {\"port\": 1}, \"b\": \"{pool}\"}", "{\"a\": {\"port\": 1}, \"b\": \"p\"}"),
            ("{{port}} {ports} { port} {é} {", "{80} {ports} { port} {é} {"),
            ("", ""),
        ] {
            assert_eq!(fill(text, 80, "{port}", "p"), filled, "{text}");
        }
    }
}
