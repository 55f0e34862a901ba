//! Standing limits and policies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::selector::{self, Surroundings};
use super::{bounds, condition, set, signals, steps};
use crate::config::place::{Issues, Place, Written};
use crate::config::raw::{RawLimit, RawMatch, RawPolicy, RawText, RawVictim};
use crate::enforce::apply::SHUTDOWN;
use crate::enforce::safety::Safety;
use crate::enforce::stats::OTHER;
use crate::policy::condition::Condition;
use crate::policy::rule::{Amount, Cooldown, LimitRule, Policy, Rules, Victim};
use crate::policy::selector::Selector;
use crate::policy::signal::Signal;

/// How many rules there may be, drop-ins included.
const MOST: usize = 1000;
/// How long a rule's name may be: it is a label's value.
const LONGEST_NAME: usize = 63;
/// What metrics and the audit call rules that are no longer there, and the undoing at the end.
const RESERVED: [&str; 2] = [OTHER, SHUTDOWN];
/// By how many signals victims may be ranked.
const MOST_RANKS: usize = 8;
/// How a policy rests, unless it says otherwise.
const COOLDOWN: Cooldown = Cooldown { target: Duration::from_secs(300), host: Duration::from_secs(15) };

/// Reads the rules of one document after another.
pub(super) struct Reader<'r> {
    safety: &'r Safety,
    around: &'r Surroundings,
    issues: &'r mut Issues,
    rules: Rules,
    names: HashMap<Arc<str>, Written>,
    seen: usize,
}

impl<'r> Reader<'r> {
    /// Nothing was read yet.
    pub(super) fn new(safety: &'r Safety, around: &'r Surroundings, issues: &'r mut Issues) -> Self {
        Self { safety, around, issues, rules: Rules::default(), names: HashMap::new(), seen: 0 }
    }

    /// What was read, and where each rule's name stands.
    pub(super) fn finish(self) -> (Rules, BTreeMap<Arc<str>, Written>) {
        (self.rules, self.names.into_iter().collect())
    }

    /// Reads the rules of one document.
    pub(super) fn read(
        &mut self,
        document: &Place<'_>,
        limits: Option<&[RawLimit]>,
        policies: Option<&[RawPolicy]>,
    ) {
        let at = document.key("limits");
        for (item, raw) in limits.unwrap_or_default().iter().enumerate() {
            let at = at.index(item);
            if self.is_one_too_many(&at) {
                return;
            }
            let rule = self.limit(raw, &at);
            self.rules.limits.extend(rule.map(Arc::new));
        }
        let at = document.key("policies");
        for (item, raw) in policies.unwrap_or_default().iter().enumerate() {
            let at = at.index(item);
            if self.is_one_too_many(&at) {
                return;
            }
            let policy = self.policy(raw, &at);
            self.rules.policies.extend(policy.map(Arc::new));
        }
    }

    fn is_one_too_many(&mut self, at: &Place<'_>) -> bool {
        self.seen += 1;
        if self.seen == MOST + 1 {
            self.issues.add(at, "there are too many rules", format!("expected at most {MOST}"));
        }
        self.seen > MOST
    }

    fn limit(&mut self, raw: &RawLimit, at: &Place<'_>) -> Option<LimitRule> {
        let name = self.name(raw.name.as_ref(), "limit", at);
        let selector = self.selector(raw.selector.as_ref(), "limit", at);
        let Some(raw_set) = &raw.set else {
            let expected = "expected `set`, such as `{memory.high: 4GiB}`";
            self.issues.add(at, "this limit sets nothing", expected);
            return None;
        };
        let place = at.key("set");
        let mut fixed = Vec::new();
        for (knob, amount) in set::set(raw_set, &place, self.issues)? {
            match amount {
                Amount::Fixed(value) => fixed.push((knob, value)),
                Amount::OfCurrent(_) => {
                    let message = format!("a standing limit on {knob} follows what is used");
                    let expected = "expected a fixed value; `of current` is for the steps of a policy";
                    self.issues.add(&place.key(knob.file()), message, expected);
                }
            }
        }
        Some(LimitRule {
            name: name?,
            mode: raw.mode.map(|mode| mode.0),
            selector: selector?,
            set: fixed,
            allow_oom: raw.allow_oom.unwrap_or_default(),
            on_drift: raw.on_drift.map(|on_drift| on_drift.0).unwrap_or_default(),
        })
    }

    fn policy(&mut self, raw: &RawPolicy, at: &Place<'_>) -> Option<Policy> {
        let name = self.name(raw.name.as_ref(), "policy", at);
        let selector = self.selector(raw.selector.as_ref(), "policy", at);
        let when = match &raw.when {
            Some(raw) => condition::condition(raw, &at.key("when"), self.issues),
            None => {
                let expected = "expected `when`, such as `{signal: memory.current, above: 2GiB, for: 10s}`";
                self.issues.add(at, "this policy never fires", expected);
                None
            }
        };
        let place = at.key("clear");
        let clear = raw.clear.as_ref().and_then(|raw| condition::condition(raw, &place, self.issues));
        if let (Some(when), Some(clear)) = (&when, &clear) {
            bounds::refuse_wrong_side(when, clear, &place, self.issues);
        }
        let victim = raw.victim.as_ref().map(|raw| self.victim(raw, &at.key("victim")));
        let steps = match &raw.steps {
            Some(raw) => steps::steps(raw, self.safety, &at.key("steps"), self.issues),
            None => {
                let expected = "expected `steps`, such as `[{notify: {}}]`";
                self.issues.add(at, "this policy has no steps", expected);
                Vec::new()
            }
        };
        let cooldown = raw.cooldown.as_ref().map_or(COOLDOWN, |raw| Cooldown {
            target: raw.target.map_or(COOLDOWN.target, |time| time.0),
            host: raw.host.map_or(COOLDOWN.host, |time| time.0),
        });
        let victim = victim.unwrap_or_else(default_victim);
        let degrade = self.signals(raw.degrade.as_deref().unwrap_or_default(), &at.key("degrade"));
        self.refuse_idle_degrade(&degrade, when.as_ref(), clear.as_ref(), &victim, &at.key("degrade"));
        Some(Policy {
            name: name?,
            mode: raw.mode.map(|mode| mode.0),
            selector: selector?,
            when: when?,
            clear,
            victim,
            steps,
            cooldown,
            allow_oom: raw.allow_oom.unwrap_or_default(),
            degrade,
        })
    }

