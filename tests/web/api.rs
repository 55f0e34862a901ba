//! The JSON API.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockade::model::{Column, FaultKind, FaultRow, Field, Key, Reading, RowKind, Schema};

use super::harness::{Server, cgroup, snapshot, usual_cgroups};

#[test]
fn lists_have_key_numbers_and_absent_is_absent() {
    let server = Server::start();
    let listing = server.get("/api/v1/cgroups").json();
    assert_eq!(listing["version"], 1);
    assert_eq!(listing["sequence"], 1);
    assert_eq!(listing["timestamp_seconds"], 1000.0);
    assert_eq!(listing["cgroups"].as_array().unwrap().len(), 3);
    assert_eq!(
        listing["cgroups"][1],
        json!({"path": "/a", "id": 7, "unit": "unit.service", "age_seconds": 30.0, "values": {
            "cgroup.populated": true, "memory.current": 1 << 20, "cpu.usage_seconds": 1.5,
            "memory.pressure.some.avg10": 12.34, "memory.max": "max", "cpu.max_cores": 1.5}})
    );
}

#[test]
fn one_cgroup_has_everything() {
    let server = Server::start();
    let mut one = cgroup(b"/a/b", 5);
    let key = |column, item: &str| Key { column, item: item.into(), detail: "".into() };
    let stat = one.readings.rows_mut(RowKind::MemoryStat);
    stat.reshape(Arc::new(Schema::new(vec![key(Column::StatBytes, "anon"), key(Column::StatBytes, "file")])));
    stat.values_mut()[0] = Reading::new(4);
    let io = one.readings.rows_mut(RowKind::IoStat);
    io.reshape(Arc::new(Schema::new(vec![key(Column::IoReadBytes, "vda"), key(Column::IoCostUsage, "vda")])));
    io.values_mut().copy_from_slice(&[Reading::new(6), Reading::new(2_000_000_000)]);
    Arc::make_mut(&mut one.controls).io_device("vda").latency_target =
        Some(stockade::model::Limit::Value(1_500));
    server.publish(Some(snapshot(1, vec![one])));
    let full = server.get("/api/v1/cgroup?path=%2Fa%2Fb").json();
    assert_eq!(
        full,
        json!({"version": 1, "path": "/a/b", "parent": "/a", "id": 7, "unit": "unit.service", "age_seconds": 30.0,
            "values": {"cgroup.populated": true, "memory.current": 5, "cpu.usage_seconds": 1.5,
                "memory.pressure.some.avg10": 12.34},
            "controls": {"memory.max": "max", "cpu.max.quota_seconds": 0.15, "cpu.max.period_seconds": 0.1,
                "cpu.max_cores": 1.5},
            "io_limits": {"vda": {"latency_target_seconds": 0.0015}},
            "tables": {"memory.stat": {"anon": 4}, "io.stat": {"vda": {"read_bytes": 6, "cost_usage_seconds": 2.0}}}})
    );
}

#[test]
fn paths_of_any_bytes_are_found_and_others_are_clearly_not() {
    let server = Server::start();
    let mut cgroups = usual_cgroups();
    cgroups.push(cgroup(b"/x\xff\" y", 77));
    let mut hidden = cgroup(b"/hidden", 1);
    hidden.hidden = true;
    cgroups.push(hidden);
    let mut newest = snapshot(1, cgroups);
    let mut ended = cgroup(b"/gone", 88);
    ended.ended = Some(Duration::from_secs(35));
    newest.dead.push(Arc::new(ended));
    server.publish(Some(newest));
    // The kernel's bytes, and what people see of them.
    for path in ["/x%ff%22%20y", "/x%EF%BF%BDff%22+y"] {
        assert_eq!(server.get(&format!("/api/v1/cgroup?path={path}")).json()["values"]["memory.current"], 77);
    }
    let gone = server.get("/api/v1/cgroup?path=/gone").json();
    assert_eq!((&gone["values"]["memory.current"], &gone["ended_seconds_ago"]), (&json!(88), &json!(5.0)));
    for (query, status, expected) in [
        ("path=/nowhere%01%ff", 404, "/nowhere\u{fffd}01\u{fffd}ff"),
        ("path=/hidden", 404, "/hidden"),
        ("path=a", 404, "begins with a slash"),
        ("", 400, "?path="),
        ("paht=/a", 400, "?path="),
    ] {
        let reply = server.get(&format!("/api/v1/cgroup?{query}"));
        assert_eq!(reply.status, status, "{query}");
        let message = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{query}: {message}");
    }
}

#[test]
fn the_status_tells_of_the_last_pass() {
    let server = Server::start();
    let mut newest = snapshot(41, usual_cgroups());
    newest.report.faults.push(FaultRow { source: "memory.stat", kind: FaultKind::Malformed, count: 3 });
    newest.host.pressure.set(Field::CpuSomeAvg10, Some(50));
    server.publish(Some(newest));
    let status = server.get("/api/v1/status").json();
    assert_eq!(status["ready"], true);
    assert_eq!(status["program_version"], env!("CARGO_PKG_VERSION"));
    let sample = &status["sample"];
    assert_eq!((&sample["sequence"], &sample["cgroups"]), (&json!(41), &json!(3)));
    assert_eq!((&sample["layout"], &sample["watch"]), (&json!("hybrid"), &json!("fanotify")));
    assert_eq!(sample["faults"], json!([{"source": "memory.stat", "kind": "malformed", "count": 3}]));
    assert_eq!(sample["host"], json!({"pressure": {"cpu.pressure.some.avg10": 0.5}}));
    assert!(
        sample["collectors"]["cpu"].is_object() && sample["collectors"]["memory_numa"].is_null(),
        "{sample}"
    );
    server.publish(None);
    let status = server.get("/api/v1/status").json();
    assert_eq!((&status["ready"], status.get("sample")), (&json!(false), None));
}
