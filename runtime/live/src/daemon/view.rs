//! What the daemon shows of itself, and what it may be told: the seam to the admin port.
//!
//! For: immutable snapshots, published after every tick, swap, order and outcome, so that reading never waits for a
//! tick. Never holds anything that can be changed from outside but by an order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Decision;
use trimtab_control::{CommandError, Status};

pub use trimtab_control::command::Command;

use crate::manifest::Problem;
use crate::metrics::Metrics;
use crate::modules::{Key, Modules, Origin, Snapshot};
use crate::target::{Endpoint, Target};

/// One workload, as it was last published.
#[derive(Debug, Clone)]
pub struct View {
    /// Who it is.
    pub id: WorkloadId,
    /// Conditions, pools and stages.
    pub status: Status,
    /// In the order of `status.policies`: what serves the stage.
    pub stages: Vec<StageView>,
    /// Newest first: those that changed something, and the last one.
    pub decisions: Vec<Decision>,
    /// What each address that is read did last.
    pub sources: Vec<SourceView>,
    /// What the targets have to say: `POOL: line`, cleaned.
    pub notes: Vec<String>,
    /// What is wrong with the newest manifest of this workload, where an older one is in force.
    pub problems: Vec<Problem>,
    /// False until the first decision of this process.
    pub ticked: bool,
    /// Ticks of this process that were due and not started before the next was due.
    pub missed_ticks: u64,
}

/// What serves one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageView {
    /// The module's name, and whose it is; none: there is no such module.
    pub key: Option<Key>,
    /// Where the version in use came from; none: there is none.
    pub source: Option<Origin>,
}

/// One address, as it was last read.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceView {
    /// The source's name: the preset's, `exposition`, `dry-run`.
    pub source: &'static str,
    /// The address; of a dry run: empty.
    pub place: String,
    /// Pool and replica, where it reads a replica.
    pub replica: Option<(Arc<str>, Arc<str>)>,
    /// When it was last read well; none: never.
    pub good_at: Option<trimtab_control::time::Time>,
    /// Why the newest reading failed: code and message; none: it did not, or there was none yet.
    pub error: Option<(&'static str, String)>,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such workload.
    #[error("there is no workload {0}")]
    Unknown(WorkloadId),
    /// The workload said no.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// The daemon is about to end.
    #[error("the daemon is stopping")]
    Stopping,
}

/// An order on its way to a workload.
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<String, CommandError>>,
}

/// Where one workload can be reached and seen.
pub(crate) struct Seat {
    pub(crate) view: ArcSwap<View>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) targets: ArcSwap<Vec<Arc<dyn Target>>>,
}

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) seats: ArcSwap<BTreeMap<WorkloadId, Arc<Seat>>>,
    /// Wrong manifests that are not one workload's, such as a file that cannot be read.
    pub(crate) problems: ArcSwap<Vec<Problem>>,
    pub(crate) modules: Modules,
    pub(crate) metrics: Arc<Metrics>,
}

/// A handle to the running daemon. Clones are the same daemon.
#[derive(Clone)]
pub struct Daemon {
    pub(crate) shared: Arc<Shared>,
}

impl Daemon {
    /// Every workload, by namespace and name.
    pub fn workloads(&self) -> Vec<Arc<View>> {
        self.shared.seats.load().values().map(|seat| seat.view.load_full()).collect()
    }

    /// One workload.
    pub fn workload(&self, id: &WorkloadId) -> Option<Arc<View>> {
        self.shared.seats.load().get(id).map(|seat| seat.view.load_full())
    }

    /// Mistakes in manifests that belong to no workload in force.
    pub fn problems(&self) -> Arc<Vec<Problem>> {
        self.shared.problems.load_full()
    }

    /// Hands an order to a workload; the line for the audit, which was kept. Takes effect at once.
    pub async fn order(&self, id: &WorkloadId, command: Command) -> Result<String, OrderError> {
        let seat = self.shared.seats.load().get(id).cloned().ok_or_else(|| OrderError::Unknown(id.clone()))?;
        let (reply, answer) = oneshot::channel();
        seat.orders.send(Order { command, reply }).await.map_err(|_| OrderError::Stopping)?;
        Ok(answer.await.map_err(|_| OrderError::Stopping)??)
    }

    /// Where the serving replicas of a workload answer now, as the targets say at this moment.
    pub async fn endpoints(&self, id: &WorkloadId) -> Option<Vec<Endpoint>> {
        let targets = self.shared.seats.load().get(id)?.targets.load_full();
        let mut endpoints = Vec::new();
        for target in targets.iter() {
            endpoints.extend(target.endpoints().await.into_iter().filter(|endpoint| endpoint.serving));
        }
        Some(endpoints)
    }

    /// Every policy as it stands.
    pub fn policies(&self) -> Arc<Snapshot> {
        self.shared.modules.snapshot()
    }

    /// Drops the last good versions of a policy; false: there was nothing to forget.
    pub async fn forget(&self, name: &str, tenant: Option<&str>) -> bool {
        self.shared.modules.forget(name, tenant).await
    }

    /// Whether every workload has made its first decision; else which has not.
    pub fn ready(&self) -> Result<(), String> {
        match self.shared.seats.load().values().map(|seat| seat.view.load()).find(|view| !view.ticked) {
            Some(view) => Err(format!("{} has not made its first decision yet", view.id)),
            None => Ok(()),
        }
    }

    /// The daemon's own metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

#[cfg(test)]
impl Daemon {
    /// A daemon that shows these views and takes no order.
    pub(crate) fn showing(views: Vec<View>, problems: Vec<Problem>, modules: Modules) -> Daemon {
        let seat = |view: View| {
            let (orders, _) = mpsc::channel(1);
            let id = view.id.clone();
            (
                id,
                Arc::new(Seat {
                    view: ArcSwap::from_pointee(view),
                    orders,
                    targets: ArcSwap::from_pointee(Vec::new()),
                }),
            )
        };
        let seats = ArcSwap::from_pointee(views.into_iter().map(seat).collect());
        let problems = ArcSwap::from_pointee(problems);
        Daemon { shared: Arc::new(Shared { seats, problems, modules, metrics: Arc::default() }) }
    }
}
