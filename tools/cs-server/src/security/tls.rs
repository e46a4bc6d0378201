//! TLS: certificates from files, read again when the server is told to (SIGHUP).
//!
//! Whoever is connected stays; whoever comes then sees the new certificate. Files that make no sense
//! leave the old ones in use. TLS 1.2 and 1.3; no renegotiation, no early data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;

/// The most certificates in one file; a chain has two to four.
const MAX_CERTIFICATES: usize = 1024;

/// Why TLS cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    #[error("{what} {path}: {reason}")]
    File {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The files do not go together.
    #[error("certificate and key: {0}")]
    Mismatch(String),
}

/// Who the server is to its clients, and which of them it believes.
pub struct TlsIdentity {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
}

/// Keys are not for logs.
impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// Reads the files; none where no certificate is configured.
    ///
    /// # Errors
    /// A file cannot be read, or they do not go together.
    pub fn open(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        match read(config)? {
            None => Ok(None),
            Some(current) => Ok(Some(Self {
                config: config.clone(),
                current: ArcSwap::from(current),
            })),
        }
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// As [`open`](Self::open); the old ones stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        if let Some(current) = read(&self.config)? {
            self.current.store(current);
        }
        Ok(())
    }

    /// What takes the next connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn read(config: &TlsConfig) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
        return Ok(None);
    };
    let chain = certificates("certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
        what: "key",
        path: key.clone(),
        reason: error.to_string(),
    })?;
    let mismatch = |error: rustls::Error| TlsError::Mismatch(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(mismatch)?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let is_required = config.require_client_certificate;
            builder.with_client_cert_verifier(verifier(path, is_required, provider)?)
        }
    };
    let server = builder.with_single_cert(chain, key).map_err(mismatch)?;
    Ok(Some(Arc::new(server)))
}

fn verifier(
    path: &Path,
    is_required: bool,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let fault = |reason: String| TlsError::File {
        what: "client_ca",
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client_ca", path)? {
        roots
            .add(certificate)
            .map_err(|error| fault(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match is_required {
        true => builder,
        false => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| fault(error.to_string()))
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |reason: String| TlsError::File {
        what,
        path: path.to_owned(),
        reason,
    };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    let found: Result<Vec<_>, _> = read.take(MAX_CERTIFICATES).collect();
    match found {
        Ok(found) if found.is_empty() => Err(fault("holds no certificate".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(fault(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
