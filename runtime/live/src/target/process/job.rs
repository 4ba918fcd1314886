//! What is done for a replica beside the pool's task: starting, asking, calling, watching.
//!
//! For: everything that takes time. Each sends one [`Event`] back. Never changes anything of the pool itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::call::call;
use super::host::Marks;
use super::life::{End, Process};
use super::pool::Pool;
use super::replica::Replica;
use super::spawn::{self, Order, fill};
use crate::client::Client;
use crate::store::Store;
use crate::target::{HttpCall, ReadySpec};

/// The longest that a start or an answer waits for the disk: then it goes on, and the store says what is wrong.
const DISK: Duration = Duration::from_secs(2);
/// Between two questions whether a young replica is ready.
const OFTEN: Duration = Duration::from_millis(100);
/// Between two later ones.
const SELDOM: Duration = Duration::from_millis(250);
/// So long it is young.
const YOUNG: Duration = Duration::from_secs(10);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What has happened.
pub(super) enum Event {
    /// Its process runs, or was not started.
    Started { name: String, ticket: u64, result: Result<Process, String> },
    /// It is ready.
    Answered { name: String, ticket: u64 },
    /// It was sent to sleep or woken, or not.
    Called { name: String, ticket: u64, result: Result<(), String> },
    /// Its process ended; what that has started is being ended.
    FirstEnded { name: String, process: Arc<Process> },
    /// Its process and all that it started have ended.
    Ended { name: String, process: Arc<Process>, end: End },
}

/// A job under way. Dropped: cut off.
pub(super) struct Task {
    pub(super) ticket: u64,
    handle: AbortHandle,
}

impl Task {
    pub(super) fn new(ticket: u64, task: &JoinHandle<()>) -> Task {
        Task { ticket, handle: task.abort_handle() }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// Everything that the start of a replica needs.
pub(super) fn order(pool: &Pool, replica: &Replica, store: &Store, folder: &Path) -> Order {
    let (kept, spec) = (&replica.kept, &pool.spec);
    let env = spec.env.iter().map(|(name, value)| (name.clone(), fill(value, kept.port, &kept.name, &pool.name)));
    Order {
        command: kept.command.clone(),
        env: env.collect(),
        working_dir: spec.working_dir.clone(),
        log: folder.join(format!("{}.log", kept.name)),
        marks: Marks {
            token: kept.token.clone(),
            state: store.identity().to_owned(),
            pool: pool.key.clone(),
            name: kept.name.clone(),
            port: kept.port,
            nth: kept.nth,
        },
    }
}

/// Waits until what was recorded is in the file. Where the disk fails the daemon goes on with what it holds.
pub(super) async fn recorded(store: &Store) {
    match timeout(DISK, store.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "replicas are not recorded"),
        Err(_) => tracing::warn!("replicas are not recorded yet: the disk takes longer than {DISK:?}"),
    }
}

/// Starts a process, once its intent is in the file.
pub(super) async fn start(order: Order, store: Store, name: String, ticket: u64, events: Sender<Event>) {
    recorded(&store).await;
    let result = match spawn_blocking(move || spawn::spawn(&order)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the start was broken off".to_owned()),
    };
    // Nobody is left to be told when the daemon ends.
    let _ = events.send(Event::Started { name, ticket, result }).await;
}

/// Asks until it is ready.
pub(super) async fn probe(
    client: Client,
    port: u16,
    ready: ReadySpec,
    name: String,
    ticket: u64,
    events: Sender<Event>,
) {
    let question = HttpCall { method: http::Method::GET, path: ready.http_get };
    let began = Instant::now();
    while let Err(answer) = call(&client, port, &question, ANSWER).await {
        tracing::trace!(replica = name, answer, "not ready yet");
        sleep(if began.elapsed() < YOUNG { OFTEN } else { SELDOM }).await;
    }
    let _ = events.send(Event::Answered { name, ticket }).await;
}

/// Makes one call of the standby tier.
pub(super) async fn make(
    client: Client,
    port: u16,
    what: Option<HttpCall>,
    within: Duration,
    name: String,
    ticket: u64,
    events: Sender<Event>,
) {
    let result = match what {
        Some(what) => call(&client, port, &what, within).await,
        None => Err("the manifest has no `standby` calls any more".to_owned()),
    };
    let _ = events.send(Event::Called { name, ticket, result }).await;
}

/// Waits for the end of a process, and ends what that has started. Told at once is that it serves nobody any more: what it
/// leaves behind may take as long as it is given.
pub(super) async fn watch(name: String, process: Arc<Process>, events: Sender<Event>) {
    let end = async {
        let lasted = process.first_ended().await;
        // An error: nobody is left to be told.
        let _ = events.send(Event::FirstEnded { name: name.clone(), process: process.clone() }).await;
        process.clone().all_ended(lasted).await
    };
    let end = if process.child {
        // A child's end is collected whoever else has lost interest.
        end.await
    } else {
        tokio::select! {
            end = end => end,
            () = events.closed() => return,
        }
    };
    let _ = events.send(Event::Ended { name, process, end }).await;
}
