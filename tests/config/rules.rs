//! Rules and guard rails that are good: what is written becomes what is meant.

use std::path::Path;
use std::time::Duration;

use stockade::config::{self, Users};
use stockade::enforce::safety::{Budget, Safety, Writer};
use stockade::enforce::yielding::Guardian;
use stockade::model::{IoRate, Knob, Limit, OwnerLabel, Value};
use stockade::policy::condition::{Compare, Condition, Of, Test, Threshold};
use stockade::policy::rule::{
    Action, Amount, Cooldown, Kill, Mode, Notify, OnDrift, Policy, Setting, Step, Webhook,
};
use stockade::policy::signal::{Resource, Signal, Stall, Window};

use super::parse;

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

const MIB: u64 = 1 << 20;

const WHOLE: &str = r#"
safety:
  mode: enforce
  scope: ["/batch.slice/**", "/docker/**"]
  protect: [{path: /init.scope}, {unit: sshd.service}]
  kill_budget: {host: {max: 5}, target: {per: 1m}}
  writers: {systemd: cgroupfs, unowned: refuse}
  yield_to: [oomd, systemd-oomd]
  freeze_max: 45s
  journal: /j
  audit: {path: /log/audit.jsonl, max_size: 1MiB, keep: 9}
limits:
  - name: batch-cap
    mode: observe
    match: {path: "/batch.slice/**"}
    set: {memory.high: 4GiB, memory.max: max, cpu.max: 150%, cpu.weight: 50, pids.max: 2000, cpuset.cpus: "0-1,3",
          io.max: {vda: {wbps: 50MiB, riops: 1000/s}}}
    allow_oom: true
    on_drift: reassert
policies:
  - name: batch-runaway
    match:
      any: [{path: "/batch.slice/*.service"}, {runtime: docker, container: "job-*"}]
      not: [{user: 34}]
      min_age: 30s
    when:
      all:
        - {signal: memory.pressure.full.avg10, of: parent, above: 40%, for: 15s}
        - any:
            - {signal: memory.growth, above: -64MiB/s, for: 10s}
            - {signal: memory.current, above: 80%, of_limit: true}
            - not: {signal: cpu.usage, of: /x, below: 150%}
    clear: {signal: memory.pressure.full.avg10, of: parent, below: 15%, for: 30s}
    victim: {rank: [memory.anon, memory.growth], at_least: {memory.anon: 256MiB}, max: 2}
    steps:
      - {notify: {webhook: "https://127.0.0.1:9095/x", ca_file: /etc/ca.crt, hook: {command: [/bin/page, oncall], timeout: 3s}}}
      - {set: {memory.high: 90% of current}, at_least: 128MiB, ttl: 3m, relieved_within: 21s}
      - {reclaim: {amount: 10% of current}}
      - {freeze: {ttl: 30s}, relieved_within: 10s}
      - {kill: {signal: INT, grace: 7s}}
    cooldown: {target: 1m}
    degrade: [memory.growth]
"#;

#[test]
fn the_guard_rails_are_as_written() {
    let safety = parse(WHOLE).unwrap().safety;
    assert_eq!(safety.mode, Mode::Enforce);
    assert_eq!(safety.scope.map(|scope| scope.len()), Some(2));
    assert_eq!(safety.protect.len(), 2);
    assert_eq!(safety.protect[1].labels[0].0, OwnerLabel::Unit);
    assert_eq!(safety.kill_host, Budget { max: 5, per: seconds(600) });
    assert_eq!(safety.kill_target, Budget { max: 1, per: seconds(60) });
    let writers = (safety.writers.systemd, safety.writers.runtimes, safety.writers.unowned);
    assert_eq!(writers, (Writer::Cgroupfs, Writer::Refuse, Writer::Refuse));
    assert_eq!(safety.yield_to, [Guardian::Oomd, Guardian::SystemdOomd]);
    assert_eq!((safety.freeze_max, safety.journal.as_path()), (seconds(45), Path::new("/j")));
    assert_eq!(safety.audit.path.as_deref(), Some(Path::new("/log/audit.jsonl")));
    assert_eq!((safety.audit.max_size, safety.audit.keep), (MIB, 9));
}

