//! A real Prometheus that scrapes what it is told to, and answers queries.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::eventually;

/// The items of `scrape_configs`, one a job.
fn jobs(targets: &[(&str, String, SocketAddr)]) -> String {
    let mut jobs: BTreeMap<&str, String> = BTreeMap::new();
    for (job, instance, target) in targets {
        let config = format!("{{targets: [\"{target}\"], labels: {{instance: \"{instance}\"}}}}, ");
        jobs.entry(job).or_default().push_str(&config);
    }
    jobs.iter()
        .map(|(job, configs)| format!("  - job_name: {job}\n    static_configs: [{configs}]\n"))
        .collect()
}

/// A Prometheus with a directory of its own, killed by its pid at the end.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes each target every second, under the name of its job.
    pub fn start(targets: &[(&str, SocketAddr)]) -> Self {
        Self::configured(targets, "", "")
    }

    /// Starts one with more in its configuration: under `global`, as `key: value, …`, and after the scrapes, as YAML.
    pub fn configured(targets: &[(&str, SocketAddr)], global: &str, more: &str) -> Self {
        let named: Vec<_> = targets.iter().map(|(job, target)| (*job, target.to_string(), *target)).collect();
        Self::launch(&jobs(&named), global, more)
    }

    /// Starts one whose every target is the instance that it is called.
    pub fn named(targets: &[(&str, String, SocketAddr)]) -> Self {
        Self::launch(&jobs(targets), "", "")
    }

    /// Starts one with these items of `scrape_configs`.
    pub fn with_jobs(jobs: &str) -> Self {
        Self::launch(jobs, "", "")
    }

    fn launch(jobs: &str, global: &str, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("prometheus.yml");
        fs::write(
            &config,
            format!("global: {{scrape_interval: 1s, {global}}}\nscrape_configs:\n{jobs}{more}"),
        )
        .expect("a file");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("this test needs Prometheus (apt-get install prometheus): {error}")
            });
        let mut started = Self { child, address: ([127, 0, 0, 1], 0).into(), _directory: directory };
        started.address = eventually("Prometheus listens", || {
            let ended = started.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "Prometheus ended: {ended:?}");
            listening(started.child.id())
        });
        eventually("Prometheus is ready", || {
            started.get("/-/ready").starts_with("HTTP/1.0 200").then_some(())
        });
        started
    }

    fn get(&self, target: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return String::new() };
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream
            .write_all(format!("GET {target} HTTP/1.0\r\nHost: test\r\n\r\n").as_bytes())
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// What an endpoint of the query API gives: labels, and whatever stands under `key` beside them.
    fn ask(&self, endpoint: &str, query: &str, also: &str, key: &str) -> Vec<(Value, Value)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/{endpoint}?query={encoded}{also}"));
        let (_, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!(body["status"], "success", "{query}: {body}");
        let series = body["data"]["result"].as_array().expect("series");
        series.iter().map(|series| (series["metric"].clone(), series[key].clone())).collect()
    }

    /// The labels and the value of each series that a query gives now.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let found = self.ask("query", query, "", "value");
        found.into_iter().map(|(labels, sample)| (labels, number(&sample[1]))).collect()
    }

    /// The labels of each series that a query gives between two moments, and its samples: when, and what.
    pub fn range(&self, query: &str, (from, to): (f64, f64), step: f64) -> Vec<(Value, Vec<(f64, f64)>)> {
        let also = format!("&start={from:.3}&end={to:.3}&step={step}");
        let sample = |sample: &Value| (sample[0].as_f64().expect("a time"), number(&sample[1]));
        let samples = |samples: Value| samples.as_array().expect("samples").iter().map(sample).collect();
        let found = self.ask("query_range", query, &also, "values");
        found.into_iter().map(|(labels, values)| (labels, samples(values))).collect()
    }

    /// A query's only value.
    pub fn value(&self, query: &str) -> Option<f64> {
        let found = self.query(query);
        assert!(found.len() < 2, "{query}: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    /// How many series its head block holds.
    pub fn head_series(&self) -> Option<u64> {
        let answer = self.get("/api/v1/status/tsdb");
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        body["data"]["headStats"]["numSeries"].as_u64()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number as the query API writes it.
fn number(text: &Value) -> f64 {
    text.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

/// The loopback address that a process listens on: Prometheus does not tell which port the kernel gave it.
pub fn listening(pid: u32) -> Option<SocketAddr> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let listens = *state == "0A" && sockets.iter().any(|socket| socket == inode);
        let port = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
        listens.then(|| ([127, 0, 0, 1], port).into())
    })
}
