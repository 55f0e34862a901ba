//! The web configuration, in the format of Prometheus' exporter-toolkit: TLS, users, headers, a bound on requests.
//!
//! What that format knows and this program does not do is an error with what is offered instead, so that nobody takes
//! for granted what is not there: versions before TLS 1.2, cipher suites without forward secrecy or with CBC, and
//! groups that ring does not have. `deploy/web-config.yml` has every key.

mod pem;
mod raw;
mod tls;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::diagnose::{self, Source};
use super::place::{Issues, Place};
use super::problem::{Mark, Problems};
use super::tree::Tree;
use super::units;
use crate::web::{BadHash, PasswordHash, Protection, RateLimit};
use pem::Reader;
use raw::{RawHeaders, RawHttp, RawRateLimit, RawSecret, RawWeb};

/// The longest time between two requests that are let through.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// A checked web configuration.
#[derive(Clone, Debug, Default)]
pub struct WebConfig {
    /// Who may connect, and who may ask.
    pub protection: Protection,
    /// When the server's certificate runs out.
    pub expires: Option<SystemTime>,
    /// What is taken, and does not do what one may expect of it.
    pub remarks: Vec<String>,
}

/// What came of reading a web configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The file itself, and those that it names, as far as it could be read: what a change of may change it.
    pub files: Vec<PathBuf>,
    /// The configuration, or everything that is wrong with it.
    pub config: Result<WebConfig, Problems>,
}

/// Reads a web configuration, and the certificates and keys that it names.
#[must_use]
pub fn load(file: &Path) -> Loaded {
    read(&super::source(file.to_owned()), &pem::read_file)
}

/// Reads and checks the text of a web configuration. `file` is its name for messages and says where relative names
/// begin; `read_file` gives what the files hold that it names, or says why there is nothing.
pub fn parse(file: &Path, text: &str, read_file: &dyn Fn(&Path) -> Result<Vec<u8>, String>) -> Loaded {
    read(&Source { file: file.to_owned(), text: Ok(text.to_owned()) }, read_file)
}

fn read(source: &Source, read_file: pem::ReadFile<'_>) -> Loaded {
    let directory = source.file.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { directory, read: read_file, files: vec![source.file.clone()] };
    let check = |raw: &RawWeb, at: &Place<'_>, issues: &mut Issues| compile(raw, at, &mut reader, issues);
    let config = diagnose::parse_secret(source, check, secrets);
    Loaded { files: reader.files, config }
}

fn compile(raw: &RawWeb, at: &Place<'_>, reader: &mut Reader<'_>, issues: &mut Issues) -> WebConfig {
    let mut config = WebConfig::default();
    if let Some(raw) = &raw.tls_server_config {
        let offer = tls::offer(raw, &at.key("tls_server_config"), reader, issues);
        (config.protection.tls, config.expires) = offer.unzip();
    }
    if let Some(raw) = &raw.http_server_config {
        http(raw, &at.key("http_server_config"), &mut config, issues);
    }
    if let Some(users) = &raw.basic_auth_users {
        let at = at.key("basic_auth_users");
        let hash = |name: &String, hash: &Option<RawSecret>, issues: &mut Issues| {
            password_hash(name, hash.as_ref(), &at, issues).map(|hash| (name.as_str().into(), hash))
        };
        config.protection.users = users.iter().filter_map(|(name, text)| hash(name, text, issues)).collect();
        if users.is_empty() {
            issues.add(
                &at,
                "there are no users, so that everybody may ask",
                "expected a user, or not this key",
            );
        }
    }
    if let Some(raw) = &raw.rate_limit {
        config.protection.rate_limit = rate_limit(raw, &at.key("rate_limit"), issues);
    }
    config
}

fn http(raw: &RawHttp, at: &Place<'_>, config: &mut WebConfig, issues: &mut Issues) {
    if raw.http2 == Some(true) {
        config.remarks.push("http2: HTTP/2 is not served; every client speaks HTTP/1.1 as well".to_owned());
    }
    if let Some(raw) = &raw.headers {
        config.protection.headers = headers(raw, &at.key("headers"), issues);
    }
}

