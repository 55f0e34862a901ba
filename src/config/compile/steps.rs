//! The steps of a policy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use nix::sys::signal::Signal;

use super::set;
use crate::config::place::{Issues, Place};
use crate::config::raw::{RawFreeze, RawHook, RawKill, RawNotify, RawReclaim, RawSet, RawStep};
use crate::config::units;
use crate::enforce::safety::{Safety, Writer};
use crate::policy::rule::{Action, Amount, Hook, Kill, Notify, Setting, Step, Webhook};

/// How many steps a policy may have.
const MOST: usize = 16;
/// How long what a step sets stays, unless it says otherwise.
const SET_TTL: Duration = Duration::from_secs(600);
/// How long a freeze lasts, unless it says otherwise.
const FREEZE_TTL: Duration = Duration::from_secs(30);
/// How long a step has to bring relief, unless it says otherwise.
const RELIEVED_WITHIN: Duration = Duration::from_secs(20);
/// How long processes have to end, unless a step says otherwise.
const GRACE: Duration = Duration::from_secs(5);
/// How long a hook may take, unless it says otherwise.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a hook may be allowed to take.
const LONGEST_HOOK: Duration = Duration::from_secs(300);
/// The actions, for messages.
const ACTIONS: &str = "expected one of: notify, set, reclaim, freeze, kill, restart, stop";

/// Reads `steps:`.
pub(super) fn steps(raw: &[RawStep], safety: &Safety, at: &Place<'_>, issues: &mut Issues) -> Vec<Step> {
    if raw.is_empty() {
        issues.add(at, "this policy has no steps", "expected at least one, such as `{notify: {}}`");
    }
    if raw.len() > MOST {
        issues.add(at, format!("these are {} steps", raw.len()), format!("expected at most {MOST}"));
        return Vec::new();
    }
    let read = |(item, raw): (usize, &RawStep)| step(raw, safety, &at.index(item), issues);
    raw.iter().enumerate().filter_map(read).collect()
}

fn step(raw: &RawStep, safety: &Safety, at: &Place<'_>, issues: &mut Issues) -> Option<Step> {
    let named = actions(raw);
    let Some(&name) = named.first() else {
        issues.add(at, "this step does nothing", ACTIONS);
        return None;
    };
    if let Some(other) = named.get(1) {
        let expected = "expected one action in a step; several make several steps";
        issues.add(&at.name(other), format!("`{other}` stands beside `{name}`"), expected);
        return None;
    }
    misplaced(raw, name, at, issues);
    let place = at.key(name);
    let action = match raw {
        RawStep { notify: Some(raw), .. } => Action::Notify(notify(raw, &place, issues)),
        RawStep { set: Some(set), .. } => Action::Set(settings(set, raw, at, issues)?),
        RawStep { reclaim: Some(raw), .. } => Action::Reclaim(reclaim(raw, &place, issues)?),
        RawStep { freeze: Some(_), .. } => Action::Freeze,
        RawStep { kill: Some(raw), .. } => {
            within_budget(name, safety, at, issues);
            Action::Kill(kill(raw, &place, issues))
        }
        RawStep { restart: Some(_), .. } | RawStep { stop: Some(_), .. } => {
            within_budget(name, safety, at, issues);
            if safety.writers.systemd != Writer::Dbus {
                let message =
                    format!("a {name} is asked of systemd, and `safety.writers.systemd` is not `dbus`");
                issues.add(&at.name(name), message, "expected `safety.writers: {systemd: dbus}`, or a kill");
            }
            if raw.restart.is_some() { Action::Restart } else { Action::Stop }
        }
        _ => return None,
    };
    let ttl = match raw {
        RawStep { freeze: Some(raw), .. } => Some(freeze_ttl(raw, safety, &place, issues)),
        RawStep { set: Some(_), .. } => {
            let ttl = raw.ttl.map_or(SET_TTL, |ttl| ttl.0);
            if ttl.is_zero() {
                let expected = "expected longer than 0s, such as `10m`";
                issues.add(&at.key("ttl"), "what is set would be undone at once", expected);
            }
            Some(ttl)
        }
        _ => None,
    };
    let default = if matches!(action, Action::Notify(_)) { Duration::ZERO } else { RELIEVED_WITHIN };
    let relieved_within = raw.relieved_within.map_or(default, |time| time.0);
    if relieved_within.is_zero() && !matches!(action, Action::Notify(_)) {
        let message = format!("a {} brings no relief in no time", action.name());
        issues.add(&at.key("relieved_within"), message, "expected longer than 0s, such as `20s`");
    }
    Some(Step { action, ttl, relieved_within })
}

