//! A host that has something to show on every panel: services that use, wait and are stopped, containers, pods and jobs,
//! and hogs that policies act on. Everything is in one group of the test's own, and the policies' scope ends there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::TestGroup;
use crate::support::daemon::Daemon;

/// Below the test's group, in the order in which they are made.
const CGROUPS: &[&str] = &[
    "shop.slice",
    "shop.slice/checkout.service",
    "shop.slice/checkout.service/worker-1",
    "shop.slice/search.service",
    "shop.slice/import.service",
    "batch.slice",
    "batch.slice/report.service",
    "batch.slice/index.service",
    "batch.slice/backup.service",
    "batch.slice/crawler.service",
    "user.slice",
    "user.slice/user-1000.slice",
    "user.slice/user-1000.slice/session-7.scope",
    "docker-4f1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f.scope",
    "kubepods.slice",
    "kubepods.slice/kubepods-burstable.slice",
    POD,
    "slurmstepd.scope",
    "slurmstepd.scope/job_4711",
    "slurmstepd.scope/job_4711/step_0",
];
const POD: &str = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5f3c1a52_9d0e_4c1b_8f4e_2a6b7c8d9e0f.slice";
const POD_LOGS: &str = "shop_web-0_5f3c1a52-9d0e-4c1b-8f4e-2a6b7c8d9e0f";
const CONTAINER: &str =
    "cri-containerd-9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f.scope";

/// Who is looked at in depth: the service, and for what only a parent has, its slice.
pub const IN_DEPTH: [&str; 2] = ["/shop.slice/checkout.service", "/shop.slice"];

/// Hogs are put down by policies, and come back.
const HOGS: [&str; 3] =
    ["batch.slice/report.service", "batch.slice/index.service", "batch.slice/backup.service"];
/// Takes 96 MiB and keeps a CPU busy with them.
const HOG: &str = "exec dd if=/dev/zero of=/dev/null bs=96M count=1000000 2>/dev/null";

/// In a network namespace of its own: brings the loopback device up, and talks to itself.
const TALK: &str = r#"
import fcntl, socket, struct, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack('16sh22x', b'lo', 0x1 | 0x40))  # SIOCSIFFLAGS: up, running
    s.bind(('127.0.0.1', 0))
    while True:
        for _ in range(20):
            s.sendto(bytes(1000), s.getsockname())
            s.recv(2000)
        time.sleep(0.1)
"#;

/// Makes processes until a limit refuses one, and again.
const FORK: &str = r#"
import os, time
while True:
    children = []
    try:
        while len(children) < 100:
            child = os.fork()
            if child == 0:
                time.sleep(0.5)
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.waitpid(child, 0)
    time.sleep(0.5)
"#;

/// The policies. `@` is the group's path.
const RULES: &str = r#"
limits:
  - {name: user-cap, match: {path: "@/user.slice/user-1000.slice"}, set: {pids.max: 400}, on_drift: reassert}
policies:
  - name: hogs
    match: {path: "@/batch.slice/*"}
    when: {signal: memory.anon, above: 48MiB, for: 1s}
    victim: {rank: [memory.anon], max: 2}
    steps:
      - {notify: {webhook: "http://127.0.0.1:9/nobody-listens"}, relieved_within: 500ms}
      - {set: {cpu.max: 25%}, ttl: 12s, relieved_within: 3s}
      - {freeze: {ttl: 6s}, relieved_within: 4s}
      - {kill: {signal: TERM, grace: 500ms}, relieved_within: 2s}
    cooldown: {target: 4s, host: 0s}
  - name: containers-stand-still
    match: {runtime: docker}
    when: {signal: age, above: 1s}
    steps: [{freeze: {ttl: 5s}, relieved_within: 2s}]
    cooldown: {target: 5s, host: 0s}
  - name: shop-would-wait
    mode: dry_run
    match: {path: "@/shop.slice/*"}
    when: {signal: age, above: 1s}
    steps: [{set: {cpu.weight: 50}, ttl: 5s}]
    cooldown: {target: 3s, host: 0s}
  - name: pressed
    match: {path: "@/shop.slice/*"}
    when: {signal: cpu.pressure.some.avg10, above: 50%, for: 10m}
    steps: [{notify: {}}]