fn headers(raw: &RawHeaders, at: &Place<'_>, issues: &mut Issues) -> HeaderMap {
    /// The values that a header may have, where they are few.
    type Few = &'static [&'static str];
    let table: [(HeaderName, &str, Few, &Option<String>); 5] = [
        (header::CONTENT_SECURITY_POLICY, "Content-Security-Policy", &[], &raw.content_security_policy),
        (header::STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security", &[], &raw.strict_transport_security),
        (header::X_CONTENT_TYPE_OPTIONS, "X-Content-Type-Options", &["nosniff"], &raw.x_content_type_options),
        (header::X_FRAME_OPTIONS, "X-Frame-Options", &["deny", "sameorigin"], &raw.x_frame_options),
        (header::X_XSS_PROTECTION, "X-XSS-Protection", &[], &raw.x_xss_protection),
    ];
    let mut headers = HeaderMap::new();
    for (name, key, few, value) in table {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        let at = at.key(key);
        if !few.is_empty() && !few.contains(&value) {
            let message = format!("`{value}` is no value of {key}");
            issues.add(&at, message, format!("expected one of: {}", few.join(", ")));
        } else if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        } else {
            issues.add(&at, format!("this is no value of {key}"), "expected ASCII, on one line");
        }
    }
    headers
}

/// A user's hash. No message names the value: most often it is the password.
fn password_hash(
    name: &str,
    hash: Option<&RawSecret>,
    at: &Place<'_>,
    issues: &mut Issues,
) -> Option<PasswordHash> {
    const EXPECTED: &str = "expected what `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints, in quotes";
    if name.contains(':') || name.chars().any(char::is_control) {
        let message = format!("`{name}` cannot be a user's name");
        issues.add(
            &at.name(name),
            message,
            "expected a name without colons and control characters (RFC 7617)",
        );
        return None;
    }
    let Some(RawSecret(text)) = hash.filter(|hash| !hash.0.is_empty()) else {
        issues.add(&at.name(name), "this user has no password", EXPECTED);
        return None;
    };
    PasswordHash::parse(text)
        .map_err(|error| {
            let message = match error {
                BadHash::NoHash => {
                    "this is no bcrypt hash; if it is the password itself, choose another one now".to_owned()
                }
                BadHash::Damaged => format!("this is not usable: {error}"),
                BadHash::Cost(_) => format!("this hash is not usable: {error}"),
            };
            let expected = match error {
                BadHash::Cost(_) => format!(
                    "expected a cost between {} and {}: above, one check takes the CPU for seconds",
                    PasswordHash::LEAST_COST,
                    PasswordHash::GREATEST_COST
                ),
                BadHash::NoHash | BadHash::Damaged => EXPECTED.to_owned(),
            };
            issues.add(&at.key(name), message, expected);
        })
        .ok()
}

fn rate_limit(raw: &RawRateLimit, at: &Place<'_>, issues: &mut Issues) -> Option<RateLimit> {
    let Some(interval) = raw.interval.map(|interval| interval.0) else {
        issues.add(
            at,
            "`interval` is missing",
            "expected a duration such as `interval: 100ms`, or `0` for no limit",
        );
        return None;
    };
    if interval.is_zero() {
        return None;
    }
    if interval > LONGEST_INTERVAL {
        let message = format!("an interval of `{}` is too long", units::show(interval));
        issues.add(
            &at.key("interval"),
            message,
            format!("expected at most {}", units::show(LONGEST_INTERVAL)),
        );
        return None;
    }
    match raw.burst {
        None => {
            issues.add(
                at,
                "`burst` is missing",
                "expected how many requests may come at once, such as `burst: 20`",
            );
            None
        }
        Some(0) => {
            issues.add(&at.key("burst"), "no request would be let through", "expected 1 or more");
            None
        }
        Some(burst) => Some(RateLimit { interval, burst }),
    }
}

/// What no message shows: what is not known to be harmless, and whatever looks like a key.
fn secrets(tree: &Tree) -> Vec<Mark> {
    const HARMLESS: [&str; 3] = ["tls_server_config", "http_server_config", "rate_limit"];
    let mut secrets = Vec::new();
    for (name, value) in tree.entries() {
        let harmless = HARMLESS.contains(&name);
        let secret = |node: &usize| {
            let text = tree.text(*node).unwrap_or_default();
            !text.is_empty() && (!harmless || text.contains("PRIVATE KEY"))
        };
        secrets.extend(tree.within(value).into_iter().filter(secret).map(|node| tree.mark(node)));
    }
    secrets
}