/// Refuses what ends processes where the budgets never allow it.
fn within_budget(name: &str, safety: &Safety, at: &Place<'_>, issues: &mut Issues) {
    let budgets = [("host", safety.kill_host), ("target", safety.kill_target)];
    if let Some((key, _)) = budgets.iter().find(|(_, budget)| budget.max == 0) {
        let message = format!("this can never be done: `safety.kill_budget.{key}.max` is 0");
        issues.add(&at.name(name), message, format!("expected a budget of 1 or more, or no {name}"));
    }
}

fn actions(raw: &RawStep) -> Vec<&'static str> {
    [
        ("notify", raw.notify.is_some()),
        ("set", raw.set.is_some()),
        ("reclaim", raw.reclaim.is_some()),
        ("freeze", raw.freeze.is_some()),
        ("kill", raw.kill.is_some()),
        ("restart", raw.restart.is_some()),
        ("stop", raw.stop.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, written)| written.then_some(name))
    .collect()
}

/// Refuses what is said beside an action and means nothing there.
fn misplaced(raw: &RawStep, action: &str, at: &Place<'_>, issues: &mut Issues) {
    if raw.ttl.is_some() && action != "set" {
        let (message, expected) = match action {
            "freeze" => {
                ("`ttl` stands beside `freeze`".to_owned(), "expected it within: `freeze: {ttl: 30s}`")
            }
            other => (format!("a {other} cannot be undone"), "expected `ttl` with `set` or `freeze` only"),
        };
        issues.add(&at.name("ttl"), message, expected);
    }
    if raw.at_least.is_some() && action != "set" {
        let message = format!("a {action} has no least value");
        issues.add(&at.name("at_least"), message, "expected `at_least` with `set` only");
    }
}

fn settings(raw: &RawSet, step: &RawStep, at: &Place<'_>, issues: &mut Issues) -> Option<Vec<Setting>> {
    let set = set::set(raw, &at.key("set"), issues)?;
    let relative = set.iter().any(|(_, amount)| matches!(amount, Amount::OfCurrent(_)));
    let at = at.key("at_least");
    let mut settings = Vec::with_capacity(set.len());
    for (knob, amount) in set {
        // Beside a share of what is used, a fixed amount needs no bound.
        let bounded = matches!(amount, Amount::OfCurrent(_)) || !relative;
        let least = match &step.at_least {
            Some(text) if bounded => match set::at_least(&knob, &text.0) {
                Some(least) => Some(least),
                None => {
                    let expected =
                        "expected what the control is set in; different ones go into different steps";
                    issues.add(&at, format!("`{}` is no value of {knob}", text.0), expected);
                    return None;
                }
            },
            _ => None,
        };
        if let (Some(least), Amount::Fixed(value)) = (least, &amount)
            && value.number().is_some_and(|number| least > number)
        {
            let message = format!("this is more than {knob} is set to");
            issues.add(&at, message, "expected at most what is set");
            return None;
        }
        settings.push(Setting { knob, amount, at_least: least });
    }
    Some(settings)
}

fn reclaim(raw: &RawReclaim, at: &Place<'_>, issues: &mut Issues) -> Option<Amount> {
    match raw {
        RawReclaim::Short(text) => set::reclaim(&text.0, at, issues),
        RawReclaim::Long(raw) => match &raw.amount {
            Some(text) => set::reclaim(&text.0, &at.key("amount"), issues),
            None => {
                let expected = "expected `amount: 256MiB` or `amount: 10% of current`";
                issues.add(at, "this reclaims nothing", expected);
                None
            }
        },
    }
}

