//! `kill -9` while the daemon limits, freezes and kills: the next start or `stockade undo` leaves nothing behind.

use std::thread;
use std::time::Duration;

use crate::Guest;
use crate::enforcer::Ground;
use crate::enforcing_hogs::{control, is_frozen, processes};
use crate::load::Load;
use crate::outcome::{Outcome, Step, ensure};
use crate::tree::Group;

/// How often it is killed.
const ROUNDS: u64 = 15;

/// At once, again and again: limits, freezes, kills.
const RULES: &str = "limits:
  - {name: standing, match: {path: \"@/*\"}, set: {cpu.weight: 50}}
policies:
  - name: limit
    match: {path: \"@/limited\"}
    when: {signal: age, above: 0s}
    steps: [{set: {pids.max: 2000, memory.max: 256MiB}, ttl: 300ms, relieved_within: 1h}]
    cooldown: {target: 10ms, host: 0s}
  - name: freeze
    match: {path: \"@/frozen\"}
    when: {signal: age, above: 0s}
    steps: [{freeze: {ttl: 300ms}, relieved_within: 1h}]
    cooldown: {target: 10ms, host: 0s}
  - name: kill
    match: {path: \"@/killed\"}
    when: {signal: pids.current, above: 0}
    steps:
      - {freeze: {ttl: 500ms}, relieved_within: 100ms}
      - {kill: {signal: TERM, grace: 20ms}, relieved_within: 50ms}
    cooldown: {target: 10ms, host: 0s}
";

/// Everything that the rules turn.
fn state(guest: &Guest, groups: &[&Group]) -> Step<Vec<String>> {
    let mut state = Vec::new();
    for group in groups {
        for (controller, v2, v1) in [
            ("pids", "pids.max", "pids.max"),
            ("memory", "memory.max", "memory.limit_in_bytes"),
            ("cpu", "cpu.weight", "cpu.shares"),
        ] {
            let text = control(guest, group, controller, v2, v1)?;
            state.push(format!("{} {v2} {text}", group.label()));
        }
        state.push(format!("{} frozen {}", group.label(), is_frozen(guest, group)?));
    }
    Ok(state)
}

/// See [`ROUNDS`].
pub(crate) fn killed_at_any_moment(guest: &mut Guest) -> Outcome {
    for controller in ["pids", "memory", "cpu"] {
        guest.tree.need(controller)?;
    }
    let ground = Ground::new(guest, "crash")?;
    let parent = Group::make(&guest.tree, "crash")?;
    let limited = parent.child(&guest.tree, "limited")?;
    let frozen = parent.child(&guest.tree, "frozen")?;
    let killed = parent.child(&guest.tree, "killed")?;
    let groups = [&limited, &frozen, &killed];
    let _bystanders = [Load::ready(&limited, &["idle"])?, Load::ready(&frozen, &["idle"])?];
    let mut victim = Load::ready(&killed, &["idle"])?;
    let original = state(guest, &groups)?;
    let (mut turned, mut deaths) = (0, 0);
    // The same moments in every guest; what the daemon does at them is not the same.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..ROUNDS {
        ground.enforce_below(&parent, RULES)?;
        let daemon = ground.serve(None)?;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // The moment is what is random; nothing is waited for.
        thread::sleep(Duration::from_millis(random % 900));
        daemon.crash()?;
        let left = state(guest, &groups)?;
        turned += u32::from(left != original);
        if round % 3 == 0 {
            ground.enforce_below(&parent, "")?;
            ground.serve(None)?.stop()?;
        } else {
            ground.told(&["undo"])?;
        }
        let now = state(guest, &groups)?;
        ensure(now == original, || format!("round {round}: {original:?} was {left:?} and is {now:?}"))?;
        ensure(processes(&limited)? == 1 && processes(&frozen)? == 1, || "a bystander died".into())?;
        if processes(&killed)? == 0 {
            deaths += 1;
            victim = Load::ready(&killed, &["idle"])?;
        }
    }
    drop(victim);
    ensure(turned > 3 && deaths > 0, || {
        format!("something was in force at {turned} of {ROUNDS} moments, {deaths} kills")
    })?;
    Ok(format!("something was in force at {turned} of {ROUNDS} moments, {deaths} kills"))
}
