//! [`Certificates`]: what the service proves itself with where it speaks TLS itself, as two files in PEM have it.
//!
//! A thread looks once a second whether they changed, so that a renewal needs no restart; connections that are open keep what
//! they began with. Files that are not in order, or of which one is not renewed yet, leave the last good ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore, ServerConfig};

use super::watch::Watch;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long before its end a certificate is worth a warning.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Where certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate of the service, and those between it and its authority.
    pub(crate) cert: PathBuf,
    /// The private key of the first of them.
    pub(crate) key: PathBuf,
}

/// What is proved with now.
#[derive(Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

impl TlsFiles {
    /// Reads them: what the service can prove itself with, and what is to be said of its time.
    ///
    /// # Errors
    /// When a file cannot be read, holds nothing of its kind, or the key is of another certificate.
    fn read(&self, provider: &CryptoProvider) -> Result<(CertifiedKey, Option<String>)> {
        let Self { cert, key } = self;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&contents(cert, "--tls-cert")?)
            .collect::<Result<_, _>>()
            .map_err(|error| anyhow!("{} is no PEM: {error}", cert.display()))?;
        if certificates.is_empty() {
            bail!(
                "{} holds no certificate: it needs the service's own first, then those between it and its authority, each from \
                   `-----BEGIN CERTIFICATE-----` on",
                cert.display()
            );
        }
        let private = PrivateKeyDer::from_pem_slice(&contents(key, "--tls-key")?).map_err(|error| match error {
            PemError::NoItemsFound => {
                anyhow!("{} holds no private key in PEM that is not encrypted", key.display())
            }
            error => anyhow!("{} is no PEM: {error}", key.display()),
        })?;
        let certified = CertifiedKey::from_der(certificates, private, provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                anyhow!("the key of {} is not that of the certificate in {}", key.display(), cert.display())
            }
            Error::InvalidCertificate(_) => {
                anyhow!("{}: the first certificate cannot be read: {error}", cert.display())
            }
            error => anyhow!("{}: the private key cannot be used: {error}", key.display()),
        })?;
        let concern =
            concern(&certified.cert, Timestamp::now()).map(|concern| format!("{}: {concern}", cert.display()));
        Ok((certified, concern))
    }

    /// What a check tells of them.
    ///
    /// # Errors
    /// When the service could not start with them.
    pub(crate) fn check(&self) -> Result<String> {
        let (certified, concern) = self.read(&ring::default_provider())?;
        let count = certified.cert.len();
        let are = format!("{count} certificate{} and the key are in order", if count == 1 { "" } else { "s" });
        Ok(concern.map_or(are.clone(), |concern| format!("{are}, but {concern}")))
    }
}

impl Certificates {
    /// Reads `files`; gives what accepts connections by them as they are at each time, and what keeps them current.
    ///
    /// # Errors
    /// When they are not in order, or the system gives no more threads.
    pub(super) fn open(files: TlsFiles) -> Result<(TlsAcceptor, Watch)> {
        let provider = Arc::new(ring::default_provider());
        let (certified, concern) = files.read(&provider)?;
        warn(concern);
        let current = Arc::new(Self { files, current: RwLock::new(Arc::new(certified)) });
        let resolver = Arc::clone(&current);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let paths = vec![current.files.cert.clone(), current.files.key.clone()];
        let watch = Watch::of_files("certificates", EVERY, paths, move || current.reload(&provider))?;
        Ok((TlsAcceptor::from(Arc::new(config)), watch))
    }

    fn reload(&self, provider: &CryptoProvider) -> Result<()> {
        let (certified, concern) = self.files.read(provider)?;
        if certified.cert != self.now().cert {
            tracing::info!("new connections are proved to by the new certificate");
            warn(concern);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
        Ok(())
    }

    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

fn contents(path: &Path, option: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{option}: cannot read {}", path.display()))
}

fn warn(concern: Option<String>) {
    if let Some(concern) = concern {
        tracing::warn!(concern, "clients will not trust this certificate for long, if at all");
    }
}

/// What is to be said of the time of the first certificate: nothing, where it is valid and will be for a while.
fn concern(chain: &[CertificateDer<'_>], now: Timestamp) -> Option<String> {
    let [own, between @ ..] = chain else { return None };
    // what is asked is only its time, which is looked at before who signed it: any authority will do
    let mut roots = RootCertStore::empty();
    roots.add(own.clone().into_owned()).ok()?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    let name = ServerName::try_from("localhost").ok()?;
    let at = |time: Timestamp| {
        let since = Duration::from_secs(u64::try_from(time.as_second()).unwrap_or_default());
        verifier.verify_server_cert(own, between, &name, &[], UnixTime::since_unix_epoch(since)).err()
    };
    let end = |not_after: UnixTime| {
        let end = i64::try_from(not_after.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok());
        end.map_or_else(|| "long ago".to_owned(), |end| end.to_string())
    };
    match at(now) {
        Some(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(format!("the certificate expired {}: renew it", end(not_after)))
        }
        Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => {
            Some("the certificate is not valid yet: look at the clock of this machine".to_owned())
        }
        _ => match at(now + SOON) {
            Some(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Some(format!("the certificate expires {}: renew it", end(not_after)))
            }
            _ => None,
        },
    }
}
