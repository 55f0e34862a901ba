//! Namespaces of real processes: in snapshots, in `stockade ns`, beside what lsns says.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stockade::model::{Collector, CollectorSet, NamespaceKind, Shared, Snapshot, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
use support::fake::FakeTree;
use support::{TestGroup, eventually};

fn census() -> Sampler {
    let mut collectors = CollectorSet::NONE;
    collectors.set(Collector::Core, true);
    collectors.set(Collector::Namespaces, true);
    let settings = Settings { collectors, watch: Some(WatchMethod::Walk), ..Settings::default() };
    Sampler::new(settings, carried()).expect("a host with cgroups")
}

fn shared(snapshot: &Snapshot, path: &str, kind: NamespaceKind) -> Option<Shared> {
    snapshot.find(path.as_bytes()).and_then(|cgroup| cgroup.namespaces.shared(kind))
}

/// Waits until a process's namespace of a kind is another than this test's.
fn apart(pid: u32, kind: &str) {
    let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("our own");
    eventually("a process in a namespace of its own", || {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
        (link != own).then_some(())
    });
}

#[test]
fn a_cgroup_has_what_it_does_not_share_and_shares_with_its_peers() {
    let mut group = TestGroup::everywhere("ns");
    for name in ["alone", "pod", "pod/one", "pod/two", "plain"] {
        group.child(name);
    }
    let alone = group.run("alone", "exec unshare --net --uts --user --map-root-user sleep 86400");
    let one = group.run("pod/one", "exec unshare --net sleep 86400");
    apart(alone, "net");
    apart(one, "net");
    group.run("pod/two", &format!("exec nsenter --net --target {one} sleep 86400"));
    group.run("plain", "exec sleep 86400");
    let top = group.path.clone();
    let path = |name: &str| format!("{top}/{name}");
    let mut sampler = census();
    let snapshot = eventually("all of them where they belong", || {
        let snapshot = sampler.pass();
        let settled = shared(&snapshot, &path("pod/two"), NamespaceKind::Net) == Some(Shared::Peer)
            && shared(&snapshot, &path("plain"), NamespaceKind::Net).is_some()
            && snapshot.find(path("alone").as_bytes())?.namespaces.root_uid.is_some();
        settled.then_some(snapshot)
    });
    assert_eq!(shared(&snapshot, &path("alone"), NamespaceKind::Net), Some(Shared::Own));
    assert_eq!(shared(&snapshot, &path("alone"), NamespaceKind::Uts), Some(Shared::Own));
    assert_eq!(shared(&snapshot, &path("alone"), NamespaceKind::User), Some(Shared::Own));
    assert_eq!(shared(&snapshot, &path("pod/one"), NamespaceKind::Net), Some(Shared::Peer));
    assert_eq!(shared(&snapshot, &path("pod/one"), NamespaceKind::Pid), Some(Shared::Host));
    assert_eq!(shared(&snapshot, &path("plain"), NamespaceKind::Net), Some(Shared::Host));
    assert_eq!(shared(&snapshot, &path("pod"), NamespaceKind::Net), None, "it has no process itself");
    let alone = snapshot.find(path("alone").as_bytes()).expect("it lives");
    assert_eq!(alone.namespaces.root_uid, Some(nix::unistd::geteuid().as_raw()));
    let plain = snapshot.find(path("plain").as_bytes()).expect("it lives");
    assert_eq!((plain.namespaces.root_uid, plain.namespaces.pid_depth), (None, None));
    // Who has gone leaves nothing.
    group.kill();
    let snapshot = sampler.pass();
    assert_eq!(shared(&snapshot, &path("plain"), NamespaceKind::Net), None);
}

/// What a command prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output().expect("a program");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    text
}

fn stockade(arguments: &[&str]) -> String {
    printed(env!("CARGO_BIN_EXE_stockade"), arguments)
}

/// The namespaces in a document, by inode.
fn listed(text: &str) -> BTreeMap<u64, Value> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    let list = document["namespaces"].as_array().expect("a list").clone();
    list.into_iter().map(|one| (one["ns"].as_u64().expect("an inode"), one)).collect()
}

fn namespace(pid: u32, kind: &str) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    link.to_str()?.split(['[', ']']).nth(1)?.parse().ok()
}

/// The one child of a process, once it runs this command.
fn child(pid: u32, command: &str) -> u32 {
    eventually("the child of a process", || {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let child: u32 = children.trim().parse().ok()?;
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name.trim() == command).then_some(child)
    })
}

