//! Anything that answers one URL: GET says what there is, PUT asks for totals.
//!
//! For: fleets that Trimtab knows nothing about. Never tries again by itself (whoever applies an action does), never has
//! more than one GET in flight, and never takes a wrong answer for an empty fleet.
//!
//! Standby: a server of this interface is taken to have such a tier, because PUT carries `standby` and replicas may be
//! in that state. One that has none answers `"standby": null` beside `desired`; one that repeats what it was last asked
//! answers the number there; otherwise the number that it last accepted stands.

mod answer;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use trimtab_control::config::WorkloadId;
use trimtab_control::decision::Action;
use trimtab_control::time::Span;
use trimtab_sandbox::clean;

use super::{BoxFuture, Endpoint, Target, TargetError, TargetReport, WebhookSpec};
use crate::client::{Client, ClientError, Fault, Request, parse_url};
use crate::clock::Clock;
use crate::store::{Record, Store};

/// The largest answer to GET.
const MOST_OF_A_REPORT: usize = 4 << 20;

/// As much is read of what a server says after it accepted a PUT.
const MOST_OF_A_RECEIPT: usize = 64 << 10;

/// How old the addresses given to clients may be before they are asked for again.
const FRESH: Duration = Duration::from_secs(1);

/// How long clients are kept waiting for newer addresses; after that they get those that are known.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a PUT waits for the disk. A number that was not kept still grows: it follows the time of day.
const DISK_PATIENCE: Duration = Duration::from_secs(2);

/// Answers in a row that a PUT overtakes, until a report is given up.
const QUESTIONS: usize = 4;

/// Longest reason that is sent, bytes.
const MOST_REASON: usize = 1024;

/// The pool behind a URL.
pub(super) fn connect(
    id: &WorkloadId,
    pool: &str,
    spec: &WebhookSpec,
    client: &Client,
    store: &Store,
    clock: &Clock,
) -> Arc<dyn Target> {
    Arc::new(Webhook {
        inner: Arc::new(Inner {
            url: parse_url(&spec.url),
            spec: spec.clone(),
            pool: pool.into(),
            key: format!("{id}/{pool}"),
            client: client.clone(),
            store: store.clone(),
            clock: clock.clone(),
            asking: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }),
    })
}

struct Webhook {
    inner: Arc<Inner>,
}

struct Inner {
    url: Result<Uri, String>,
    spec: WebhookSpec,
    pool: Arc<str>,
    key: String,
    client: Client,
    store: Store,
    clock: Clock,
    /// Held while a PUT is under way.
    asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

type Outcome = Result<Arc<TargetReport>, TargetError>;

#[derive(Default)]
struct State {
    flight: Option<Flight>,
    /// The newest good answer.
    latest: Option<Arc<TargetReport>>,
    /// When a GET last ended, well or not.
    tried: Option<Instant>,
    /// When a PUT last ended: an answer from before it may not know of it.
    put: Option<Instant>,
    seen: answer::Seen,
}

/// The GET that is under way. It goes on when those who wait for it give up.
#[derive(Clone)]
struct Flight {
    started: Instant,
    task: AbortHandle,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

/// What a server was last asked; kept before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    generation: u64,
    replicas: u32,
    standby: u32,
    decision: String,
    /// The standby count that it last answered with a 2xx.
    accepted_standby: u32,
}

/// The body of a PUT.
#[derive(Serialize)]
struct Ask<'a> {
    replicas: u32,
    standby: u32,
    generation: u64,
    decision: &'a str,
    reason: String,
}

