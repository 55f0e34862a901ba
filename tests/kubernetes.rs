//! The queries of the dashboards that everybody has for Kubernetes, on Stockade's numbers of a node of Kubernetes.
//!
//! The expressions are those of kubernetes-mixin and kube-prometheus, which ships them: the rules of
//! `k8s.rules.container_*`, the dashboards "Compute Resources / Pod" and "/ Node", and the alert on throttling.
//! `node_namespace_pod_container:…` is written out, as no rule is evaluated here.

#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;

use prometheus::Prometheus;
use support::daemon::Daemon;
use support::eventually;
use support::fake::FakeTree;

const POD: &str = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5f3c1a52_9d0e_4c1b_8f4e_2a6b7c8d9e0f.slice";
const NGINX: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";
const SANDBOX: &str = "0d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";
const SIDECAR: &str = "1d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";

/// What containerd keeps of a container; the sandbox of the pod has no name.
fn bundle(tree: &FakeTree, id: &str, name: Option<&str>, image: &str) {
    let name = name.map_or(String::new(), |name| format!("\"io.kubernetes.cri.container-name\":\"{name}\","));
    let directory = tree.rootfs().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(id);
    fs::create_dir_all(&directory).expect("a directory");
    let annotations = format!(
        "{name}\"io.kubernetes.cri.image-name\":\"{image}\",\"io.kubernetes.cri.sandbox-name\":\"web-0\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\""
    );
    fs::write(directory.join("config.json"), format!("{{\"annotations\":{{{annotations}}}}}"))
        .expect("a file");
}

/// Two moments at which every number has as many digits.
const MOMENTS: [u64; 2] = [2, 3];

/// One cgroup: its path, how many shares of everything it has, its quota.
type Group<'a> = (&'a str, u64, &'a str);

/// Writes a node's cgroups at a moment: counters grow with it, and a parent has what its children have.
fn write(tree: &FakeTree, groups: &[Group<'_>], moment: u64) {
    for (path, shares, quota) in groups {
        let files: [(&str, String); 6] = [
            (
                "cpu.stat",
                format!(
                    "usage_usec {0}\nuser_usec {0}\nsystem_usec 0\nnr_periods {1}\nnr_throttled {2}\nthrottled_usec 0\n",
                    shares * moment * 1_000_000,
                    10 * moment,
                    shares * moment
                ),
            ),
            ("cpu.max", format!("{quota} 100000\n")),
            ("memory.current", format!("{}\n", shares << 20)),
            (
                "memory.stat",
                format!("anon {}\nfile {}\ninactive_file {}\n", shares << 19, shares << 18, shares << 17),
            ),
            ("memory.swap.current", format!("{}\n", shares << 10)),
            (
                "io.stat",
                format!(
                    "259:0 rbytes={0} wbytes={0} rios={1} wios={1} dbytes=0 dios=0\n",
                    (shares * moment) << 20,
                    shares * moment
                ),
            ),
        ];
        let directory = tree.path(path);
        fs::create_dir_all(&directory).expect("a directory");
        for (name, text) in files {
            // Not truncated first, and of one length at every moment: nobody reads half of it.
            let mut file = File::options();
            let file = file.write(true).create(true).truncate(false).open(directory.join(name));
            file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
        }
    }
}

/// kube-state-metrics, as far as the expressions join with it.
fn kube_state_metrics() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read == 1) {
                head.extend_from_slice(&byte);
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n\r\n\
                          kube_pod_info{namespace=\"shop\",pod=\"web-0\",node=\"n1\"} 1\n";
            // A client that has gone comes again in a second.
            let _ = client.write_all(answer.as_bytes());
        }
    });
    address
}

/// `sum by (…) (rate(container_cpu_usage_seconds_total{…}[5m])) * … kube_pod_info`, the mixin's rule for CPU.
const CPU: &str = r#"
    sum by (cluster, namespace, pod, container) (
      rate(container_cpu_usage_seconds_total{job="cadvisor", image!=""}[5m])
    ) * on (cluster, namespace, pod) group_left(node) topk by (cluster, namespace, pod) (
      1, max by (cluster, namespace, pod, node) (kube_pod_info{node!=""})
    )"#;

