//! A certificate authority that one test trusts, and nobody else.

use std::{env, fs, future::Future, process::Command, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::LONG;

/// The variable that gives a child its authority's key.
const KEY: &str = "AURORA_TEST_AUTHORITY";

/// What the trusted authority calls itself.
const TRUSTED: &str = "aurora's tests";

/// Signs the certificates of servers.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// An authority that nobody trusts.
    pub(crate) fn stranger() -> Self {
        Self {
            issuer: Issuer::new(params("a stranger"), KeyPair::generate().expect("a key")),
        }
    }

    /// The authority of a test. With its key this makes the same one again.
    fn of_test(key: KeyPair) -> Self {
        Self {
            issuer: Issuer::new(params(TRUSTED), key),
        }
    }

    /// Its own certificate, for those who are to trust it.
    fn pem(&self) -> String {
        let certificate = params(TRUSTED).self_signed(self.issuer.key());
        certificate.expect("a certificate").pem()
    }

    /// The TLS of a server that speaks `protocol`, with a certificate for 127.0.0.1 that `change` may spoil.
    pub(crate) fn certify(
        &self,
        protocol: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key that fits its certificate");
        config.alpn_protocols = vec![protocol.into()];
        Arc::new(config)
    }
}

/// What an authority's certificate says.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Runs the body of the test of this name in a process that trusts nobody but the authority the body is given.
pub(crate) fn trusting<F: Future<Output = ()>>(test: &str, body: impl FnOnce(Authority) -> F) {
    if let Ok(key) = env::var(KEY) {
        let authority = Authority::of_test(KeyPair::from_pem(&key).expect("a key"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(async {
            let in_time = tokio::time::timeout(LONG, Box::pin(body(authority))).await;
            in_time.expect("the test ends in time");
        });
    }
    let authority = Authority::of_test(KeyPair::generate().expect("a key"));
    let name = format!("aurora-{}-{}.pem", std::process::id(), test.replace("::", "-"));
    let path = env::temp_dir().join(name);
    fs::write(&path, authority.pem()).expect("a file");
    let child = Command::new(env::current_exe().expect("a path"))
        .args(["--exact", test, "--nocapture"])
        .env_clear()
        .env(KEY, authority.issuer.key().serialize_pem())
        .env("SSL_CERT_FILE", &path)
        .output()
        .expect("the test can be run again");
    fs::remove_file(&path).expect("the file is there");
    let out = String::from_utf8_lossy(&child.stdout);
    let err = String::from_utf8_lossy(&child.stderr);
    // A name that is not the test's own runs nothing, successfully.
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
