//! What of the rules a host cannot do, or does otherwise.

use std::fmt;
use std::sync::Arc;

use super::condition::Condition;
use super::rule::{Action, Policy, Rules};
use super::signal::{Resource, Signal, Stall};
use crate::model::{Capabilities, IoRate, Knob, Version};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule does something else than it says.
    Warning,
    /// The rule cannot work, and says nowhere that this is accepted.
    Error,
}

impl Severity {
    /// The word for it: `warning` or `error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that a rule asks of this host, and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The rule's name.
    pub rule: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// What is missing, and what it leads to.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.name(), self.rule, self.message)
    }
}

/// Holds every rule against a host. Sorted by rule, as they are written; each remark once a rule.
#[must_use]
pub fn judge(rules: &Rules, host: &Capabilities) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for rule in &rules.limits {
        let lacks = rule.set.iter().filter_map(|(knob, _)| knob_lack(knob, host));
        warn(&rule.name, lacks, &mut remarks);
    }
    for policy in &rules.policies {
        signals(policy, host, &mut remarks);
        let lacks = policy.steps.iter().flat_map(|step| action_lacks(&step.action, host));
        warn(&policy.name, lacks, &mut remarks);
    }
    remarks
}

fn warn(rule: &Arc<str>, lacks: impl Iterator<Item = String>, remarks: &mut Vec<Remark>) {
    add(rule, Severity::Warning, lacks, remarks);
}

fn add(
    rule: &Arc<str>,
    severity: Severity,
    messages: impl Iterator<Item = String>,
    remarks: &mut Vec<Remark>,
) {
    for message in messages {
        let remark = Remark { rule: rule.clone(), severity, message };
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}

fn signals(policy: &Policy, host: &Capabilities, remarks: &mut Vec<Remark>) {
    let mut used = Vec::new();
    for condition in [Some(&policy.when), policy.clear.as_ref()].into_iter().flatten() {
        tested(condition, &mut used);
    }
    used.extend(&policy.victim.rank);
    used.extend(policy.victim.at_least.iter().map(|(signal, _)| *signal));
    for signal in used {
        let name = signal.name();
        if let Some(lack) = signal_lack(signal, host) {
            let (severity, message) = if policy.degrade.contains(&signal) {
                (Severity::Warning, format!("{name} is unknown here: {lack}"))
            } else {
                let advice = "list it under `degrade` to accept that it is unknown";
                (Severity::Error, format!("{name} cannot be had here: {lack}; {advice}"))
            };
            add(&policy.name, severity, std::iter::once(message), remarks);
        } else if is_partial(signal, host) {
            let message =
                format!("{name} is only counted where a limit is set: cgroup v1 counts I/O there only");
            add(&policy.name, Severity::Warning, std::iter::once(message), remarks);
        }
    }
}

fn tested(condition: &Condition, into: &mut Vec<Signal>) {
    match condition {
        Condition::All(inner) | Condition::Any(inner) => inner.iter().for_each(|each| tested(each, into)),
        Condition::Not(inner) => tested(inner, into),
        Condition::Test(test) => into.push(test.signal),
    }
}

const fn is_partial(signal: Signal, host: &Capabilities) -> bool {
    matches!(signal, Signal::IoRead | Signal::IoWrite | Signal::IoReadOps | Signal::IoWriteOps)
        && matches!(host.io, Some(Version::V1))
}

/// Why a host cannot give a signal, if it cannot.
#[must_use]
pub fn signal_lack(signal: Signal, host: &Capabilities) -> Option<&'static str> {
    let (there, lack) = match signal {
        Signal::MemoryPeak if host.memory.is_some() => {
            (host.memory_peak, "this kernel has no memory.peak (Linux 5.19 has)")
        }
        Signal::MemorySwap if host.memory.is_some() => {
            (host.swap, "swap is not accounted; boot with swapaccount=1")
        }
        Signal::MemoryRefaults if host.memory.is_some() => {
            (host.refaults, "memory.stat does not count refaults")
        }
        Signal::MemoryCurrent
        | Signal::MemoryPeak
        | Signal::MemoryAnon
        | Signal::MemoryFile
        | Signal::MemorySwap
        | Signal::MemoryWorkingSet
        | Signal::MemoryGrowth
        | Signal::MemoryHeadroom
        | Signal::MemoryRefaults
        | Signal::MemoryOomKills => (host.memory.is_some(), "there is no memory controller"),
        Signal::CpuUsage => (host.cpu_usage, "there is neither cgroup2 nor cpuacct"),
        Signal::CpuThrottled => (host.cpu.is_some(), "there is no cpu controller"),
        Signal::IoRead | Signal::IoWrite | Signal::IoReadOps | Signal::IoWriteOps => {
            (host.io.is_some(), "there is no io controller")
        }
        Signal::PidsCurrent | Signal::PidsGrowth => (host.pids.is_some(), "there is no pids controller"),
        Signal::Pressure(Resource::Cpu, Stall::Full, _) if host.pressure => {
            (host.cpu_full, "CPU pressure has no `full` on this kernel (Linux 5.13 has)")
        }
        Signal::Pressure(..) => {
            (host.pressure, "cgroups have no pressure: it takes cgroup2 and a kernel with PSI (psi=1)")
        }
        Signal::HostPressure(..) => {
            (host.host_pressure, "the kernel has no PSI, or was booted without psi=1")
        }
        Signal::Age | Signal::HostMemoryAvailable | Signal::HostSwapFree => (true, ""),
    };
    (!there).then_some(lack)
}

