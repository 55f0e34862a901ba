//! systemd's units through systemd: a bus of the test's own, a systemd that does what it is asked to cgroups of the test's own,
//! and that can be slow, refuse, forget and go away.

#[path = "support/systemd.rs"]
mod systemd;

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{XattrFlags, setxattr};
use stockade::enforce::actuator::{Actuator as _, Held};
use stockade::enforce::order::{Deed, Outcome};
use stockade::enforce::ownership::Ownership;
use stockade::enforce::safety::{Safety, Writer};
use stockade::enforce::units::{ByOwner, systemd_of};
use stockade::identify::identify;
use stockade::kernel::control::Control;
use stockade::kernel::layout::Paths;
use stockade::model::{Identity, Knob, Limit, Value};
use stockade::policy::rule::Kill;
use support::daemon::{Daemon, run_to_end};
use support::ground::{Ground, decisions, said, stop};
use support::{eventually, inode, layout};
use systemd::{Mood, Systemd};

/// Longer than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(60);
const MAX: Value = Value::Limit(Limit::Max);

/// A group of the test's own, and a systemd that has units in it.
struct Host {
    ground: Ground,
    systemd: Systemd,
}

impl Host {
    fn new(name: &str) -> Self {
        Self { ground: Ground::new(name), systemd: Systemd::start() }
    }

    /// A child that is this unit's cgroup.
    fn unit(&self, name: &str) -> String {
        let path = self.ground.group.child(name);
        self.systemd.unit(name, &path, self.directories(name));
        path
    }

    fn directories(&self, child: &str) -> Vec<PathBuf> {
        self.ground.group.directories().into_iter().map(|directory| directory.join(child)).collect()
    }

    fn paths(&self) -> Paths {
        Paths { root: self.systemd.root().to_owned(), ..Paths::default() }
    }

    fn by_owner(&self) -> ByOwner {
        let control = Arc::new(Control::new(&layout(), &self.paths()));
        ByOwner::new(control, systemd_of(&self.paths()), Safety::default().writers)
    }

    fn identity(&self, path: &str) -> Identity {
        let unified =
            layout().hierarchies.iter().map(|one| one.mount.join(&path[1..])).find(|path| path.is_dir());
        identify(path.as_bytes(), inode(&unified.expect("the group is somewhere")))
    }

