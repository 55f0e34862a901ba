//! Who a cgroup belongs to, from the path and from the files that runtimes keep, through the sampler and on series.
//!
//! The texts in `tests/fixtures/identity` are what the named programs write; PROVENANCE there says how they were had.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, mkfifo};
use stockade::metrics::{Attach, Options, Own, render};
use stockade::model::{FaultKind, OwnerLabel, Snapshot};
use stockade::sample::{Sampler, carried};
use support::fake::FakeTree;

const ID: &str = "9905cc7c0f51f945cbe1f9de089aa072cd8e967a8ed60104568f816482f67f69";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a file below the host's root.
fn keep(tree: &FakeTree, path: &str, text: impl AsRef<[u8]>) {
    let path = tree.rootfs().join(&path[1..]);
    fs::create_dir_all(path.parent().expect("it is below the root")).expect("a directory");
    fs::write(path, text).expect("a file");
}

fn tree(cgroup: &str) -> FakeTree {
    let tree = FakeTree::unified("memory");
    fs::create_dir_all(tree.rootfs()).expect("a directory");
    tree.group(cgroup, &[]);
    tree
}

fn sampler(tree: &FakeTree) -> Sampler {
    Sampler::new(tree.settings(), carried()).expect("a tree of cgroups")
}

/// What is known of a cgroup's owner, as `label=value`.
fn told(snapshot: &Snapshot, path: &str) -> String {
    let owner = &snapshot.find(path.as_bytes()).expect("the cgroup").identity.owner;
    let part = |label: &OwnerLabel| Some(format!("{}={}", label.name(), owner.get(*label)?));
    OwnerLabel::ALL.iter().filter_map(part).collect::<Vec<_>>().join(" ")
}

/// Passes until a cgroup's owner is known so: the files are read on another thread.
fn until(sampler: &mut Sampler, path: &str, enough: impl Fn(&str) -> bool) -> Arc<Snapshot> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let snapshot = sampler.pass();
        let told = told(&snapshot, path);
        if enough(&told) {
            return snapshot;
        }
        assert!(Instant::now() < patience, "it stays at: {told}");
        std::thread::yield_now();
    }
}

fn faults(snapshot: &Snapshot) -> Vec<(&'static str, FaultKind)> {
    snapshot
        .report
        .faults
        .iter()
        .filter(|row| row.kind != FaultKind::Vanished)
        .map(|row| (row.source, row.kind))
        .collect()
}

