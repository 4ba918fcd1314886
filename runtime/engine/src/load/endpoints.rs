//! The gateway's part: which replicas there are, and which takes the next request.
//!
//! For: following the daemon's endpoints (or a fixed list), and holding requests while there is none. A failed refresh
//! keeps the last list. Never sends a request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{LoadError, LoadOptions};

/// Longest read of the endpoints.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);
/// Least time between two reads, also when refused connections ask for one at once.
const REFRESH_FLOOR: Duration = Duration::from_millis(250);
/// Largest endpoints document.
const MAX_DOCUMENT: usize = 1 << 20;

/// Where the replicas are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoints {
    /// A URL that answers Prometheus HTTP service-discovery JSON, such as the daemon's `/v1/endpoints/NS/NAME`.
    Discovery(String),
    /// These, as `host:port`.
    Fixed(Vec<String>),
}

/// How a replica is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// The one with the fewest requests of ours; ties in turn.
    #[default]
    LeastOutstanding,
    /// Each in turn.
    RoundRobin,
}

/// What the gateway counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct GatewayCounters {
    pub(super) endpoints: usize,
    pub(super) peak_endpoints: usize,
    /// Requests waiting for an endpoint now.
    pub(super) queued: usize,
    /// Requests that ever waited.
    pub(super) queued_total: u64,
    pub(super) refresh_failures: u64,
}

#[derive(Debug)]
struct Replica {
    address: String,
    outstanding: usize,
    /// Refused a connection since the last refresh: only taken when there is no other.
    refused: bool,
}

#[derive(Debug, Default)]
struct Table {
    replicas: Vec<Replica>,
    turn: usize,
    counters: GatewayCounters,
}

/// The endpoints and the requests on them.
#[derive(Debug)]
pub(super) struct Gateway {
    table: Mutex<Table>,
    balance: Balance,
    refresh: Duration,
    discovery: Option<http::Uri>,
    token: Option<String>,
    /// Grows with each new list; requests in the queue wait for it.
    generation: watch::Sender<u64>,
    refused: Notify,
}

/// A place on a replica, given back when dropped.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    gateway: &'a Gateway,
    pub(super) address: String,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(replica) = self.gateway.lock().replicas.iter_mut().find(|r| r.address == self.address) {
            replica.outstanding = replica.outstanding.saturating_sub(1);
        }
    }
}

/// In the queue; counted until dropped.
struct Queued<'a>(&'a Gateway);

impl<'a> Queued<'a> {
    fn enter(gateway: &'a Gateway) -> Queued<'a> {
        let counters = &mut gateway.lock().counters;
        counters.queued += 1;
        counters.queued_total += 1;
        Queued(gateway)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.lock().counters.queued -= 1;
    }
}

#[derive(Deserialize)]
struct TargetGroup {
    targets: Vec<String>,
}

impl Gateway {
    pub(super) fn new(options: &LoadOptions) -> Result<Gateway, LoadError> {
        let discovery = match &options.endpoints {
            Endpoints::Discovery(url) => {
                let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
                Some(uri.ok_or_else(|| LoadError::Url(url.clone()))?)
            }
            Endpoints::Fixed(_) => None,
        };
        let gateway = Gateway {
            table: Mutex::default(),
            balance: options.balance,
            refresh: options.refresh,
            discovery,
            token: options.token.clone(),
            generation: watch::Sender::new(0),
            refused: Notify::new(),
        };
        if let Endpoints::Fixed(addresses) = &options.endpoints {
            gateway.replace(addresses.clone());
        }
        Ok(gateway)
    }

    /// Keeps the list fresh, for ever.
    pub(super) async fn follow(&self) {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        loop {
            match &self.discovery {
                // A fixed list is never wrong for longer than a refresh: those that refused get another chance.
                None => self.forgive(),
                Some(uri) => match self.read(&client, uri).await {
                    Ok(addresses) => self.replace(addresses),
                    Err(error) => {
                        tracing::debug!(error, "cannot refresh the endpoints");
                        self.lock().counters.refresh_failures += 1;
                    }
                },
            }
            tokio::time::sleep(REFRESH_FLOOR).await;
            tokio::select! {
                () = tokio::time::sleep(self.refresh.saturating_sub(REFRESH_FLOOR)) => {}
                () = self.refused.notified() => {}
            }
        }
    }

    async fn read(&self, client: &Client<HttpConnector, Empty<Bytes>>, uri: &http::Uri) -> Result<Vec<String>, String> {
        let mut request = Request::get(uri.clone());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new()).map_err(|e| e.to_string())?;
        let answer = async {
            let answer = client.request(request).await.map_err(|e| e.to_string())?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_DOCUMENT).collect().await.map_err(|e| e.to_string())?;
            if !status.is_success() {
                return Err(format!("answered {status}"));
            }
            let groups: Vec<TargetGroup> = serde_json::from_slice(&body.to_bytes()).map_err(|e| e.to_string())?;
            Ok(groups.into_iter().flat_map(|group| group.targets).collect())
        };
        tokio::time::timeout(REFRESH_TIMEOUT, answer).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    /// Takes a new list; replicas that stay keep their count of requests.
    fn replace(&self, mut addresses: Vec<String>) {
        addresses.sort();
        addresses.dedup();
        let mut table = self.lock();
        let old = std::mem::take(&mut table.replicas);
        table.replicas = addresses
            .into_iter()
            .map(|address| {
                let outstanding = old.iter().find(|r| r.address == address).map_or(0, |r| r.outstanding);
                Replica { address, outstanding, refused: false }
            })
            .collect();
        table.counters.endpoints = table.replicas.len();
        table.counters.peak_endpoints = table.counters.peak_endpoints.max(table.replicas.len());
        drop(table);
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn forgive(&self) {
        self.lock().replicas.iter_mut().for_each(|replica| replica.refused = false);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// A place on the best replica, waiting in the queue until `deadline` if there is none. `None`: none came.
    pub(super) async fn lease(&self, deadline: Instant) -> Option<Lease<'_>> {
        // Subscribed before looking, so that a list that comes in between is seen.
        let mut generation = self.generation.subscribe();
        if let Some(lease) = self.pick() {
            return Some(lease);
        }
        let _queued = Queued::enter(self);
        loop {
            tokio::time::timeout_at(deadline, generation.changed()).await.ok()?.ok()?;
            if let Some(lease) = self.pick() {
                return Some(lease);
            }
        }
    }

    fn pick(&self) -> Option<Lease<'_>> {
        let mut table = self.lock();
        let turn = table.turn;
        table.turn = turn.wrapping_add(1);
        let count = table.replicas.len();
        let in_turn = |index: usize| (index + count - turn % count.max(1)) % count.max(1);
        let replica = table.replicas.iter_mut().enumerate().filter(|(_, replica)| !replica.refused).min_by_key(
            |(index, replica)| match self.balance {
                Balance::LeastOutstanding => (replica.outstanding, in_turn(*index)),
                Balance::RoundRobin => (0, in_turn(*index)),
            },
        );
        let (_, replica) = replica?;
        replica.outstanding += 1;
        let address = replica.address.clone();
        drop(table);
        Some(Lease { gateway: self, address })
    }

    /// This replica refused a connection: leave it alone until the next list, and ask for that soon.
    pub(super) fn refused(&self, address: &str) {
        if let Some(replica) = self.lock().replicas.iter_mut().find(|r| r.address == address) {
            replica.refused = true;
        }
        self.refused.notify_one();
    }

    pub(super) fn counters(&self) -> GatewayCounters {
        self.lock().counters
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Counts under the lock are valid after every statement.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
