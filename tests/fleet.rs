//! Fifty hosts and one Prometheus: what `deploy/fleet.md` says of series, labels and queries.
//!
//! Each host is a `stockade serve` of its own that watches a tree of its own, made of what a real kernel's files said.

#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use prometheus::Prometheus;
use serde_json::Value;
use support::daemon::Daemon;
use support::eventually;
use support::fake::FakeTree;

const HOSTS: usize = 50;
/// What Prometheus adds to each target: `up` and four series about the scrape.
const OF_THE_SCRAPE: u64 = 5;
/// The captured host, and its cgroup that has processes, memory and I/O.
const CAPTURED: &str = "tests/fixtures/7.3-unified";
const CGROUP: &str = "stockade-test-fixture-memory";

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a captured cgroup.
fn captured(cgroup: &str) -> Vec<(String, String)> {
    let directory = tree(CAPTURED).join("sys/fs/cgroup").join(cgroup);
    fs::read_dir(directory)
        .expect("a captured cgroup")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            Some((name, fs::read_to_string(path).ok()?))
        })
        .collect()
}

/// How many pods a host has: not every host as many.
fn pods(host: usize) -> usize {
    2 + host % 5
}

struct Host {
    daemon: Daemon,
    pods: usize,
    _tree: FakeTree,
}

fn host(number: usize, root: &[(String, String)], pod: &[(String, String)]) -> Host {
    let tree_of_its_own = FakeTree::unified("cpuset cpu io memory hugetlb pids rdma misc\n");
    let files = |files: &[(String, String)], cgroup: &str| {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        tree_of_its_own.group(cgroup, &files);
    };
    files(root, "/");
    for pod_number in 0..pods(number) {
        files(pod, &format!("/pod-{pod_number}.slice"));
    }
    let [cgroups, _, _, rootfs] = tree_of_its_own.flags();
    let procfs = format!("--path.procfs={}", tree(CAPTURED).join("proc").display());
    let sysfs = format!("--path.sysfs={}", tree(CAPTURED).join("sys").display());
    let daemon = Daemon::start(&[&cgroups, &rootfs, &procfs, &sysfs, "--log.level=error"]);
    Host { daemon, pods: pods(number), _tree: tree_of_its_own }
}

/// The numbers that the page's table has, by its first column.
fn table_of_the_page() -> BTreeMap<String, u64> {
    let page = fs::read_to_string(tree("deploy/fleet.md")).expect("the page");
    let begin = page.find("<!-- series -->").expect("the table's begin");
    let end = page.find("<!-- /series -->").expect("the table's end");
    page[begin..end]
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let name = cells.next()?.trim().trim_matches(['`', '*']).to_owned();
            Some((name, cells.next()?.trim().trim_matches('*').parse().ok()?))
        })
        .collect()
}

/// A number as the page writes it: `41,000`, `27.3 k`, `2.05 G`, `15 s`.
fn number(text: &str) -> f64 {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit.chars().next() {
        Some('k') => 1e3,
        Some('M') => 1e6,
        Some('G') => 1e9,
        Some('T') => 1e12,
        _ => 1.0,
    };
    digits.replace(',', "").parse::<f64>().unwrap_or_else(|_| panic!("no number: {text}")) * factor
}

/// The sums for fleets follow from the hosts, their series and the interval, as far as they are written.
fn the_sums_are_right() {
    let page = fs::read_to_string(tree("deploy/fleet.md")).expect("the page");
    let (_, rest) = page.split_once("<!-- sums -->").expect("the sums' begin");
    let (table, _) = rest.split_once("<!-- /sums -->").expect("the sums' end");
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| 1") || line.starts_with("| 5")) {
        let cells: Vec<f64> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| number(cell.trim().trim_end_matches("/s")))
            .collect();
        let [hosts, each, interval, series, samples, memory, disk, network] = cells[..] else {
            panic!("other columns: {line}")
        };
        let expected = hosts * each;
        for (name, written, expected) in [
            ("series", series, expected),
            ("samples", samples, expected / interval),
            ("memory", memory, expected * 2_400.0),
            ("disk", disk, expected / interval * 15.0 * 86_400.0 * 2.0),
            ("network", network, expected / interval * 20.0),
        ] {
            let away = (written - expected).abs() / expected;
            assert!(away < 0.05, "{line}: {name} is {expected}, and {written} is written");
        }
        rows += 1;
    }
    assert!(rows >= 6, "{rows} rows of sums");
}