/// The mixin's rule for an amount of memory.
fn memory(metric: &str) -> String {
    format!(
        r#"{metric}{{job="cadvisor", image!=""}}
        * on (cluster, namespace, pod) group_left(node) topk by (cluster, namespace, pod) (
          1, max by (cluster, namespace, pod, node) (kube_pod_info{{node!=""}})
        )"#
    )
}

/// What a panel about I/O shows.
fn disk(metric: &str) -> String {
    format!(
        r#"sum by(container) (rate({metric}{{job="cadvisor", device=~"(/dev/)?(mmcblk.p.+|nvme.+|rbd.+|sd.+|vd.+|xvd.+|dm-.+|md.+|dasd.+)", container!="", cluster="", namespace="shop", pod="web-0"}}[5m]))"#
    )
}

#[test]
fn the_dashboards_of_kubernetes_show_containers_and_count_nothing_twice() {
    let tree = FakeTree::unified("cpu io memory pids\n");
    let devices = tree.sysfs().join("dev/block");
    fs::create_dir_all(&devices).expect("a directory");
    symlink("../../devices/virtual/block/nvme0n1", devices.join("259:0")).expect("a link");
    let meminfo = fs::read_to_string("/proc/meminfo").expect("a file");
    fs::write(tree.procfs().join("meminfo"), &meminfo).expect("a file");
    let cpus = tree.sysfs().join("devices/system/cpu");
    fs::create_dir_all(&cpus).expect("a directory");
    fs::write(cpus.join("online"), "0-3\n").expect("a file");
    let container = |id: &str| format!("{POD}/cri-containerd-{id}.scope");
    let (nginx, sidecar, sandbox) = (container(NGINX), container(SIDECAR), container(SANDBOX));
    let logs = "var/log/pods/shop_web-0_5f3c1a52-9d0e-4c1b-8f4e-2a6b7c8d9e0f";
    fs::create_dir_all(tree.rootfs().join(logs)).expect("a directory");
    bundle(&tree, NGINX, Some("nginx"), "nginx:1.27");
    bundle(&tree, SIDECAR, Some("sidecar"), "envoy:1.31");
    bundle(&tree, SANDBOX, None, "pause:3.10");
    let inner = format!("{nginx}/init.scope");
    let groups: Vec<Group<'_>> = vec![
        ("/kubepods.slice", 8, "max"),
        ("/kubepods.slice/kubepods-burstable.slice", 8, "max"),
        (POD, 8, "20000"),
        (&nginx, 5, "10000"),
        (&inner, 5, "max"),
        (&sidecar, 2, "10000"),
        (&sandbox, 1, "max"),
        ("/system.slice/kubelet.service", 9, "max"),
    ];
    write(&tree, &groups, MOMENTS[0]);
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("stockade.yaml");
    fs::write(&config, "collect: {interval: 200ms}\n").expect("a file");
    let flags = tree.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--compat.cadvisor"]).collect();
    let daemon = Daemon::configured(&config, &flags);
    // Names come from files, a moment after the cgroup was found: series without them would be others.
    eventually("every container is named", || {
        let text = daemon.get("/metrics").text();
        let of_pod = |line: &&str| line.starts_with("container_last_seen{") && line.contains("pod=\"web-0\"");
        (text.lines().filter(of_pod).count() == 4).then_some(())
    });
    let prometheus =
        Prometheus::start(&[("cadvisor", daemon.address), ("kube-state-metrics", kube_state_metrics())]);

    // The counters grow once, between two scrapes: what they grew by is then the same on every clock.
    let shares: u64 = groups.iter().map(|(_, shares, _)| shares).sum();
    for moment in MOMENTS {
        write(&tree, &groups, moment);
        let whole = format!(
            "sum(container_cpu_usage_seconds_total) + sum(container_fs_writes_total) == {}",
            2 * shares * moment
        );
        eventually("all of the moment is scraped", || prometheus.value(&whole));
    }
    eventually("a pod is known", || prometheus.value("kube_pod_info"));

    // Each of them gives the two containers and nothing else, in the relation of their shares.
    let pod = |metric: &str, more: &str| {
        format!(
            "sum(max by (cluster, namespace, pod, container)({metric}{{job=\"cadvisor\", cluster=\"\", namespace=\"shop\", pod=\"web-0\", container!=\"\"{more}}})) by (container)"
        )
    };
    let expressions = [
        CPU.to_owned(),
        format!("sum(max by (cluster, namespace, pod, container)({CPU})) by (container)"),
        memory("container_memory_working_set_bytes"),
        memory("container_memory_rss"),
        memory("container_memory_cache"),
        memory("container_memory_swap"),
        pod("container_memory_working_set_bytes", ", image!=\"\""),
        pod("container_memory_rss", ", container!=\"POD\""),
        pod("container_memory_cache", ", container!=\"POD\""),
        pod("container_memory_swap", ", container!=\"POD\""),
        r#"sum(increase(container_cpu_cfs_throttled_periods_total{job="cadvisor", namespace="shop", pod="web-0", container!="", cluster=""}[5m])) by (container) / sum(increase(container_cpu_cfs_periods_total{job="cadvisor", namespace="shop", pod="web-0", container!="", cluster=""}[5m])) by (container)"#.to_owned(),
        disk("container_fs_reads_total"),
        disk("container_fs_writes_total"),
        disk("container_fs_reads_bytes_total"),
        disk("container_fs_writes_bytes_total"),
    ];
    for expression in &expressions {
        let found = prometheus.query(expression);
        let of = |name: &str| {
            let mut found = found.iter().filter(|(labels, _)| labels["container"] == name);
            found.next().map(|(_, value)| *value).unwrap_or_else(|| panic!("no {name}: {expression}"))
        };
        let relation = of("nginx") / of("sidecar");
        assert!((relation - 2.5).abs() < 1e-6, "{relation}: {expression}: {found:?}");
        // The rules know the sandbox too, which has an image and no name.
        let sandboxes = found.iter().filter(|(labels, _)| labels.get("container").is_none()).count();
        assert!(found.len() == 2 + sandboxes && sandboxes < 2, "{expression}: {found:?}");
        assert!(sandboxes == 0 || !expression.contains("container!="), "{expression}: {found:?}");
    }

    // Amounts are those of the containers, and neither the pod's nor the slice's on top.
    let total = |expression: &str| prometheus.value(&format!("sum({expression})"));
    assert_eq!(total(&memory("container_memory_working_set_bytes")), Some(f64::from((8 << 20) - (8 << 17))));
    assert_eq!(total(&memory("container_memory_rss")), Some(f64::from(8 << 19)));
    assert_eq!(total(&memory("container_memory_cache")), Some(f64::from(8 << 18)));

    // The alert finds the one that is throttled in more than a quarter of its periods.
    let alert = r#"
        sum(increase(container_cpu_cfs_throttled_periods_total{container!=""}[5m])) by (container, pod, namespace)
          /
        sum(increase(container_cpu_cfs_periods_total{}[5m])) by (container, pod, namespace)
          > ( 25 / 100 )"#;
    let found = prometheus.query(alert);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0["container"] == "nginx" && (found[0].1 - 0.5).abs() < 1e-6, "{found:?}");

    // The machine, by which older dashboards divide.
    assert_eq!(prometheus.value("sum(machine_cpu_cores)"), Some(4.0));
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total: f64 = total.and_then(|total| total.parse().ok()).expect("a number");
    assert_eq!(prometheus.value("sum(machine_memory_bytes)"), Some(total * 1024.0));
}
