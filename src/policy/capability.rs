//! What of the rules a host cannot do, or does otherwise.

use std::sync::Arc;

use super::condition::Condition;
use super::rule::{Action, Policy, Rules};
use super::signal::{Resource, Signal, Stall};
use crate::model::{Capabilities, Knob, Version};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule does something else than it says.
    Warning,
    /// The rule cannot work, and says nowhere that this is accepted.
    Error,
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
        Knob::IoMax { .. } => (
            host.io,
            "io",
            Some("becomes blkio.throttle of cgroup v1, which buffered writes do not come under"),
        ),
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