#[test]
fn a_limit_is_as_written() {
    let rules = parse(WHOLE).unwrap().rules;
    let limit = &rules.limits[0];
    assert_eq!((&*limit.name, limit.mode), ("batch-cap", Some(Mode::Observe)));
    assert_eq!((limit.allow_oom, limit.on_drift), (true, OnDrift::Reassert));
    let io = |rate| Knob::IoMax { device: "vda".into(), rate };
    let expected = [
        (Knob::MemoryHigh, Value::of(4096 * MIB)),
        (Knob::MemoryMax, Value::Limit(Limit::Max)),
        (Knob::CpuMax, Value::of(1_500_000)),
        (Knob::CpuWeight, Value::of(50)),
        (Knob::PidsMax, Value::of(2000)),
        (Knob::CpusetCpus, Value::List("0-1,3".into())),
        (io(IoRate::WriteBytes), Value::of(50 * MIB)),
        (io(IoRate::Reads), Value::of(1000)),
    ];
    assert_eq!(limit.set, expected);
}

#[test]
fn a_policy_is_as_written() {
    let rules = parse(WHOLE).unwrap().rules;
    let policy = &rules.policies[0];
    assert_eq!(policy.selector.any.len(), 2);
    assert!(policy.selector.any[1].labels[1].1.is_match("job-7"));
    assert_eq!(policy.selector.not[0].labels[0].1.as_str(), "34");
    assert_eq!(policy.selector.min_age, seconds(30));

    let stall = Signal::Pressure(Resource::Memory, Stall::Full, Window::Avg10);
    let test =
        |signal, of, compare, threshold, hold| Condition::Test(Test { signal, of, compare, threshold, hold });
    let fixed = Threshold::Fixed;
    let when = Condition::All(vec![
        test(stall, Of::Parent, Compare::Above, fixed(0.4), seconds(15)),
        Condition::Any(vec![
            test(Signal::MemoryGrowth, Of::This, Compare::Above, fixed(-67_108_864.0), seconds(10)),
            test(Signal::MemoryCurrent, Of::This, Compare::Above, Threshold::OfLimit(0.8), Duration::ZERO),
            Condition::Not(Box::new(test(
                Signal::CpuUsage,
                Of::Path(b"/x".as_slice().into()),
                Compare::Below,
                fixed(1.5),
                Duration::ZERO,
            ))),
        ]),
    ]);
    assert_eq!(policy.when, when);
    assert_eq!(policy.clear, Some(test(stall, Of::Parent, Compare::Below, fixed(0.15), seconds(30))));

    assert_eq!(policy.victim.rank, [Signal::MemoryAnon, Signal::MemoryGrowth]);
    assert_eq!(policy.victim.at_least, [(Signal::MemoryAnon, 268_435_456.0)]);
    assert_eq!(policy.victim.max, 2);
    assert_eq!(policy.cooldown, Cooldown { target: seconds(60), host: seconds(15) });
    assert_eq!(policy.degrade, [Signal::MemoryGrowth]);
}

#[test]
fn steps_are_as_written() {
    let rules = parse(WHOLE).unwrap().rules;
    let step = |action, ttl: Option<u64>, within| Step {
        action,
        ttl: ttl.map(seconds),
        relieved_within: seconds(within),
    };
    let hook = stockade::policy::rule::Hook {
        program: "/bin/page".into(),
        arguments: vec!["oncall".to_owned()],
        timeout: seconds(3),
    };
    let webhook =
        Some(Webhook { address: "https://127.0.0.1:9095/x".to_owned(), ca_file: Some("/etc/ca.crt".into()) });
    let high = Setting { knob: Knob::MemoryHigh, amount: Amount::OfCurrent(0.9), at_least: Some(128 * MIB) };
    let expected = [
        step(Action::Notify(Notify { webhook, hook: Some(hook) }), None, 0),
        step(Action::Set(vec![high]), Some(180), 21),
        step(Action::Reclaim(Amount::OfCurrent(0.1)), None, 20),
        step(Action::Freeze, Some(30), 10),
        step(Action::Kill(Kill { signal: 2, grace: seconds(7) }), None, 20),
    ];
    assert_eq!(rules.policies[0].steps, expected);
}

/// The only policy of a text.
fn policy(rest: &str) -> Policy {
    let when = if rest.contains("when:") { "" } else { "    when: {signal: cpu.usage, above: 2}\n" };
    let text = format!("policies:\n  - name: p\n    match: {{path: /a}}\n{when}{rest}\n");
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    Policy::clone(&config.rules.policies[0])
}