impl Target for Webhook {
    fn report(&self) -> BoxFuture<'_, Result<TargetReport, TargetError>> {
        Box::pin(async move {
            for _ in 0..QUESTIONS {
                let flight = self.inner.flight();
                let outcome = flight.outcome.await;
                // Under way since before a PUT ended, be it one that came meanwhile: it may not know of it.
                let put = self.inner.lock().put;
                if put.is_none_or(|put| flight.started >= put) {
                    return outcome.map(|report| (*report).clone());
                }
            }
            let why = "its answers take longer than the time between two PUTs, and may not know of the later one";
            Err(TargetError::Failed(format!("{}: no report: {why}", self.inner.key)))
        })
    }

    fn apply<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(self.inner.put(action))
    }

    fn endpoints(&self) -> BoxFuture<'_, Vec<Endpoint>> {
        Box::pin(async move {
            let fresh = self.inner.lock().tried.is_some_and(|tried| tried.elapsed() < FRESH);
            if !fresh {
                // What comes of it is in `latest`.
                let _ = tokio::time::timeout(PATIENCE, self.inner.flight().outcome).await;
            }
            self.inner.lock().latest.as_ref().map_or_else(Vec::new, |latest| latest.endpoints.clone())
        })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is of whole fields; after a panic elsewhere they are still what they say.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The GET under way, or a new one.
    fn flight(self: &Arc<Self>) -> Flight {
        let mut state = self.lock();
        if let Some(flight) = state.flight.as_ref().filter(|flight| !flight.task.is_finished()) {
            return flight.clone();
        }
        let inner = self.clone();
        let task = tokio::spawn(async move {
            let outcome = inner.get().await;
            let mut state = inner.lock();
            (state.flight, state.tried) = (None, Some(Instant::now()));
            if let Ok(report) = &outcome {
                state.latest = Some(report.clone());
            }
            outcome
        });
        let flight = Flight {
            started: Instant::now(),
            task: task.abort_handle(),
            outcome: async move {
                let failed = |_| Err(TargetError::Failed("the question failed inside the daemon; see its log".into()));
                task.await.unwrap_or_else(failed)
            }
            .boxed()
            .shared(),
        };
        state.flight = Some(flight.clone());
        flight
    }

    fn request(&self, method: Method) -> Result<Request<'_>, TargetError> {
        let url = self.url.as_ref().map_err(|why| TargetError::Failed(format!("webhook.url is {why}")))?;
        let timeout = Duration::from_millis(self.spec.timeout.0);
        Ok(Request {
            accept: "application/json",
            auth: self.spec.auth.as_ref(),
            tls: &self.spec.tls,
            timeout,
            ..Request::new(method, url)
        })
    }

    async fn get(&self) -> Outcome {
        let request = Request { max_bytes: MOST_OF_A_REPORT, ..self.request(Method::GET)? };
        let place = crate::client::place_of(request.url);
        let response = self.client.send(request).await.map_err(|error| explained("GET", &error))?;
        let at = self.clock.now() - Span(response.at.elapsed().as_millis() as u64);
        let accepted = self.asked().map_or(0, |asked| asked.accepted_standby);
        let read = answer::read(&response.body, &self.pool, at, accepted, &mut self.lock().seen);
        read.map(Arc::new).map_err(|why| {
            TargetError::Failed(format!(
                "GET {place}: the answer cannot be used ({why}); it must be \
                 {{\"desired\":N,\"replicas\":[{{\"id\":…,\"state\":\"ready|starting|draining|standby|failed\"}}]}}"
            ))
        })
    }

    async fn put(&self, action: &Action) -> Result<(), TargetError> {
        let _alone = self.asking.lock().await;
        let mut asked = self.next(action);
        self.store.put(Record::Webhook, &self.key, &asked);
        match tokio::time::timeout(DISK_PATIENCE, self.store.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(pool = self.key, %error, "asking a webhook without having kept what"),
            Err(_) => tracing::warn!(pool = self.key, "asking a webhook without having kept what: the disk is slow"),
        }
        let body = Ask {
            replicas: asked.replicas,
            standby: asked.standby,
            generation: asked.generation,
            decision: &asked.decision,
            reason: clean(&action.reason, MOST_REASON),
        };
        let body = serde_json::to_vec(&body).map_err(|e| TargetError::Failed(format!("PUT: no body ({e})")))?;
        let request = Request { json: Some(body.into()), max_bytes: MOST_OF_A_RECEIPT, ..self.request(Method::PUT)? };
        let outcome = self.client.send(request).await;
        self.lock().put = Some(Instant::now());
        match outcome {
            // It was accepted; the rest of a long receipt says nothing more.
            Ok(_) | Err(ClientError { fault: Fault::TooLarge(_), .. }) => {
                asked.accepted_standby = asked.standby;
                self.store.put(Record::Webhook, &self.key, &asked);
                Ok(())
            }
            Err(error) => Err(explained("PUT", &error)),
        }
    }

    fn asked(&self) -> Option<Asked> {
        self.store.record(Record::Webhook, &self.key).unwrap_or_else(|error| {
            tracing::warn!(%error, "the number of the next question to a webhook starts at the time of day");
            None
        })
    }

    /// What is asked next. The same question once more keeps its number; any other has a greater one, even where the
    /// last was not kept: never less than the milliseconds since 1970.
    fn next(&self, action: &Action) -> Asked {
        let before = self.asked();
        let same = before.as_ref().filter(|before| {
            (&before.decision, before.replicas, before.standby) == (&action.decision, action.serving, action.standby)
        });
        if let Some(same) = same {
            return same.clone();
        }
        let last = before.as_ref().map_or(0, |before| before.generation);
        Asked {
            generation: self.clock.now().0.max(last.saturating_add(1)),
            replicas: action.serving,
            standby: action.standby,
            decision: action.decision.clone(),
            accepted_standby: before.map_or(0, |before| before.accepted_standby),
        }
    }
}

/// A failed exchange: whether asking again may help.
fn explained(method: &str, error: &ClientError) -> TargetError {
    let text = format!("{method} {error}");
    match &error.fault {
        // Time-out, too early, too many: the 4xx that pass.
        Fault::Status { status, .. } if status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429) => {
            TargetError::Refused(text)
        }
        _ => TargetError::Failed(text),
    }
}
