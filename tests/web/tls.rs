//! TLS, with curl as the client where the client matters.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rcgen::SanType;
use stockade::config;
use stockade::web::tls::HandshakeFailure;
use stockade::web::{AccessEvent, Guard, Protection, Settings};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use super::certificates::{Authority, Identity, Valid, host};
use super::harness::{PATIENCE, Server, snapshot, usual_cgroups};

const SHORT: Duration = Duration::from_millis(50);

/// A server with TLS, its authority, and where everything lies.
struct Secure {
    server: Server,
    guard: Arc<Guard>,
    authority: Authority,
    directory: TempDir,
}

impl Secure {
    /// One whose `tls_server_config` says this besides.
    fn start(more: &str) -> Self {
        Self::with(more, |_| {})
    }

    fn with(more: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new(directory.path(), "authority");
        authority.server("server");
        let guard = Arc::new(Guard::new(protection(directory.path(), more)).expect("random bytes"));
        let given = Arc::clone(&guard);
        let server = Server::with(|settings| {
            settings.guard = Some(given);
            change(settings);
        });
        Self { server, guard, authority, directory }
    }

    /// What curl gets, with these arguments: the status, or its own exit code.
    fn curl(&self, arguments: &[&str]) -> Result<u16, i32> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "60", "--output", "/dev/null"])
            .args(["--write-out", "%{http_code}", "--cacert"])
            .arg(&self.authority.certificate)
            .args(arguments)
            .arg(format!("https://{}/metrics", self.server.address))
            .stdin(Stdio::null())
            .output()
            .expect("this test needs curl (apt-get install curl)");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).parse().expect("a status"))
        } else {
            Err(output.status.code().expect("an exit code"))
        }
    }

    /// The same, as the client with this certificate.
    fn curl_as(&self, identity: &Identity, arguments: &[&str]) -> Result<u16, i32> {
        let [certificate, key] =
            [&identity.certificate, &identity.key].map(|file| file.to_str().expect("ASCII"));
        self.curl(&[&["--cert", certificate, "--key", key], arguments].concat())
    }

    /// Why handshakes failed since the last call; waits until there are so many.
    fn failures(&self, expected: usize) -> Vec<HandshakeFailure> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let mut events = self.server.source.events.lock().expect("no test panics with it");
            if events.len() >= expected || std::time::Instant::now() > deadline {
                let failure = |event| match event {
                    AccessEvent::HandshakeFailed(failure) => Some(failure),
                    _ => None,
                };
                return std::mem::take(&mut *events).into_iter().filter_map(failure).collect();
            }
            drop(events);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A connection over TLS that is kept.
    fn client(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.connect(self.client_config())
    }

    /// What a client goes by that trusts the server; it remembers sessions.
    fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.authority.certificate).expect("PEM"))
            .expect("an authority");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    fn connect(&self, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
        let connection = ClientConnection::new(config, name).expect("a client");
        let stream = TcpStream::connect(self.server.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        StreamOwned::new(connection, stream)
    }
}

/// What the server of a directory goes by.
fn protection(directory: &Path, more: &str) -> Protection {
    let file = directory.join("web.yml");
    let text = format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}");
    std::fs::write(&file, text).expect("a file");
    config::web::load(&file).config.unwrap_or_else(|problems| panic!("{problems}")).protection
}

/// One request on a kept connection; the status.
fn ask(client: &mut (impl io::Read + io::Write)) -> String {
    client.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: test\r\n\r\n").expect("the server takes it");
    let mut read = Vec::new();
    while !read.ends_with(b"Stockade is healthy.\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("an answer");
        read.push(byte[0]);
    }
    String::from_utf8_lossy(&read[9..12]).into_owned()
}

