//! A host that has something to show on every panel: services that use, wait and are stopped, containers, pods and jobs,
//! and hogs that policies act on. Everything is in one group of the test's own, and the policies' scope ends there.

use std::fs;
use std::path::{Path, PathBuf};

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

/// The policies. `@` is the group's path.
const RULES: &str = r#"
limits:
  - {name: user-cap, match: {path: "@/user.slice/user-1000.slice"}, set: {pids.max: 400}, on_drift: reassert}
policies:
  - name: cpu-hogs
    match: {path: "@/batch.slice/*"}
    when: {signal: cpu.usage, above: 10%, for: 1s}
    clear: {signal: cpu.usage, below: 1%, for: 1h}
    victim: {rank: [cpu.usage], max: 2}
    steps:
      - {notify: {webhook: "http://127.0.0.1:9/nobody-listens"}, relieved_within: 500ms}
      - {set: {cpu.max: 25%}, ttl: 12s, relieved_within: 4s}
      - {freeze: {ttl: 6s}, relieved_within: 5s}
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
    when: {signal: cpu.usage, above: 1%, for: 1s}
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
    hogs: [Option<u32>; HOGS.len()],
    turns: u32,
}

impl Load {
    /// Makes the groups and starts everything in them.
    pub fn start() -> Self {
        let group = TestGroup::everywhere("panels");
        for name in CGROUPS.iter().copied().chain([&*format!("{POD}/{CONTAINER}")]) {
            group.child(name);
        }
        let place = tempfile::tempdir().expect("a directory");
        let mut load = Self { group, place, hogs: [None; HOGS.len()], turns: 0 };
        load.delegate();
        load.bound();
        load.work();
        load.turn();
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
  kill_budget: {{host: {{max: 3, per: 10m}}, target: {{max: 1, per: 5m}}}}
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
        self.set("shop.slice/checkout.service", "pids", &["pids.max"], "12");
        for service in ["shop.slice/checkout.service", "shop.slice/search.service"] {
            if self.group.has("cpu") && !self.has(service, "cpu.max") {
                self.set(service, "cpu", &["cpu.cfs_quota_us"], "30000");
            } else {
                self.set(service, "cpu", &["cpu.max"], "30000 100000");
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
        let talk = self.file("talk.py", TALK);
        let data = self.place.path().join("data");
        let disk = tempfile::Builder::new().prefix("panels-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        // On a real file system: a tmpfs knows no direct I/O.
        let disk = disk.expect("a directory on a disk").keep();
        self.place_on_disk(&disk, &data);
        let data = data.display();
        let burn = "while :; do :; done";
        let pause = "sleep 0.3";
        // The service that is looked at in depth: a network and processes of its own, a quota, limits on memory and
        // tasks that it runs into, and a disk that it uses.
        let isolated = "exec unshare --net --ipc --uts --user --map-root-user";
        let checkout = "shop.slice/checkout.service";
        self.group.run(checkout, &format!("{isolated} python3 {}", talk.display()));
        self.group.run(checkout, &format!("{isolated} sh -c '{burn} & {burn}'"));
        let forks = "(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.5 & done; wait) 2>/dev/null";
        self.group.run(checkout, &format!("while :; do sh -c '{forks}' 2>/dev/null; {pause}; done"));
        let through = format!("dd if='{data}/big' of=/dev/null bs=1M count=96 2>/dev/null");
        let direct = format!(
            "dd if=/dev/zero of='{data}/out-$1' bs=1M count=6 oflag=direct 2>/dev/null; dd if='{data}/out-$1' of=/dev/null bs=1M iflag=direct 2>/dev/null"
        );
        self.group
            .run(checkout, &format!("while :; do {through}; {}; sleep 0.2; done", direct.replace("$1", "a")));
        self.group.run("shop.slice/checkout.service/worker-1", &format!("while :; do {pause}; done"));
        self.group.run("shop.slice/search.service", &format!("{burn} & {burn}"));
        self.group.run("shop.slice/import.service", &format!("while :; do {through}; done"));
        self.group.run(
            "user.slice/user-1000.slice/session-7.scope",
            &format!("while :; do {}; {pause}; done", direct.replace("$1", "b")),
        );
        // A container in namespaces of its own, and a pod in the host's.
        let container = "exec unshare --fork --pid --mount-proc --net --ipc --uts --user --map-root-user";
        let docker = CGROUPS.iter().find(|name| name.starts_with("docker-")).expect("it is there");
        self.group.run(docker, &format!("{container} python3 {}", talk.display()));
        let pod = format!("{POD}/{CONTAINER}");
        self.group.run(&pod, "exec dd if=/dev/zero of=/dev/null bs=24M count=100000000 2>/dev/null");
        // Twice what its limit allows: the kernel kills it, again and again.
        self.group.run(
            "slurmstepd.scope/job_4711/step_0",
            "while :; do dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; sleep 2; done",
        );
    }

    /// A file of random bytes that page cache cannot hold within the limits, and where it is.
    fn place_on_disk(&self, disk: &Path, link: &Path) {
        let big = fs::File::create(disk.join("big")).expect("a file");
        let mut random = fs::File::open("/dev/urandom").expect("random bytes");
        std::io::copy(&mut std::io::Read::take(&mut random, 96 << 20), &mut &big).expect("room on the disk");
        std::os::unix::fs::symlink(disk, link).expect("a link");
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.place.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.group.kill();
        if let Ok(disk) = fs::read_link(self.place.path().join("data")) {
            let _ = fs::remove_dir_all(disk);
        }
    }
}