"#;

/// What goes on, until it is dropped.
pub struct Load {
    group: TestGroup,
    place: tempfile::TempDir,
    /// On a real file system, since a tmpfs knows no direct I/O.
    disk: tempfile::TempDir,
    hogs: [Option<u32>; HOGS.len()],
    turns: u32,
}

impl Load {
    /// Makes the groups and starts everything in them but the hogs, which come with the first turn: what policies do about
    /// them is to be seen from the beginning.
    pub fn start() -> Self {
        let group = TestGroup::everywhere("panels");
        for name in CGROUPS.iter().copied().chain([&*format!("{POD}/{CONTAINER}")]) {
            group.child(name);
        }
        let place = tempfile::tempdir().expect("a directory");
        let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on a disk");
        let mut load = Self { group, place, disk, hogs: [None; HOGS.len()], turns: 0 };
        load.delegate();
        load.bound();
        load.work();
        load
    }

    /// The group's path, which all others begin with.
    pub fn path(&self) -> &str {
        &self.group.path
    }

    /// A Stockade that watches and enforces here and nowhere else.
    pub fn daemon(&self) -> Daemon {
        let (scope, place) = (&self.group.path, self.place.path());
        let root = place.join("root");
        fs::create_dir_all(root.join("var/log/pods").join(POD_LOGS)).expect("what the kubelet would make");
        let text = format!(
            "collect: {{interval: 500ms, include: [\"/\", \"{scope}\", \"{scope}/**\"]}}
safety:
  mode: enforce
  scope: [\"{scope}/**\"]
  journal: {}
  kill_budget: {{host: {{max: 2, per: 30s}}, target: {{max: 1, per: 20s}}}}
  writers: {{systemd: cgroupfs, runtimes: refuse, unowned: cgroupfs}}
{}",
            place.join("journal").display(),
            RULES.replace('@', scope)
        );
        let config = place.join("stockade.yaml");
        fs::write(&config, text).expect("a file");
        Daemon::configured(&config, &[&format!("--path.rootfs={}", root.display())])
    }

    /// Goes on for a moment: hogs that were put down come back, and somebody writes a control that a rule keeps.
    pub fn turn(&mut self) {
        for (number, child) in HOGS.iter().enumerate() {
            if self.hogs[number].is_none_or(|pid| self.group.ended(pid)) {
                self.hogs[number] = Some(self.group.run(child, HOG));
            }
        }
        self.turns += 1;
        if self.turns % 40 == 20 {
            self.set("user.slice/user-1000.slice", "pids", &["pids.max"], "300");
        }
    }

    /// On a v2 host children have controllers only where their parent gives them.
    fn delegate(&self) {
        let unified = self.group.directory("unified");
        let Ok(controllers) = fs::read_to_string(unified.join("cgroup.controllers")) else { return };
        let wanted: String = controllers
            .split_whitespace()
            .filter(|name| *name != "cpuset")
            .map(|name| format!("+{name} "))
            .collect();
        if wanted.is_empty() {
            return;
        }
        let parents = CGROUPS.iter().filter(|name| {
            **name == POD
                || CGROUPS
                    .iter()
                    .any(|other| other.strip_prefix(**name).is_some_and(|rest| rest.starts_with('/')))
        });
        for parent in [""].iter().chain(parents).filter(|name| **name != "shop.slice/checkout.service") {
            let file = unified.join(parent).join("cgroup.subtree_control");
            fs::write(&file, &wanted).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }

    /// The bounds that services are to run into.
    fn bound(&self) {
        let memory = ["memory.max", "memory.limit_in_bytes"];
        self.set("shop.slice/checkout.service", "memory", &memory, "50331648");
        self.set("shop.slice/import.service", "memory", &memory, "25165824");
        self.set("slurmstepd.scope/job_4711/step_0", "memory", &memory, "33554432");
        self.set("shop.slice/checkout.service", "pids", &["pids.max"], "60");
        self.set("batch.slice/crawler.service", "pids", &["pids.max"], "12");
        // One that it meets now and then, and the smallest that the kernel takes.
        for (service, quota) in
            [("shop.slice/checkout.service", "20000"), ("shop.slice/search.service", "1000")]
        {
            if self.has(service, "cpu.max") {
                self.set(service, "cpu", &["cpu.max"], &format!("{quota} 100000"));
            } else {
                self.set(service, "cpu", &["cpu.cfs_quota_us"], quota);
            }
        }
    }

    fn has(&self, child: &str, file: &str) -> bool {
        self.group.directory("cpu").join(child).join(file).exists()
    }

    fn set(&self, child: &str, controller: &str, names: &[&str], value: &str) {
        let directory = self.group.directory(controller).join(child);
        let file = names.iter().map(|name| directory.join(name)).find(|file| file.exists());
        let file = file.unwrap_or_else(|| panic!("{} has none of {names:?}", directory.display()));
        fs::write(&file, value).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    fn work(&mut self) {
        // What the name leads to may be a script that needs more processes than the limits allow.
        let said = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let python = String::from_utf8(said.expect("this test needs Python 3").stdout).expect("a path");
        let python = |script: &Path| format!("'{}' '{}'", python.trim(), script.display());
        let (talk, fork) = (python(&self.file("talk.py", TALK)), python(&self.file("fork.py", FORK)));
        let disk = self.disk.path().display().to_string();
        let burn = "while :; do :; done";
        // Written by the group itself, whose page cache it then is: more than its limit leaves room for.
        let big = |name: &str| format!("dd if=/dev/zero of='{disk}/{name}' bs=1M count=96");
        let through = |name: &str| format!("dd if='{disk}/{name}' of=/dev/null bs=1M");
        let direct = |name: &str| {
            format!(
                "dd if=/dev/zero of='{disk}/{name}' bs=1M count=6 oflag=direct; dd if='{disk}/{name}' of=/dev/null bs=1M iflag=direct"
            )
        };
        let apart = "unshare --net --ipc --uts --user --map-root-user";
        let docker = CGROUPS.iter().find(|name| name.starts_with("docker-")).expect("it is there");
        for (child, script) in [
            // A network of its own, a quota, a limit on memory that it runs into, and a disk that it uses.
            ("shop.slice/checkout.service", format!("exec {apart} {talk}")),
            ("shop.slice/checkout.service", format!("exec {apart} sh -c '{burn} & {burn}'")),
            (
                "shop.slice/checkout.service",
                format!("{}; while :; do {}; {}; done", big("c"), through("c"), direct("a")),
            ),
            ("shop.slice/checkout.service/worker-1", "while :; do sleep 0.3; done".to_owned()),
            ("shop.slice/search.service", format!("{burn} & {burn}")),
            ("shop.slice/import.service", format!("{}; while :; do {}; done", big("i"), through("i"))),
            ("batch.slice/crawler.service", format!("exec {fork}")),
            (
                "user.slice/user-1000.slice/session-7.scope",
                format!("while :; do {}; sleep 0.3; done", direct("b")),
            ),
            // A container in namespaces of its own, and a pod in the host's.
            (docker, format!("exec {apart} --fork --pid --mount-proc {talk}")),
            (
                &format!("{POD}/{CONTAINER}"),
                "exec dd if=/dev/zero of=/dev/null bs=24M count=100000000".to_owned(),
            ),
            // Twice what its limit allows: the kernel kills it, again and again.
            (
                "slurmstepd.scope/job_4711/step_0",
                "while :; do dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 2; done".to_owned(),
            ),
        ] {
            self.group.run(child, &format!("exec 2>/dev/null; {script}"));
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.place.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Before the files go that its processes use.
        self.group.kill();
    }
}