/// The queries of the page's PromQL blocks: those that give each host, and those about the whole fleet.
fn queries_of_the_page() -> (Vec<String>, Vec<String>) {
    let page = fs::read_to_string(tree("deploy/fleet.md")).expect("the page");
    let mut blocks = page.split("```promql\n").skip(1).map(|rest| {
        let block = rest.split("```").next().expect("a block");
        block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
    });
    let each_host = blocks.next().expect("a block of queries for each host");
    (each_host, blocks.next().expect("a block of queries for the fleet"))
}

/// Every expression of a dashboard, with its variables filled in.
fn expressions(json: &Value, instance: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(members) => {
            if let Some(expression) = members.get("expr").and_then(Value::as_str) {
                let filled = expression
                    .replace("$__rate_interval", "1m")
                    .replace("$__range", "5m")
                    .replace("$job", ".+")
                    .replace("$instance", instance)
                    .replace("$cgroup", ".+");
                assert!(!filled.contains('$'), "a variable that this test does not know: {filled}");
                found.push(filled);
            }
            members.values().for_each(|member| expressions(member, instance, found));
        }
        Value::Array(members) => members.iter().for_each(|member| expressions(member, instance, found)),
        _ => {}
    }
}

fn instances(found: &[(Value, f64)]) -> BTreeSet<&str> {
    found.iter().filter_map(|(labels, _)| labels["instance"].as_str()).collect()
}

#[test]
fn one_prometheus_scrapes_fifty_hosts_and_the_sums_of_the_page_are_right() {
    let (root, pod) = (captured(""), captured(CGROUP));
    let start = |number| host(number, &root, &pod);
    // Side by side, as each waits for its first sample.
    let hosts: Vec<Host> = std::thread::scope(|scope| {
        let start = &start;
        let started: Vec<_> = (0..HOSTS).map(|number| scope.spawn(move || start(number))).collect();
        started.into_iter().map(|host| host.join().expect("a host")).collect()
    });
    let targets: Vec<String> = hosts.iter().map(|host| format!("\"{}\"", host.daemon.address)).collect();
    let prometheus = Prometheus::with_jobs(&format!(
        "  - job_name: stockade\n    scrape_interval: 5s\n    static_configs: [{{targets: [{}]}}]\n",
        targets.join(", ")
    ));
    // The second scrape has what the first one made: the counters of requests that were answered.
    eventually("two scrapes of every host", || {
        let twice = prometheus.value("count(count_over_time(up{job=\"stockade\"}[1m]) >= 3)")?;
        (twice >= 50.0).then_some(())
    });

    let up = prometheus.query("up{job=\"stockade\"}");
    assert_eq!(up.len(), HOSTS);
    assert!(up.iter().all(|(_, up)| *up == 1.0), "{up:?}");
    let addresses: Vec<String> = hosts.iter().map(|host| host.daemon.address.to_string()).collect();
    assert_eq!(instances(&up), addresses.iter().map(String::as_str).collect());

    the_sums_are_right();
    a_cgroup_has_as_many_series_as_the_page_says(&prometheus, &hosts);
    the_head_holds_what_the_formula_gives(&prometheus);
    queries_reach_every_host(&prometheus, &addresses);
}

