//! Messages to a webhook and to a hook command, and the receivers that fail them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value as Json;
use stockade::enforce::notify::{Notified, Notifier};
use stockade::enforce::order::{Deed, Order};
use stockade::enforce::ownership::Ownership;
use stockade::enforce::stats::Stats;
use stockade::policy::condition::Truth;
use stockade::policy::decision::{Evidence, Finding};
use stockade::policy::rule::{Hook, Notify, Webhook};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::{Authority, Identity};
use crate::fake::identity;

const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    notifier: Notifier,
    notified: Receiver<Notified>,
    stats: Arc<Stats>,
}

impl Bench {
    fn new() -> Self {
        let (sender, notified) = mpsc::channel();
        let stats = Arc::new(Stats::default());
        let report = move |notified| drop(sender.send(notified));
        let notifier = Notifier::start(Arc::clone(&stats), report).unwrap();
        Self { notifier, notified, stats }
    }

    fn next(&self) -> Notified {
        self.notified.recv_timeout(PATIENCE).unwrap()
    }
}

fn order(notify: &Notify) -> Order {
    let finding = Finding {
        signal: "memory.current".to_owned(),
        of: "/a".to_owned(),
        value: Some(7.0),
        compare: "above",
        threshold: Some(5.0),
        held: Duration::from_secs(3),
        hold: Duration::from_secs(1),
        truth: Truth::True,
    };
    Order {
        id: 12,
        rule: "too \"big\"".into(),
        step: Some(0),
        target: identity("/a", 1),
        owner: Ownership::Unowned,
        deed: Deed::Notify(notify.clone()),
        expires: None,
        allow_oom: false,
        loosens: false,
        seen: Vec::new(),
        noticed: Duration::ZERO,
        evidence: Evidence { findings: vec![finding], spared: Vec::new() },
        dry_run: false,
    }
}

/// Told by a webhook alone.
fn to(address: &str, ca_file: Option<&Path>) -> Notify {
    let webhook = Webhook { address: address.to_owned(), ca_file: ca_file.map(Path::to_owned) };
    Notify { webhook: Some(webhook), hook: None }
}

/// Answers one request over TLS, and gives its body; an error where no request came.
fn secure_receiver(identity: &Identity) -> (String, JoinHandle<std::io::Result<Json>>) {
    let chain = vec![CertificateDer::from_pem_file(&identity.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&identity.key).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}/hook", listener.local_addr().unwrap());
    let serve = move || {
        let (stream, _) = listener.accept()?;
        let mut reader = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body)?;
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        Ok(serde_json::from_slice(&body).unwrap())
    };
    (address, thread::spawn(serve))
}

/// Answers so many requests with a status, and gives what came: the head in small letters, and the body.
fn receiver(status: &'static str, requests: usize) -> (String, JoinHandle<Vec<(String, Json)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
    let serve = move || {
        let mut got = Vec::new();
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0);
            }
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            got.push((head, serde_json::from_slice(&body).unwrap()));
        }
        got
    };
    (address, thread::spawn(serve))
}

#[test]
fn a_webhook_is_told_as_alertmanager_tells_it() {
    let bench = Bench::new();
    let (address, receiver) = receiver("200 OK", 2);
    let notify = to(&address, None);
    bench.notifier.resolved(&order(&notify));
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let first = bench.next();
    assert_eq!(
        (first.order, &*first.rule, &*first.cgroup, first.status),
        (12, "too \"big\"", "/a", "firing")
    );
    assert_eq!((first.to, first.result), (address, Ok("200 OK".to_owned())));
    bench.notifier.resolved(&order(&notify));
    assert_eq!(bench.next().status, "resolved");
    // Nobody was told again that it began.
    bench.notifier.resolved(&order(&notify));
    let got = receiver.join().unwrap();
    let (head, message) = &got[0];
    assert!(head.starts_with("post /hook?a=b http/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json") && head.contains("host: 127.0.0.1:"), "{head}");
    assert_eq!(message["version"], "4");
    assert_eq!(message["status"], "firing");
    assert_eq!(message["groupLabels"]["cgroup"], "/a");
    let alert = &message["alerts"][0];
    assert_eq!(alert["labels"], message["commonLabels"]);
    assert_eq!(alert["labels"]["alertname"], "too \"big\"");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["annotations"]["description"], "memory.current of /a is 7B, above 5B for 3s");
    let again = &got[1].1["alerts"][0];
    assert_eq!(again["status"], "resolved");
    assert_eq!((&again["startsAt"], &again["fingerprint"]), (&alert["startsAt"], &alert["fingerprint"]));
    assert!(again["endsAt"].as_str() >= again["startsAt"].as_str());
    assert_eq!(bench.stats.snapshot().notified, 2);
}

#[test]
fn a_webhook_that_refuses_or_is_not_there_is_a_failure_with_its_reason() {
    let bench = Bench::new();
    let (refusing, receiver) = receiver("503 Service Unavailable", 1);
    let gone = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    for (address, why) in [
        (refusing, "answered 503"),
        (gone, "cannot connect"),
        ("ftp://127.0.0.1/".to_owned(), "starts with https:// or http://"),
        ("nonsense nonsense".to_owned(), "no address"),
    ] {
        let notify = to(&address, None);
        bench.notifier.send(&order(&notify), &notify).unwrap();
        let reason = bench.next().result.unwrap_err();
        assert!(reason.contains(why) && reason.contains(&address), "{reason}");
    }
    receiver.join().unwrap();
    assert_eq!(bench.stats.snapshot().notify_failed, 4);
}

