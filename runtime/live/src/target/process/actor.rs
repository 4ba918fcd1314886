//! The task that looks after one pool: everything that happens to its processes goes through here, one thing at a time.
//!
//! For: carrying out what the pool's plain values say has to be done, recording it, and publishing what there is. Never
//! waits for a process, a call or a disk itself: those are tasks of their own that send their results back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use trimtab_control::time::{Span, Time};

use super::adopt::{Adopted, adopt, identity, records};
use super::job::{self, Event, Task};
use super::life::{Process, end_all};
use super::log;
use super::pool::{Pool, Step};
use super::record::{Asked, Kept};
use super::replica::Job;
use crate::client::Client;
use crate::clock::Clock;
use crate::store::{Record, Store};
use crate::target::{ProcessSpec, TargetError, TargetReport};

/// Things that have happened and were not taken in yet; whoever has one more waits.
const EVENTS: usize = 64;
/// Until processes are looked for again where that failed.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at the sizes of logs.
const UPKEEP: Duration = Duration::from_mins(1);
/// The longest sleep: after it nothing is due, and looking is cheap.
const LOOK: Span = Span::seconds(60);
/// For starts that are under way when the task ends.
const LAST_STARTS: Duration = Duration::from_secs(5);
/// From TERM to KILL when everything is stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What the task is told.
pub(super) enum Ask {
    /// New totals; answered when they are recorded.
    Totals {
        serving: u32,
        standby: u32,
        decision: String,
        first: Vec<String>,
        reply: oneshot::Sender<Result<(), TargetError>>,
    },
    /// End everything and forget it; the task ends too.
    Stop(oneshot::Sender<()>),
}

/// Work per replica, as last read.
pub(super) type Work = Arc<[(Arc<str>, f64, Time)]>;

/// What is published.
pub(super) type Seen = ArcSwap<Result<TargetReport, TargetError>>;

/// See the module.
pub(super) struct Actor {
    pub(super) pool: Pool,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) seen: Arc<Seen>,
    pub(super) asks: mpsc::Receiver<Ask>,
    /// How the pool is to be run from now on.
    pub(super) spec: watch::Receiver<ProcessSpec>,
    pub(super) work: watch::Receiver<Work>,
}

/// The task's own state, once the replicas of an earlier daemon were found.
struct Running {
    actor: Actor,
    boot: String,
    events: mpsc::Sender<Event>,
    happened: mpsc::Receiver<Event>,
    processes: BTreeMap<String, Arc<Process>>,
    /// Probes and calls under way, by replica. Dropped: cut off.
    tasks: BTreeMap<String, Task>,
    /// Starts under way.
    starts: usize,
    /// As recorded, by token.
    kept: BTreeMap<String, Kept>,
    asked: Option<Asked>,
}

impl Actor {
    /// Runs until nobody holds the pool any more, or it was stopped. `met` becomes true after the first look for replicas.
    pub(super) async fn run(mut self, met: watch::Sender<bool>) {
        let adopted = loop {
            let error = match self.adopt().await {
                Ok(adopted) => break adopted,
                Err(error) => error,
            };
            let message = format!("{}: its replicas cannot be looked for ({error}); /proc is needed", self.pool.key);
            self.seen.store(Arc::new(Err(TargetError::Failed(message.clone()))));
            met.send_replace(true);
            match timeout(SEARCH_AGAIN, self.asks.recv()).await {
                Ok(Some(Ask::Totals { reply, .. })) => drop(reply.send(Err(TargetError::Failed(message)))),
                Ok(Some(Ask::Stop(_)) | None) => return,
                Err(_) => {}
            }
        };
        Running::new(self, adopted).run(&met).await;
    }

    async fn adopt(&mut self) -> std::io::Result<Adopted> {
        let (key, state) = (self.pool.key.clone(), self.store.identity().to_owned());
        let records = records(&self.store, &key);
        let folder = self.folder();
        let look = move || adopt(&key, &state, records, &|name| folder.join(format!("{name}.log")));
        spawn_blocking(look).await.map_err(std::io::Error::other)?
    }

    fn folder(&self) -> PathBuf {
        self.store.directory().join("replicas").join(&self.pool.key)
    }
}