/// What of an action a host cannot do, or does otherwise.
fn action_lacks(action: &Action, host: &Capabilities) -> Vec<String> {
    let lack = match action {
        Action::Notify(_) => None,
        Action::Set(settings) => {
            return settings.iter().filter_map(|setting| knob_lack(&setting.knob, host)).collect();
        }
        Action::Reclaim(_) => match host.memory {
            None => Some("reclaim cannot be done: there is no memory controller"),
            Some(Version::V1) => Some("reclaim cannot be done: cgroup v1 has no way to take back so much"),
            Some(Version::V2) if !host.reclaim => Some(
                "reclaim is forced through memory.high: this kernel has no memory.reclaim (Linux 5.19 has)",
            ),
            Some(Version::V2) => None,
        },
        Action::Freeze if host.freezer.is_none() => {
            Some("freeze cannot be done: there is neither cgroup.freeze (Linux 5.2) nor the v1 freezer")
        }
        Action::Freeze => None,
        Action::Kill(_) if host.kill => None,
        Action::Kill(_) if host.freezer.is_some() => {
            Some("kill freezes, signals each process and thaws: there is no cgroup.kill (Linux 5.14)")
        }
        Action::Kill(_) => {
            Some("kill signals each process: there is neither cgroup.kill nor a freezer to hold them")
        }
        Action::Restart | Action::Stop if host.units => None,
        Action::Restart => Some("restart cannot be done: systemd is not this host's service manager"),
        Action::Stop => Some("stop cannot be done: systemd is not this host's service manager"),
    };
    lack.map(str::to_owned).into_iter().collect()
}