    fn name(&mut self, raw: Option<&RawText>, what: &str, at: &Place<'_>) -> Option<Arc<str>> {
        let Some(RawText(text)) = raw else {
            let expected = "expected `name`, which metrics and the audit call it by";
            self.issues.add(at, format!("this {what} has no name"), expected);
            return None;
        };
        let at = at.key("name");
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(allowed) {
            let expected = format!(
                "expected 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`, such as `batch-cap`"
            );
            self.issues.add(&at, format!("bad name `{text}`"), expected);
            return None;
        }
        if RESERVED.contains(&text.as_str()) {
            let expected = "expected another name: metrics and the audit call something else by this one";
            self.issues.add(&at, format!("the name `{text}` is taken"), expected);
            return None;
        }
        if let Some(first) = self.names.get(text.as_str()) {
            let first = first.clone();
            let message = format!("the name `{text}` is taken");
            let expected = "expected a name of its own for each limit and policy";
            self.issues.add(&at, message, expected).first = Some(first);
            return None;
        }
        let name: Arc<str> = text.as_str().into();
        self.names.insert(name.clone(), at.written());
        Some(name)
    }

    fn selector(&mut self, raw: Option<&RawMatch>, what: &str, at: &Place<'_>) -> Option<Selector> {
        let Some(raw) = raw else {
            let expected = "expected `match`, such as `{path: \"/batch.slice/**\"}`";
            self.issues.add(at, format!("this {what} matches nothing"), expected);
            return None;
        };
        selector::selector(raw, self.around, &at.key("match"), self.issues)
    }

    fn victim(&mut self, raw: &RawVictim, at: &Place<'_>) -> Victim {
        let mut victim = default_victim();
        if let Some(rank) = &raw.rank {
            let at = at.key("rank");
            if rank.is_empty() || rank.len() > MOST_RANKS {
                let expected = format!("expected 1 to {MOST_RANKS} signals, such as `[memory.anon]`");
                self.issues.add(&at, format!("victims are ranked by {} signals", rank.len()), expected);
            } else {
                victim.rank = self.signals(rank, &at);
                for (item, signal) in victim.rank.iter().enumerate() {
                    self.refuse_host(*signal, &at.index(item));
                }
            }
        }
        let place = at.key("at_least");
        for (name, text) in raw.at_least.iter().flatten() {
            let Some(signal) = signals::signal(name, &place.name(name), self.issues) else { continue };
            if self.refuse_host(signal, &place.name(name)) {
                continue;
            }
            let value = signals::value(signal, &text.0, &place.key(name), self.issues);
            victim.at_least.extend(value.map(|value| (signal, value)));
        }
        victim.max = raw.max.map_or(victim.max, |max| max.0);
        victim
    }

    /// Whether the signal says nothing about a single cgroup.
    fn refuse_host(&mut self, signal: Signal, at: &Place<'_>) -> bool {
        let refused = signals::is_host(signal);
        if refused {
            let message = format!("{} is the same for every victim", signal.name());
            self.issues.add(at, message, "expected a signal of a cgroup, such as `memory.anon`");
        }
        refused
    }

    /// A list of signals, each once.
    fn signals(&mut self, raw: &[RawText], at: &Place<'_>) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (item, RawText(name)) in raw.iter().enumerate() {
            let at = at.index(item);
            match signals::signal(name, &at, self.issues) {
                Some(signal) if signals.contains(&signal) => {
                    let message = format!("`{name}` is listed twice");
                    self.issues.add(&at, message, "expected each signal at most once");
                }
                signal => signals.extend(signal),
            }
        }
        signals
    }

    /// A signal that a policy may lack and does not use is a typing error, and would hide a lack one day.
    fn refuse_idle_degrade(
        &mut self,
        degrade: &[Signal],
        when: Option<&Condition>,
        clear: Option<&Condition>,
        victim: &Victim,
        at: &Place<'_>,
    ) {
        let Some(when) = when else { return };
        let tested = [Some(when), clear].into_iter().flatten().flat_map(bounds::signals_of);
        let ranked = victim.rank.iter().chain(victim.at_least.iter().map(|(signal, _)| signal));
        let used: Vec<Signal> = tested.map(|(signal, _)| signal).chain(ranked.copied()).collect();
        for (item, signal) in degrade.iter().enumerate().filter(|(_, signal)| !used.contains(signal)) {
            let message = format!("{} is not used by this policy", signal.name());
            self.issues.add(&at.index(item), message, "expected signals of `when`, `clear` or `victim`");
        }
    }
}

fn default_victim() -> Victim {
    Victim { rank: vec![Signal::MemoryCurrent], at_least: Vec::new(), max: 1 }
}