#[test]
fn a_container_by_hand_looks_as_lsns_shows_it() {
    let mut group = TestGroup::everywhere("lsns");
    let maker = group.run("", "exec unshare --user --pid --map-root-user --mount-proc --fork sleep 86400");
    let inner = child(maker, "sleep");
    let task = inner.to_string();
    let columns = "ns,type,path,nprocs,pid,ppid,uid,user,command";
    let arguments = ["-r", "-n", "-p", &task, "-o", columns];
    // Only what is its own: processes of the host come and go meanwhile.
    let own = ["user", "pid", "mnt"].map(|kind| {
        let inode = namespace(inner, kind).expect("it lives");
        assert_ne!(Some(inode), namespace(std::process::id(), kind), "{kind}");
        inode.to_string()
    });
    let rows = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| own.iter().any(|inode| line.starts_with(inode)))
            .map(str::to_owned)
            .collect()
    };
    let ours = rows(&stockade(&[&["ns"], &arguments[..]].concat()));
    assert_eq!(ours.len(), 3);
    // lsns fails where a process ends while it looks: then it is asked again.
    eventually("lsns to show the same", || {
        let output = std::process::Command::new("lsns").arg("-l").args(arguments).output().expect("lsns");
        (rows(&String::from_utf8_lossy(&output.stdout)) == ours).then_some(())
    });
    // Beside what lsns has stands the cgroup.
    let cgroups = listed(&stockade(&["ns", "-J", "-t", "pid", "-p", &task]));
    assert_eq!(cgroups.len(), 1);
    assert!(cgroups.values().all(|one| one["cgroup"] == *group.path), "{cgroups:?}");
    let table = stockade(&["ns", "-l", "-n", "-t", "pid", "-p", &task, "-o", "pid,cgroup"]);
    assert_eq!(table, format!("{inner}  {}\n", group.path));
    // A namespace's processes, as lsns lists them for its inode.
    let theirs = printed("lsns", &["-l", "-r", "-n", "-o", "pid,ppid,command", &own[0]]);
    let pids = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let ours = stockade(&["ns", "-l", "-r", "-n", "-o", "pid,ppid,command", &own[0]]);
    assert_eq!(pids(&ours), BTreeSet::from([maker.to_string(), inner.to_string()]), "{ours}");
    assert_eq!(pids(&ours), pids(&theirs), "{ours}{theirs}");
    let table = stockade(&["ns", &own[0]]);
    assert!(table.trim_start().starts_with("PID ") && table.contains(&group.path), "{table}");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stockade")).args(["ns", "1"]).output();
    let output = output.expect("a program");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no namespace 1 "), "{output:?}");
}

#[test]
fn a_process_in_a_cgroup_made_by_hand_is_where_ps_says() {
    const LIMIT: u64 = 50_000_000;
    let mut group = TestGroup::within("foo", |hierarchy| hierarchy.serves("memory"));
    let directory = group.directory("memory");
    let limit = ["memory.limit_in_bytes", "memory.max"]
        .into_iter()
        .map(|name| directory.join(name))
        .find(|path| path.exists())
        .expect("a memory controller");
    std::fs::write(&limit, LIMIT.to_string()).expect("a limit");
    let pid = group.run("", "exec sleep 86400");
    eventually("the process to be moved and to sleep", || {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim() == "sleep").then_some(())
    });
    let pid = pid.to_string();
    let theirs = printed("ps", &["-ww", "-o", "cgroup=", "-p", &pid]);
    let ours: Value = serde_json::from_str(&stockade(&["inspect", "-J", "--no-rates", &pid])).expect("JSON");
    let groups = ours["process"]["cgroups"].as_array().expect("its cgroups");
    // ps leaves the roots out.
    let told: BTreeSet<String> = groups
        .iter()
        .filter(|one| one["path"] != "/")
        .map(|one| {
            let names = one["controllers"].as_array().expect("a list").iter().filter_map(Value::as_str);
            format!("{}:{}", names.collect::<Vec<_>>().join(","), one["path"].as_str().expect("a path"))
        })
        .collect();
    let theirs: BTreeSet<String> =
        theirs.trim().split([',', ';']).filter_map(|one| Some(one.split_once(':')?.1.to_owned())).collect();
    assert_eq!(told, theirs);
    assert_eq!(ours["cgroup"]["path"], *group.path);
    assert_eq!(ours["cgroup"]["controls"]["memory.max"], LIMIT / 4096 * 4096, "{ours:#}");
    assert_eq!(ours["process"]["pids"].as_array().map(Vec::len), Some(1));
    let namespaces = ours["process"]["namespaces"].as_array().expect("its namespaces");
    assert!(namespaces.iter().all(|one| one["host"] == true), "{namespaces:?}");
}

