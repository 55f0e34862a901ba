//! Threaded cgroups: one process, its threads in two groups.

use std::fs;

use crate::Guest;
use crate::load::Load;
use crate::outcome::{During, Outcome, Stop, ensure};
use crate::tree::{Group, eventually};

/// Threads are counted where they are; a threaded group has no list of processes, so no number of them.
pub(crate) fn threads_in_two_groups(guest: &mut Guest) -> Outcome {
    guest.tree.need("")?;
    let domain = Group::make(&guest.tree, "threaded")?;
    let load = Load::ready(&domain, &["threads", "3"])?;
    let root = guest.tree.need("")?.root.clone();
    // Made by hand: only cgroup2 has it, and a domain's controllers cannot be handed down while it holds processes.
    let inner = root.join(format!("stockade-test-threaded/{}", "inner"));
    fs::create_dir(&inner).during(inner.display())?;
    fs::write(inner.join("cgroup.type"), "threaded").during("cgroup.type")?;
    let threads = format!("/proc/{}/task", load.pid());
    let thread = fs::read_dir(&threads)
        .during(&threads)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let moved = thread.filter(|thread| *thread != load.pid().to_string()).last();
    let moved = moved.ok_or_else(|| Stop::Failed("the load has no second thread".into()))?;
    fs::write(inner.join("cgroup.threads"), &moved).during("cgroup.threads")?;
    let label = format!("{}/inner", domain.label());
    let daemon = guest.daemon()?;
    let scrape = eventually("the threaded group is shown", || {
        let scrape = daemon.scrape_after_now()?;
        Ok(scrape.get("cgroup_threads", &[("cgroup", &label)])?.is_some().then_some(scrape))
    });
    let checked = scrape.and_then(|scrape| {
        let count = |name, label: &str| scrape.get(name, &[("cgroup", label)]);
        let (outer, inside) = (count("cgroup_threads", &domain.label())?, count("cgroup_threads", &label)?);
        ensure(outer == Some(3.0) && inside == Some(1.0), || {
            format!("3 and 1 threads are shown as {outer:?}, {inside:?}")
        })?;
        let processes = count("cgroup_processes", &label)?;
        ensure(processes.is_none(), || format!("a threaded group lists no processes, shown {processes:?}"))
    });
    drop(load);
    domain.empty();
    let removed = eventually("the inner group is removed", || Ok(fs::remove_dir(&inner).ok()));
    checked.and(removed).map(|()| String::new())
}
