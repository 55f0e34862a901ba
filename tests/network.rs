//! What goes over the network of real processes: theirs alone, and never the host's.

mod support;

use stockade::model::{Cgroup, Collector, CollectorSet, Column, NamespaceKind, RowKind, Shared, WatchMethod};
use stockade::sample::{Sampler, Settings, carried};
use support::{TestGroup, eventually};

/// Brings the loopback device of a new namespace up, sends itself a hundred datagrams, and stays.
const TALK: &str = "import fcntl, socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 1))
s.bind(('127.0.0.1', 0))
[s.sendto(b'x' * 1000, s.getsockname()) for _ in range(100)]
time.sleep(86400)";

/// The first numbers of both directions of `lo` as the kernel tells them: bytes and packets.
fn told(pid: u32) -> Option<[u64; 4]> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    let numbers: Vec<u64> = line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    Some([numbers[0], numbers[1], numbers[8], numbers[9]])
}

fn found(cgroup: &Cgroup) -> Option<[u64; 4]> {
    let rows = cgroup.readings.rows(RowKind::Network);
    Some([
        rows.get(Column::NetworkReceiveBytes, "lo")?,
        rows.get(Column::NetworkReceivePackets, "lo")?,
        rows.get(Column::NetworkTransmitBytes, "lo")?,
        rows.get(Column::NetworkTransmitPackets, "lo")?,
    ])
}

#[test]
fn a_network_belongs_to_the_lowest_cgroup_that_has_it_alone() {
    let mut group = TestGroup::everywhere("network");
    for name in ["alone", "pod", "pod/one", "pod/two", "plain"] {
        group.child(name);
    }
    let talk = format!("exec unshare --net python3 -c \"{TALK}\"");
    let alone = group.run("alone", &talk);
    let one = group.run("pod/one", &talk);
    group.run("plain", "exec sleep 86400");
    for pid in [alone, one] {
        let own = std::fs::read_link("/proc/self/ns/net").expect("our own");
        eventually("a hundred datagrams in a namespace of its own", || {
            let apart = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()? != own;
            (apart && told(pid)?[1] >= 100).then_some(())
        });
    }
    group.run("pod/two", &format!("exec nsenter --net --target {one} sleep 86400"));
    let mut collectors = CollectorSet::NONE;
    for collector in [Collector::Core, Collector::Namespaces, Collector::Network] {
        collectors.set(collector, true);
    }
    let settings = Settings { collectors, watch: Some(WatchMethod::Walk), ..Settings::default() };
    let mut sampler = Sampler::new(settings, carried()).expect("a host with cgroups");
    let top = group.path.clone();
    let path = |name: &str| format!("{top}/{name}");
    let snapshot = eventually("all of them where they belong", || {
        let snapshot = sampler.pass();
        let net = |name: &str| snapshot.find(path(name).as_bytes())?.namespaces.shared(NamespaceKind::Net);
        let settled = net("pod/two") == Some(Shared::Peer) && net("plain").is_some();
        settled.then_some(snapshot)
    });
    let of = |name: &str| found(snapshot.find(path(name).as_bytes()).expect("it lives"));
    assert_eq!(of("alone"), told(alone));
    assert_eq!(of("pod"), told(one));
    for none in ["pod/one", "pod/two", "plain"] {
        let rows = snapshot.find(path(none).as_bytes()).expect("it lives").readings.rows(RowKind::Network);
        assert_eq!(rows.iter().count(), 0, "{none}");
    }
    let root = snapshot.find(b"/").expect("the root");
    assert_eq!(root.readings.rows(RowKind::Network).iter().count(), 0);
    assert!(snapshot.report.collectors[Collector::Network as usize].reads >= 2);
    // The one that is left has it alone now.
    drop(snapshot);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(one).expect("a pid")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our own child");
    group.wait(one);
    let snapshot = sampler.pass();
    let heir = snapshot.find(path("pod/two").as_bytes()).expect("it lives");
    assert!(found(heir).is_some_and(|numbers| numbers[1] >= 100));
}