#[test]
fn each_child_pid_namespace_has_its_own_pid_1() {
    let mut group = TestGroup::everywhere("nested");
    let maker = group.run("", "exec unshare --pid --fork unshare --pid --fork sleep 86400");
    let outer = child(maker, "unshare");
    let inner = child(outer, "sleep");
    let pids = |pid: u32| -> Vec<u64> {
        let told: Value = serde_json::from_str(&stockade(&["inspect", "-J", "--no-rates", &pid.to_string()]))
            .expect("JSON");
        told["process"]["pids"].as_array().expect("pids").iter().filter_map(Value::as_u64).collect()
    };
    assert_eq!(pids(outer), [u64::from(outer), 1]);
    let inner_pids = pids(inner);
    assert_eq!((inner_pids[0], inner_pids.len(), inner_pids[2]), (u64::from(inner), 3, 1));
    let text = stockade(&["inspect", "--no-rates", &inner.to_string()]);
    assert!(text.contains("Its id in each pid namespace, outermost first:"), "{text}");

    let tree = stockade(&["ns", "--tree", "--ascii", "-n", "-t", "pid", "-o", "ns,pid"]);
    let lines: Vec<&str> = tree.lines().collect();
    let (outer_ns, inner_ns) = (namespace(outer, "pid"), namespace(inner, "pid"));
    let at = |inode: Option<u64>| {
        let inode = inode.expect("it lives").to_string();
        lines.iter().position(|line| line.contains(&inode)).unwrap_or_else(|| panic!("{inode}: {tree}"))
    };
    assert_eq!(at(inner_ns), at(outer_ns) + 1, "{tree}");
    let indent = |line: &str| line.find(|each: char| each.is_ascii_digit());
    assert!(indent(lines[at(inner_ns)]) > indent(lines[at(outer_ns)]), "{tree}");

    let snapshot = census().pass();
    let found = snapshot.find(group.path.as_bytes()).expect("it lives");
    assert_eq!(found.namespaces.pid_depth, Some(2));
}

#[test]
fn names_may_be_hostile_and_processes_may_be_closed() {
    use std::os::unix::fs::symlink;
    let tree = FakeTree::unified("");
    tree.group("/a", &[("cgroup.procs", "7\n8\n9\nx\n")]);
    for (pid, command, inode) in [(1, "init", 1), (7, "evil\u{1b}[2J\nname", 2), (8, "x", 2)] {
        tree.process(pid, command.as_bytes(), 1, "/a");
        let directory = tree.procfs().join(format!("{pid}/ns"));
        std::fs::create_dir(&directory).expect("a directory");
        for kind in NamespaceKind::ALL {
            let link = format!("{}:[{inode}]", kind.name());
            // A kernel without time namespaces, and a link that is none.
            match (kind, pid) {
                (NamespaceKind::Time, _) => {}
                (NamespaceKind::Ipc, 8) => symlink("nonsense", directory.join("ipc")).expect("a link"),
                _ => symlink(link, directory.join(kind.name())).expect("a link"),
            }
        }
    }
    let mut sampler = Sampler::new(tree.settings(), carried()).expect("a tree");
    let snapshot = sampler.pass();
    let namespaces = &snapshot.find(b"/a").expect("a cgroup").namespaces;
    assert_eq!(namespaces.shared(NamespaceKind::Net), Some(Shared::Own));
    assert_eq!(namespaces.shared(NamespaceKind::Ipc), Some(Shared::Own));
    assert_eq!(namespaces.shared(NamespaceKind::Time), None);
    // Process 9 is listed and has no directory: it has ended.
    assert_eq!((snapshot.report.census.processes, snapshot.report.census.waiting), (3, 1));
    let flags = tree.flags();
    let mut arguments = vec!["ns", "-n", "-t", "net", "-p", "7", "-o", "ns,nprocs,cgroup,command"];
    arguments.extend(flags.iter().map(String::as_str));
    let shown = stockade(&arguments);
    assert_eq!(shown.lines().count(), 1, "{shown:?}");
    assert!(shown.starts_with("2  2  /a  evil\u{fffd}1b[2J\u{fffd}0aname"), "{shown:?}");
}