#[test]
fn what_a_rule_does_not_say_has_defaults() {
    assert_eq!(parse("safety: {}").unwrap().safety, Safety::default());
    let policy = policy(
        "    steps:\n    - notify:\n    - set: {memory.high: 1G}\n    - freeze:\n    - kill:\n    - reclaim: 5M",
    );
    assert_eq!(policy.victim.rank, [Signal::MemoryCurrent]);
    assert_eq!((policy.victim.max, policy.mode, policy.allow_oom, &policy.clear), (1, None, false, &None));
    assert_eq!(policy.cooldown, Cooldown { target: seconds(300), host: seconds(15) });
    let times: Vec<_> = policy.steps.iter().map(|step| (step.ttl, step.relieved_within)).collect();
    let expected = [
        (None, Duration::ZERO),
        (Some(seconds(600)), seconds(20)),
        (Some(seconds(30)), seconds(20)),
        (None, seconds(20)),
        (None, seconds(20)),
    ];
    assert_eq!(times, expected);
    assert_eq!(policy.steps[0].action, Action::Notify(Notify::default()));
    assert_eq!(policy.steps[3].action, Action::Kill(Kill { signal: 15, grace: seconds(5) }));
    assert_eq!(policy.steps[4].action, Action::Reclaim(Amount::Fixed(Value::of(5_000_000))));
    let limits =
        parse("limits: [{name: l, match: {unit: a.service}, set: {cpu.max: 2}}]").unwrap().rules.limits;
    assert_eq!((limits[0].allow_oom, limits[0].on_drift, limits[0].mode), (false, OnDrift::Yield, None));
    assert_eq!(limits[0].set, [(Knob::CpuMax, Value::of(2_000_000))]);
}

#[test]
fn the_default_freeze_keeps_within_what_is_allowed() {
    let text = "safety: {freeze_max: 10s}\npolicies:\n  - name: p\n    match: {path: /a}\n    when: {signal: cpu.usage, \
                above: 2}\n    steps: [{freeze: {}}]\n";
    assert_eq!(parse(text).unwrap().rules.policies[0].steps[0].ttl, Some(seconds(10)));
}

#[test]
fn a_kill_by_kill_waits_for_nothing() {
    let steps = policy("    steps: [{kill: {signal: KILL}}]").steps;
    assert_eq!(steps[0].action, Action::Kill(Kill { signal: 9, grace: Duration::ZERO }));
}

#[test]
fn pressure_of_the_host_is_one_signal_however_it_is_written() {
    let steps = "    steps: [{notify: {}}]";
    let one = policy(&format!("    when: {{signal: io.pressure.some.avg10, of: host, above: 5%}}\n{steps}"));
    let other = policy(&format!("    when: {{signal: host.pressure.io.some.avg10, above: 5%}}\n{steps}"));
    assert_eq!(one.when, other.when);
    let Condition::Test(test) = one.when else { panic!("{:?}", one.when) };
    assert_eq!(
        (test.signal, test.of),
        (Signal::HostPressure(Resource::Io, Stall::Some, Window::Avg10), Of::Host)
    );
}

#[test]
fn every_signal_can_be_compared() {
    for signal in Signal::all() {
        let name = signal.name();
        let good = ["1GiB", "1MiB/s", "5", "5/s", "50%", "5s"].into_iter().filter(|value| {
            let when = format!("{{signal: {name}, above: {value}}}");
            parse(&format!(
                "policies: [{{name: p, match: {{path: /a}}, when: {when}, steps: [{{notify: {{}}}}]}}]"
            ))
            .is_ok()
        });
        // A plain number is a size as well, and a share is an amount of CPU.
        let good = good.count();
        let always_zero = matches!(signal, Signal::HostPressure(Resource::Cpu, Stall::Full, _));
        assert_eq!(good > 0, !always_zero, "{name} takes {good} forms");
        assert!(good <= 2, "{name} takes {good} forms");
    }
}

