//! Namespaces of real processes: in snapshots, in `stockade ns`, beside what lsns says.

mod support;

use stockade::model::{Collector, CollectorSet, NamespaceKind, Shared, Snapshot, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
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
        (shared(&snapshot, &path("pod/two"), NamespaceKind::Net) == Some(Shared::Peer)).then_some(snapshot)
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
