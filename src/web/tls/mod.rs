//! TLS: what a configuration asks for, as rustls takes it. The cryptography is ring's.

mod client;
mod handshake;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ServerConfig};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, SupportedCipherSuite, SupportedProtocolVersion};

pub use client::{ClientAuth, Clients};
pub use handshake::HandshakeFailure;
pub(crate) use handshake::shake_hands;

/// The protocol that is agreed on where the client names those that it speaks (RFC 7301).
const PROTOCOL: &[u8] = b"http/1.1";

/// A version of TLS that is offered. Those before are broken (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    fn supported(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &TLS12,
            Self::Tls13 => &TLS13,
        }
    }
}

/// What is offered to clients.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The server's certificates and its key.
    pub identity: Arc<CertifiedKey>,
    /// What is asked of clients.
    pub clients: Clients,
    /// The oldest version.
    pub min_version: TlsVersion,
    /// The newest version.
    pub max_version: TlsVersion,
    /// The cipher suites of TLS 1.2, the best first; empty offers all. Those of TLS 1.3 are always offered.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// The groups of the key exchange, the best first; empty offers all.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Whether the server's order of cipher suites counts, and not the client's.
    pub prefer_server_order: bool,
}

/// A server's certificates, its own first, and the key that belongs to it.
///
/// # Errors
/// When the key is of an unknown kind, or another one's, and when the certificate cannot be read.
pub fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Error> {
    CertifiedKey::from_der(chain, key, &ring::default_provider())
}

/// The cipher suites that can be offered, by their names in IANA's registry; the best first.
#[must_use]
pub fn cipher_suites() -> [(&'static str, SupportedCipherSuite); 9] {
    use ring::cipher_suite as suite;
    [
        ("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
        ("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
        ("TLS_CHACHA20_POLY1305_SHA256", suite::TLS13_CHACHA20_POLY1305_SHA256),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ]
}

/// The groups of the key exchange that can be offered, by Go's names; the best first.
#[must_use]
pub fn groups() -> [(&'static str, &'static dyn SupportedKxGroup); 3] {
    [
        ("X25519", ring::kx_group::X25519),
        ("CurveP256", ring::kx_group::SECP256R1),
        ("CurveP384", ring::kx_group::SECP384R1),
    ]
}

/// What rustls serves connections with.
///
/// # Errors
/// When nothing that is offered fits together, such as TLS 1.2 alone without one of its cipher suites.
pub fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, Error> {
    let mut provider = ring::default_provider();
    if !settings.cipher_suites.is_empty() {
        let newest = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        provider.cipher_suites.retain(newest);
        provider.cipher_suites.extend(settings.cipher_suites.iter().filter(|suite| !newest(suite)));
    }
    if !settings.groups.is_empty() {
        provider.kx_groups.clone_from(&settings.groups);
    }
    let provider = Arc::new(provider);
    let versions: Vec<&SupportedProtocolVersion> = TlsVersion::ALL
        .into_iter()
        .filter(|version| (settings.min_version..=settings.max_version).contains(version))
        .map(TlsVersion::supported)
        .collect();
    let verifier = settings.clients.verifier(&provider)?;
    let identity = Arc::new(SingleCertAndKey::from(Arc::clone(&settings.identity)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.ignore_client_order = settings.prefer_server_order;
    if settings.clients.auth != ClientAuth::None {
        // Whoever resumes a session shows no certificate again, which may have run out since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// The provider's name is no matter of the callers': they only need its algorithms.
type Provider = Arc<CryptoProvider>;