    fn open(&self, by_owner: &ByOwner, path: &str) -> Box<dyn Held> {
        by_owner.open(&self.identity(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
    }

    fn root_flag(&self) -> [String; 2] {
        ["--path.rootfs".to_owned(), self.systemd.root().display().to_string()]
    }

    /// What the program says of a cgroup.
    fn say(&self, args: &[&str]) -> String {
        let [flag, root] = self.root_flag();
        said(&run_to_end(&[args, &[&flag, &root]].concat()))
    }

    fn daemon(&self, safety: &str, rules: &str) -> Daemon {
        let [flag, root] = self.root_flag();
        Daemon::configured(&self.ground.rules(safety, rules), &[&flag, &root])
    }

    /// The last decision in the audit with this outcome.
    fn decision(&self, outcome: &str) -> serde_json::Value {
        eventually(outcome, || {
            let audit = self.ground.place.path().join("audit.jsonl");
            audit.exists().then_some(())?;
            self.ground.audit().into_iter().rfind(|line| line["outcome"] == outcome)
        })
    }
}

#[test]
fn who_manages_a_cgroup_is_asked_and_shown() {
    let host = Host::new("bus-owner");
    let unit = host.unit("stockade-a.service");
    host.systemd.property("stockade-a.service", "Restart", "on-failure");
    host.systemd.property("stockade-a.service", "OOMPolicy", "stop");
    host.systemd.property("stockade-a.service", "ManagedOOMSwap", "kill");
    let within = host.ground.group.child("stockade-a.service/worker");
    let loose = host.ground.group.child("loose.service");
    host.unit("user@7.service");
    host.directories("user@7.service").iter().for_each(|directory| {
        setxattr(directory, "trusted.delegate", b"1", XattrFlags::empty()).expect("cgroups have attributes");
    });
    let delegated = host.ground.group.child("user@7.service/app.slice");
    let container = host
        .ground
        .group
        .child("docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
    let service = || "stockade-a.service".into();
    let by_owner = host.by_owner();
    for (path, owner, words) in [
        (&unit, Ownership::Systemd { unit: service() }, "systemd: stockade-a.service, written over D-Bus"),
        (&within, Ownership::Within { unit: service() }, "inside of systemd's stockade-a.service"),
        (&loose, Ownership::Unowned, "nobody, written through cgroupfs"),
        (&delegated, Ownership::Delegated, "delegated by systemd, written through cgroupfs"),
        (&container, Ownership::Runtime { runtime: "docker".into() }, "docker, not written"),
    ] {
        assert_eq!(by_owner.owner(&host.identity(path)), Ok(owner), "{path}");
        let told = host.say(&["inspect", "--no-rates", path]);
        assert!(told.lines().any(|line| line.contains("managed by") && line.contains(words)), "{told}");
    }
    let json = host.say(&["inspect", "-J", "--no-rates", &unit]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(json["manager"], serde_json::json!({"kind": "systemd", "unit": "stockade-a.service"}));
    assert_eq!(json["writer"], "dbus");
    let top = &host.ground.group.path;
    let list = host.say(&["ls", "-l", "--no-rates", "-o", "manager,cgroup", top]);
    let row = list.lines().find(|line| line.ends_with(&unit)).expect("it is listed");
    assert!(row.starts_with("systemd: stockade-a.service "), "{list}");
    let explained = host.say(&["explain", &unit, "--no-rates"]);
    for part in
        ["managed by systemd: stockade-a.service, written over D-Bus", "OOMPolicy=stop", "Restart=on-failure"]
    {
        assert!(explained.contains(part), "{part} is not in {explained}");
    }
    let json = host.say(&["explain", &unit, "-J", "--no-rates"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(json["data"]["unit"]["ManagedOOMSwap"], "kill", "{json}");
}

#[test]
fn without_an_answer_nothing_is_said_for_certain_and_nobody_waits_for_each() {
    let mut host = Host::new("bus-mute");
    let unit = host.unit("stockade-a.service");
    for number in 1..10 {
        host.unit(&format!("stockade-{number}.service"));
    }
    host.systemd.feel(Mood::Silent);
    let began = Instant::now();
    let list = host.say(&["ls", "-l", "--no-rates", "-o", "manager,cgroup", &host.ground.group.path]);
    assert_eq!(list.matches("unknown (systemd did not answer GetUnitByControlGroup").count(), 10, "{list}");
    assert!(began.elapsed() < LONG / 2, "it asked once more after no answer: {:?}", began.elapsed());
    host.systemd.end_bus();
    let told = host.say(&["explain", &unit, "--no-rates"]);
    let line = told.lines().find(|line| line.contains("managed by")).expect("it is said");
    assert!(line.contains("unknown (the system bus") && line.contains("cannot be reached"), "{told}");
    let fault = host.by_owner().open(&host.identity(&unit)).err().expect("there is nobody to ask");
    assert_eq!(fault.outcome, Outcome::Failed, "{fault}");
}

#[test]
fn a_control_is_set_read_and_put_back_and_no_drop_in_is_left() {
    let host = Host::new("bus-set");
    let path = host.unit("stockade-a.service");
    let file = host.ground.control("stockade-a.service", "pids", &["pids.max"]);
    let by_owner = host.by_owner();
    let held = host.open(&by_owner, &path);
    let through = held.through(&Deed::Freeze).expect("it was looked for");
    assert_eq!(through.writer, Writer::Dbus);
    assert_eq!(through.owner, Ownership::Systemd { unit: "stockade-a.service".into() });
    assert_eq!(held.through(&Deed::Reclaim(1)).map(|through| through.writer), Some(Writer::Cgroupfs));
    let saved = held.save(&Knob::PidsMax).expect("it can be read");
    assert_eq!(saved.value, MAX);
    held.write(&Knob::PidsMax, &Value::of(77)).expect("systemd sets it");
    assert_eq!(held.read(&Knob::PidsMax), Ok(Value::of(77)));
    assert_eq!(support::ground::read(&file), "77", "the kernel has it");
    let drop_in = host.systemd.run().join("systemd/system.control/stockade-a.service.d/50-TasksMax.conf");
    assert!(drop_in.exists());
    held.restore(&saved).expect("it is put back");
    assert_eq!((support::ground::read(&file), drop_in.exists()), ("max".to_owned(), false));
    // Of a unit that systemd has forgotten only the drop-in is left.
    held.write(&Knob::PidsMax, &Value::of(78)).expect("systemd sets it");
    host.systemd.forget("stockade-a.service");
    assert!(drop_in.exists());
    by_owner.put_back_outlived(&saved, &|| true).expect("nothing is in the way");
    assert!(!drop_in.exists());
    host.systemd.unit("stockade-a.service", &path, host.directories("stockade-a.service"));
    // What an administrator set at run time is what it is put back to, and stays a drop-in.
    held.write(&Knob::PidsMax, &Value::of(500)).expect("somebody sets it");
    let by_owner = host.by_owner();
    let held = host.open(&by_owner, &path);
    let saved = held.save(&Knob::PidsMax).expect("it can be read");
    held.write(&Knob::PidsMax, &Value::of(77)).expect("systemd sets it");
    held.restore(&saved).expect("it is put back");
    assert_eq!((support::ground::read(&file), drop_in.exists()), ("500".to_owned(), true));
}

#[test]
fn what_systemd_has_not_given_away_is_not_written() {
    let host = Host::new("bus-within");
    host.unit("stockade-a.service");
    let within = host.ground.group.child("stockade-a.service/worker");
    let fault = host.by_owner().open(&host.identity(&within)).err().expect("nobody may write there");
    assert_eq!(fault.outcome, Outcome::NotOwner);
    assert!(fault.message.contains("`Delegate=yes`"), "{fault}");
}

#[test]
fn a_systemd_that_refuses_forgets_or_keeps_silent_is_an_outcome() {
    let host = Host::new("bus-no");
    let path = host.unit("stockade-a.service");
    let by_owner = host.by_owner();
    let held = host.open(&by_owner, &path);
    let set = || held.write(&Knob::PidsMax, &Value::of(9)).expect_err("it was refused");
    host.systemd.feel(Mood::Denying);
    let fault = set();
    assert!(fault.outcome == Outcome::Failed && fault.message.contains("polkit"), "{fault}");
    host.systemd.feel(Mood::Ignorant);
    assert_eq!(held.freeze(LONG).expect_err("it is unknown").outcome, Outcome::Unsupported);
    assert_eq!(held.stop(LONG).expect_err("it is unknown").outcome, Outcome::Unsupported);
    host.systemd.feel(Mood::Silent);
    let began = Instant::now();
    let fault = set();
    assert_eq!(fault.outcome, Outcome::TimedOut, "{fault}");
    let fault = held.restart(Duration::from_millis(300)).expect_err("nobody answers");
    assert_eq!(fault.outcome, Outcome::TimedOut, "{fault}");
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    host.systemd.feel(Mood::Slow);
    held.write(&Knob::PidsMax, &Value::of(9)).expect("it is waited for");
    host.systemd.feel(Mood::Willing);
    host.systemd.forget("stockade-a.service");
    assert_eq!(set().outcome, Outcome::Vanished);
}

#[test]
fn a_bus_that_went_and_came_is_found_again_and_a_systemd_that_starts_anew_is_waited_for() {
    let mut host = Host::new("bus-again");
    let path = host.unit("stockade-a.service");
    let by_owner = host.by_owner();
    let held = host.open(&by_owner, &path);
    held.write(&Knob::PidsMax, &Value::of(9)).expect("systemd sets it");
    host.systemd.end_bus();
    let fault = held.write(&Knob::PidsMax, &Value::of(8)).expect_err("there is no bus");
    assert!(fault.outcome == Outcome::Failed && fault.message.contains("cannot be reached"), "{fault}");
    host.systemd.begin_bus();
    host.systemd.enter();
    held.write(&Knob::PidsMax, &Value::of(7)).expect("it is found again");
    host.systemd.leave();
    let before = host.systemd.connections();
    std::thread::scope(|scope| {
        let written = scope.spawn(|| {
            let by_owner = host.by_owner();
            let held = by_owner.open(&host.identity(&path))?;
            held.write(&Knob::PidsMax, &Value::of(6))
        });
        eventually("it is on the bus, and asks", || (host.systemd.connections() > before).then_some(()));
        assert!(!written.is_finished(), "nobody is there who could have answered");
        host.systemd.enter();
        assert_eq!(written.join().expect("a thread"), Ok(()));
    });
    let file = host.ground.control("stockade-a.service", "pids", &["pids.max"]);
    assert_eq!(support::ground::read(&file), "6");
}

#[test]
fn processes_are_ended_and_units_restarted_by_systemd() {
    let mut host = Host::new("bus-end");
    let path = host.unit("stockade-a.service");
    let by_owner = host.by_owner();
    host.ground.sleeper("stockade-a.service");
    let held = host.open(&by_owner, &path);
    held.kill(Kill { signal: 15, grace: Duration::from_secs(5) }, LONG).expect("they are ended");
    assert!(!host.ground.is_populated("stockade-a.service"));
    assert_eq!(host.systemd.orders(), ["KillUnit stockade-a.service all 15"]);
    held.restart(LONG).expect("the job is done");
    held.stop(LONG).expect("the job is done");
    let jobs: Vec<String> = host
        .systemd
        .orders()
        .into_iter()
        .filter(|order| order.contains("Unit stockade-a.service replace"))
        .collect();
    assert_eq!(jobs, ["RestartUnit stockade-a.service replace", "StopUnit stockade-a.service replace"]);
}

/// A policy that kills whatever runs in the unit's cgroup.
const KILLER: &str = "policies:
  - name: killer
    match: {path: \"@/*\"}
    when: {signal: pids.current, above: 0}
    victim: {rank: [pids.current], max: 9}
    steps: [{kill: {signal: KILL}}]
    cooldown: {target: 0s, host: 0s}
";

#[test]
fn what_comes_back_after_a_kill_is_told_as_a_loop() {
    let mut host = Host::new("bus-loop");
    host.unit("stockade-a.service");
    host.ground.sleeper("stockade-a.service");
    let daemon = host.daemon("mode: enforce", KILLER);
    let line = host.decision("applied");
    assert_eq!(
        (&line["writer"], &line["owner"]["unit"]),
        (&"dbus".into(), &"stockade-a.service".into()),
        "{line}"
    );
    // As systemd starts it again: another cgroup under the same path.
    eventually("it is empty", || (!host.ground.is_populated("stockade-a.service")).then_some(()));
    host.ground.group.remove_child("stockade-a.service");
    host.unit("stockade-a.service");
    host.ground.sleeper("stockade-a.service");
    let line = host.decision("kill_loop");
    assert!(line["detail"].as_str().expect("text").contains("is there again as"), "{line}");
    assert_eq!(line["writer"], serde_json::Value::Null, "nothing was written: {line}");
    assert_eq!(line["owner"]["kind"], "named", "{line}");
    assert!(host.ground.is_populated("stockade-a.service"));
    assert!(decisions(&daemon, "killer", "kill", "kill_loop") >= 1.0);
    stop(daemon);
}

#[test]
fn what_systemd_oomd_looks_after_is_left_to_it_until_it_no_longer_does() {
    let mut host = Host::new("bus-oomd");
    host.systemd.unit("systemd-oomd.service", "", Vec::new());
    host.unit("stockade-a.service");
    host.systemd.property("stockade-a.service", "ManagedOOMMemoryPressure", "kill");
    host.ground.sleeper("stockade-a.service");
    let rules =
        format!("limits: [{{name: cap, match: {{path: \"@/*\"}}, set: {{memory.max: 3GiB}}}}]\n{KILLER}");
    let daemon = host.daemon("mode: enforce\n  yield_to: [systemd-oomd]", &rules);
    let why = eventually("it is left to systemd-oomd", || {
        let told = said(&host.ground.command("explain", "stockade-a.service", &[]));
        told.contains("has ManagedOOMMemoryPressure=kill").then_some(told)
    });
    assert!(why.contains("yielded: `safety.yield_to` leaves"), "{why}");
    host.decision("yielded");
    // A unit that came later is asked about, and is nobody else's.
    host.unit("stockade-b.service");
    host.ground.sleeper("stockade-b.service");
    eventually("it is ended", || (!host.ground.is_populated("stockade-b.service")).then_some(()));
    assert!(host.ground.is_populated("stockade-a.service"));
    let cap = |path: &str| {
        host.ground.audit().into_iter().rfind(|line| {
            line["policy"] == "cap"
                && line["target"]["cgroup"].as_str().is_some_and(|cgroup| cgroup.ends_with(path))
        })
    };
    assert_eq!(cap("stockade-a.service").expect("it was tried")["outcome"], "yielded");
    eventually("a limit that was only not known to be allowed is set", || {
        (cap("stockade-b.service")?["outcome"] == "applied").then_some(())
    });
    host.systemd.property("systemd-oomd.service", "ActiveState", "inactive");
    eventually("it is ended", || (!host.ground.is_populated("stockade-a.service")).then_some(()));
    stop(daemon);
}

#[test]
fn when_it_cannot_be_told_what_is_left_to_others_nobody_is_killed() {
    let mut host = Host::new("bus-unsure");
    host.unit("stockade-a.service");
    host.systemd.unit("oomd.service", "", Vec::new());
    fs::write(host.systemd.root().join("etc/oomd.json"), "{").expect("a file");
    host.ground.sleeper("stockade-a.service");
    let daemon = host.daemon("mode: enforce\n  yield_to: [oomd]", KILLER);
    let line = host.decision("yielded");
    let told = eventually("the file is named", || {
        let told = said(&host.ground.command("explain", "stockade-a.service", &[]));
        told.contains("etc/oomd.json: ").then_some(told)
    });
    assert!(told.contains("is not known"), "{told} {line}");
    let rules = r#"{"rulesets": [{"name": "x", "actions": [{"name": "kill_by_swap_usage", "args": {"cgroup": "y"}}]}]}"#;
    fs::write(host.systemd.root().join("etc/oomd.json"), rules).expect("a file");
    host.decision("applied");
    stop(daemon);
}

#[test]
fn a_silent_systemd_holds_nobody_else_up_and_is_tried_again() {
    let host = Host::new("bus-stuck");
    host.unit("stockade-a.service");
    host.ground.group.child("free");
    host.systemd.feel(Mood::Silent);
    let rules = "limits: [{name: cap, match: {path: \"@/*\"}, set: {pids.max: 300}}]\n";
    let daemon = host.daemon("mode: enforce", rules);
    let line = host.decision("timed_out");
    assert!(line["target"]["cgroup"].as_str().expect("text").ends_with("stockade-a.service"), "{line}");
    let first =
        host.ground.audit().into_iter().find(|line| line["kind"] == "decision").expect("the other one");
    assert!(first["target"]["cgroup"].as_str().expect("text").ends_with("free"), "{first}");
    assert_eq!((&first["outcome"], &first["writer"]), (&"applied".into(), &"cgroupfs".into()), "{first}");
    assert_eq!(first["owner"], serde_json::json!({"kind": "unowned"}));
    host.systemd.feel(Mood::Willing);
    eventually("it is set as well", || (host.ground.pids("stockade-a.service") == "300").then_some(()));
    stop(daemon);
    assert_eq!(host.ground.pids("stockade-a.service"), "max", "and put back at the end");
    assert!(
        !host.systemd.run().join("systemd/system.control/stockade-a.service.d/50-TasksMax.conf").exists()
    );
}