fn freeze_ttl(raw: &RawFreeze, safety: &Safety, at: &Place<'_>, issues: &mut Issues) -> Duration {
    let longest = safety.freeze_max;
    let Some(ttl) = raw.ttl else { return FREEZE_TTL.min(longest) };
    if ttl.0.is_zero() || ttl.0 > longest {
        let message = format!("a freeze of `{}` is not allowed", units::show(ttl.0));
        let expected = format!(
            "expected longer than 0s, and at most `safety.freeze_max`, which is {}",
            units::show(longest)
        );
        issues.add(&at.key("ttl"), message, expected);
    }
    ttl.0
}

fn kill(raw: &RawKill, at: &Place<'_>, issues: &mut Issues) -> Kill {
    let signal = raw.signal.map_or(Signal::SIGTERM, |signal| signal.0);
    if signal != Signal::SIGKILL {
        return Kill { signal: signal as i32, grace: raw.grace.map_or(GRACE, |grace| grace.0) };
    }
    if raw.grace.is_some() {
        let expected = "expected no `grace`, or a signal such as TERM that leaves time";
        issues.add(&at.name("grace"), "KILL has no grace", expected);
    }
    Kill { signal: signal as i32, grace: Duration::ZERO }
}

fn notify(raw: &RawNotify, at: &Place<'_>, issues: &mut Issues) -> Notify {
    let webhook = webhook(raw, at, issues);
    let hook = raw.hook.as_ref().and_then(|raw| hook(raw, &at.key("hook"), issues));
    Notify { webhook, hook }
}

fn webhook(raw: &RawNotify, at: &Place<'_>, issues: &mut Issues) -> Option<Webhook> {
    let uri = raw.webhook.as_ref().and_then(|webhook| webhook.parse::<Uri>().ok());
    let scheme =
        uri.as_ref().filter(|uri| uri.host().is_some_and(|host| !host.is_empty())).and_then(Uri::scheme_str);
    if let Some(webhook) = &raw.webhook
        && !matches!(scheme, Some("http" | "https"))
    {
        let expected = "expected `https://HOST[:PORT]/PATH` or `http://HOST[:PORT]/PATH`";
        issues.add(&at.key("webhook"), format!("`{webhook}` is no address of a webhook"), expected);
    }
    if let Some(ca_file) = &raw.ca_file {
        let place = at.key("ca_file");
        if !Path::new(ca_file).is_absolute() {
            let expected = "expected one, such as `/etc/stockade/receivers.crt`";
            issues.add(&place, format!("`{ca_file}` is no absolute path"), expected);
        } else if scheme == Some("http") || raw.webhook.is_none() {
            let expected = "expected `webhook: https://HOST[:PORT]/PATH` beside it, or no `ca_file`";
            issues.add(&place, "no receiver shows a certificate", expected).against =
                Some(at.key("webhook").written());
        }
    }
    let ca_file = raw.ca_file.as_ref().map(PathBuf::from);
    raw.webhook.clone().map(|address| Webhook { address, ca_file })
}

fn hook(raw: &RawHook, at: &Place<'_>, issues: &mut Issues) -> Option<Hook> {
    let timeout = raw.timeout.map_or(HOOK_TIMEOUT, |timeout| timeout.0);
    if timeout.is_zero() || timeout > LONGEST_HOOK {
        let message = format!("`{}` is no time for a hook", units::show(timeout));
        let expected = format!("expected longer than 0s, and at most {}", units::show(LONGEST_HOOK));
        issues.add(&at.key("timeout"), message, expected);
    }
    let Some((program, arguments)) = raw.command.as_deref().unwrap_or_default().split_first() else {
        issues.add(at, "this hook has no command", "expected `command: [/path/to/program, argument]`");
        return None;
    };
    let at = at.key("command");
    if !Path::new(program).is_absolute() {
        let expected = "expected one, such as `/usr/local/bin/page`; no shell and no PATH is used";
        issues.add(&at.index(0), format!("`{program}` is no absolute path"), expected);
        return None;
    }
    if let Some(nul) = raw.command.iter().flatten().position(|text| text.contains('\0')) {
        issues.add(&at.index(nul), "this holds a NUL", "expected text that a program can be given");
        return None;
    }
    Some(Hook { program: PathBuf::from(program), arguments: arguments.to_vec(), timeout })
}