#[test]
fn users_are_known_by_name_on_their_own_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.yaml");
    let text = |user: &str| format!("safety: {{protect: [{{user: {user}}}]}}\n");
    std::fs::write(&file, text("root")).unwrap();
    let protect = config::load(Some(&file)).unwrap().safety.protect;
    assert_eq!(protect[0].labels[0].1.as_str(), "0");

    std::fs::write(&file, text("nobody-has-this-name")).unwrap();
    let problems = config::load(Some(&file)).unwrap_err();
    assert_eq!(problems.list()[0].message(), "/etc/passwd has no user `nobody-has-this-name`");
    let expected = "expected the name of a user there, a number, or a glob of numbers such as `1*`";
    assert_eq!(problems.list()[0].expected(), expected);
    assert!(config::load_of(Some(&file), Users::Elsewhere).is_ok(), "another host may know it");
}

#[test]
fn a_rule_is_found_by_its_name() {
    let places = parse(WHOLE).unwrap().places;
    let shown: Vec<String> =
        places.iter().map(|(name, place)| format!("{name} {}:{}", place.line, place.column)).collect();
    assert_eq!(shown, ["batch-cap 13:11", "batch-runaway 21:11"]);
    assert!(places.values().all(|place| place.file == Path::new("s.yaml")));
}

#[test]
fn an_item_after_a_bad_one_is_told_at_its_own_place() {
    let text = "policies:\n  - 5\n  - name: b\n    match: {path: /a}\n    when: {signal: cpu.usage, above: 2}\n    steps: []\n";
    let shown: Vec<Option<usize>> =
        parse(text).unwrap_err().list().iter().map(config::Problem::line).collect();
    assert_eq!(shown, [Some(2), Some(6)]);
}

#[test]
fn what_can_hold_is_taken() {
    let test = |signal: &str, rest: &str| format!("{{signal: {signal}, {rest}}}");
    let (low, high) = (test("cpu.usage", "below: 1"), test("cpu.usage", "above: 2"));
    for when in [
        // A range; either side; sides of which one is under an `any`; the opposite of what cannot hold.
        format!("{{all: [{}, {}]}}", test("cpu.usage", "above: 1"), test("cpu.usage", "below: 2")),
        format!("{{any: [{low}, {high}]}}"),
        format!("{{all: [{{any: [{low}, {high}]}}, {{any: [{high}, {low}]}}]}}"),
        format!("{{not: {{all: [{low}, {high}]}}}}"),
        // Not the same: another cgroup, another kind of threshold.
        format!("{{all: [{low}, {}]}}", test("cpu.usage", "of: parent, above: 2")),
        format!("{{all: [{low}, {}]}}", test("cpu.usage", "above: 90%, of_limit: true")),
        // It went above only just now.
        format!("{{all: [{high}, {{not: {}}}]}}", test("cpu.usage", "above: 2, for: 30s")),
        test("memory.growth", "below: -1MiB/s"),
        test("memory.pressure.some.avg10", "below: 100%"),
        test("memory.current", "above: 0"),
    ] {
        policy(&format!("    when: {when}\n    steps: [{{notify: {{}}}}]"));
    }
    for (when, clear) in [
        ("cpu.usage, above: 2", "cpu.usage, below: 1.9"),
        ("cpu.usage, above: 2", "pids.current, above: 5"),
        ("cpu.usage, above: 2", "cpu.usage, of: parent, above: 2"),
        ("memory.headroom, below: 1GiB", "memory.headroom, above: 2GiB"),
    ] {
        policy(&format!(
            "    when: {{signal: {when}}}\n    clear: {{signal: {clear}}}\n    steps: [{{notify: {{}}}}]"
        ));
    }
}

#[test]
fn what_may_match_more_than_the_protected_is_taken() {
    let safety = "safety: {scope: [/a/**], protect: [{path: /a/p/**}, {unit: ssh.service}]}\n";
    for selector in [
        "{path: /a/**}",
        "{path: \"/a/p*\"}",
        "{path: /**}",
        "{unit: \"*.service\"}",
        "{any: [{path: /a/p/x}, {path: /a/q}]}",
        "{path: \"/*/b\", not: [{path: /a/p/b}]}",
        "{slice: a.slice, not: [{slice: a.slice, unit: b.service}]}",
    ] {
        let text = format!(
            "{safety}policies: [{{name: p, match: {selector}, when: {{signal: cpu.usage, above: 2}}, steps: [{{kill: {{}}}}]}}]"
        );
        assert!(parse(&text).is_ok(), "{text}: {}", parse(&text).unwrap_err());
    }
}
