//! The web configuration, and the certificates and keys that it names or holds.

#[path = "../../support/certificates.rs"]
mod certificates;

use std::path::Path;
use std::sync::LazyLock;

use rcgen::{CertificateParams, KeyPair};
use stockade::config::web::parse;

/// A certificate and its key (PEM).
static IDENTITY: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::default().self_signed(&key).expect("a certificate");
    let pem = |label: &str, der: &[u8]| certificates::pem(label, der).into_bytes();
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
});

/// Checks that any text is a configuration or a bounded list of problems that lie inside it, and reads no file but by
/// the function that it is given.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = Path::new("/nowhere/web.yml");
    let read = |path: &Path| match path.extension().and_then(|ending| ending.to_str()) {
        Some("crt") => Ok(IDENTITY.0.clone()),
        Some("key") => Ok(IDENTITY.1.clone()),
        // Whatever is in the text may be in a file as well.
        Some("any") => Ok(data.to_vec()),
        _ => Err("No such file".to_owned()),
    };
    let loaded = parse(file, &text, &read);
    assert!(loaded.files.len() <= 4 && loaded.files[0] == file, "{:?}", loaded.files);
    match loaded.config {
        Ok(config) => {
            let limit = config.protection.rate_limit;
            assert!(limit.is_none_or(|limit| !limit.interval.is_zero() && limit.burst > 0), "{limit:?}");
            assert!(config.protection.headers.len() <= 5);
            assert_eq!(config.protection.tls.is_some(), config.expires.is_some());
        }
        Err(problems) => {
            assert!((1..=100).contains(&problems.list().len()), "{} problems", problems.list().len());
            for problem in problems.list() {
                assert!(problem.line().is_some() == problem.column().is_some(), "{problem:?}");
                assert!(!problem.message().is_empty() && !problem.expected().is_empty(), "{problem:?}");
            }
            assert!(problems.to_string().len() < 1 << 20, "too long to read");
        }
    }
}
