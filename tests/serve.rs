//! The real binary on this host: what it prints, what it serves, how it reloads and how it ends.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::daemon::{BINARY, Daemon, Exposition, run_to_end};
use support::{TestGroup, eventually, layout};

/// Every cgroup of the host that is not some test's own, in every hierarchy that the program reads.
fn host_cgroups() -> Vec<String> {
    fn walk(mount: &Path, directory: &Path, found: &mut Vec<String>) {
        let path = format!("/{}", directory.strip_prefix(mount).expect("below").display());
        found.push(path);
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && !name.to_string_lossy().starts_with("stockade-")
            {
                walk(mount, &directory.join(name), found);
            }
        }
    }
    let mut found = Vec::new();
    for hierarchy in layout().hierarchies {
        walk(&hierarchy.mount, &hierarchy.mount, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn config(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("stockade.yaml");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn every_cgroup_of_the_host_is_there_within_one_interval() {
    let before = host_cgroups();
    let group = TestGroup::everywhere("serve");
    let daemon = Daemon::start(&[]);
    let metrics = daemon.metrics();
    for path in host_cgroups().iter().filter(|path| before.contains(path)).chain([&group.path]) {
        let shown = path.replace('\\', "\\\\");
        assert!(
            metrics.0.keys().any(|series| series.starts_with(&format!("cgroup_info{{cgroup=\"{shown}\""))),
            "{path} is not shown"
        );
    }
    assert!(metrics.sum("stockade_samples_total", "") >= 1.0);
    assert_eq!(metrics.sum("stockade_layout", ""), 1.0);
    assert_eq!(metrics.sum("stockade_watch_method", ""), 1.0);

    // One born later comes with the next pass, not with a restart.
    let late = group.child("late");
    eventually("the late one is shown", || daemon.metrics().shows(&late).then_some(()));
}

#[test]
fn every_way_of_watching_gives_the_same_data() {
    let mut group = TestGroup::everywhere("methods");
    let child = group.child("below");
    group.run("below", "exec sleep 600");
    fs::write(group.directory("pids").join("pids.max"), "77").expect("a limit");
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(&directory, "collect: {interval: 200ms}\n");
    let daemons = ["walk", "inotify", "fanotify"].map(|method| {
        let daemon = Daemon::configured(&config, &["--watch.method", method]);
        let used = format!("stockade_watch_method{{method=\"{method}\"}}");
        assert_eq!(daemon.own().get(&used), Some(1.0), "{method}");
        daemon
    });
    let ours = |daemon: &Daemon| -> Vec<String> {
        let metrics = daemon.metrics();
        metrics.0.keys().filter(|series| series.contains(&group.path)).cloned().collect()
    };
    // The processes and threads of the group are at rest, so the series are the same ones.
    let expected = eventually("the sleeper is seen", || {
        let processes = daemons[0].metrics().of("cgroup_processes", &child);
        (processes == Some(1.0)).then(|| ours(&daemons[0]))
    });
    for daemon in &daemons {
        assert_eq!(ours(daemon), expected);
        let metrics = daemon.metrics();
        assert_eq!(metrics.of("cgroup_pids_limit", &group.path), Some(77.0));
        assert_eq!(metrics.of("cgroup_processes", &child), Some(1.0));
    }
    // A birth and a death between passes are seen by each.
    let late = group.child("late");
    for daemon in &daemons {
        eventually("a birth is seen", || daemon.metrics().shows(&late).then_some(()));
    }
    group.remove_child("late");
    for daemon in &daemons {
        eventually("a death is seen", || (!daemon.metrics().shows(&late)).then_some(()));
    }
}

#[test]
fn a_control_write_is_read_and_counted_with_its_writer() {
    let mut group = TestGroup::everywhere("written");
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::configured(&config(&directory, "collect: {interval: 200ms}\n"), &[]);
    let writes = "stockade_control_writes_total{file=\"pids.max\",writer=\"other\"}";
    let before = daemon.own().get(writes).unwrap_or(0.0);
    assert_eq!(daemon.metrics().of("cgroup_pids_limit", &group.path), None, "max is no series");

    let file = group.directory("pids").join("pids.max");
    let pid = group.run("", &format!("echo 1234 > '{}'", file.display()));
    assert_eq!(group.wait(pid), 0);
    eventually("the new limit is shown", || {
        (daemon.metrics().of("cgroup_pids_limit", &group.path) == Some(1234.0)).then_some(())
    });
    assert!(daemon.own().get(writes).unwrap_or(0.0) > before, "{:?}", daemon.own());

    fs::write(&file, "max").expect("no limit");
    eventually("the limit is gone", || {
        daemon.metrics().of("cgroup_pids_limit", &group.path).is_none().then_some(())
    });
}

#[test]
fn both_formats_and_gzip_say_the_same() {
    let group = TestGroup::everywhere("formats");
    let daemon = Daemon::start(&[]);
    let text = daemon.get("/metrics");
    assert!(text.header("content-type").expect("a type").starts_with("text/plain; version=0.0.4"));
    let packed = daemon.request("GET", "/metrics", &["Accept-Encoding: gzip"]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut unpacked).expect("gzip");
    let accept = ["Accept: application/openmetrics-text; version=1.0.0; charset=utf-8"];
    let open = daemon.request("GET", "/metrics", &accept);
    assert!(open.header("content-type").expect("a type").starts_with("application/openmetrics-text"));
    assert!(open.text().ends_with("# EOF\n"));

    let of_group = |text: &str| -> Vec<String> {
        Exposition::parse(text).0.into_keys().filter(|series| series.contains(&group.path)).collect()
    };
    let expected = of_group(&text.text());
    assert!(!expected.is_empty());
    assert_eq!(of_group(&unpacked), expected);
    // OpenMetrics names an info family without `_info`, and its series as in the other format.
    assert_eq!(of_group(&open.text()), expected);
    let head = daemon.request("HEAD", "/metrics", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn collectors_are_switched_off_by_flags_and_left_out_by_a_query() {
    let group = TestGroup::everywhere("flags");
    let daemon = Daemon::start(&["--no-collector.pressure", "--no-collector.memory_stat"]);
    let metrics = daemon.metrics();
    assert!(metrics.of("cgroup_pids_current", &group.path).is_some());
    for name in ["cgroup_pressure_", "cgroup_memory_stat_"] {
        assert!(!metrics.0.keys().any(|series| series.starts_with(name)), "{name} is switched off");
    }
    assert_eq!(metrics.get("stockade_collector_success{collector=\"pressure\"}"), None);
    assert_eq!(metrics.get("stockade_collector_success{collector=\"pids\"}"), Some(1.0));
    let filtered = daemon.metrics_with("?collect[]=cpu", &[]);
    assert!(filtered.of("cgroup_cpu_usage_seconds_total", &group.path).is_some());
    assert!(filtered.of("cgroup_pids_current", &group.path).is_none());
    assert_eq!(daemon.get("/metrics?collect[]=nonsense").status, 400);

    let daemon = Daemon::start(&["--collector.disable-defaults", "--collector.pids"]);
    let metrics = daemon.metrics();
    assert!(metrics.of("cgroup_pids_current", &group.path).is_some());
    assert!(metrics.of("cgroup_cpu_usage_seconds_total", &group.path).is_none());
}

#[test]
fn a_reload_takes_a_good_configuration_and_refuses_a_bad_one() {
    let group = TestGroup::everywhere("reload");
    let directory = tempfile::tempdir().expect("a directory");
    let file = config(&directory, "collect: {interval: 1h}\n");
    let daemon = Daemon::configured(&file, &["--web.enable-lifecycle"]);
    assert!(daemon.metrics().shows(&group.path));
    let successful = |daemon: &Daemon| daemon.own().get("stockade_config_last_reload_successful");

    config(&directory, &format!("collect: {{interval: 1h, exclude: [\"{}\"]}}\n", group.path));
    daemon.signal(Signal::SIGHUP);
    eventually("the new exclusion is in force", || (!daemon.metrics().shows(&group.path)).then_some(()));
    assert_eq!(successful(&daemon), Some(1.0));

    config(&directory, "collect: {interval: soon}\n");
    daemon.signal(Signal::SIGHUP);
    eventually("the bad one is refused", || (successful(&daemon) == Some(0.0)).then_some(()));
    assert!(!daemon.metrics().shows(&group.path), "the old configuration stays in force");
    eventually("the log says where", || daemon.log().contains("stockade.yaml:1:").then_some(()));

    let refused = daemon.request("POST", "/-/reload", &[]);
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("stockade.yaml:1:"), "{}", refused.text());

    config(&directory, "collect: {interval: 1h}\n");
    assert_eq!(daemon.request("POST", "/-/reload", &[]).status, 200);
    eventually("shown again", || daemon.metrics().shows(&group.path).then_some(()));
    assert_eq!(successful(&daemon), Some(1.0));
    assert_eq!(daemon.get("/-/reload").status, 405);

    let closed = Daemon::start(&[]);
    assert_eq!(closed.request("POST", "/-/reload", &[]).status, 403, "off unless asked for");
}

#[test]
fn sigterm_drains_and_ends_with_success() {
    for (signal, half_way) in [(Signal::SIGTERM, true), (Signal::SIGINT, false)] {
        let mut daemon = Daemon::start(&[]);
        // A connection that idles and one in the middle of its request hold nothing up for longer than the deadline.
        let _idle = TcpStream::connect(daemon.address).expect("a connection");
        let mut half = TcpStream::connect(daemon.address).expect("a connection");
        if half_way {
            half.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\n").expect("half a request");
        }
        let began = Instant::now();
        daemon.signal(signal);
        assert_eq!(daemon.wait(), Some(0));
        // The deadline is ten seconds; the rest is for a loaded machine.
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        assert!(TcpStream::connect(daemon.address).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run_to_end(&["serve", "--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(&address) && error.contains("--web.listen-address"), "{error}");
    assert!(output.stdout.is_empty(), "it does not claim to listen");
    assert_eq!(error.lines().count(), 1, "nothing has been watched yet: {error}");

    let output = run_to_end(&["serve", "--log.format", "json", "--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(1));
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("every line is a document");
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(line["message"].as_str().is_some_and(|message| message.contains(&address)), "{line}");
    }
}

#[test]
fn a_standard_output_that_takes_nothing_does_not_stop_it() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let full = fs::File::options().write(true).open("/dev/full").expect("the device");
    let mut child = Command::new(BINARY)
        .args(["serve", "--web.listen-address", &format!("127.0.0.1:{port}")])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built with the tests");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("sampling") && log.read_line(&mut line).expect("its log") > 0 {}
    kill(Pid::from_raw(child.id().try_into().expect("a pid")), Signal::SIGTERM).expect("our own child lives");
    assert_eq!(child.wait().expect("our own child").code(), Some(0), "{line}");
    let address = format!("http://127.0.0.1:{port}/");
    assert!(
        line.contains("WARN") && line.contains(&address),
        "the log has what could not be printed: {line}"
    );
}

#[test]
fn a_bad_configuration_is_refused_with_every_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = config(&directory, "collect:\n  interval: soon\n  depth: 3\n");
    let path = file.to_str().expect("a path of ours");
    for args in [&["serve", "--config", path, "--web.listen-address", "127.0.0.1:0"][..], &["check", path]] {
        let output = run_to_end(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("stockade.yaml:2:") && error.contains("stockade.yaml:3:"), "{error}");
    }
    let missing = run_to_end(&["serve", "--config", "/nowhere/stockade.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/stockade.yaml"));
    assert_eq!(run_to_end(&["serve", "--no-such-flag"]).status.code(), Some(2));
}
