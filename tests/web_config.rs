//! The real binary with a web configuration: what keeps it from starting, what it takes over while it runs, and a real
//! Prometheus that scrapes it with TLS, a client's certificate and a password.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use certificates::{Authority, Valid, host, pem};
use nix::sys::signal::Signal;
use prometheus::Prometheus;
use support::daemon::{BINARY, Daemon, Exposition, run_to_end};
use support::eventually;

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n";

/// Users with these passwords, as the file names them.
fn users(users: &[(&str, &str)]) -> String {
    let hash = |password: &str| bcrypt::hash(password, 4).expect("a hash");
    let lines: String =
        users.iter().map(|(name, password)| format!("  {name}: {}\n", hash(password))).collect();
    format!("basic_auth_users:\n{lines}")
}

/// A daemon that goes by `web.yml` in this directory.
fn serve(directory: &Path) -> Daemon {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--web.listen-address", "127.0.0.1:0", "--web.config.file"]);
    command.arg(directory.join("web.yml"));
    Daemon::announced(command)
}

/// What curl gets of a path over TLS, with these arguments.
fn curl(daemon: &Daemon, authority: &Authority, path: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "60", "--cacert"])
        .arg(&authority.certificate)
        .args(arguments)
        .arg(format!("https://{}{path}", daemon.address))
        .stdin(Stdio::null())
        .output()
        .expect("this test needs curl (apt-get install curl)");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn whatever_is_wrong_ends_it_before_it_serves_and_shows_no_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new(directory.path(), "authority");
    authority.server("server");
    authority.server("other");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
    write("empty.crt", "");
    write("torn.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    write("junk.crt", &pem("CERTIFICATE", b"junk"));
    write("encrypted.key", &pem("ENCRYPTED PRIVATE KEY", b"junk"));
    for (text, place, message, advice) in [
        (
            "tls_server_config: {cert_file: no.crt, key_file: server.key}",
            ":1:32",
            "no.crt: No such file",
            "expected a PEM file that this user may read; its name is relative to the directory of this file",
        ),
        ("tls_server_config: {cert_file: ., key_file: server.key}", ":1:32", "it is no regular file", "PEM"),
        (
            "tls_server_config:\n  cert_file: server.crt\n  key_file: other.key",
            ":3:13",
            "does not belong to the certificate",
            "expected the key that the certificate was made with",
        ),
        (
            "tls_server_config: {cert_file: empty.crt, key_file: server.key}",
            ":1:32",
            "is no certificate",
            "BEGIN CERT",
        ),
        (
            "tls_server_config: {cert_file: torn.crt, key_file: server.key}",
            ":1:32",
            "cannot be read",
            "BEGIN CERT",
        ),
        (
            "tls_server_config: {cert_file: junk.crt, key_file: server.key}",
            ":1:32",
            "is no certificate",
            "X.509",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: encrypted.key}",
            ":1:54",
            "is encrypted",
            "openssl pkey",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: server.crt}",
            ":1:54",
            "no private key",
            "BEGIN",
        ),
        ("basic_auth_users: {alice: hunter2}", ":1:27", "no bcrypt hash", "htpasswd -nBC 10"),
        ("basic_auth_users:\n  alice: hunter2 hunter2", ":2:10", "choose another one now", "htpasswd"),
        ("basic_auth_users:\n  alice: $2y$10$hunter2", ":2:10", "cut off or damaged", "htpasswd"),
        ("basic_auth_users: hunter2", ":1:19", "wrong type", "expected a mapping"),
        ("basic_auth_user: {alice: hunter2}", ":1:1", "unknown key `basic_auth_user`", "did you mean"),
        ("basic_auth_users:\n  alice: hunter2: x\n", ":2:", "not YAML", ""),
        ("basic_auth_users: [", ":1:", "not YAML", ""),
    ] {
        write("web.yml", text);
        let file = directory.path().join("web.yml");
        let ended = run_to_end(&[
            "serve",
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.config.file",
            file.to_str().expect("ASCII"),
        ]);
        let said = String::from_utf8(ended.stderr).expect("text");
        assert_eq!(ended.status.code(), Some(1), "{text}: {said}");
        assert!(ended.stdout.is_empty(), "{text}: it served");
        for expected in [&format!("{}{place}", file.display()), message, advice] {
            assert!(said.contains(expected), "{text}: {expected:?} is not in\n{said}");
        }
        assert!(!said.contains("hunter2"), "{text}: the secret is in\n{said}");
        let checked = run_to_end(&["check", "--web.config.file", file.to_str().expect("ASCII")]);
        assert_eq!(checked.status.code(), Some(1), "{text}");
        assert!(String::from_utf8_lossy(&checked.stderr).contains(message), "{text}");
    }
    let missing = directory.path().join("missing.yml");
    let ended = run_to_end(&["serve", "--web.config.file", missing.to_str().expect("ASCII")]);
    let said = String::from_utf8(ended.stderr).expect("text");
    assert!(
        said.contains("missing.yml") && said.contains("No such file") && said.contains("expected"),
        "{said}"
    );
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn what_changes_in_the_files_counts_and_what_is_broken_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |text: &str| {
        // As a program that renews files does it: under another name, and then in the place of the old one.
        let new = directory.path().join("web.yml.new");
        fs::write(&new, text).expect("a file");
        fs::rename(new, directory.path().join("web.yml")).expect("the same directory");
    };
    let old = Authority::new(directory.path(), "old");
    old.server("server");
    write(&format!("{TLS}{}", users(&[("alice", "one")])));
    let daemon = serve(directory.path());
    let own = |authority: &Authority, user: &str| -> Option<Exposition> {
        curl(&daemon, authority, "/metrics?collect[]=net_cls", &["--user", user])
            .map(|text| Exposition::parse(&text))
    };
    let metric = |authority: &Authority, user: &str, name: &str| own(authority, user)?.get(name);
    const SUCCESSFUL: &str = "stockade_web_config_last_reload_successful";
    eventually("it is ready", || metric(&old, "alice:one", SUCCESSFUL).filter(|value| *value == 1.0));
    assert!(own(&old, "alice:two").is_none() && own(&old, "bob:two").is_none());

    // Another certificate, by another authority: first the one file, then the other.
    let new = Authority::new(directory.path(), "new");
    new.server("server");
    eventually("the new certificate is served", || own(&new, "alice:one"));
    assert!(own(&old, "alice:one").is_none(), "and the old one is not");

    // Other users.
    write(&format!("{TLS}{}", users(&[("alice", "two"), ("bob", "three")])));
    eventually("the new password counts", || own(&new, "alice:two"));
    assert!(own(&new, "alice:one").is_none() && own(&new, "bob:three").is_some());

    // What cannot be used leaves the old in force, and is told once.
    write(&format!("{TLS}basic_auth_users: {{alice: hunter2}}\n"));
    eventually("the broken file is seen", || {
        metric(&new, "alice:two", SUCCESSFUL).filter(|value| *value == 0.0)
    });
    write("");
    eventually("a file that turns TLS off is refused", || daemon.log().contains("restart it").then_some(()));
    assert_eq!(metric(&new, "alice:two", SUCCESSFUL), Some(0.0));
    let log = daemon.log();
    assert_eq!(log.matches("no bcrypt hash").count(), 1, "{log}");
    assert_eq!(log.matches("restart it").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");

    // SIGHUP says it again, and takes a good one over.
    daemon.signal(Signal::SIGHUP);
    eventually("SIGHUP tells it again", || (daemon.log().matches("restart it").count() == 2).then_some(()));
    write(&format!("{TLS}{}", users(&[("carol", "four")])));
    daemon.signal(Signal::SIGHUP);
    eventually("the good one is in force", || {
        metric(&new, "carol:four", SUCCESSFUL).filter(|value| *value == 1.0)
    });
    let metrics = own(&new, "carol:four").expect("an answer");
    assert!(metrics.sum("stockade_web_auth_failures_total", "reason=\"wrong\"") >= 4.0, "{metrics:?}");
    assert_eq!(metrics.get("stockade_web_certificate_expiry_timestamp_seconds"), Some(3_786_912_000.0));
}

