//! The web configuration: what is taken, what is refused and where, and that no message shows a secret.

use std::path::Path;

use stockade::config::web::{Loaded, WebConfig, parse};

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

fn read(text: &str) -> Loaded {
    parse(Path::new("/etc/web.yml"), text, &|_| Err("No such file".to_owned()))
}

#[track_caller]
fn good(text: &str) -> WebConfig {
    read(text).config.unwrap_or_else(|problems| panic!("{text}: {problems}"))
}

/// Each problem of a text: its place, and what is said.
fn problems(text: &str) -> Vec<String> {
    let Err(problems) = read(text).config else { panic!("no error in {text:?}") };
    let place = |at: Option<usize>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let list = problems.list().iter();
    list.map(|one| {
        format!("{}:{} {}; {}", place(one.line()), place(one.column()), one.message(), one.expected())
    })
    .collect()
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let found = problems(text);
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{text}: {found:?} does not begin with {expected:?}");
    }
}

#[test]
fn nothing_said_lets_everybody_in() {
    for text in
        ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\nrate_limit:\nhttp_server_config:\n"]
    {
        let config = good(text);
        assert!(config.protection.tls.is_none() && config.protection.users.is_empty(), "{text}");
        assert!(config.protection.rate_limit.is_none() && config.protection.headers.is_empty(), "{text}");
    }
}

