//! The answer to GET, from bytes to a report.
//!
//! For: refusing what is not the shape of the documentation, so that a wrong answer is never taken for a changed fleet.
//! Fields that are not known are skipped; numbers, ids and states are never guessed.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use serde::Deserialize;
use trimtab_control::sample::{PoolReport, Replica, ReplicaState};
use trimtab_control::time::Time;
use trimtab_sandbox::clean;

use crate::client::parse_url;
use crate::target::{Endpoint, TargetReport};

/// Most replicas of one pool.
const MOST_REPLICAS: usize = 10_000;

/// Longest id of a replica, bytes.
const LONGEST_ID: usize = 253;

/// Most notes of one answer.
const MOST_NOTES: usize = 16;

/// Longest note or message, bytes.
const MOST_TEXT: usize = 512;

#[derive(Debug, Deserialize)]
struct Answer {
    desired: u32,
    #[serde(default)]
    standby: Standby,
    replicas: Vec<Member>,
}

/// What an answer says of the standby tier.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(from = "Option<u32>")]
enum Standby {
    /// Nothing: there is one, and what was last accepted stands.
    #[default]
    Unsaid,
    /// `null`: there is none.
    Absent,
    /// What the server was last asked for.
    Asked(u32),
}

impl From<Option<u32>> for Standby {
    fn from(written: Option<u32>) -> Self {
        written.map_or(Standby::Absent, Standby::Asked)
    }
}

#[derive(Debug, Deserialize)]
struct Member {
    id: String,
    state: ReplicaState,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
}

/// In which state each replica was last seen, and since when: for servers that do not say.
pub(super) type Seen = BTreeMap<Arc<str>, (ReplicaState, Time)>;

/// Reads an answer that arrived at `now`. `accepted` is the standby count that the server last accepted.
pub(super) fn read(
    body: &[u8],
    pool: &Arc<str>,
    now: Time,
    accepted: u32,
    seen: &mut Seen,
) -> Result<TargetReport, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|e| clean(&e.to_string(), MOST_TEXT))?;
    if answer.replicas.len() > MOST_REPLICAS {
        return Err(format!("it names {} replicas, and a pool may have {MOST_REPLICAS}", answer.replicas.len()));
    }
    let mut now_seen = Seen::new();
    let mut replicas = Vec::with_capacity(answer.replicas.len());
    let (mut endpoints, mut notes) = (Vec::new(), Vec::new());
    for (index, member) in answer.replicas.into_iter().enumerate() {
        let id = checked_id(&member.id).map_err(|why| format!("replicas[{index}].id {why}"))?;
        let first = seen.get(&id).filter(|(state, _)| *state == member.state).map_or(now, |(_, since)| *since);
        if now_seen.insert(id.clone(), (member.state, first)).is_some() {
            return Err(format!("replicas[{index}].id is \"{id}\" a second time"));
        }
        let since = match member.since {
            Some(text) => instant(&text).map_err(|why| format!("replicas[{index}].since {why}"))?.min(now),
            None => first,
        };
        match member.endpoint.filter(|_| matches!(member.state, ReplicaState::Ready | ReplicaState::Draining)) {
            None => {}
            Some(text) => match parse_url(&text) {
                Ok(url) => {
                    let serving = member.state == ReplicaState::Ready;
                    endpoints.push(Endpoint { pool: pool.clone(), replica: id.clone(), url: base(&url), serving });
                }
                Err(why) if notes.len() < MOST_NOTES => {
                    let note = format!("replica {id}: its endpoint \"{text}\" is not used: {why}");
                    notes.push(clean(&note, MOST_TEXT));
                }
                Err(_) => {}
            },
        }
        replicas.push(Replica { id, state: member.state, since, restarting: false });
    }
    *seen = now_seen;
    replicas.sort_by(|a, b| a.id.cmp(&b.id));
    let report = PoolReport {
        pool: pool.clone(),
        at: now,
        desired: answer.desired,
        standby: match answer.standby {
            Standby::Unsaid => accepted,
            Standby::Absent => 0,
            Standby::Asked(replicas) => replicas,
        },
        can_standby: !matches!(answer.standby, Standby::Absent),
        rolling_out: false,
        replicas,
    };
    Ok(TargetReport { report, endpoints, notes })
}

fn checked_id(id: &str) -> Result<Arc<str>, String> {
    if id.is_empty() || id.len() > LONGEST_ID {
        return Err(format!("has {} bytes; 1 to {LONGEST_ID} are allowed", id.len()));
    }
    if clean(id, LONGEST_ID) != id {
        return Err(format!("is \"{}\"; control characters are not allowed", clean(id, LONGEST_ID)));
    }
    Ok(id.into())
}

fn instant(text: &str) -> Result<Time, String> {
    let at: jiff::Timestamp =
        text.parse().map_err(|_| format!("is \"{}\", not an instant such as 2026-03-01T12:00:00Z", clean(text, 64)))?;
    // Before 1970 is as long ago as it gets.
    Ok(Time(u64::try_from(at.as_millisecond()).unwrap_or(0)))
}

/// The address without its path: sources have paths of their own.
fn base(url: &Uri) -> String {
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    format!("{}://{authority}", url.scheme_str().unwrap_or("http"))
}
