use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key for `localhost`.
    fn sign(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn client(&self, identity: Option<(String, String)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .unwrap()
            }
        }
    }
}

struct Files {
    directory: TempDir,
    config: TlsConfig,
}

impl Files {
    fn new(authority: &Authority) -> Self {
        let directory = TempDir::new().unwrap();
        let config = TlsConfig {
            certificate: Some(directory.path().join("certificate.pem")),
            key: Some(directory.path().join("key.pem")),
            ..TlsConfig::default()
        };
        let files = Self { directory, config };
        files.write(authority.sign());
        files
    }

    fn write(&self, (certificate, key): (String, String)) {
        fs::write(self.config.certificate.as_ref().unwrap(), certificate).unwrap();
        fs::write(self.config.key.as_ref().unwrap(), key).unwrap();
    }

    fn demand_client_certificates(&mut self, authority: &Authority) {
        let path = self.directory.path().join("ca.pem");
        fs::write(&path, authority.0.pem()).unwrap();
        self.config.client_ca = Some(path);
        self.config.require_client_certificate = true;
    }
}

/// Whether a byte got through and back.
async fn talks(identity: &TlsIdentity, client: ClientConfig) -> bool {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let acceptor = identity.acceptor();
    let server = async move {
        let Ok(mut stream) = acceptor.accept(ours).await else {
            return;
        };
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_ok() {
            let _ = stream.write_all(&byte).await;
            let _ = stream.flush().await;
        }
    };
    let client = async move {
        let name = ServerName::try_from("localhost").unwrap();
        let Ok(mut stream) = TlsConnector::from(Arc::new(client))
            .connect(name, theirs)
            .await
        else {
            return false;
        };
        let mut byte = [7];
        let sent = stream.write_all(&byte).await.is_ok() && stream.flush().await.is_ok();
        sent && stream.read_exact(&mut byte).await.is_ok() && byte == [7]
    };
    tokio::join!(server, client).1
}

#[tokio::test]
async fn a_client_that_knows_who_signed_talks_and_another_does_not() {
    let authority = Authority::new();
    let identity = TlsIdentity::open(&Files::new(&authority).config)
        .unwrap()
        .unwrap();
    assert!(talks(&identity, authority.client(None)).await);
    assert!(!talks(&identity, Authority::new().client(None)).await);
}

#[tokio::test]
async fn a_client_without_the_certificate_that_is_demanded_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut files = Files::new(&authority);
    files.demand_client_certificates(&authority);
    let identity = TlsIdentity::open(&files.config).unwrap().unwrap();
    assert!(!talks(&identity, authority.client(None)).await);
    assert!(!talks(&identity, authority.client(Some(stranger.sign()))).await);
    assert!(talks(&identity, authority.client(Some(authority.sign()))).await);
}

#[tokio::test]
async fn new_files_are_used_after_a_reload_and_wrong_ones_never() {
    let (authority, next) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let identity = TlsIdentity::open(&files.config).unwrap().unwrap();
    files.write(next.sign());
    assert!(
        talks(&identity, authority.client(None)).await,
        "not before it is told"
    );
    identity.reload().unwrap();
    assert!(talks(&identity, next.client(None)).await);
    assert!(!talks(&identity, authority.client(None)).await);
    files.write(("nothing".to_owned(), "nothing".to_owned()));
    assert!(identity.reload().is_err());
    let (certificate, _) = next.sign();
    files.write((certificate, next.sign().1));
    assert!(matches!(identity.reload(), Err(TlsError::Mismatch(_))));
    assert!(
        talks(&identity, next.client(None)).await,
        "the old ones stay"
    );
}

#[tokio::test]
async fn old_versions_of_tls_are_refused() {
    // What a client of TLS 1.1 sends first: version 3.2 in record and hello.
    let authority = Authority::new();
    let identity = TlsIdentity::open(&Files::new(&authority).config)
        .unwrap()
        .unwrap();
    let mut hello = vec![22, 3, 2, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([0; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let acceptor = identity.acceptor();
    let (accepted, sent) = tokio::join!(acceptor.accept(ours), theirs.write_all(&hello));
    sent.unwrap();
    assert!(accepted.is_err());
}

#[test]
fn files_that_are_missing_or_hold_nothing_are_refused_by_name() {
    let files = Files::new(&Authority::new());
    let mut config = files.config.clone();
    config.key = Some(files.directory.path().join("gone"));
    let error = TlsIdentity::open(&config).unwrap_err().to_string();
    assert!(
        error.starts_with("key ") && error.contains("gone"),
        "{error}"
    );
    config.key = files.config.key.clone();
    config.certificate = files.config.key.clone();
    let error = TlsIdentity::open(&config).unwrap_err().to_string();
    assert!(error.contains("holds no certificate"), "{error}");
    assert!(TlsIdentity::open(&TlsConfig::default()).unwrap().is_none());
}
