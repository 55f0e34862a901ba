//! Pressure that is really provoked, and a kernel without it.

use std::path::Path;

use crate::Guest;
use crate::cpu::{passes, quota};
use crate::load::Load;
use crate::outcome::{Outcome, Step, Stop, ensure};
use crate::swap::Swap;
use crate::tree::Group;

/// The group has a pressure file, or the reason why not.
fn need(guest: &Guest, group: &Group, file: &str) -> Step {
    guest.tree.need("")?;
    match group.read(&guest.tree, "", file)? {
        Some(_) => Ok(()),
        None if Path::new("/proc/pressure").exists() => Err(Stop::Absent(format!("no {file}"))),
        None => Err(Stop::Absent("pressure stall information is off".into())),
    }
}

/// Waits for the load's stalls to be exported, ends it, and compares what stands still then.
fn stalls(guest: &mut Guest, group: &Group, load: Load, metrics: &[&str]) -> Outcome {
    for metric in metrics {
        passes(guest, group, metric, 0.01)?;
    }
    drop(load);
    guest.agree(&[group])?;
    Ok(String::new())
}

/// More anonymous memory than the limit, in use all the time, with swap to go to.
pub(crate) fn memory(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "psi-memory")?;
    need(guest, &group, "memory.pressure")?;
    let _swap = Swap::on()?;
    crate::memory::limit_memory(guest, &group, "8388608")?;
    let load = Load::ready(&group, &["thrash", "16M"])?;
    let metrics =
        ["cgroup_pressure_memory_waiting_seconds_total", "cgroup_pressure_memory_stalled_seconds_total"];
    stalls(guest, &group, load, &metrics)
}

/// Four that want two CPUs; with a quota, all of them wait at once.
pub(crate) fn cpu(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "psi-cpu")?;
    need(guest, &group, "cpu.pressure")?;
    let full = group.read(&guest.tree, "", "cpu.pressure")?.is_some_and(|text| text.contains("full"));
    if guest.tree.of("cpu").is_some() {
        quota(guest, &group, "20000")?;
    }
    let load = Load::ready(&group, &["cpu", "4"])?;
    let metrics = ["cgroup_pressure_cpu_waiting_seconds_total", "cgroup_pressure_cpu_stalled_seconds_total"];
    stalls(guest, &group, load, &metrics[..if full { 2 } else { 1 }])?;
    Ok(if full { String::new() } else { "no full line".into() })
}

/// One reader past the cache: whenever it waits for the disk, some and all of the group wait.
pub(crate) fn io(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "psi-io")?;
    need(guest, &group, "io.pressure")?;
    let load = Load::ready(&group, &["read-on", "/dev/vda", "4M"])?;
    stalls(
        guest,
        &group,
        load,
        &["cgroup_pressure_io_waiting_seconds_total", "cgroup_pressure_io_stalled_seconds_total"],
    )
}

/// Interrupts that take time from a busy group, where the kernel counts them.
pub(crate) fn irq(guest: &mut Guest) -> Outcome {
    let group = Group::make(&guest.tree, "psi-irq")?;
    need(guest, &group, "irq.pressure")?;
    let _load = Load::ready(&group, &["read-on", "/dev/vda", "4M"])?;
    passes(guest, &group, "cgroup_pressure_irq_stalled_seconds_total", 0.0)?;
    guest.agree(&[&group])?;
    Ok(String::new())
}

/// Without PSI there is no pressure series at all, and everything else is as ever.
pub(crate) fn off(guest: &mut Guest) -> Outcome {
    if Path::new("/proc/pressure").exists() {
        return Err(Stop::Absent("pressure stall information is on".into()));
    }
    let group = Group::make(&guest.tree, "psi-off")?;
    let _load = Load::ready(&group, &["idle"])?;
    let scrape = guest.agree(&[&group])?;
    let zero = scrape.0.iter().find(|series| series.name.contains("_pressure_"));
    ensure(zero.is_none(), || format!("a kernel without PSI, and yet {zero:?}"))?;
    Ok(String::new())
}