/// What of a control a host cannot set, or sets otherwise.
#[must_use]
pub fn knob_lack(knob: &Knob, host: &Capabilities) -> Option<String> {
    let (version, controller, on_v1) = match knob {
        Knob::MemoryMin | Knob::MemoryLow => {
            (host.memory, "memory", Some("is not set: cgroup v1 has nothing like it"))
        }
        Knob::MemoryHigh => {
            (host.memory, "memory", Some("becomes the soft limit of cgroup v1, which does not throttle"))
        }
        Knob::MemoryMax => (host.memory, "memory", None),
        Knob::MemorySwapMax if host.memory.is_some() && !host.swap => {
            return Some(format!("{knob} is not set: swap is not accounted; boot with swapaccount=1"));
        }
        Knob::MemorySwapMax => (
            host.memory,
            "memory",
            Some("becomes memory.memsw.limit_in_bytes, where cgroup v1 counts memory and swap together"),
        ),
        Knob::CpuMax => (host.cpu, "cpu", None),
        Knob::CpuWeight => (host.cpu, "cpu", Some("becomes cpu.shares of cgroup v1, on another scale")),
        Knob::IoMax { rate: IoRate::WriteBytes | IoRate::Writes, .. } => (
            host.io,
            "io",
            Some("becomes blkio.throttle of cgroup v1, which buffered writes do not come under"),
        ),
        Knob::IoMax { .. } => (host.io, "io", None),
        Knob::IoWeight if host.io.is_some() && !host.io_weight => {
            return Some(format!("{knob} is not set: it takes the BFQ scheduler, or cgroup2 with iocost"));
        }
        Knob::IoWeight => (host.io, "io", Some("becomes blkio.bfq.weight of cgroup v1")),
        Knob::PidsMax => (host.pids, "pids", None),
        Knob::CpusetCpus | Knob::CpusetMems => (host.cpuset, "cpuset", None),
    };
    match version {
        None => Some(format!("{knob} is not set: there is no {controller} controller")),
        Some(Version::V1) => on_v1.map(|lack| format!("{knob} {lack}")),
        Some(Version::V2) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::condition::{Compare, Of, Test, Threshold};
    use super::super::rule::{Cooldown, Kill, LimitRule, OnDrift, Step, Victim};
    use super::super::selector::Selector;
    use super::super::signal::Window;
    use super::*;
    use crate::model::Value;

    const UNIFIED: Capabilities = Capabilities {
        memory: Some(Version::V2),
        cpu: Some(Version::V2),
        cpu_usage: true,
        io: Some(Version::V2),
        pids: Some(Version::V2),
        cpuset: Some(Version::V2),
        pressure: true,
        cpu_full: true,
        host_pressure: true,
        memory_peak: true,
        refaults: true,
        swap: true,
        reclaim: true,
        io_weight: true,
        freezer: Some(Version::V2),
        kill: true,
        units: true,
    };
    const LEGACY: Capabilities = Capabilities {
        memory: Some(Version::V1),
        cpu: Some(Version::V1),
        io: Some(Version::V1),
        pids: Some(Version::V1),
        cpuset: Some(Version::V1),
        pressure: false,
        cpu_full: false,
        host_pressure: false,
        reclaim: false,
        freezer: Some(Version::V1),
        kill: false,
        ..UNIFIED
    };
    const NOTHING: Capabilities = Capabilities {
        memory: None,
        cpu: None,
        cpu_usage: false,
        io: None,
        pids: None,
        cpuset: None,
        memory_peak: false,
        refaults: false,
        swap: false,
        io_weight: false,
        freezer: None,
        units: false,
        ..LEGACY
    };

    fn knobs() -> Vec<Knob> {
        let io = Knob::IoMax { device: "vda".into(), rate: IoRate::Writes };
        Knob::PLAIN.into_iter().chain([io]).collect()
    }

    #[test]
    fn a_host_with_everything_lacks_nothing_and_one_with_nothing_lacks_all() {
        for signal in Signal::all() {
            assert_eq!(signal_lack(signal, &UNIFIED), None, "{}", signal.name());
            let always = matches!(signal, Signal::Age | Signal::HostMemoryAvailable | Signal::HostSwapFree);
            assert_eq!(signal_lack(signal, &NOTHING).is_none(), always, "{}", signal.name());
        }
        for knob in knobs() {
            assert_eq!(knob_lack(&knob, &UNIFIED), None, "{knob}");
            let lack = knob_lack(&knob, &NOTHING).unwrap();
            assert!(lack.starts_with(&format!("{knob} is not set: there is no ")), "{lack}");
        }
    }

    #[test]
    fn v1_degrades_what_it_has_not() {
        let same: Vec<Knob> = knobs().into_iter().filter(|knob| knob_lack(knob, &LEGACY).is_none()).collect();
        let expected = [Knob::MemoryMax, Knob::CpuMax, Knob::PidsMax, Knob::CpusetCpus, Knob::CpusetMems];
        assert_eq!(same, expected);
        let mut lacks: Vec<Signal> =
            Signal::all().filter(|signal| signal_lack(*signal, &LEGACY).is_some()).collect();
        lacks.retain(|signal| !matches!(signal, Signal::Pressure(..) | Signal::HostPressure(..)));
        assert_eq!(lacks, []);
    }

    fn policy(signal: Signal, degrade: Vec<Signal>, actions: Vec<Action>) -> Policy {
        let step = |action| Step { action, ttl: None, relieved_within: Duration::ZERO };
        Policy {
            name: "p".into(),
            mode: None,
            selector: Selector::default(),
            when: Condition::Not(Box::new(Condition::Test(Test {
                signal,
                of: Of::This,
                compare: Compare::Above,
                threshold: Threshold::Fixed(0.5),
                hold: Duration::ZERO,
            }))),
            clear: None,
            victim: Victim { rank: vec![Signal::MemoryCurrent], at_least: Vec::new(), max: 1 },
            steps: actions.into_iter().map(step).collect(),
            cooldown: Cooldown { target: Duration::ZERO, host: Duration::ZERO },
            allow_oom: false,
            degrade,
        }
    }

    fn told(policy: Policy, host: &Capabilities) -> Vec<(Severity, String)> {
        let rules = Rules { limits: Vec::new(), policies: vec![Arc::new(policy)] };
        judge(&rules, host).into_iter().map(|remark| (remark.severity, remark.message)).collect()
    }

    #[test]
    fn a_signal_that_is_missing_is_an_error_unless_that_is_accepted() {
        let stall = Signal::Pressure(Resource::Cpu, Stall::Full, Window::Avg10);
        let old = Capabilities { cpu_full: false, ..UNIFIED };
        let said = told(policy(stall, Vec::new(), Vec::new()), &old);
        assert_eq!(
            said,
            [(
                Severity::Error,
                "cpu.pressure.full.avg10 cannot be had here: CPU pressure has no `full` on this kernel (Linux 5.13 \
                 has); list it under `degrade` to accept that it is unknown"
                    .to_owned()
            )]
        );
        let said = told(policy(stall, vec![stall], Vec::new()), &old);
        assert_eq!(said[0].0, Severity::Warning);
        assert!(said[0].1.starts_with("cpu.pressure.full.avg10 is unknown here: "), "{said:?}");
        assert_eq!(told(policy(stall, Vec::new(), Vec::new()), &UNIFIED), []);
        let io = told(policy(Signal::IoWrite, Vec::new(), Vec::new()), &LEGACY);
        assert_eq!(io[0].0, Severity::Warning, "{io:?}");
    }

    #[test]
    fn actions_that_go_another_way_are_warned_of() {
        let kill = Action::Kill(Kill { signal: 15, grace: Duration::ZERO });
        let all = vec![Action::Freeze, kill, Action::Reclaim(super::super::rule::Amount::OfCurrent(0.1))];
        assert_eq!(told(policy(Signal::Age, Vec::new(), all.clone()), &UNIFIED), []);
        let said = told(policy(Signal::Age, Vec::new(), all.clone()), &LEGACY);
        assert_eq!(said.len(), 2, "the v1 freezer does what a freeze needs: {said:?}");
        let without = Capabilities { freezer: None, kill: false, reclaim: false, ..UNIFIED };
        let said = told(policy(Signal::Age, Vec::new(), all), &without);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said.iter().all(|(severity, _)| *severity == Severity::Warning));
    }

    #[test]
    fn each_lack_is_told_once_for_each_rule() {
        let set = vec![(Knob::MemoryHigh, Value::of(1)), (Knob::MemoryHigh, Value::of(2))];
        let limit = |name: &str| {
            Arc::new(LimitRule {
                name: name.into(),
                mode: None,
                selector: Selector::default(),
                set: set.clone(),
                allow_oom: false,
                on_drift: OnDrift::Yield,
            })
        };
        let rules = Rules { limits: vec![limit("a"), limit("b")], policies: Vec::new() };
        let rules: Vec<Arc<str>> = judge(&rules, &LEGACY).into_iter().map(|remark| remark.rule).collect();
        assert_eq!(rules, ["a".into(), "b".into()]);
    }
}
