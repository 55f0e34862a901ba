//! Authorities and certificates, made when a test runs.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    date_time_ymd,
};

/// When a certificate counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// Now.
    Now,
    /// Until some years ago.
    Past,
    /// From some years on.
    Future,
}

/// A certificate and its key, in files of their own.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Who signs certificates. Its own lies in a file, too.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: PathBuf,
    /// Its certificate.
    pub certificate: PathBuf,
}

impl Authority {
    /// A new one, which keeps everything in this directory.
    pub fn new(directory: &Path, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = directory.join(format!("{name}.crt"));
        fs::write(&file, pem("CERTIFICATE", certificate.der())).expect("a file");
        Self { issuer: Issuer::new(params, key), directory: directory.to_owned(), certificate: file }
    }

    /// A server's certificate for the loopback.
    pub fn server(&self, name: &str) -> Identity {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let params = CertificateParams::new(names).expect("names");
        self.sign(name, params, ExtendedKeyUsagePurpose::ServerAuth, Valid::Now)
    }

    /// A client's certificate, with these names.
    pub fn client(&self, name: &str, names: Vec<SanType>, valid: Valid) -> Identity {
        let mut params = CertificateParams::new([]).expect("no names");
        params.subject_alt_names = names;
        self.sign(name, params, ExtendedKeyUsagePurpose::ClientAuth, valid)
    }

    fn sign(
        &self,
        name: &str,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
        valid: Valid,
    ) -> Identity {
        let (from, to) = match valid {
            Valid::Now => (2020, 2090),
            Valid::Past => (2020, 2021),
            Valid::Future => (2089, 2090),
        };
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        params.extended_key_usages = vec![purpose];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |ending: &str| self.directory.join(format!("{name}.{ending}"));
        let identity = Identity { certificate: file("crt"), key: file("key") };
        fs::write(&identity.certificate, pem("CERTIFICATE", certificate.der())).expect("a file");
        fs::write(&identity.key, pem("PRIVATE KEY", &key.serialize_der())).expect("a file");
        identity
    }
}

/// A name of a host.
pub fn host(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}

/// A block of PEM (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
