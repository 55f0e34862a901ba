//! The web configuration as it is written. Every key is optional here, and a key without a value counts as not
//! written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::config::raw::{RawDuration, named};
use crate::web::tls::ClientAuth;

/// The whole document.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping with keys such as `tls_server_config` and `basic_auth_users`"
)]
pub(super) struct RawWeb {
    pub(super) tls_server_config: Option<RawTls>,
    pub(super) http_server_config: Option<RawHttp>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Option<RawSecret>>>,
    pub(super) rate_limit: Option<RawRateLimit>,
}

/// `tls_server_config:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping such as `{cert_file: server.crt, key_file: server.key}`"
)]
pub(super) struct RawTls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<RawSecret>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_auth_type: Option<RawClientAuth>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    pub(super) curve_preferences: Option<Vec<String>>,
}

/// `http_server_config:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{headers: {X-Frame-Options: deny}}`")]
pub(super) struct RawHttp {
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<RawHeaders>,
}

/// `http_server_config.headers:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{X-Frame-Options: deny}`")]
pub(super) struct RawHeaders {
    #[serde(rename = "Content-Security-Policy")]
    pub(super) content_security_policy: Option<String>,
    #[serde(rename = "Strict-Transport-Security")]
    pub(super) strict_transport_security: Option<String>,
    #[serde(rename = "X-Content-Type-Options")]
    pub(super) x_content_type_options: Option<String>,
    #[serde(rename = "X-Frame-Options")]
    pub(super) x_frame_options: Option<String>,
    #[serde(rename = "X-XSS-Protection")]
    pub(super) x_xss_protection: Option<String>,
}

/// `rate_limit:`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as `{interval: 100ms, burst: 20}`")]
pub(super) struct RawRateLimit {
    pub(super) interval: Option<RawInterval>,
    pub(super) burst: Option<u32>,
}

named! {
    /// What is asked of clients.
    RawClientAuth: ClientAuth {
        "NoClientCert" = ClientAuth::None,
        "RequestClientCert" = ClientAuth::Request,
        "RequireAnyClientCert" = ClientAuth::RequireAny,
        // exporter-toolkit's older name of the same.
        "RequireClientCert" = ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" = ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" = ClientAuth::RequireAndVerify,
    }
}

/// A value that no message may show.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RawSecret(pub(super) String);

/// A length of time that may be zero, with or without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawInterval(pub(super) Duration);

impl fmt::Debug for RawSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RawSecret(…)")
    }
}

impl<'de> Deserialize<'de> for RawSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntervalVisitor;
        impl Visitor<'_> for IntervalVisitor {
            type Value = RawInterval;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a duration such as `100ms` or `1s`, or `0` for no limit")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<RawInterval, E> {
                match number {
                    0 => Ok(RawInterval(Duration::ZERO)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RawInterval, E> {
                RawDuration::deserialize(serde::de::value::StrDeserializer::new(text))
                    .map(|RawDuration(read)| RawInterval(read))
            }
        }
        deserializer.deserialize_any(IntervalVisitor)
    }
}
