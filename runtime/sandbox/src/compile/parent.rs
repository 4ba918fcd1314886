//! The side of the daemon: feeds the child that compiles, waits no longer than it may take, and reads its end.
//!
//! For: an answer, or a refusal that says which bound was met. Whatever happens, the child is gone afterwards. Never
//! trusts what comes back to be of a reasonable size, or to come at all.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use super::child::{CODE, REFUSAL, Task};
use crate::limits::{Bounds, Limits};
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// Bytes kept of what the child says on standard error.
const LAST_WORDS: usize = 4096;
/// Bytes moved at once.
const CHUNK: usize = 64 << 10;
/// So often before another pipe has its turn.
const CHUNKS: usize = 16;
/// How long a child that has closed its output may take to end.
const END: Duration = Duration::from_secs(1);
/// What came back.
struct Said {
    output: Vec<u8>,
    errors: Vec<u8>,
    /// It went on for too long, or said too much.
    stopped: Option<Refusal>,
    status: Option<ExitStatus>,
}

/// The machine code of a module, from a child that runs `command`.
pub(super) fn compile(
    command: &[OsString],
    module: &[u8],
    bounds: Bounds,
    limits: &Limits,
) -> Result<Vec<u8>, Refusal> {
    let failed = |error: &io::Error| {
        let message = format!("no compiler could be started: {error}");
        Refusal::new(Stage::Compile, "host", clean(&message, limits.text_bytes))
    };
    let said = talk(command, module, bounds, limits).map_err(|error| failed(&error))?;
    if let Some(refusal) = said.stopped {
        return Err(refusal);
    }
    match (said.status.and_then(|status| status.code()), said.output.split_first()) {
        (Some(0), Some((&CODE, code))) => Ok(code.to_vec()),
        (Some(0), Some((&REFUSAL, written))) => {
            let unreadable = || Refusal::new(Stage::Compile, "host", "the compiler's answer cannot be read");
            Err(Refusal::read(written, limits.text_bytes).unwrap_or_else(unreadable))
        }
        _ => Err(died(said.status, &said.errors, limits)),
    }
}

/// Refuses what took all the memory it may have.
pub(super) fn out_of_memory(bytes: u64) -> Refusal {
    let message = format!("compiling it takes more than {} MiB of memory", bytes >> 20);
    Refusal::new(Stage::Compile, "compile-memory", message).hint("split its largest functions, or make it smaller")
}

/// Why a child ended without an answer.
fn died(status: Option<ExitStatus>, errors: &[u8], limits: &Limits) -> Refusal {
    use rustix::process::Signal;
    let last_words = String::from_utf8_lossy(errors);
    let signal = status.and_then(|status| status.signal());
    if signal == Some(Signal::XCPU.as_raw()) {
        let message = format!("compiling it takes more than {} s of CPU time", limits.compile_cpu.as_secs());
        return Refusal::new(Stage::Compile, "compile-cpu", message)
            .hint("split its largest functions, or make it smaller");
    }
    if last_words.contains("memory allocation of ") {
        return out_of_memory(limits.compile_memory as u64);
    }
    let how = match signal {
        Some(number) if number == Signal::KILL.as_raw() => "was killed: is this machine short of memory?".to_owned(),
        Some(number) => format!("died of signal {number}"),
        None => "ended without an answer".to_owned(),
    };
    // Somebody else killed it: that says nothing about the module.
    let code = if signal == Some(Signal::KILL.as_raw()) { "host" } else { "compile-crash" };
    let words = last_words.trim().lines().last().unwrap_or_default();
    let message = clean(&format!("the compiler {how}: {words}"), limits.text_bytes);
    Refusal::new(Stage::Compile, code, message.trim_end_matches(": ").to_owned())
}