#[test]
fn prometheus_scrapes_with_a_certificate_and_a_password_while_others_misbehave() {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new(directory.path(), "authority");
    let foreign = Authority::new(directory.path(), "foreign");
    authority.server("server");
    let client = authority.client("client", vec![host("prometheus.example")], Valid::Now);
    let stranger = foreign.client("stranger", vec![host("prometheus.example")], Valid::Now);
    let expired = authority.client("expired", vec![host("prometheus.example")], Valid::Past);
    let text = format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_auth_type: \
         RequireAndVerifyClientCert\n  client_ca_file: authority.crt\n  client_allowed_sans: [prometheus.example]\n{}",
        users(&[("prometheus", "secret")])
    );
    fs::write(directory.path().join("web.yml"), text).expect("a file");
    let daemon = serve(directory.path());
    let jobs: String = [
        ("good", &client, "secret"),
        ("wrong", &client, "wrong"),
        ("stranger", &stranger, "secret"),
        ("expired", &expired, "secret"),
    ]
    .iter()
    .map(|(job, identity, password)| {
        format!(
            "  - job_name: {job}\n    scheme: https\n    static_configs: [{{targets: [\"{}\"]}}]\n    basic_auth: \
             {{username: prometheus, password: {password}}}\n    tls_config: {{ca_file: {}, cert_file: {}, key_file: {}}}\n",
            daemon.address,
            authority.certificate.display(),
            identity.certificate.display(),
            identity.key.display()
        )
    })
    .collect();
    let prometheus = Prometheus::with_jobs(&jobs);
    let good_scrapes = || prometheus.value("sum_over_time(up{job=\"good\"}[10m])").unwrap_or_default();
    eventually("three good scrapes", || (good_scrapes() >= 3.0).then_some(()));

    // Clients that say nothing, little, or something else; they stay.
    let starts: [&[u8]; 4] =
        [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0\0\0\0", b"GET / HTTP/1.1\r\nHost: te"];
    let crowd: Vec<_> = (0..400)
        .map(|number| {
            let mut stream = TcpStream::connect(daemon.address).expect("the kernel's backlog has room");
            stream.write_all(starts[number % 4]).expect("the kernel takes it");
            stream
        })
        .collect();
    let before = good_scrapes();
    eventually("good scrapes go on", || (good_scrapes() >= before + 3.0).then_some(()));
    drop(crowd);
    for job in ["wrong", "stranger", "expired"] {
        let best = prometheus.value(&format!("max_over_time(up{{job=\"{job}\"}}[10m])"));
        assert_eq!(best, Some(0.0), "{job}");
    }
    let value = |query: &str| prometheus.value(query).unwrap_or_default();
    eventually("what went wrong is counted", || {
        let handshakes = "stockade_web_tls_handshake_failures_total{job=\"good\",reason=\"bad_certificate\"}";
        let passwords = "stockade_web_auth_failures_total{job=\"good\",reason=\"wrong\"}";
        (value(handshakes) >= 2.0 && value(passwords) >= 1.0).then_some(())
    });
    let hashes = value("stockade_web_password_hashes_total{job=\"good\"}");
    assert!((1.0..=2.0).contains(&hashes), "each of the two passwords cost one hash: {hashes}");
}

