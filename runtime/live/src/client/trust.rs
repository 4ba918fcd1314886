//! Connections by whom they trust: one pool for the authorities of browsers, one for each file of authorities.
//!
//! For: certificates that are rotated under a running daemon. A file that changed makes a new pool; connections made
//! under the old one end with it. Never falls back from a file to the authorities of browsers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::TlsSpec;
use super::failure::Fault;
use super::file::{self, Stamp};

/// Requests have limits of their own; this one is for connecting that no request waits for any more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Less than the 5 s after which common servers close: a request never meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// One for a source, one for a target.
const IDLE_PER_HOST: usize = 2;

/// A bundle of every public authority has 200 KiB.
const MOST_BYTES: u64 = 1024 * 1024;

/// Files whose pools are kept.
const MOST_FILES: usize = 64;

/// A pool of connections.
pub(super) type Wire = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(super) struct Trust {
    browsers: Wire,
    files: Arc<Mutex<BTreeMap<PathBuf, (Stamp, Wire)>>>,
}

impl Trust {
    pub(super) fn new() -> Trust {
        Trust { browsers: pool(builder().with_webpki_roots()), files: Arc::default() }
    }

    /// The pool for an address.
    pub(super) async fn wire(&self, url: &Uri, tls: &TlsSpec) -> Result<Wire, Fault> {
        let Some(path) = tls.ca_file.clone().filter(|_| url.scheme_str() == Some("https")) else {
            return Ok(self.browsers.clone());
        };
        let files = self.files.clone();
        let found = tokio::task::spawn_blocking(move || find(&files, &path)).await;
        found.map_err(|_| Fault::Broken("the daemon is stopping".to_owned()))?.map_err(Fault::Tls)
    }
}

fn find(files: &Mutex<BTreeMap<PathBuf, (Stamp, Wire)>>, path: &Path) -> Result<Wire, String> {
    // Each change is one insert or removal; after a panic elsewhere the map is still whole.
    let lock = || files.lock().unwrap_or_else(PoisonError::into_inner);
    let now = file::stamp(path);
    if let Some((stamp, wire)) = lock().get(path)
        && Some(*stamp) == now
    {
        return Ok(wire.clone());
    }
    let (roots, stamp) = read_roots(path)
        .map_err(|why| format!("no authority to trust: {why}; `tls.caFile` must name a file of PEM certificates"))?;
    let wire = pool(builder().with_root_certificates(roots));
    let mut files = lock();
    if files.len() >= MOST_FILES && !files.contains_key(path) {
        files.pop_first();
    }
    files.insert(path.to_owned(), (stamp, wire.clone()));
    Ok(wire)
}

fn read_roots(path: &Path) -> Result<(RootCertStore, Stamp), String> {
    let (pem, stamp) = file::read(path, MOST_BYTES)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|e| e.to_string()).and_then(|der| roots.add(der).map_err(|e| e.to_string()));
        added.map_err(|e| format!("{} holds a certificate that cannot be read ({e})", path.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok((roots, stamp))
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    #[allow(clippy::expect_used)]
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}

fn pool(config: ConfigBuilder<ClientConfig, WantsClientCert>) -> Wire {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .build(https)
}
