//! Certificates and keys, from a file or written in place.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::place::{Issues, Place};

/// How large a file of certificates may be, in bytes: the authorities of the whole web fit in.
const LARGEST: u64 = 4 << 20;

/// Reads a file for the configuration, or says in the system's words why not.
pub(super) type ReadFile<'f> = &'f dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// Reads a file, unless it is none that ends.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    // What is a pipe must not be waited for.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let open =
        OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(|error| error.to_string())?;
    let is_file = open.metadata().map_err(|error| error.to_string())?.is_file();
    if !is_file {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    open.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST { Err(format!("it is larger than {LARGEST} bytes")) } else { Ok(bytes) }
}

/// A value that is written in place under one key, or in a file that another key names.
pub(super) struct Pem<'a> {
    /// What it is, for messages.
    pub(super) what: &'static str,
    /// The key of the value.
    pub(super) key: &'static str,
    /// The value.
    pub(super) text: Option<&'a str>,
    /// The key of the file's name.
    pub(super) file_key: &'static str,
    /// The file's name.
    pub(super) file: Option<&'a str>,
}

/// A PEM text, and where it is from.
pub(super) struct Found<'a> {
    what: &'static str,
    /// The key that is to blame for it.
    pub(super) key: &'static str,
    file: Option<PathBuf>,
    bytes: std::borrow::Cow<'a, [u8]>,
}

/// Reads what the configuration names, and notes the names.
pub(super) struct Reader<'f> {
    /// Where relative names begin.
    pub(super) directory: &'f Path,
    /// How files are read.
    pub(super) read: ReadFile<'f>,
    /// The files that were read, or were to be.
    pub(super) files: Vec<PathBuf>,
}

impl Reader<'_> {
    /// The text; `None` where none is written, or there is an issue.
    pub(super) fn find<'a>(
        &mut self,
        pem: &Pem<'a>,
        at: &Place<'_>,
        issues: &mut Issues,
    ) -> Option<Found<'a>> {
        let written = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
        match (written(pem.text), written(pem.file)) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = format!("`{}` and `{}` are both written", pem.key, pem.file_key);
                issues.add(&at.name(pem.key), message, "expected one of the two");
                None
            }
            (Some(text), None) => {
                Some(Found { what: pem.what, key: pem.key, file: None, bytes: text.as_bytes().into() })
            }
            (None, Some(file)) => {
                let path = self.directory.join(file);
                self.files.push(path.clone());
                match (self.read)(&path) {
                    Ok(bytes) => Some(Found {
                        what: pem.what,
                        key: pem.file_key,
                        file: Some(path),
                        bytes: bytes.into(),
                    }),
                    Err(error) => {
                        let message = format!("{} cannot be read from {}: {error}", pem.what, path.display());
                        let expected = format!("expected a PEM file that this user may read{}", whence(file));
                        issues.add(&at.key(pem.file_key), message, expected);
                        None
                    }
                }
            }
        }
    }
}

/// Relative names are taken for relative to another directory more often than not.
fn whence(file: &str) -> &'static str {
    if Path::new(file).is_absolute() { "" } else { "; its name is relative to the directory of this file" }
}

impl Found<'_> {
    /// Says what is wrong with it.
    pub(super) fn blame(&self, problem: &str, expected: &str, at: &Place<'_>, issues: &mut Issues) {
        let place = self.file.as_ref().map(|file| format!(" in {}", file.display())).unwrap_or_default();
        issues.add(&at.key(self.key), format!("{}{place} {problem}", self.what), expected);
    }

    /// The certificates in it, at least one.
    pub(super) fn certificates(
        &self,
        at: &Place<'_>,
        issues: &mut Issues,
    ) -> Option<Vec<CertificateDer<'static>>> {
        const EXPECTED: &str = "expected one or more blocks of `-----BEGIN CERTIFICATE-----`";
        match CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if certificates.is_empty() => {
                self.blame("is no certificate", EXPECTED, at, issues);
                None
            }
            Ok(certificates) => Some(certificates),
            Err(error) => {
                self.blame(&format!("cannot be read: {}", say(&error)), EXPECTED, at, issues);
                None
            }
        }
    }

    /// The first private key in it.
    pub(super) fn private_key(&self, at: &Place<'_>, issues: &mut Issues) -> Option<PrivateKeyDer<'static>> {
        const EXPECTED: &str = "expected a block of `-----BEGIN PRIVATE KEY-----`, `-----BEGIN EC PRIVATE KEY-----` or \
            `-----BEGIN RSA PRIVATE KEY-----`";
        let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
        match PrivateKeyDer::from_pem_slice(&self.bytes) {
            Ok(key) => Some(key),
            Err(Error::NoItemsFound) if self.bytes.windows(encrypted.len()).any(|part| part == encrypted) => {
                let expected =
                    "expected a key without a passphrase: `openssl pkey -in ENCRYPTED -out PLAIN` writes one";
                self.blame("is encrypted", expected, at, issues);
                None
            }
            Err(Error::NoItemsFound) => {
                self.blame("is no private key", EXPECTED, at, issues);
                None
            }
            Err(error) => {
                self.blame(&format!("cannot be read: {}", say(&error)), EXPECTED, at, issues);
                None
            }
        }
    }

    /// The authorities in it, at least one.
    pub(super) fn authorities(&self, at: &Place<'_>, issues: &mut Issues) -> Option<RootCertStore> {
        let mut authorities = RootCertStore::empty();
        for (certificate, number) in self.certificates(at, issues)?.into_iter().zip(1..) {
            if let Err(error) = authorities.add(certificate) {
                let problem = format!("has a certificate, number {number}, that is no authority's: {error}");
                self.blame(&problem, "expected certificates of authorities (X.509)", at, issues);
                return None;
            }
        }
        Some(authorities)
    }
}

/// What is wrong with a PEM text, without a line of it: it may be a key.
fn say(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a block has no end",
        Error::IllegalSectionStart { .. } => "the beginning of a block is malformed",
        Error::Base64Decode(_) => "a block is not base64",
        _ => "it is no PEM",
    }
}