#[test]
fn a_webhook_over_tls_is_told_if_its_certificate_is_one_that_counts() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path(), "authority");
    let foreign = Authority::new(directory.path(), "foreign");
    let server = authority.server("server");
    let bench = Bench::new();
    let tell = |ca_file: Option<&Path>| {
        let (address, receiver) = secure_receiver(&server);
        let notify = to(&address, ca_file);
        bench.notifier.send(&order(&notify), &notify).unwrap();
        (bench.next().result, receiver)
    };
    let (result, receiver) = tell(Some(&authority.certificate));
    assert_eq!(result, Ok("200 OK".to_owned()));
    assert_eq!(receiver.join().unwrap().unwrap()["status"], "firing");
    // Another authority's, and those that the host trusts, of which this one is none.
    for ca_file in [Some(&*foreign.certificate), None] {
        let (result, receiver) = tell(ca_file);
        let reason = result.unwrap_err();
        assert!(reason.contains("`ca_file` beside `webhook`"), "{reason}");
        if ca_file.is_some() {
            assert!(reason.contains("UnknownIssuer") && receiver.join().unwrap().is_err(), "{reason}");
        }
    }
    let missing = directory.path().join("missing.crt");
    let notify = to("https://127.0.0.1:1/", Some(&missing));
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let reason = bench.next().result.unwrap_err();
    assert!(reason.contains("missing.crt cannot be read"), "{reason}");
}

#[test]
fn a_redirect_is_a_failure_and_nobody_else_is_asked() {
    let bench = Bench::new();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let other = elsewhere.local_addr().unwrap();
    let serve = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0);
        }
        write!(stream, "HTTP/1.1 307 Elsewhere\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let notify = to(&address, None);
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let reason = bench.next().result.unwrap_err();
    assert!(reason.contains("answered 307"), "{reason}");
    serve.join().unwrap();
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
    let bench = Bench::new();
    // Accepts, and never answers: the first message waits for it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let notify = to(&format!("http://{}", listener.local_addr().unwrap()), None);
    let results: Vec<_> = (0..200).map(|_| bench.notifier.send(&order(&notify), &notify)).collect();
    let dropped = results.iter().filter(|result| result.is_err()).count() as u64;
    assert!(dropped >= 200 - 64 - 1 - 1, "{dropped}");
    assert_eq!(bench.stats.snapshot().notify_dropped, dropped);
    // Another way is free.
    let hook = hook("/bin/true", &[], PATIENCE);
    bench.notifier.send(&order(&hook), &hook).unwrap();
    assert_eq!(bench.next().to, "/bin/true");
}

fn hook(program: impl Into<PathBuf>, arguments: &[&str], timeout: Duration) -> Notify {
    let arguments = arguments.iter().map(|&each| each.to_owned()).collect();
    Notify { webhook: None, hook: Some(Hook { program: program.into(), arguments, timeout }) }
}

fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("hook");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_hook_has_the_message_a_clean_environment_and_its_words_are_kept() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let out = dir.path().join("out");
    let text = format!(
        "cat > {0}.json; env | sort | cut -d= -f1 > {0}.env; pwd >> {0}.env; echo \"$1 $STOCKADE_STATUS\"; echo no >&2",
        out.display()
    );
    let notify = hook(script(dir.path(), &text), &["an argument"], PATIENCE);
    bench.notifier.send(&order(&notify), &notify).unwrap();
    assert_eq!(bench.next().result, Ok("an argument firing\nno".to_owned()));
    let message: Json = serde_json::from_slice(&std::fs::read(out.with_extension("json")).unwrap()).unwrap();
    assert_eq!(message["alerts"][0]["labels"]["cgroup"], "/a");
    let environment = std::fs::read_to_string(out.with_extension("env")).unwrap();
    let names: Vec<&str> =
        environment.lines().filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name)).collect();
    assert_eq!(names, ["PATH", "STOCKADE_CGROUP", "STOCKADE_POLICY", "STOCKADE_STATUS", "/"]);
}

#[test]
fn a_hook_that_fails_talks_too_much_or_is_missing() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let notify = hook(script(dir.path(), "echo sorry; exit 3"), &[], PATIENCE);
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let reason = bench.next().result.unwrap_err();
    assert!(reason.ends_with("ended with 3: sorry"), "{reason}");
    let notify = hook("/bin/dd", &["if=/dev/zero", "bs=1024", "count=2048", "status=none"], PATIENCE);
    bench.notifier.send(&order(&notify), &notify).unwrap();
    assert_eq!(bench.next().result.unwrap().len(), 4096);
    let notify = hook("/nonexistent/hook", &[], PATIENCE);
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let reason = bench.next().result.unwrap_err();
    assert!(reason.contains("cannot run /nonexistent/hook"), "{reason}");
}

#[test]
fn a_hook_that_does_not_end_is_killed_with_its_children() {
    let (bench, dir) = (Bench::new(), tempfile::tempdir().unwrap());
    let pids = dir.path().join("pids");
    // It is told of the end through a pipe that all of them hold, so that nothing here waits by the clock.
    let (mut open, held) = std::io::pipe().unwrap();
    let holder = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    let text =
        format!("exec 3>{holder}; sleep 1000 & echo $! $$ > {}; exec >&- 2>&-; sleep 1000", pids.display());
    let notify = hook(script(dir.path(), &text), &[], Duration::from_secs(1));
    bench.notifier.send(&order(&notify), &notify).unwrap();
    let reason = bench.next().result.unwrap_err();
    assert!(reason.contains("was killed"), "{reason}");
    drop(held);
    let (closed, end) = mpsc::channel();
    thread::spawn(move || closed.send(open.read_to_end(&mut Vec::new()).unwrap()));
    assert_eq!(end.recv_timeout(PATIENCE), Ok(0), "one of its processes still holds the pipe");
    assert_eq!(std::fs::read_to_string(pids).unwrap().split_whitespace().count(), 2);
}
