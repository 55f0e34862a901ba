//! Process numbers.

use crate::Guest;
use crate::load::Load;
use crate::outcome::{Outcome, ensure};
use crate::tree::Group;

/// More forks than `pids.max`: the rest is refused, and each refusal counted.
pub(crate) fn bounded_fork_bomb(guest: &mut Guest) -> Outcome {
    guest.tree.need("pids")?;
    let group = Group::make(&guest.tree, "pids")?;
    group.write(&guest.tree, "pids", "pids.max", "8")?;
    let mut load = Load::start(&group, &["fork", "20"])?;
    let said = load.await_ready()?;
    ensure(said == "7 13", || {
        format!("of 20 forks beside one process 7 fit into 8; the load made and missed {said}")
    })?;
    let scrape = guest.agree(&[&group])?;
    let current = scrape.want("cgroup_pids_current", &[("cgroup", &group.label())])?;
    ensure((current - 8.0).abs() < 0.5, || format!("8 processes are shown as {current}"))?;
    let refused = scrape.want("cgroup_pids_events_total", &[("cgroup", &group.label())])?;
    ensure(refused >= 13.0, || format!("13 forks were refused, {refused} are counted"))?;
    group.empty();
    guest.agree(&[&group])?;
    Ok(String::new())
}