#[test]
fn the_example_is_good_as_it_is_and_with_everything_in_it() {
    let directory = tempfile::tempdir().expect("a directory");
    Authority::new(directory.path(), "clients").server("server");
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/web-config.yml"))
        .expect("it is there");
    // A key that is commented out has no space behind the number sign.
    let whole: String = example
        .lines()
        .map(|line| {
            let indent = line.len() - line.trim_start().len();
            let key =
                line[indent..].strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty());
            key.map_or_else(|| format!("{line}\n"), |key| format!("{}{key}\n", &line[..indent]))
        })
        .collect();
    // What promtool of Debian 12 does not know yet.
    let (known, _) = whole.split_once("\nrate_limit:").expect("the example has it last");
    let known: String = known
        .lines()
        .filter(|line| !line.contains("client_allowed_sans:"))
        .map(|line| format!("{line}\n"))
        .collect();
    for (name, text, promtool_knows) in
        [("as-it-is.yml", &example, true), ("known.yml", &known, true), ("whole.yml", &whole, false)]
    {
        let file = directory.path().join(name);
        fs::write(&file, text).expect("a file");
        let checked = run_to_end(&["check", "--web.config.file", file.to_str().expect("ASCII")]);
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(0), "{name}: {said}");
        assert_eq!(said.contains("HTTP/2 is not served"), name != "as-it-is.yml", "{said}");
        if promtool_knows {
            let promtool = Command::new("promtool").args(["check", "web-config"]).arg(&file).output();
            let promtool = promtool.expect("this test needs promtool (apt-get install prometheus)");
            assert!(promtool.status.success(), "{name}: {}", String::from_utf8_lossy(&promtool.stderr));
        }
    }
    let keys = ["interval:", "headers:", "client_ca_file:", "basic_auth_users:", "curve_preferences:"];
    assert!(
        keys.iter().all(|key| whole.contains(&format!("\n{key}")) || whole.contains(&format!(" {key}"))),
        "{whole}"
    );
}