#[test]
fn clients_are_asked_for_what_the_type_says() {
    use HandshakeFailure::{BadCertificate, NoCertificate};
    const CA: &str = "  client_ca_file: authority.crt\n";
    for (auth, ca, expected) in [
        // Without a certificate, a good one, a foreign one, one that has run out, one that is not yet valid.
        ("NoClientCert", "", [None; 5]),
        ("RequestClientCert", "", [None; 5]),
        ("RequireAnyClientCert", "", [Some(NoCertificate), None, None, None, None]),
        ("RequireClientCert", "", [Some(NoCertificate), None, None, None, None]),
        (
            "VerifyClientCertIfGiven",
            CA,
            [None, None, Some(BadCertificate), Some(BadCertificate), Some(BadCertificate)],
        ),
        (
            "RequireAndVerifyClientCert",
            CA,
            [Some(NoCertificate), None, Some(BadCertificate), Some(BadCertificate), Some(BadCertificate)],
        ),
    ] {
        let secure = Secure::start(&format!("  client_auth_type: {auth}\n{ca}"));
        let foreign = Authority::new(secure.directory.path(), "foreign");
        let clients = [
            None,
            Some(secure.authority.client("good", vec![], Valid::Now)),
            Some(foreign.client("stranger", vec![], Valid::Now)),
            Some(secure.authority.client("expired", vec![], Valid::Past)),
            Some(secure.authority.client("early", vec![], Valid::Future)),
        ];
        for (number, (client, failure)) in clients.iter().zip(expected).enumerate() {
            for version in ["--tlsv1.3", "--tls-max=1.2"] {
                let version: Vec<&str> = version.split('=').collect();
                let got = match client {
                    None => secure.curl(&version),
                    Some(identity) => secure.curl_as(identity, &version),
                };
                let what = format!("{auth}, client {number}, {version:?}: {got:?}");
                match failure {
                    None => assert_eq!(got, Ok(200), "{what}"),
                    Some(failure) => {
                        assert!(got.is_err(), "{what}");
                        assert_eq!(secure.failures(1), [failure], "{what}");
                    }
                }
            }
        }
        assert_eq!(secure.failures(0), []);
    }
}

#[test]
fn a_client_needs_one_of_the_allowed_names() {
    let secure = Secure::start(
        "  client_ca_file: authority.crt\n  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: \
         [prometheus.example, 192.0.2.7, '2001:db8::7', 'spiffe://example/prometheus', ops@example.com]\n",
    );
    let address = |text: &str| SanType::IpAddress(text.parse().expect("an address"));
    let text = |text: &str| text.try_into().expect("ASCII");
    for (number, (names, allowed)) in [
        (vec![host("prometheus.example")], true),
        (vec![host("other.example"), host("prometheus.example")], true),
        (vec![address("192.0.2.7")], true),
        (vec![address("2001:db8::7")], true),
        (vec![SanType::URI(text("spiffe://example/prometheus"))], true),
        (vec![SanType::Rfc822Name(text("ops@example.com"))], true),
        (vec![], false),
        (vec![host("www.prometheus.example")], false),
        (vec![host("prometheus.example.org")], false),
        (vec![address("192.0.2.8")], false),
        (vec![SanType::URI(text("spiffe://example/prometheus/"))], false),
    ]
    .into_iter()
    .enumerate()
    {
        let client = secure.authority.client(&format!("client{number}"), names, Valid::Now);
        let got = secure.curl_as(&client, &[]);
        assert_eq!(got.is_ok(), allowed, "client {number}: {got:?}");
        let failures = if allowed { vec![] } else { vec![HandshakeFailure::BadCertificate] };
        assert_eq!(secure.failures(failures.len()), failures, "client {number}");
    }
}