impl Running {
    fn new(mut actor: Actor, adopted: Adopted) -> Running {
        let now = actor.clock.now();
        let asked = actor.store.record::<Asked>(Record::Pool, &actor.pool.key).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was asked of a pool cannot be read; what runs counts as asked");
            None
        });
        actor.pool.restore(asked.clone(), &adopted, now);
        let kept = adopted.kept.into_iter().map(|(kept, _)| (kept.token.clone(), kept)).collect();
        let (events, happened) = mpsc::channel(EVENTS);
        let mut running = Running {
            actor,
            boot: adopted.boot,
            events,
            happened,
            processes: BTreeMap::new(),
            tasks: BTreeMap::new(),
            starts: 0,
            kept,
            asked,
        };
        for (name, process) in adopted.running {
            running.watch(name, Arc::new(process));
        }
        running
    }

    async fn run(mut self, met: &watch::Sender<bool>) {
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            let wake = self.act();
            met.send_replace(true);
            tokio::select! {
                ask = self.actor.asks.recv() => match ask {
                    Some(Ask::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(ask) => self.take(ask),
                    None => break,
                },
                // The other end is held by this task itself.
                Some(event) = self.happened.recv() => self.happen(event),
                Ok(()) = self.actor.work.changed() => self.note_work(),
                Ok(()) = self.actor.spec.changed() => self.take_spec(),
                () = tokio::time::sleep_until(wake) => {}
                _ = upkeep.tick() => self.keep_logs_short(),
            }
        }
        self.tasks.clear();
        self.last_starts().await;
        self.record();
    }

    /// Does what is due, records and publishes it; when to look again.
    fn act(&mut self) -> Instant {
        let now = self.actor.clock.now();
        let step = self.actor.pool.step(now);
        // Recorded before anything is started: a start waits for the record to be in the file.
        self.record();
        let wake = step.wake.unwrap_or(now + LOOK).min(now + LOOK);
        self.carry_out(step);
        let trouble = self.actor.store.failing().map(|error| error.to_string());
        self.actor.seen.store(Arc::new(Ok(self.actor.pool.report(now, trouble.as_deref()))));
        // One more millisecond: time is cut off to whole ones.
        Instant::now() + Duration::from_millis(wake.since(now).0 + 1)
    }

    fn carry_out(&mut self, step: Step) {
        let replicas = &self.actor.pool.replicas;
        // What a replica has moved on from is cut off.
        self.tasks.retain(|name, task| replicas.get(name).is_some_and(|r| r.busy && r.ticket == task.ticket));
        for kept in step.gone {
            self.processes.remove(&kept.name);
            let (folder, alive) = (self.actor.folder(), replicas.keys().cloned().collect::<BTreeSet<_>>());
            spawn_blocking(move || log::prune(&folder, &alive));
        }
        for (name, job) in step.jobs {
            self.start(name, job);
        }
    }

    fn start(&mut self, name: String, job: Job) {
        let Some(replica) = self.actor.pool.replicas.get(&name) else { return };
        let (ticket, port, spec) = (replica.ticket, replica.kept.port, &self.actor.pool.spec);
        let (events, client) = (self.events.clone(), self.actor.client.clone());
        let task = match job {
            Job::Spawn => {
                self.starts += 1;
                let order = job::order(&self.actor.pool, replica, &self.actor.store, &self.actor.folder());
                // Never cut off: its process must not be lost.
                tokio::spawn(job::start(order, self.actor.store.clone(), name, ticket, events));
                return;
            }
            Job::Term | Job::Kill => {
                if let Some(process) = self.processes.get(&name).cloned() {
                    let signal = if job == Job::Term { Signal::TERM } else { Signal::KILL };
                    spawn_blocking(move || process.signal(signal));
                }
                return;
            }
            Job::Probe => tokio::spawn(job::probe(client, port, spec.ready.clone(), name.clone(), ticket, events)),
            Job::Enter | Job::Leave => {
                let calls = spec.standby.as_ref();
                let call = calls.map(|calls| if job == Job::Enter { &calls.enter } else { &calls.leave });
                let within = super::replica::duration(spec.ready.timeout);
                tokio::spawn(job::make(client, port, call.cloned(), within, name.clone(), ticket, events))
            }
        };
        self.tasks.insert(name, Task::new(ticket, &task));
    }

    fn take(&mut self, ask: Ask) {
        let now = self.actor.clock.now();
        match ask {
            Ask::Totals { serving, standby, decision, first, reply } => {
                self.actor.pool.ask(serving, standby, &decision, &first, now);
                self.record();
                let store = self.actor.store.clone();
                tokio::spawn(async move {
                    job::recorded(&store).await;
                    // Whoever asked may have gone.
                    let _ = reply.send(Ok(()));
                });
            }
            Ask::Stop(_) => {}
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.actor.clock.now();
        match event {
            Event::Started { name, ticket, result } => {
                self.starts -= 1;
                self.started(name, ticket, result, now);
            }
            Event::Answered { name, ticket } => {
                if let Some(replica) = self.actor.pool.replicas.get_mut(&name).filter(|r| r.awaits(ticket)) {
                    replica.answered(now);
                }
            }
            Event::Called { name, ticket, result } => {
                if let Some(replica) = self.actor.pool.replicas.get_mut(&name).filter(|r| r.awaits(ticket)) {
                    replica.called(result, now);
                }
            }
            Event::FirstEnded { name, process } => {
                if self.knows(&name, &process)
                    && let Some(replica) = self.actor.pool.replicas.get_mut(&name)
                {
                    replica.first_ended(now);
                }
            }
            Event::Ended { name, process, end } => {
                if self.knows(&name, &process) {
                    self.processes.remove(&name);
                    tracing::info!(
                        pool = self.actor.pool.key,
                        replica = name,
                        how = end.how,
                        "a replica's process ended"
                    );
                    if let Some(replica) = self.actor.pool.replicas.get_mut(&name) {
                        replica.died(&end, now);
                    }
                }
            }
        }
    }

    /// One that was replaced in the meantime ended long ago for us.
    fn knows(&self, name: &str, process: &Arc<Process>) -> bool {
        self.processes.get(name).is_some_and(|known| Arc::ptr_eq(known, process))
    }

    fn started(&mut self, name: String, ticket: u64, result: Result<Process, String>, now: Time) {
        let replica = self.actor.pool.replicas.get_mut(&name).filter(|replica| replica.awaits(ticket));
        match (replica, result) {
            (Some(replica), Ok(process)) => {
                tracing::info!(pool = self.actor.pool.key, replica = name, pid = process.pid, "a replica was started");
                replica.spawned(identity(&process, &self.boot), now);
                self.watch(name, Arc::new(process));
            }
            (Some(replica), Err(how)) => replica.died(&super::life::End { how, output: String::new() }, now),
            // A start is always waited for, so there is none without a replica.
            (None, _) => tracing::error!(pool = self.actor.pool.key, replica = name, "a start that nobody waits for"),
        }
    }

    /// Waits for the end of a process beside everything else. A child is waited for even when this task has ended.
    fn watch(&mut self, name: String, process: Arc<Process>) {
        self.processes.insert(name.clone(), process.clone());
        tokio::spawn(job::watch(name, process, self.events.clone()));
    }

    fn take_spec(&mut self) {
        let spec = self.actor.spec.borrow_and_update().clone();
        self.actor.pool.change(spec, self.actor.clock.now());
    }

    fn note_work(&mut self) {
        let work = self.actor.work.borrow_and_update().clone();
        let pool = &mut self.actor.pool;
        for (name, work, at) in work.iter() {
            if let Some(replica) = pool.replicas.get_mut(&**name) {
                replica.note_work(*work, *at, &pool.spec);
            }
        }
    }

    /// Gives the store what has changed. Returns at once.
    fn record(&mut self) {
        let (pool, store) = (&self.actor.pool, &self.actor.store);
        if pool.asked != self.asked {
            self.asked.clone_from(&pool.asked);
            if let Some(asked) = &self.asked {
                store.put(Record::Pool, &pool.key, asked);
            }
        }
        let now: BTreeSet<&str> = pool.replicas.values().map(|replica| replica.kept.token.as_str()).collect();
        self.kept.retain(|token, _| {
            let stays = now.contains(token.as_str());
            if !stays {
                store.remove(Record::Replica, token);
            }
            stays
        });
        for kept in pool.replicas.values().map(|replica| &replica.kept) {
            if self.kept.get(&kept.token) != Some(kept) {
                store.put(Record::Replica, &kept.token, kept);
                self.kept.insert(kept.token.clone(), kept.clone());
            }
        }
    }

    fn keep_logs_short(&self) {
        for process in self.processes.values().cloned() {
            spawn_blocking(move || {
                if let Err(error) = log::cap(&process.log) {
                    tracing::debug!(log = %process.log.display(), %error, "a log could not be looked at");
                }
            });
        }
    }

    /// Waits for starts under way, so that their processes are recorded.
    async fn last_starts(&mut self) {
        let until = Instant::now() + LAST_STARTS;
        while self.starts > 0 {
            match tokio::time::timeout_at(until, self.happened.recv()).await {
                Ok(Some(event)) => self.happen(event),
                // They are found by their tokens.
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn stop(&mut self) {
        self.tasks.clear();
        self.last_starts().await;
        end_all(self.processes.values().cloned().collect(), STOP_PATIENCE).await;
        self.actor.pool.forget();
        self.record();
        self.actor.store.remove(Record::Pool, &self.actor.pool.key);
        let report = self.actor.pool.report(self.actor.clock.now(), None);
        self.actor.seen.store(Arc::new(Ok(report)));
        job::recorded(&self.actor.store).await;
    }
}
