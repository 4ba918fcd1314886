//! The token and the certificate, from files that may be replaced while the daemon runs.
//!
//! For: rotation without a restart. A file that was broken or taken away changes nothing: what was read last serves on,
//! with a line in the log. Never shows a secret.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::AdminError;

/// Bytes of a token. Shorter ones are guessed, longer ones do not fit the request's head.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=4096;
/// Bytes of a file.
const MOST_BYTES: u64 = 1024 * 1024;

/// Something made of files, made again when one of them changes.
struct Kept<T> {
    files: Vec<PathBuf>,
    make: fn(&[PathBuf]) -> Result<T, AdminError>,
    last: Mutex<(Vec<Stamp>, T)>,
}

/// What tells that a file was replaced, without reading it. None: it cannot be looked at.
type Stamp = Option<(SystemTime, u64)>;

impl<T: Clone> Kept<T> {
    fn open(files: Vec<PathBuf>, make: fn(&[PathBuf]) -> Result<T, AdminError>) -> Result<Kept<T>, AdminError> {
        // The stamps are older than what is read, never newer: a change in between is seen the next time.
        let stamps = stamps(&files);
        let last = Mutex::new((stamps, make(&files)?));
        Ok(Kept { files, make, last })
    }

    fn current(&self) -> T {
        let stamps = stamps(&self.files);
        // A panic cannot leave it half made; go on with what is there.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != stamps {
            match (self.make)(&self.files) {
                Ok(made) => last.1 = made,
                Err(error) => tracing::warn!(%error, "the admin port goes on with what it read before"),
            }
            last.0 = stamps;
        }
        last.1.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| std::fs::metadata(file).and_then(|m| Ok((m.modified()?, m.len()))).ok()).collect()
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|open| open.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read ({error}); name a readable file"))?;
    Ok(bytes)
}

/// The bearer token. Only its hash is kept.
pub(super) struct Token(Kept<[u8; 32]>);

impl Token {
    pub(super) fn open(file: PathBuf) -> Result<Token, AdminError> {
        Kept::open(vec![file], |files| {
            let wrong = |why: String| AdminError::Token { file: files[0].clone(), why };
            let bytes = read(&files[0]).map_err(wrong)?;
            let token = bytes.trim_ascii();
            if !TOKEN_BYTES.contains(&token.len()) || !token.iter().all(u8::is_ascii_graphic) {
                let (least, most) = (TOKEN_BYTES.start(), TOKEN_BYTES.end());
                return Err(wrong(format!(
                    "a token is {least} to {most} visible ASCII characters on one line; write one with `openssl rand -hex 32`"
                )));
            }
            Ok(Sha256::digest(token).into())
        })
        .map(Token)
    }

    /// Whether this is the token. Hashes are compared, so that the time it takes tells nothing about the token.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.current() == shown
    }
}

/// The certificate chain and its key, as a server shows them.
pub(super) struct Certificate(Kept<Arc<ServerConfig>>);

impl Certificate {
    pub(super) fn open(chain: PathBuf, key: PathBuf) -> Result<Certificate, AdminError> {
        Kept::open(vec![chain, key], |files| server_config(&files[0], &files[1])).map(Certificate)
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.0.current()
    }
}

fn server_config(chain_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, AdminError> {
    let wrong = |file: &Path, why: String| AdminError::Certificate { file: file.to_path_buf(), why };
    let pem = read(chain_file).map_err(|why| wrong(chain_file, why))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(chain_file, format!("is not PEM ({error})")))?;
    if chain.is_empty() {
        return Err(wrong(chain_file, "holds no certificate; it begins with -----BEGIN CERTIFICATE-----".into()));
    }
    let pem = read(key_file).map_err(|why| wrong(key_file, why))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| wrong(key_file, format!("holds no private key in PEM ({error})")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(chain_file, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(key_file, format!("does not fit the certificate ({error})")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