#[test]
fn users_headers_and_rates_are_taken() {
    let config = good(&format!(
        "basic_auth_users: {{alice: '{HASH}', 7: {HASH}}}\nrate_limit: {{interval: 1m30s, burst: 5}}\n\
         http_server_config: {{http2: false, headers: {{X-Frame-Options: deny, Content-Security-Policy: ''}}}}\n"
    ));
    assert_eq!(format!("{:?}", config.protection.users), "{\"7\", \"alice\"}");
    let limit = config.protection.rate_limit.unwrap();
    assert_eq!((limit.interval.as_secs(), limit.burst), (90, 5));
    assert_eq!(config.protection.headers.len(), 1, "a blank one is none");
    assert!(config.remarks.is_empty());
    assert_eq!(good("http_server_config: {http2: true}").remarks.len(), 1);
    for text in ["rate_limit: {interval: 0}", "rate_limit: {interval: 0s, burst: 7}"] {
        assert_eq!(good(text).protection.rate_limit, None, "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_where_it_stands() {
    for (text, expected) in [
        ("tls: {}", &["1:1 unknown key `tls`; expected one of: tls_server_config, http_server_config"][..]),
        ("[]", &["1:1 wrong type: found a list; expected a mapping"]),
        (
            "rate_limit: {burst: 5}",
            &["1:13 `interval` is missing; expected a duration such as `interval: 100ms`"],
        ),
        ("rate_limit: {interval: 1s}", &["1:13 `burst` is missing"]),
        ("rate_limit: {interval: 1s, burst: 0}", &["1:35 no request would be let through"]),
        (
            "rate_limit: {interval: 2h, burst: 1}",
            &["1:24 an interval of `2h` is too long; expected at most 1h"],
        ),
        ("rate_limit: {interval: 5, burst: -1}", &["1:24 bad value: found the number `5`", "1:34 "]),
        ("basic_auth_users: {}", &["1:19 there are no users, so that everybody may ask"]),
        ("basic_auth_users: {alice: }", &["1:20 this user has no password; expected what `htpasswd"]),
        ("basic_auth_users: {'a:b': x}", &["1:20 `a:b` cannot be a user's name"]),
        (
            "http_server_config: {headers: {X-Frame-Options: never}}",
            &["1:49 `never` is no value of X-Frame-Options"],
        ),
        ("http_server_config: {headers: {Server: x}}", &["1:32 unknown key `Server`"]),
        (
            "tls_server_config: {}",
            &[
                "1:20 the server's certificate is missing; expected `cert_file",
                "1:20 the key of the server's certificate",
            ],
        ),
        (
            "tls_server_config: {cert: a, cert_file: b, key_file: c}",
            &[
                "1:21 `cert` and `cert_file` are both written; expected one of the two",
                "1:54 the key cannot be read from /etc/c: No such file; expected a PEM file that this user may read; its \
                 name is relative",
            ],
        ),
    ] {
        refused(text, expected);
    }
    // Beside what every one of these lacks.
    let rest = "cert_file: /x, key_file: /x";
    for (text, expected) in [
        (
            "min_version: TLS11",
            "`TLS11` is not offered: it is broken (RFC 8996); expected one of: TLS12, TLS13",
        ),
        ("max_version: SSL3", "unknown version `SSL3`"),
        (
            "min_version: TLS13, max_version: TLS12",
            "this is older than `min_version`; expected TLS13; it first stands on line 1",
        ),
        (
            "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "the cipher suite `TLS_RSA_WITH_AES_128_CBC_SHA` is not offered",
        ),
        (
            "curve_preferences: [CurveP521]",
            "the curve `CurveP521` is not offered; expected one of: X25519, CurveP256, CurveP384",
        ),
        ("client_auth_type: RequireAll", "unknown name `RequireAll`; expected one of: NoClientCert"),
        ("client_auth_type: RequireAndVerifyClientCert", "there is no authority to verify certificates by"),
        ("client_allowed_sans: [a]", "a client without a certificate has no name that could be compared"),
        ("client_ca: x", "no client is asked for a certificate of this authority"),
        (
            "client_ca: x, client_auth_type: VerifyClientCertIfGiven",
            "the authority of the clients is no certificate",
        ),
    ] {
        let text = format!("tls_server_config: {{{rest}, {text}}}");
        let found = problems(&text);
        assert!(
            found.iter().any(|found| found.contains(expected)),
            "{text}: {expected:?} is not in {found:#?}"
        );
        assert!(found.iter().all(|found| !found.contains("is missing")), "{text}: {found:#?}");
    }
}

#[test]
fn no_message_shows_a_secret() {
    let key = "-----BEGIN PRIVATE KEY-----";
    for text in [
        "basic_auth_users:\n  alice: SECRET\n  bob: [SECRET]\n  carol: {x: SECRET}\n".to_owned(),
        "basic_auth_users: {alice: SECRET, bob: 'SECRET'}\nrate_limit: {\n".to_owned(),
        "basic_auth_users: SECRET".to_owned(),
        "basic_auth_users: [SECRET]".to_owned(),
        "basic_auth_user: {alice: SECRET}".to_owned(),
        "basic_auth_users:\n  alice: \"SECRET\n  bob: x\n".to_owned(),
        "basic_auth_users:\n  alice: SECRET: SECRET\n".to_owned(),
        "basic_auth_users:\n  alice: &x SECRET\n  alice: *x\n".to_owned(),
        "basic_auth_users:\n\talice: SECRET\n".to_owned(),
        "basic_auth_users:\n  alice: !x SECRET\n".to_owned(),
        format!("tls_server_config: {{cert_file: x, key: \"{key}SECRET\"}}"),
        format!("tls_server_config: {{cert_file: x, kye: \"{key}SECRET\"}}"),
        format!("tls_server_config: {{cert: \"{key}SECRET\", key_file: x}}"),
        format!("tls_server_config: {{min_version: \"{key}SECRET\"}}"),
    ] {
        let Err(problems) = read(&text).config else { panic!("no error in {text:?}") };
        for shown in [problems.to_string(), problems.to_json().to_string()] {
            assert!(!shown.contains("SECRET"), "{text}\n{shown}");
        }
    }
}

#[test]
fn a_problem_is_shown_as_in_every_other_file() {
    let text = format!(
        "basic_auth_users:\n  alice: {HASH}\n  bob: hunter2\nrate_limit: {{interval: soon, burst: 5}}\n"
    );
    let Err(problems) = read(&text).config else { panic!("no error in {text:?}") };
    let expected = "\
error: this is no bcrypt hash; if it is the password itself, choose another one now
  --> /etc/web.yml:3:8
   |
 3 |   bob: …
   |        ^ expected what `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints, in quotes

error: bad value: found `soon`
  --> /etc/web.yml:4:24
   |
 4 | rate_limit: {interval: soon, burst: 5}
   |                        ^^^^ ";
    let shown = problems.to_string();
    assert!(shown.starts_with(expected), "{shown}");
}
