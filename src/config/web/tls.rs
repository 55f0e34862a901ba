//! `tls_server_config:`, checked.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::pem::{Pem, Reader};
use super::raw::{RawClientAuth, RawTls};
use crate::config::decode::nearest;
use crate::config::place::{Issues, Place};
use crate::web::tls::{self, ClientAuth, Clients, TlsSettings, TlsVersion};

/// What TLS is served with, and when the server's certificate runs out; `None` where there is an issue.
pub(super) fn offer(
    raw: &RawTls,
    at: &Place<'_>,
    reader: &mut Reader<'_>,
    issues: &mut Issues,
) -> Option<(Arc<ServerConfig>, SystemTime)> {
    let before = issues.len();
    let identity = identity(raw, at, reader, issues);
    let clients = clients(raw, at, reader, issues);
    let (min_version, max_version) = versions(raw, at, issues);
    let suites = tls::cipher_suites();
    let cipher_suites =
        chosen(raw.cipher_suites.as_deref(), "cipher suite", &suites, &at.key("cipher_suites"), issues);
    let groups = tls::groups();
    let groups =
        chosen(raw.curve_preferences.as_deref(), "curve", &groups, &at.key("curve_preferences"), issues);
    let (identity, expires) = identity.filter(|_| issues.len() == before)?;
    let prefer_server_order = raw.prefer_server_cipher_suites.unwrap_or(true);
    let identity = Arc::new(identity);
    let settings = TlsSettings {
        identity,
        clients,
        min_version,
        max_version,
        cipher_suites,
        groups,
        prefer_server_order,
    };
    tls::server_config(&settings)
        .map_err(|error| {
            let expected = "expected at least one cipher suite of a version that is offered";
            issues.add(at, format!("nothing could be served with this: {error}"), expected);
        })
        .ok()
        .map(|config| (config, expires))
}

/// The server's certificates and its key, and when the first of them runs out.
fn identity(
    raw: &RawTls,
    at: &Place<'_>,
    reader: &mut Reader<'_>,
    issues: &mut Issues,
) -> Option<(CertifiedKey, SystemTime)> {
    let before = issues.len();
    let certificate = Pem {
        what: "the certificate",
        key: "cert",
        text: raw.cert.as_deref(),
        file_key: "cert_file",
        file: raw.cert_file.as_deref(),
    };
    let certificate = reader.find(&certificate, at, issues);
    if certificate.is_none() && issues.len() == before {
        issues.add(at, "the server's certificate is missing", "expected `cert_file: FILE` (or `cert:`)");
    }
    let before = issues.len();
    let key = Pem {
        what: "the key",
        key: "key",
        text: raw.key.as_ref().map(|key| key.0.as_str()),
        file_key: "key_file",
        file: raw.key_file.as_deref(),
    };
    let key = reader.find(&key, at, issues);
    if key.is_none() && issues.len() == before {
        issues.add(
            at,
            "the key of the server's certificate is missing",
            "expected `key_file: FILE` (or `key:`)",
        );
    }
    let chain = certificate.as_ref().and_then(|found| found.certificates(at, issues));
    let private = key.as_ref().and_then(|found| found.private_key(at, issues));
    let (certificate, key, chain, private) = (certificate?, key?, chain?, private?);
    let Some(expires) = chain.first().and_then(expiry) else {
        certificate.blame("is no certificate", "expected an X.509 certificate", at, issues);
        return None;
    };
    match tls::identity(chain, private) {
        Ok(identity) => Some((identity, expires)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let expected = "expected the key that the certificate was made with; the server's own certificate comes \
                            first in its file";
            key.blame("does not belong to the certificate", expected, at, issues);
            None
        }
        Err(Error::InvalidCertificate(error)) => {
            certificate.blame(
                &format!("cannot be used: {error}"),
                "expected an X.509 certificate",
                at,
                issues,
            );
            None
        }
        Err(error) => {
            let expected =
                "expected an ECDSA key on P-256 or P-384, an Ed25519 key, or an RSA key of 2048 bits or more";
            key.blame(&format!("cannot be used: {error}"), expected, at, issues);
            None
        }
    }
}

