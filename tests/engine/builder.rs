//! A host made of a few numbers, and policies in a few words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stockade::model::{
    Cgroup, CollectorSet, Column, Control, Controls, Field, Host, Identity, Key, LayoutKind, Limit, Owner,
    PathGlob, Readings, Report, RowKind, Schema, Snapshot, WatchMethod, parent_path,
};
use stockade::policy::condition::{Compare, Condition, Of, Test, Threshold};
use stockade::policy::rule::{Action, Cooldown, Kill, Notify, Policy, Rules, Step, Victim};
use stockade::policy::selector::{Matcher, Selector};
use stockade::policy::signal::Signal;

pub const MIB: u64 = 1 << 20;

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A host whose numbers are changed at will.
#[derive(Default)]
pub struct World {
    groups: BTreeMap<String, Cgroup>,
    pub host: Host,
    pub at: Duration,
    sequence: u64,
    next_id: u64,
}

impl World {
    /// A host with these cgroups, and the root.
    pub fn new(paths: &[&str]) -> Self {
        let mut world = Self::default();
        world.born("/");
        for path in paths {
            world.born(path);
        }
        world
    }

    /// A cgroup is made, or made anew.
    pub fn born(&mut self, path: &str) {
        self.next_id += 1;
        let identity = Identity {
            path: path.as_bytes().into(),
            display: path.into(),
            id: self.next_id,
            owner: Owner::default(),
        };
        let cgroup = Cgroup {
            identity: Arc::new(identity),
            parent: None,
            hidden: false,
            rank: self.next_id,
            born: self.at,
            sampled: self.at,
            ended: None,
            readings: Readings::default(),
            controls: Arc::new(Controls::default()),
            namespaces: Arc::default(),
        };
        self.groups.insert(path.to_owned(), cgroup);
    }

    pub fn died(&mut self, path: &str) {
        self.groups.remove(path);
    }

    pub fn group(&mut self, path: &str) -> &mut Cgroup {
        self.groups.get_mut(path).unwrap_or_else(|| panic!("{path} is not there"))
    }

    pub fn each(&mut self, change: impl FnMut(&mut Cgroup)) {
        self.groups.values_mut().for_each(change);
    }

    pub fn set(&mut self, path: &str, field: Field, value: impl Into<Option<u64>>) {
        self.group(path).readings.set(field, value.into());
    }

    pub fn control(&mut self, path: &str, control: Control, value: u64) {
        Arc::make_mut(&mut self.group(path).controls).set(control, Some(Limit::Value(value)));
    }

    /// One row of a table; the others stay.
    pub fn row(&mut self, path: &str, kind: RowKind, column: Column, item: &str, value: u64) {
        let rows = self.group(path).readings.rows_mut(kind);
        let mut all: Vec<(Key, u64)> = rows.iter().map(|(key, value)| (key.clone(), value)).collect();
        let key = Key::new(column, item);
        match all.iter_mut().find(|(each, _)| *each == key) {
            Some((_, old)) => *old = value,
            None => all.push((key, value)),
        }
        rows.reshape(Arc::new(Schema::new(all.iter().map(|(key, _)| key.clone()).collect())));
        for (reading, (_, value)) in rows.values_mut().iter_mut().zip(&all) {
            *reading = Some(*value).into();
        }
    }

    /// A full pass, this many seconds after the last one.
    pub fn pass(&mut self, after: u64) -> Snapshot {
        self.at += secs(after);
        self.sequence += 1;
        let paths: Vec<&String> = self.groups.keys().collect();
        let parent = |path: &str| {
            let above = parent_path(path.as_bytes())?;
            let at = paths.binary_search_by(|each| each.as_bytes().cmp(above)).ok()?;
            u32::try_from(at).ok()
        };
        let mut cgroups: Vec<Cgroup> = self.groups.values().cloned().collect();
        for (path, cgroup) in paths.iter().zip(&mut cgroups) {
            cgroup.parent = parent(path);
            cgroup.sampled = self.at;
        }
        Snapshot {
            sequence: self.sequence,
            at: self.at,
            wall: SystemTime::UNIX_EPOCH,
            cgroups,
            dead: Vec::new(),
            host: self.host.clone(),
            report: Report::new(LayoutKind::Unified, WatchMethod::Walk, CollectorSet::NONE),
        }
    }

    /// What is read of these cgroups now, this many seconds after the last pass.
    pub fn fresh(&mut self, after: u64, paths: &[&str]) -> Vec<Cgroup> {
        self.at += secs(after);
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        let at = self.at;
        paths
            .into_iter()
            .map(|path| {
                let mut cgroup = self.group(path).clone();
                cgroup.sampled = at;
                cgroup
            })
            .collect()
    }
}

pub fn test(signal: Signal, compare: Compare, threshold: f64, hold: u64) -> Test {
    Test { signal, of: Of::This, compare, threshold: Threshold::Fixed(threshold), hold: secs(hold) }
}

pub fn above(signal: Signal, threshold: f64) -> Condition {
    Condition::Test(test(signal, Compare::Above, threshold, 0))
}

pub fn below(signal: Signal, threshold: f64) -> Condition {
    Condition::Test(test(signal, Compare::Below, threshold, 0))
}

pub fn selector(globs: &[&str]) -> Selector {
    let any = globs
        .iter()
        .map(|glob| Matcher { path: Some(PathGlob::parse(glob).expect("a glob")), ..Matcher::default() })
        .collect();
    Selector { any, ..Selector::default() }
}

/// A policy with no steps, which chooses one victim at a time by memory, and rests 60 s from each.
pub fn policy(name: &str, globs: &[&str], when: Condition) -> Policy {
    Policy {
        name: name.into(),
        mode: None,
        selector: selector(globs),
        when,
        clear: None,
        victim: Victim { rank: vec![Signal::MemoryCurrent], at_least: Vec::new(), max: 1 },
        steps: Vec::new(),
        cooldown: Cooldown { target: secs(60), host: Duration::ZERO },
        allow_oom: false,
        degrade: Vec::new(),
    }
}

pub fn step(action: Action, ttl: impl Into<Option<u64>>, relieved_within: u64) -> Step {
    Step { action, ttl: ttl.into().map(secs), relieved_within: secs(relieved_within) }
}

pub fn notify() -> Step {
    step(Action::Notify(Notify::default()), None, 0)
}

pub fn kill(relieved_within: u64) -> Step {
    step(Action::Kill(Kill { signal: 15, grace: secs(5) }), None, relieved_within)
}

pub fn rules(policies: impl IntoIterator<Item = Policy>) -> Rules {
    Rules { limits: Vec::new(), policies: policies.into_iter().map(Arc::new).collect() }
}
