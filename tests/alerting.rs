//! From a load to somebody's telephone: a process that thrashes, the kernel's pressure, Stockade, a real Prometheus with
//! the shipped rules, a real Alertmanager, a webhook.

#[path = "support/alertmanager.rs"]
mod alertmanager;
#[path = "support/prometheus.rs"]
mod prometheus;
#[path = "support/rules.rs"]
mod rules;
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use alertmanager::{Alertmanager, Receiver};
use prometheus::Prometheus;
use rules::shipped;
use serde_json::Value;
use support::daemon::Daemon;
use support::{TestGroup, eventually};

/// What the group may take, and the file that it reads over and over: a little more.
const LIMIT: u64 = 16 << 20;
const FILE_MIB: u64 = 17;
/// How fast the group may read from any disk, so that what was dropped takes its time to come back on every machine.
const READ_BYTES_PER_SECOND: u64 = 4 << 20;

/// The shipped rules with every wait shortened to two seconds. Expressions, windows included, stay as they are.
fn hurried(directory: &Path) -> String {
    let text = fs::read_to_string(shipped("dashboards/rules/alerts.yml")).expect("the rules");
    let hurried: String = text
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((key, _)) if ["for", "keep_firing_for"].contains(&key.trim()) => format!("{key}: 2s\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(hurried.contains("        for: 2s\n"), "the rules are written in another way");
    let path = directory.join("alerts.yml");
    fs::write(&path, hurried).expect("a file");
    path.display().to_string()
}

/// Holds the group to its memory; it is given the first of these files that there is.
fn control(group: &TestGroup, controller: &str, names: [&str; 2]) -> std::path::PathBuf {
    let files = names.map(|name| group.directory(controller).join(name));
    files.into_iter().find(|file| file.exists()).unwrap_or_else(|| panic!("none of {names:?} in the group"))
}

/// Slows the group's reads down, from whichever disk they come, or lets them be as fast as they are.
fn throttle_reads(group: &TestGroup, slow: bool) {
    let v1 = group.has("blkio");
    let (controller, name) = if v1 { ("blkio", "blkio.throttle.read_bps_device") } else { ("io", "io.max") };
    let file = group.directory(controller).join(name);
    let mut throttled = 0;
    for disk in fs::read_dir("/sys/block").expect("disks").flatten() {
        let Ok(device) = fs::read_to_string(disk.path().join("dev")) else { continue };
        let (key, unlimited) = if v1 { ("", "0") } else { ("rbps=", "max") };
        let rate = if slow { READ_BYTES_PER_SECOND.to_string() } else { unlimited.to_owned() };
        let rule = format!("{} {key}{rate}", device.trim());
        throttled += u32::from(fs::write(&file, rule).is_ok());
    }
    assert!(throttled > 0, "{}: no disk can be throttled", file.display());
}

/// How often the group read back what had been dropped.
fn refaults(group: &TestGroup) -> u64 {
    let stat = fs::read_to_string(group.directory("memory").join("memory.stat")).expect("memory.stat");
    let counts = stat.lines().filter(|line| line.starts_with("workingset_refault"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// How long all of the group stood still for want of memory.
fn stalled(group: &TestGroup) -> Duration {
    let pressure =
        fs::read_to_string(group.directory("unified").join("memory.pressure")).expect("memory.pressure");
    let full = pressure.lines().find(|line| line.starts_with("full ")).expect("full");
    let total = full.rsplit("total=").next().and_then(|total| total.parse().ok());
    Duration::from_micros(total.expect("a total"))
}

/// Only what had been in use and was dropped makes a stall when it is read back: which pages count as used is up to the
/// kernel, and settles while reads are fast. Where it has not when they become slow, it is given another time.
fn thrash(group: &TestGroup) {
    for _ in 0..8 {
        throttle_reads(group, false);
        let before = refaults(group);
        eventually("the group reads back what was dropped", || {
            (refaults(group) > before + 50_000).then_some(())
        });
        throttle_reads(group, true);
        let (before, begun) = (stalled(group), Instant::now());
        while begun.elapsed() < Duration::from_secs(10) {
            if stalled(group) > before + Duration::from_secs(3) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("the group reads back what was dropped, and the kernel counts no stall for it");
}

#[test]
fn a_group_that_thrashes_is_told_of_and_told_of_again_when_it_is_over() {
    let mut group = TestGroup::everywhere("alerting");
    let limit = control(&group, "memory", ["memory.max", "memory.limit_in_bytes"]);
    fs::write(limit, LIMIT.to_string()).expect("a limit");
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a disk");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, "collect: {interval: 500ms}\n").expect("a file");
    let daemon = Daemon::configured(&config, &[]);
    let receiver = Receiver::start();
    let alertmanager = Alertmanager::start(receiver.address);
    // The label that says where the runbooks are is taken off again, as the rules' header has it.
    let prometheus = Prometheus::configured(
        &[("stockade", daemon.address)],
        "evaluation_interval: 1s, external_labels: {stockade_runbooks: 'https://runbooks.test'}",
        &format!(
            "rule_files: ['{}', '{}']\nalerting:\n  \
             alert_relabel_configs: [{{action: labeldrop, regex: stockade_runbooks}}]\n  \
             alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]\n",
            hurried(directory.path()),
            shipped("dashboards/rules/recording.yml").display(),
            alertmanager.address
        ),
    );
    let path = group.path.clone();
    let told = |status: &str| -> Option<Value> {
        receiver.alerts().into_iter().find(|alert| {
            let labels = &alert["labels"];
            let ours = labels["alertname"] == "CgroupMemoryStalled" && labels["cgroup"] == path.as_str();
            ours && alert["status"] == status
        })
    };

    // Nothing is wrong with the group, and nothing is told.
    eventually("the rules were evaluated on our group", || {
        let ours = format!("cgroup_pressure_memory_stalled_seconds_total{{cgroup=\"{path}\"}}");
        let evaluated = prometheus.value("count(instance:host_memory_available:ratio)");
        (evaluated.is_some() && prometheus.value(&ours).is_some()).then_some(())
    });
    assert!(told("firing").is_none());

    let file = directory.path().join("file");
    let file = file.display();
    group.run(
        "",
        &format!(
            "dd if=/dev/zero of='{file}' bs=1M count={FILE_MIB} conv=fsync 2>/dev/null; while :; do cat '{file}'; done"
        ),
    );
    thrash(&group);
    let stalled = format!("cgroup_pressure_memory_stalled_seconds_total{{cgroup=\"{path}\"}}");
    eventually("Prometheus sees the kernel's pressure", || {
        prometheus.value(&stalled).filter(|&stall| stall > 10.0)
    });
    let alert = eventually("the alert arrives", || told("firing"));
    let labels = [("severity", "warning"), ("job", "stockade"), ("instance", &daemon.address.to_string())];
    for (label, value) in labels {
        assert_eq!(alert["labels"][label], value, "{alert}");
    }
    assert_eq!(alert["labels"].get("stockade_runbooks"), None, "{alert}");
    let annotations = &alert["annotations"];
    assert_eq!(annotations["runbook_url"], "https://runbooks.test/CgroupMemoryStalled.md");
    assert!(annotations["summary"].as_str().is_some_and(|summary| summary.contains(&path)), "{alert}");
    assert!(
        annotations["description"].as_str().is_some_and(|text| text.contains("% of the last")),
        "{alert}"
    );
    assert!(told("resolved").is_none(), "it is not over");

    // No process, no alert, although the rate's window still has the load in it.
    group.kill();
    eventually("its end arrives", || told("resolved"));
}
