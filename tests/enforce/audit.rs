//! The audit log: what a line says, rotation, and a disk that refuses.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use stockade::enforce::audit::{AuditLog, path_of, read};
use stockade::enforce::drift::{DriftAnswer, DriftSeen, ForeignWriter};
use stockade::enforce::journal::{Damage, Fate, Recovered, Recovery};
use stockade::enforce::notify::Notified;
use stockade::enforce::order::{Change, Deed, Done, Order, Outcome, Through};
use stockade::enforce::ownership::Ownership;
use stockade::enforce::safety::{self, Audit, Safety};
use stockade::enforce::stats::Stats;
use stockade::model::{Identity, Knob, Limit, OwnerLabel, Value, Writer};
use stockade::policy::condition::Truth;
use stockade::policy::decision::{Evidence, Finding, Spared};
use stockade::policy::rule::OnDrift;

use crate::fake::identity;

const PATIENCE: Duration = Duration::from_secs(60);

fn log(path: &Path, max_size: u64, keep: usize) -> (AuditLog, Arc<Stats>) {
    let audit = Audit { path: Some(path.to_owned()), max_size, keep };
    let stats = Arc::new(Stats::default());
    (AuditLog::start(&Safety { audit, ..Safety::default() }, Arc::clone(&stats)).unwrap(), stats)
}

fn lines(path: &Path) -> Vec<Json> {
    read(path).map(|line| line.unwrap()).collect()
}

fn done() -> Done {
    let mut target: Identity = (*identity("/a\n", 7)).clone();
    target.owner.set(OwnerLabel::Unit, Some("a.service"));
    let finding = Finding {
        signal: "memory.current".to_owned(),
        of: "/a".to_owned(),
        value: Some(7.5),
        compare: "above",
        threshold: None,
        held: Duration::from_millis(1500),
        hold: Duration::from_secs(1),
        truth: Truth::Unknown,
    };
    let spared = Spared { cgroup: "/b".into(), reason: "it is smaller".to_owned() };
    let order = Order {
        id: 3,
        rule: "rule".into(),
        step: Some(1),
        target: Arc::new(target),
        owner: Ownership::Unowned,
        deed: Deed::Set { values: vec![(Knob::MemoryMax, Value::of(5))], on_drift: OnDrift::Yield },
        expires: None,
        allow_oom: false,
        loosens: false,
        seen: Vec::new(),
        noticed: Duration::ZERO,
        evidence: Evidence { findings: vec![finding], spared: vec![spared] },
        dry_run: false,
    };
    let change = Change { knob: Knob::MemoryMax, before: Value::Limit(Limit::Max), after: Value::of(4096) };
    let (outcome, detail) = (Outcome::Applied, "as \"said\"".to_owned());
    Done {
        through: Some(Through {
            owner: Ownership::Systemd { unit: "a.service".into() },
            writer: safety::Writer::Dbus,
        }),
        order: Arc::new(order),
        outcome,
        detail,
        changes: vec![change],
        reaction: Duration::from_millis(2),
    }
}

#[test]
fn a_decision_is_told_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/audit.jsonl");
    let (log, _) = log(&path, 1 << 20, 2);
    log.done(&done());
    log.flush(PATIENCE);
    let mut said = lines(&path).remove(0);
    let time = said.as_object_mut().unwrap().remove("time").unwrap();
    assert!(time.as_str().unwrap().starts_with("20") && time.as_str().unwrap().ends_with('Z'), "{time}");
    let expected = json!({
        "kind": "decision",
        "id": 3,
        "policy": "rule",
        "target": {"cgroup": "/a\u{fffd}0a", "id": 7, "owner": {"unit": "a.service"}},
        "owner": {"kind": "systemd", "unit": "a.service"},
        "writer": "dbus",
        "conditions": [{
            "signal": "memory.current", "of": "/a", "value": 7.5, "compare": "above", "threshold": null,
            "held_seconds": 1.5, "for_seconds": 1.0, "truth": "unknown",
        }],
        "spared": [{"cgroup": "/b", "reason": "it is smaller"}],
        "action": "set",
        "values": {"memory.max": "5"},
        "step": 1,
        "mode": "enforce",
        "outcome": "applied",
        "detail": "as \"said\"",
        "changes": [{"control": "memory.max", "before": "max", "after": "4096"}],
        "reaction_seconds": 0.002,
    });
    assert_eq!(said, expected);
}

