//! A real Prometheus scrapes the real binary, in both formats, with hostile cgroup names about.

#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;

use prometheus::Prometheus;
use stockade::model::display_path;
use support::daemon::Daemon;
use support::{TestGroup, eventually};

/// Where the scrapes come from: directly, as Prometheus negotiates; and through a proxy that asks for plain text.
const JOBS: [&str; 2] = ["negotiated", "text"];

/// Names that somebody who may make a directory can choose. The kernel refuses only newlines and slashes.
const HOSTILE: &[&[u8]] = &[
    b"quote\"d",
    b"back\\slash",
    b"ends in a backslash\\",
    b"\\n is no newline",
    b"{},=",
    b"x\"} 1",
    b"x\",cgroup=\"forged\",y=\"",
    b"# EOF",
    b"\x01\x02\r\t\x7f",
    b"no utf8 \xff\xfe\xc3",
    b"\xe2\x80\xa8 \xe2\x80\xae",
    b"na\xc3\xafve \xe2\x98\x83",
    b" ",
];

/// Hands scrapes on with an `Accept` of its own, since not every Prometheus can be told which format to ask for.
fn text_proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let hand_on = move |mut client: TcpStream| -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte)? == 1 {
            head.extend_from_slice(&byte);
        }
        let mut server = TcpStream::connect(to)?;
        server.write_all(
            b"GET /metrics HTTP/1.1\r\nHost: proxy\r\nAccept: text/plain;version=0.0.4\r\nConnection: close\r\n\r\n",
        )?;
        std::io::copy(&mut server, &mut client).map(drop)
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client that has gone is no matter: the next scrape comes in a second.
            let _ = hand_on(client);
        }
    });
    address
}

#[test]
fn prometheus_scrapes_what_is_there_and_nothing_forged() {
    let mut group = TestGroup::everywhere("prometheus");
    let work = group.child("work");
    let unified = group.directory("unified");
    for name in HOSTILE {
        fs::create_dir(unified.join(OsStr::from_bytes(name))).expect("the kernel takes this name");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, "collect: {interval: 500ms, averages: true}\n").expect("a file");
    let daemon = Daemon::configured(&config, &[]);
    let prometheus = Prometheus::start(&[(JOBS[0], daemon.address), (JOBS[1], text_proxy(daemon.address))]);

    // A text that cannot be read fails every scrape; one that comes late on a busy machine fails one.
    for job in JOBS {
        eventually("three good scrapes", || {
            let good = prometheus.value(&format!("sum_over_time(up{{job=\"{job}\"}}[10m])"))?;
            (good >= 3.0).then_some(())
        });
    }

    // Every name is there, as itself, with no label and no series that is not ours to give.
    let mut expected: BTreeSet<String> =
        HOSTILE.iter().map(|name| display_path(&[group.path.as_bytes(), b"/", name].concat())).collect();
    expected.extend([group.path.clone(), work.clone()]);
    let ours = format!("cgroup=~\"{}(/(?s:.*))?\"", group.path);
    let shown = daemon.metrics();
    let shown =
        shown.0.keys().filter(|series| series.contains(&format!("{{cgroup=\"{}", group.path))).count();
    for job in JOBS {
        // After a scrape that came too late there is nothing, until the next one.
        let series = eventually("as many series as /metrics shows", || {
            Some(prometheus.query(&format!("{{job=\"{job}\",{ours}}}")))
                .filter(|series| series.len() == shown)
        });
        let cgroups: BTreeSet<String> =
            series.iter().map(|(labels, _)| labels["cgroup"].as_str().expect("a label").to_owned()).collect();
        assert_eq!(cgroups, expected, "{job}");
        let known =
            ["__name__", "job", "instance", "cgroup", "limit", "event", "stat", "device", "window", "state"];
        for (labels, _) in &series {
            for label in labels.as_object().expect("labels").keys() {
                assert!(known.contains(&label.as_str()) || label == "counter", "{job}: {labels}");
            }
        }
        let forged = prometheus.query("{cgroup=\"forged\"} or {y!=\"\"}");
        assert!(forged.is_empty(), "{forged:?}");
    }

    // The README's expressions are good where more than one instance has a cgroup of the same path.
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```promql\n").expect("the README has expressions");
    let (expressions, _) = rest.split_once("```").expect("which end");
    let expressions: Vec<&str> = expressions.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(expressions.len(), 3, "{expressions:?}");
    for expression in expressions {
        prometheus.query(expression);
    }

    // What a counter grew by is what the kernel's file says.
    let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let pid = group.run("work", burn);
    assert_eq!(group.wait(pid), 0);
    let stat = fs::read_to_string(unified.join("work/cpu.stat")).expect("the kernel's file");
    let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec ")).expect("a usage");
    let usage = usage.parse::<f64>().expect("a number") / 1e6;
    assert!(usage > 0.05, "{usage}");
    for job in JOBS {
        let usage_of = format!("cgroup_cpu_usage_seconds_total{{job=\"{job}\",cgroup=\"{work}\"}}[10m]");
        let grew = format!("max_over_time({usage_of}) - min_over_time({usage_of})");
        let grown = eventually("the usage is scraped", || {
            prometheus.value(&grew).filter(|grown| (grown - usage).abs() < 1e-6)
        });
        assert!(grown > 0.05);
        let resets = prometheus.value(&format!("resets({usage_of})"));
        assert_eq!(resets, Some(0.0), "{job}: the counter never goes back");
    }
}