/// Kills what still runs when it is dropped.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn talk(command: &[OsString], module: &[u8], bounds: Bounds, limits: &Limits) -> io::Result<Said> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, "no program is named"));
    };
    let task = Task {
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        cpu_seconds: limits.compile_cpu.as_secs().max(1),
        memory_bytes: limits.compile_memory as u64,
        module_bytes: limits.module_bytes,
        text_bytes: limits.text_bytes,
        bounds,
    };
    let mut line = serde_json::to_vec(&task)?;
    line.push(b'\n');
    let mut child = Command::new(program);
    child.args(arguments).env_clear().current_dir("/");
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut child = Ending(child);
    let deadline = Instant::now() + limits.compile_wall;
    let mut said = Said { output: Vec::new(), errors: Vec::new(), stopped: None, status: None };
    said.stopped = exchange(&mut child.0, [&line, module], deadline, limits, &mut said)?;
    // Its output is closed, so it is about to end; one that is not is ended.
    let latest = deadline.min(Instant::now() + END);
    while said.stopped.is_none() && said.status.is_none() && Instant::now() < latest {
        said.status = child.0.try_wait()?;
        if said.status.is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(said)
}

/// Writes all of the input and reads all of the output, whichever can go on. Some: it had to be stopped.
fn exchange(
    child: &mut Child,
    input: [&[u8]; 2],
    deadline: Instant,
    limits: &Limits,
    said: &mut Said,
) -> io::Result<Option<Refusal>> {
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    for pipe in [stdin.as_ref().map(AsFd::as_fd), stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)] {
        pipe.map_or(Ok(()), |pipe| ioctl_fionbio(pipe, true))?;
    }
    let mut input = Input { pieces: input, piece: 0, at: 0 };
    while stdout.is_some() || stderr.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = format!("compiling it takes longer than {} s", limits.compile_wall.as_secs());
            return Ok(Some(
                Refusal::new(Stage::Compile, "compile-wall", message)
                    .hint("try again when this machine has less to do, or make it smaller"),
            ));
        }
        wait(
            &[
                stdin.as_ref().map(|p| (p.as_fd(), PollFlags::OUT)),
                stdout.as_ref().map(|p| (p.as_fd(), PollFlags::IN)),
                stderr.as_ref().map(|p| (p.as_fd(), PollFlags::IN)),
            ],
            left,
        )?;
        if let Some(pipe) = &mut stdin
            && input.feed(pipe)?
        {
            stdin = None;
        }
        if let Some(pipe) = &mut stdout
            && drain(pipe, &mut said.output, limits.code_bytes + 1)?
        {
            stdout = None;
        }
        if let Some(pipe) = &mut stderr
            && drain(pipe, &mut said.errors, LAST_WORDS)?
        {
            stderr = None;
        }
        if said.output.len() > limits.code_bytes + 1 {
            let message = format!("its machine code has more than {} MiB", limits.code_bytes >> 20);
            return Ok(Some(Refusal::new(Stage::Compile, "compile-size", message).hint("make it smaller")));
        }
    }
    Ok(None)
}

fn wait(pipes: &[Option<(rustix::fd::BorrowedFd<'_>, PollFlags)>], left: Duration) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        pipes.iter().flatten().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    match poll(&mut fds, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct Input<'a> {
    pieces: [&'a [u8]; 2],
    piece: usize,
    at: usize,
}

impl Input<'_> {
    /// Writes what the pipe takes. True: all was written, or the child reads no more.
    fn feed(&mut self, pipe: &mut ChildStdin) -> io::Result<bool> {
        while let Some(piece) = self.pieces.get(self.piece) {
            if self.at == piece.len() {
                (self.piece, self.at) = (self.piece + 1, 0);
                continue;
            }
            match pipe.write(&piece[self.at..]) {
                Ok(written) => self.at += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Reads what the pipe gives; beyond `keep` bytes and one more it is thrown away. True: that was all.
fn drain(pipe: &mut impl Read, into: &mut Vec<u8>, keep: usize) -> io::Result<bool> {
    let mut chunk = [0; CHUNK];
    // Not for ever: one that never ceases has a deadline, which somebody must look at.
    for _ in 0..CHUNKS {
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(true),
            Ok(read) => into.extend_from_slice(&chunk[..read.min((keep + 1).saturating_sub(into.len()))]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