fn a_cgroup_has_as_many_series_as_the_page_says(prometheus: &Prometheus, hosts: &[Host]) {
    let table = table_of_the_page();
    let a_cgroup = table["a cgroup, in all"];
    let parts: u64 = table.iter().filter(|(name, _)| !name.contains(' ')).map(|(_, series)| series).sum();
    assert_eq!(parts, a_cgroup, "the page's collectors come to its sum");
    let first = &hosts[0].daemon;
    let collectors = table.iter().filter(|(name, _)| !name.contains(' ') && *name != "cgroup_info");
    for (collector, series) in collectors {
        let exposition = first.metrics_with(&format!("?collect[]={collector}"), &[]);
        let mine = exposition.0.keys().filter(|series| series.contains("{cgroup=\"/pod-0.slice\""));
        // cgroup_info is in every answer.
        assert_eq!(mine.count() as u64, series + 1, "{collector}: deploy/fleet.md says {series}");
    }
    let counted = prometheus.query("count by (instance) ({cgroup=~\"/pod-.*\"})");
    assert_eq!(counted.len(), HOSTS);
    for host in hosts {
        let address = host.daemon.address.to_string();
        let (_, series) = counted.iter().find(|(labels, _)| labels["instance"] == *address).expect("a host");
        assert_eq!(*series, (host.pods as u64 * a_cgroup) as f64, "{} pods at {address}", host.pods);
    }
    let own = table["a host"];
    let others = prometheus
        .query("count by (instance) ({__name__=~\".+\",__name__!~\"up|scrape_.*\",cgroup!~\"/pod-.*\"})");
    assert_eq!(others.len(), HOSTS);
    for (labels, series) in &others {
        // What it says of itself depends on what was asked of it.
        let away = (series - own as f64).abs() / own as f64;
        assert!(away < 0.1, "{labels}: {series} series besides its pods', and deploy/fleet.md says {own}");
    }
}

fn the_head_holds_what_the_formula_gives(prometheus: &Prometheus) {
    eventually("the head holds every series that was scraped, and no other", || {
        let scraped = prometheus.value("sum(scrape_samples_scraped)")?;
        let expected = scraped as u64 + OF_THE_SCRAPE * HOSTS as u64;
        (prometheus.head_series()? == expected).then_some(())
    });
    let longest = prometheus.value("max(scrape_duration_seconds)").expect("scrapes");
    let interval = prometheus.value("max(stockade_sample_age_seconds)").expect("samples");
    assert!(longest > 0.0 && interval >= 0.0, "{longest} s, {interval} s");
}

fn queries_reach_every_host(prometheus: &Prometheus, addresses: &[String]) {
    let (each_host, fleet) = queries_of_the_page();
    assert!(each_host.len() >= 3 && fleet.len() >= 3, "the page has queries");
    for query in each_host {
        let found = prometheus.query(&query);
        assert_eq!(instances(&found).len(), HOSTS, "{query}: {} series", found.len());
    }
    for query in fleet {
        assert!(!prometheus.query(&query).is_empty(), "{query}: nothing");
    }
    let overview = fs::read_to_string(tree("dashboards/overview.json")).expect("the overview");
    let overview: Value = serde_json::from_str(&overview).expect("JSON");
    for (chosen, all) in [(".+", true), (addresses[7].as_str(), false)] {
        let mut queries = Vec::new();
        let instance = if all { chosen.to_owned() } else { chosen.replace('.', "\\\\.") };
        expressions(&overview, &instance, &mut queries);
        assert!(queries.len() > 10, "the overview has queries");
        let mut seen = BTreeSet::new();
        for query in &queries {
            let found = prometheus.query(query);
            seen.extend(instances(&found).into_iter().map(str::to_owned));
        }
        match all {
            // Those that rank show ten each.
            true => assert!(seen.len() >= 10, "the overview of all shows {seen:?}"),
            false => assert_eq!(seen, BTreeSet::from([chosen.to_owned()]), "the overview of one host"),
        }
    }
    let all = prometheus.query("count(stockade_build_info{job=~\".+\",instance=~\".+\"})");
    assert_eq!(all[0].1, HOSTS as f64);
}