#[test]
fn everything_else_has_a_line_of_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let (log, stats) = log(&path, 1 << 20, 2);
    let writer = ForeignWriter { kind: Writer::Systemd, pid: Some(1), command: None };
    let target = identity("/a", 1);
    let drift = |answer| DriftSeen {
        target: Arc::clone(&target),
        knob: Some(Knob::PidsMax),
        ours: Value::of(5),
        theirs: Value::of(6),
        writer: writer.clone(),
        answer,
    };
    log.drift(&drift(DriftAnswer::Yielded(vec!["rule".into()])));
    log.drift(&drift(DriftAnswer::Reasserted("rule".into(), Err("EIO".to_owned()))));
    log.foreign_write(&target, &Knob::CpuWeight, None, Some(&Value::of(9)), &writer);
    let claim = Recovered {
        rule: "rule".into(),
        cgroup: "/a".to_owned(),
        what: "freeze".to_owned(),
        was: None,
        fate: Fate::Restored,
    };
    log.recovery(&Recovery {
        damage: Damage { torn: 5, ..Damage::default() },
        claims: vec![claim],
        ..Recovery::default()
    });
    log.notified(&Notified {
        order: 3,
        rule: "rule".into(),
        cgroup: "/a".to_owned(),
        to: "/bin/true".to_owned(),
        status: "firing",
        result: Err("it is not there".to_owned()),
    });
    log.reload(Err("line 3"));
    log.flush(PATIENCE);
    let said = lines(&path);
    let told = |at: usize, key: &str| said[at][key].clone();
    let kinds: Vec<&str> = said.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    let expected =
        ["drift", "drift", "foreign_write", "journal_damage", "recovery", "notification", "reload"];
    assert_eq!(kinds, expected);
    assert_eq!(told(0, "writer"), json!({"kind": "systemd", "pid": 1, "command": null}));
    assert_eq!((told(0, "answer"), told(0, "rules")), (json!("yield"), json!(["rule"])));
    assert_eq!((told(0, "ours"), told(0, "theirs")), (json!("5"), json!("6")));
    assert_eq!((told(1, "answer"), told(1, "failed")), (json!("reassert"), json!("EIO")));
    assert_eq!((told(2, "before"), told(2, "after")), (json!(null), json!("9")));
    assert_eq!(told(3, "torn_bytes"), json!(5));
    assert_eq!((told(4, "control"), told(4, "outcome")), (json!("freeze"), json!("restored")));
    assert_eq!((told(5, "sent"), told(5, "detail")), (json!(false), json!("it is not there")));
    assert_eq!((told(6, "applied"), told(6, "detail")), (json!(false), json!("line 3")));
    assert_eq!(stats.snapshot().audit_lost, 0);
}

#[test]
fn it_is_rotated_and_read_in_order_through_all_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let (log, stats) = log(&path, 500, 3);
    for number in 0..40 {
        log.reload(Err(&format!("{number}")));
    }
    log.flush(PATIENCE);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    for file in fs::read_dir(dir.path()).unwrap() {
        assert!(file.unwrap().metadata().unwrap().len() <= 500);
    }
    let numbers: Vec<u64> =
        lines(&path).iter().map(|line| line["detail"].as_str().unwrap().parse().unwrap()).collect();
    let first = numbers[0];
    assert!(first > 0 && first < 35, "the oldest are gone, and no more: {numbers:?}");
    assert_eq!(numbers, (first..40).collect::<Vec<u64>>());
    assert_eq!(stats.snapshot().audit_lost, 0);
}

#[test]
fn a_damaged_line_is_told_and_the_next_one_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    fs::write(&path, "{\"id\":1}\n{\"id\n{\"id\":3}\n").unwrap();
    let said: Vec<_> = read(&path).collect();
    assert_eq!(said.len(), 3);
    let error = said[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("audit.jsonl, line 2 is no line of an audit log: "), "{error}");
    assert_eq!(said[2].as_ref().unwrap(), &json!({"id": 3}));
    assert_eq!(read(&dir.path().join("none")).count(), 0);
}

#[test]
fn a_disk_that_refuses_loses_lines_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // Every write to it fails as on a full disk.
    let (log, stats) = log(Path::new("/dev/full"), 1 << 20, 2);
    log.reload(Ok(()));
    log.reload(Ok(()));
    log.flush(PATIENCE);
    assert_eq!(stats.snapshot().audit_lost, 2);
    let path = dir.path().join("audit.jsonl");
    let audit = Audit { path: Some(path.clone()), max_size: 1 << 20, keep: 2 };
    log.replace(&Safety { audit, ..Safety::default() });
    log.reload(Ok(()));
    log.flush(PATIENCE);
    assert_eq!((lines(&path).len(), stats.snapshot().audit_lost), (1, 2));
}

#[test]
fn it_lies_beside_the_journal_where_nothing_else_is_said() {
    let safety = Safety { journal: "/var/lib/x/journal".into(), ..Safety::default() };
    assert_eq!(path_of(&safety), Path::new("/var/lib/x/audit.jsonl"));
}