#[test]
fn files_of_every_runtime_give_names() {
    let docker = format!("/system.slice/docker-{ID}.scope");
    let rootless =
        format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container");
    let pod = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        UID.replace('-', "_")
    );
    let (pod_v1, in_pod) = (format!("/kubepods/burstable/pod{UID}"), "qos=burstable");
    let mut cases = vec![
        (
            format!("/docker/{ID}"),
            vec![(
                format!("/var/lib/docker/containers/{ID}/config.v2.json"),
                fixture("docker-20.10-config.v2.json"),
            )],
            format!("runtime=docker container=web1 container_id={ID} image=nginx:1.25"),
        ),
        (
            docker,
            vec![(
                format!("/var/lib/docker/containers/{ID}/config.v2.json"),
                fixture("docker-29-config.v2.json"),
            )],
            format!(
                "slice=system.slice unit=docker-{ID}.scope runtime=docker container=shop-db-1 container_id={ID} image=postgres:17"
            ),
        ),
        (
            format!("/libpod_parent/libpod-{ID}"),
            vec![(
                "/var/lib/containers/storage/vfs-containers/containers.json".to_owned(),
                fixture("podman-4.3-containers.json"),
            )],
            format!("runtime=podman container=web1 container_id={ID} image=docker.io/library/busybox:latest"),
        ),
        (
            rootless,
            vec![
                (
                    "/etc/passwd".to_owned(),
                    "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:A,,:/home/alice:/bin/sh\n".to_owned(),
                ),
                (
                    "/home/alice/.local/share/containers/storage/overlay-containers/containers.json"
                        .to_owned(),
                    fixture("podman-4.3-containers.json"),
                ),
            ],
            format!(
                "slice=user.slice unit=libpod-{ID}.scope user=1000 runtime=podman container=web1 container_id={ID} image=docker.io/library/busybox:latest"
            ),
        ),
        (
            format!("{pod}/cri-containerd-{ID}.scope"),
            vec![(
                format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
                fixture("containerd-1.7-config.json"),
            )],
            format!(
                "slice={} unit=cri-containerd-{ID}.scope runtime=containerd container=server container_id={ID} \
                 image=registry.k8s.io/metrics-server:v0.7.1 pod=metrics-server-abc namespace=kube-system pod_uid={UID} {in_pod}",
                &pod[pod.rfind('/').expect("a slash") + 1..]
            ),
        ),
        (
            // Under the cgroupfs driver the path does not tell who runs it; who has its file does.
            format!("{pod_v1}/{ID}"),
            vec![(
                format!("/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
                fixture("containerd-1.7-config.json"),
            )],
            format!(
                "runtime=containerd container=server container_id={ID} image=registry.k8s.io/metrics-server:v0.7.1 \
                 pod=metrics-server-abc namespace=kube-system pod_uid={UID} {in_pod}"
            ),
        ),
        (
            format!("{pod_v1}/crio-{ID}"),
            vec![(
                format!("/run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
                fixture("cri-o-1.28-config.json"),
            )],
            format!(
                "runtime=cri-o container=coredns container_id={ID} image=registry.k8s.io/coredns/coredns:v1.10.1 \
                 pod=coredns-5d78c9869d-x2x7k namespace=kube-system pod_uid={UID} {in_pod}"
            ),
        ),
        (
            // Nothing but the kubelet's logs.
            format!("{pod_v1}/{ID}/init.scope"),
            vec![
                (format!("/var/log/pods/shop_cart-0_{UID}/cart/0.log"), String::new()),
                (format!("/var/log/containers/cart-0_shop_cart-{ID}.log"), String::new()),
            ],
            format!(
                "unit=init.scope container=cart container_id={ID} pod=cart-0 namespace=shop pod_uid={UID} {in_pod}"
            ),
        ),
        (
            pod_v1,
            vec![(format!("/var/log/pods/shop_cart-0_{UID}/cart/0.log"), String::new())],
            format!("pod=cart-0 namespace=shop pod_uid={UID} {in_pod}"),
        ),
    ];
    for (cgroup, files, expected) in cases.drain(..) {
        let tree = tree(&cgroup);
        for (path, text) in files {
            keep(&tree, &path, text);
        }
        let mut sampler = sampler(&tree);
        let snapshot = until(&mut sampler, &cgroup, |told| told == expected);
        assert_eq!(faults(&snapshot), [], "{cgroup}");
    }
}

#[test]
fn a_file_that_comes_late_is_found() {
    let cgroup = format!("/docker/{ID}");
    let tree = tree(&cgroup);
    let mut sampler = sampler(&tree);
    let before = sampler.pass();
    assert_eq!(told(&before, &cgroup), format!("runtime=docker container_id={ID}"));
    keep(
        &tree,
        &format!("/var/lib/docker/containers/{ID}/config.v2.json"),
        fixture("docker-20.10-config.v2.json"),
    );
    let after = until(&mut sampler, &cgroup, |told| told.contains("container=web1"));
    let identity =
        |snapshot: &Snapshot| Arc::clone(&snapshot.find(cgroup.as_bytes()).expect("it lives").identity);
    // It is the same cgroup as before, and what was published has not changed.
    assert_eq!(identity(&before), identity(&after));
    assert_eq!(identity(&before).owner.get(OwnerLabel::Container), None);
}

#[test]
fn trouble_with_a_file_is_counted_and_tells_nothing() {
    let name = format!("/var/lib/docker/containers/{ID}/config.v2.json");
    let whole = fixture("docker-20.10-config.v2.json");
    let huge = format!("{{\"Name\": \"/{}\"}}", "x".repeat(1 << 20));
    let deep = format!("{{\"Name\": {}", "[".repeat(100_000));
    for (text, kind) in [
        (&whole[..whole.len() / 2], FaultKind::Malformed),
        ("", FaultKind::Malformed),
        ("{\"Name\": 7}", FaultKind::Malformed),
        ("[\"another version\"]", FaultKind::Malformed),
        ("\u{0}\u{0}\u{0}", FaultKind::Malformed),
        (&deep, FaultKind::Malformed),
        (&huge, FaultKind::TooLong),
    ] {
        let cgroup = format!("/docker/{ID}");
        let tree = tree(&cgroup);
        keep(&tree, &name, text);
        let mut sampler = sampler(&tree);
        let mut snapshot = sampler.pass();
        let patience = Instant::now() + Duration::from_secs(30);
        while faults(&snapshot).is_empty() && Instant::now() < patience {
            std::thread::yield_now();
            snapshot = sampler.pass();
        }
        let start: String = text.chars().take(30).collect();
        assert_eq!(faults(&snapshot), [("config.v2.json", kind)], "{start}");
        assert_eq!(told(&snapshot, &cgroup), format!("runtime=docker container_id={ID}"), "{start}");
        // One bad file is no failure of the walk.
        assert_eq!(snapshot.cgroups.len(), 3);
    }
}

#[test]
fn a_pipe_in_place_of_a_file_and_a_link_out_of_the_root_do_not_stop_anything() {
    let cgroup = format!("/docker/{ID}");
    let tree = tree(&cgroup);
    let directory = tree.rootfs().join(format!("var/lib/docker/containers/{ID}"));
    fs::create_dir_all(&directory).expect("a directory");
    let pipe = directory.join("config.v2.json");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    // Somebody who may yet write into it.
    let _writer = fs::File::options().read(true).write(true).open(&pipe).expect("a pipe");
    let outside = tempfile::NamedTempFile::new().expect("a file");
    fs::write(outside.path(), "{\"Name\": \"/outside\"}").expect("a file");
    let snap = tree.rootfs().join(format!("var/snap/docker/common/var-lib-docker/containers/{ID}"));
    fs::create_dir_all(&snap).expect("a directory");
    symlink(outside.path(), snap.join("config.v2.json")).expect("a link");
    let mut sampler = sampler(&tree);
    let mut snapshot = sampler.pass();
    let patience = Instant::now() + Duration::from_secs(30);
    while faults(&snapshot).is_empty() && Instant::now() < patience {
        std::thread::yield_now();
        snapshot = sampler.pass();
    }
    assert_eq!(faults(&snapshot), [("config.v2.json", FaultKind::Malformed)]);
    assert_eq!(told(&snapshot, &cgroup), format!("runtime=docker container_id={ID}"));
}

#[test]
fn names_that_containers_chose_are_bounded_and_printable() {
    let cgroup = format!("/docker/{ID}");
    let tree = tree(&cgroup);
    let image = "i".repeat(10_000);
    let text = format!(
        "{{\"Name\": \"/a\\u0000\\n\\\"}} 1\\u202e\", \"Config\": {{\"Image\": \"{image}\", \"Labels\": {{\"io.kubernetes.pod.name\": \"not-mine\"}}}}}}"
    );
    keep(&tree, &format!("/var/lib/docker/containers/{ID}/config.v2.json"), text);
    let mut sampler = sampler(&tree);
    let snapshot = until(&mut sampler, &cgroup, |told| told.contains(" container="));
    let owner = &snapshot.find(cgroup.as_bytes()).expect("it lives").identity.owner;
    assert_eq!(
        owner.get(OwnerLabel::Container),
        Some("a\u{fffd}00\u{fffd}0a\"} 1\u{fffd}e2\u{fffd}80\u{fffd}ae")
    );
    let image = owner.get(OwnerLabel::Image).expect("an image");
    assert_eq!((image.chars().count(), image.chars().last()), (128, Some('…')));
    // A label is no pod: the path would say so.
    assert_eq!(owner.get(OwnerLabel::Pod), None);
}

#[test]
fn two_containers_may_claim_one_name_and_are_told_apart() {
    let other = ID.replace('9', "8");
    let (first, second) = (format!("/docker/{ID}"), format!("/docker/{other}"));
    let tree = tree(&first);
    tree.group(&second, &[]);
    for id in [ID, &other] {
        keep(&tree, &format!("/var/lib/docker/containers/{id}/config.v2.json"), "{\"Name\": \"/same\"}");
    }
    let mut sampler = sampler(&tree);
    until(&mut sampler, &first, |told| told.contains("container=same"));
    let snapshot = until(&mut sampler, &second, |told| told.contains("container=same"));
    assert_eq!(told(&snapshot, &first), format!("runtime=docker container=same container_id={ID}"));
    assert_eq!(told(&snapshot, &second), format!("runtime=docker container=same container_id={other}"));
}

#[test]
fn the_directory_s_owner_is_its_user_even_if_it_was_given_away_later() {
    let tree = tree("/delegated/inner");
    let own = |path: &str, uid: u32| {
        chown(&tree.path(path), Some(Uid::from_raw(uid)), None).expect("tests run as root")
    };
    own("/delegated", 1234);
    let mut sampler = sampler(&tree);
    let snapshot = sampler.pass();
    assert_eq!(told(&snapshot, "/delegated"), "user=1234");
    assert_eq!(told(&snapshot, "/delegated/inner"), "");
    own("/delegated/inner", 1235);
    until(&mut sampler, "/delegated/inner", |told| told == "user=1235");
}

#[test]
fn what_was_found_is_on_series() {
    let cgroup = format!("/docker/{ID}");
    let tree = tree(&cgroup);
    tree.write(&cgroup[1..], "memory.current", "4096\n");
    keep(
        &tree,
        &format!("/var/lib/docker/containers/{ID}/config.v2.json"),
        fixture("docker-20.10-config.v2.json"),
    );
    let mut sampler = sampler(&tree);
    let snapshot = until(&mut sampler, &cgroup, |told| told.contains("image="));
    let attach = Attach::of(&[OwnerLabel::Container, OwnerLabel::Image]);
    let mut out = Vec::new();
    render(&snapshot, &Options { attach, ..Options::default() }, &Own::new(), &mut out);
    let text = String::from_utf8(out).expect("UTF-8");
    for line in [
        format!(
            "cgroup_info{{cgroup=\"{cgroup}\",runtime=\"docker\",container=\"web1\",container_id=\"{ID}\",image=\"nginx:1.25\"}} 1"
        ),
        format!(
            "cgroup_memory_current_bytes{{cgroup=\"{cgroup}\",container=\"web1\",image=\"nginx:1.25\"}} 4096"
        ),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in {text}");
    }
}

#[test]
fn what_was_found_is_listed() {
    let cgroup = format!("/docker/{ID}");
    let tree = tree(&cgroup);
    keep(
        &tree,
        &format!("/var/lib/docker/containers/{ID}/config.v2.json"),
        fixture("docker-20.10-config.v2.json"),
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stockade"))
        .args(["ls", "-J", "--interval=0"])
        .args(tree.flags())
        .output()
        .expect("the program runs");
    let json = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["\"container\"", "\"web1\"", "\"image\"", "\"nginx:1.25\""] {
        assert!(json.contains(part), "no {part} in {json}");
    }
}