#[test]
fn old_versions_and_what_is_not_offered_are_refused() {
    // OpenSSL itself speaks the broken versions only when it is told to.
    const ANY: [&str; 2] = ["--ciphers", "DEFAULT:@SECLEVEL=0"];
    let secure = Secure::start("");
    for version in ["1.0", "1.1"] {
        let got = secure.curl(&[&["--tls-max", version, "--tlsv1.0"], &ANY[..]].concat());
        assert!(got.is_err(), "TLS {version}: {got:?}");
        assert_eq!(secure.failures(1), [HandshakeFailure::Incompatible], "TLS {version}");
    }
    let secure =
        Secure::start("  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n");
    assert!(secure.curl(&["--tlsv1.3"]).is_err());
    assert_eq!(secure.failures(1), [HandshakeFailure::Incompatible]);
    assert!(secure.curl(&["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"]).is_err());
    assert_eq!(secure.failures(1), [HandshakeFailure::Incompatible]);
    assert_eq!(secure.curl(&["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]), Ok(200));
    let secure = Secure::start("  min_version: TLS13\n  curve_preferences: [CurveP384]\n");
    assert!(secure.curl(&["--tls-max", "1.2"]).is_err());
    assert_eq!(secure.failures(1), [HandshakeFailure::Incompatible]);
    assert!(secure.curl(&["--curves", "X25519"]).is_err());
    assert_eq!(secure.failures(1), [HandshakeFailure::Incompatible]);
    assert_eq!(secure.curl(&["--curves", "P-384"]), Ok(200));
}

#[test]
fn a_client_that_does_not_trust_the_server_leaves_and_is_counted() {
    let secure = Secure::start("");
    let foreign = Authority::new(secure.directory.path(), "foreign");
    // The last --cacert counts.
    let got = secure.curl(&["--cacert", foreign.certificate.to_str().expect("ASCII")]);
    assert_eq!(got, Err(60), "curl says that it cannot verify the peer");
    assert_eq!(secure.failures(1), [HandshakeFailure::RefusedByClient]);
}

#[test]
fn plain_http_on_a_port_with_tls_is_told_what_to_do() {
    let secure = Secure::start("");
    for request in ["GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n", "POST / HTTP/1.0\r\n\r\n"] {
        let mut stream = TcpStream::connect(secure.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("ask https://"), "{answer}");
        assert_eq!(secure.failures(1), [HandshakeFailure::PlainHttp]);
    }
    let mut stream = TcpStream::connect(secure.server.address).unwrap();
    stream.write_all(&[0; 64]).unwrap();
    assert_eq!(secure.failures(1), [HandshakeFailure::NotTls]);
    drop(TcpStream::connect(secure.server.address).unwrap());
    assert_eq!(secure.failures(1), [HandshakeFailure::Disconnected]);
    assert!(secure.server.source.seen.lock().unwrap().is_empty(), "none of it was a request");
}

#[test]
fn tls_on_a_port_without_it_is_no_request() {
    let mut secure = Secure::start("");
    // The same files, and a server that does not speak TLS.
    secure.server = Server::start();
    assert_eq!(secure.curl(&[]), Err(35), "curl cannot connect with TLS");
    assert_eq!(secure.server.get("/metrics").status, 200);
    let seen = secure.server.source.seen.lock().unwrap();
    assert_eq!(seen.len(), 1, "nothing but the request that was one: {seen:?}");
}

#[test]
fn slow_handshakes_are_cut_off_and_hold_up_nobody() {
    let secure = Secure::with("", |settings| settings.handshake_timeout = Duration::from_secs(1));
    // Nothing, the beginning of a record, a record that announces more than comes.
    let starts: [&[u8]; 3] = [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"];
    for start in starts {
        let mut stream = TcpStream::connect(secure.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(start).unwrap();
        assert_eq!(secure.curl(&[]), Ok(200), "others are served meanwhile");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(secure.failures(1), [HandshakeFailure::Timeout], "{start:?}");
    }
}

#[test]
fn a_scrape_goes_through_a_thousand_connections_at_once() {
    const MANY: usize = 1000;
    // This process has both ends of each connection.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(16_384), most).unwrap();
    let secure = Secure::with("", |settings| settings.handshake_timeout = Duration::from_secs(2));
    let mut kept = secure.client();
    assert_eq!(ask(&mut kept), "200");
    let starts: [&[u8]; 2] = [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"];
    let crowd: Vec<_> = (0..MANY)
        .map(|number| {
            let mut stream =
                TcpStream::connect(secure.server.address).expect("the kernel's backlog has room");
            stream.write_all(starts[number % 2]).expect("the kernel takes it");
            stream
        })
        .collect();
    assert_eq!(ask(&mut kept), "200", "who is in is served");
    assert_eq!(secure.curl(&[]), Ok(200), "and who comes after them, once the first have had their time");
    assert_eq!(ask(&mut kept), "200");
    let failures = secure.failures(MANY);
    assert_eq!(failures.len(), MANY, "each of them had its time");
    assert!(failures.iter().all(|failure| *failure == HandshakeFailure::Timeout), "{failures:?}");
    drop(crowd);
}

#[test]
fn slow_headers_and_slow_readers_are_cut_off_over_tls_as_well() {
    let secure = Secure::with("", |settings| {
        settings.header_timeout = Duration::from_secs(2);
        settings.write_timeout = SHORT;
    });
    let mut slow = secure.client();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: te").unwrap();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "it asked for nothing yet");
    // Far more than the kernel buffers on both ends of a connection.
    secure.server.source.lines.store(3_000_000, std::sync::atomic::Ordering::SeqCst);
    let mut deaf = secure.client();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    secure.server.await_rendering();
    assert_eq!(secure.curl(&["--head"]), Ok(200), "others are served meanwhile");
    let mut server = secure.server;
    assert_eq!(server.stop(), [0; 0], "only the timeout can have ended it, and nothing was carried");
    drop(deaf);
}

#[test]
fn unclear_requests_are_refused_over_tls_as_well() {
    let secure = Secure::start("");
    for head in [
        "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
    ] {
        let mut client = secure.client();
        client.write_all(format!("{head}GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Fill: {}\r\n\r\n", "x".repeat(17 * 1024));
    let mut client = secure.client();
    client.write_all(long.as_bytes()).unwrap();
    let mut status = [0; 12];
    client.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}

#[test]
fn a_whole_scrape_carries_and_one_that_is_cut_off_does_not() {
    let mut secure = Secure::start("");
    assert_eq!(secure.curl(&[]), Ok(200));
    assert_eq!(secure.server.await_carried(), 1);
    secure.server.source.lines.store(3_000_000, std::sync::atomic::Ordering::SeqCst);
    secure.server.publish(Some(snapshot(2, usual_cgroups())));
    let mut leaving = secure.client();
    leaving.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let mut first = [0; 15];
    leaving.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    drop(leaving);
    assert_eq!(secure.server.stop(), [0; 0]);
}

#[test]
fn a_client_that_shows_certificates_resumes_no_session() {
    for (auth, expected) in
        [("NoClientCert", HandshakeKind::Resumed), ("RequestClientCert", HandshakeKind::Full)]
    {
        let secure = Secure::start(&format!("  client_auth_type: {auth}\n"));
        let config = secure.client_config();
        ask(&mut secure.connect(Arc::clone(&config)));
        let mut again = secure.connect(config);
        ask(&mut again);
        assert_eq!(again.conn.handshake_kind(), Some(expected), "{auth}");
    }
}

#[test]
fn another_certificate_counts_for_the_next_connection_and_ends_kept_ones() {
    let secure = Secure::start("");
    let mut kept = secure.client();
    assert_eq!(ask(&mut kept), "200");
    let other = Authority::new(secure.directory.path(), "other");
    other.server("server");
    secure.guard.replace(protection(secure.directory.path(), ""));
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).expect("the connection is closed in good order");
    assert!(rest.is_empty(), "{rest:?}");
    assert_eq!(secure.curl(&[]), Err(60), "the old authority is no longer the server's");
    assert_eq!(secure.curl(&["--cacert", other.certificate.to_str().expect("ASCII")]), Ok(200));
}