/// When a certificate runs out.
fn expiry(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_system_time())
}

fn clients(raw: &RawTls, at: &Place<'_>, reader: &mut Reader<'_>, issues: &mut Issues) -> Clients {
    let auth = raw.client_auth_type.map_or(ClientAuth::None, |RawClientAuth(auth)| auth);
    let before = issues.len();
    let authorities = Pem {
        what: "the authority of the clients",
        key: "client_ca",
        text: raw.client_ca.as_deref(),
        file_key: "client_ca_file",
        file: raw.client_ca_file.as_deref(),
    };
    let found = reader.find(&authorities, at, issues);
    match &found {
        Some(found) if auth == ClientAuth::None => {
            let expected =
                "expected `client_auth_type: RequireAndVerifyClientCert` beside it, or no authority";
            issues.add(
                &at.name(found.key),
                "no client is asked for a certificate of this authority",
                expected,
            );
        }
        None if auth.verifies() && issues.len() == before => {
            let expected = "expected `client_ca_file: FILE` (or `client_ca:`) beside it";
            issues.add(
                &at.key("client_auth_type"),
                "there is no authority to verify certificates by",
                expected,
            );
        }
        _ => {}
    }
    let authorities = found.and_then(|found| found.authorities(at, issues));
    if raw.client_allowed_sans.is_some() && !auth.requires() {
        let expected =
            "expected `client_auth_type: RequireAndVerifyClientCert` (or `RequireAnyClientCert`) beside it";
        let message = "a client without a certificate has no name that could be compared";
        issues.add(&at.name("client_allowed_sans"), message, expected);
    }
    let authorities = Arc::new(authorities.unwrap_or_else(RootCertStore::empty));
    Clients { auth, authorities, allowed_sans: raw.client_allowed_sans.clone() }
}

fn versions(raw: &RawTls, at: &Place<'_>, issues: &mut Issues) -> (TlsVersion, TlsVersion) {
    let mut version = |key: &'static str, text: &Option<String>, default: TlsVersion| match text.as_deref() {
        None | Some("") => default,
        Some("TLS12") => TlsVersion::Tls12,
        Some("TLS13") => TlsVersion::Tls13,
        Some(other) => {
            let message = match other {
                "TLS10" | "TLS11" => format!("`{other}` is not offered: it is broken (RFC 8996)"),
                _ => format!("unknown version `{other}`"),
            };
            issues.add(&at.key(key), message, "expected one of: TLS12, TLS13");
            default
        }
    };
    let min_version = version("min_version", &raw.min_version, TlsVersion::Tls12);
    let max_version = version("max_version", &raw.max_version, TlsVersion::Tls13);
    if min_version > max_version {
        let issue = issues.add(&at.key("max_version"), "this is older than `min_version`", "expected TLS13");
        issue.first = Some(at.key("min_version").written());
    }
    (min_version, max_version)
}

/// What of a table a list names; all of it where it names nothing.
fn chosen<T: Clone>(
    names: Option<&[String]>,
    what: &str,
    table: &[(&'static str, T)],
    at: &Place<'_>,
    issues: &mut Issues,
) -> Vec<T> {
    let mut all = Vec::new();
    for (name, item) in names.iter().copied().flatten().zip(0..) {
        match table.iter().find(|(known, _)| known == name) {
            Some((_, value)) => all.push(value.clone()),
            None => {
                let known: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
                let mut expected = format!("expected one of: {}", known.join(", "));
                if let Some(meant) = nearest(name, &known) {
                    expected.push_str(&format!("; did you mean `{meant}`?"));
                }
                issues.add(&at.index(item), format!("the {what} `{name}` is not offered"), expected);
            }
        }
    }
    all
}
