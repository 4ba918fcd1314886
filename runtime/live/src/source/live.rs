//! Sources over the wire: the page of each replica, one page of anything, and the fixed numbers of a dry run.
//!
//! For: fetching a page and saying when it was taken, which is when the head of the answer arrived. What is on a page is
//! `page`'s to read. Never keeps anything between two readings but connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use trimtab_control::sample::{Origin, Reading, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_sandbox::clean;

use super::page::{self, PageError};
use super::{EngineSpec, ExpositionSpec, ReadError, Scheme, Source, SourceSpec};
use crate::client::{AuthSpec, Client, ClientError, Request, Response, TlsSpec, parse_url, place_of};
use crate::clock::Clock;
use crate::target::{BoxFuture, Endpoint};

/// The largest page; those of large engines have 1 MiB.
const MOST_BYTES: usize = 16 << 20;

/// Whoever calls is less patient; this bounds a call that nobody bounds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The plain format first: some servers write the other one, which is larger, as soon as it is named at all.
const ACCEPT: &str = "text/plain;version=0.0.4, */*;q=0.1";

/// Longest message of a failed reading, bytes.
const MOST_TEXT: usize = 1024;

/// The source that a manifest describes.
pub fn connect(spec: &SourceSpec, client: &Client, clock: &Clock) -> Arc<dyn Source> {
    let fetcher = Fetcher { client: client.clone(), clock: clock.clone() };
    match spec {
        SourceSpec::Engine(spec) => Arc::new(EngineSource { spec: spec.clone(), fetcher }),
        SourceSpec::Exposition(spec) => Arc::new(ExpositionSource { spec: spec.clone(), fetcher }),
    }
}

/// The fixed signals of a dry-run pool. They speak for the whole workload, and are always fresh.
pub fn fixed(signals: &BTreeMap<String, f64>, clock: &Clock) -> Arc<dyn Source> {
    let signals = signals.iter().map(|(name, value)| (Arc::from(name.as_str()), *value)).collect();
    Arc::new(DryRunSignals { signals, clock: clock.clone() })
}

/// Gets a page.
struct Fetcher {
    client: Client,
    clock: Clock,
}

impl Fetcher {
    async fn get(&self, url: &Uri, auth: Option<&AuthSpec>, tls: &TlsSpec) -> Result<(Response, Time), ReadError> {
        let request = Request {
            accept: ACCEPT,
            auth,
            tls,
            timeout: TIMEOUT,
            max_bytes: MOST_BYTES,
            ..Request::new(Method::GET, url)
        };
        let response = self.client.send(request).await?;
        let age = response.at.elapsed().as_millis() as u64;
        let at = self.clock.now() - Span(age);
        Ok((response, at))
    }
}

impl From<ClientError> for ReadError {
    fn from(error: ClientError) -> ReadError {
        let code = error.code();
        ReadError { code, message: clean(&error.fault.to_string(), MOST_TEXT), place: error.place }
    }
}

fn unreadable(place: String, error: &PageError) -> ReadError {
    ReadError { code: error.code(), place, message: clean(&error.to_string(), MOST_TEXT) }
}

struct EngineSource {
    spec: EngineSpec,
    fetcher: Fetcher,
}

impl EngineSource {
    /// The replica's own address, but for what the manifest says otherwise.
    fn url(&self, replica: &Endpoint) -> Result<Uri, String> {
        let base = parse_url(&replica.url)?;
        let scheme = match self.spec.scheme {
            Some(Scheme::Http) => "http",
            Some(Scheme::Https) => "https",
            None => base.scheme_str().unwrap_or("http"),
        };
        let host = base.host().unwrap_or_default();
        let authority = match self.spec.port.or(base.port_u16()) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let built = Uri::builder().scheme(scheme).authority(authority).path_and_query(self.spec.path.as_str()).build();
        built.map_err(|e| format!("no URL ({e})"))
    }
}

impl Source for EngineSource {
    fn name(&self) -> &'static str {
        self.spec.preset.name
    }

    fn per_replica(&self) -> bool {
        true
    }

    fn place(&self, replica: Option<&Endpoint>) -> String {
        let Some(replica) = replica else { return String::new() };
        self.url(replica).map_or_else(|_| clean(&replica.url, MOST_TEXT), |url| place_of(&url))
    }

    fn read<'a>(&'a self, replica: Option<&'a Endpoint>) -> BoxFuture<'a, Result<Vec<Sample>, ReadError>> {
        Box::pin(async move {
            // Whoever asks this source for no replica gets nothing, which is true.
            let Some(replica) = replica else { return Ok(Vec::new()) };
            let url = self.url(replica).map_err(|why| ReadError {
                code: "other",
                place: self.place(Some(replica)),
                message: clean(&format!("the target reports an address that is {why}"), MOST_TEXT),
            })?;
            let (response, at) = self.fetcher.get(&url, self.spec.auth.as_ref(), &self.spec.tls).await?;
            let content_type = response.content_type.as_deref();
            page::engine_samples(&response.body, content_type, &self.spec, &replica.pool, &replica.replica, at)
                .map_err(|error| unreadable(place_of(&url), &error))
        })
    }
}

struct ExpositionSource {
    spec: ExpositionSpec,
    fetcher: Fetcher,
}

impl Source for ExpositionSource {
    fn name(&self) -> &'static str {
        "exposition"
    }

    fn per_replica(&self) -> bool {
        false
    }

    fn place(&self, _: Option<&Endpoint>) -> String {
        place_of(&self.spec.url)
    }

    fn read<'a>(&'a self, _: Option<&'a Endpoint>) -> BoxFuture<'a, Result<Vec<Sample>, ReadError>> {
        Box::pin(async move {
            let (response, at) = self.fetcher.get(&self.spec.url, self.spec.auth.as_ref(), &self.spec.tls).await?;
            page::page_samples(&response.body, response.content_type.as_deref(), &self.spec, at)
                .map_err(|error| unreadable(place_of(&self.spec.url), &error))
        })
    }
}

struct DryRunSignals {
    signals: Vec<(Arc<str>, f64)>,
    clock: Clock,
}

impl Source for DryRunSignals {
    fn name(&self) -> &'static str {
        "dry-run"
    }

    fn per_replica(&self) -> bool {
        false
    }

    fn place(&self, _: Option<&Endpoint>) -> String {
        String::new()
    }

    fn read<'a>(&'a self, _: Option<&'a Endpoint>) -> BoxFuture<'a, Result<Vec<Sample>, ReadError>> {
        let at = self.clock.now();
        let sample = |(signal, value): &(Arc<str>, f64)| Sample {
            origin: Origin::Query,
            signal: signal.clone(),
            labels: Vec::new(),
            at,
            reading: Reading::Gauge(*value),
        };
        let samples = self.signals.iter().map(sample).collect();
        Box::pin(std::future::ready(Ok(samples)))
    }
}
