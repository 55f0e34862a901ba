//! From what is written to what is meant: defaults filled in, impossible values found.

mod bounds;
mod collect;
mod condition;
mod overlap;
mod rules;
mod safety;
mod selector;
mod set;
mod signals;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use collect::Collect;
use selector::Surroundings;

use super::place::{Issue, Issues, Place, Written};
use super::raw::{RawConfig, RawDropIn};
use super::users::Users;
use crate::enforce::safety::Safety;
use crate::model::OwnerLabel;
use crate::policy::rule::Rules;

/// A checked configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What is sampled, and when.
    pub collect: Collect,
    /// The identity labels to put on every series, in the order of [`OwnerLabel::ALL`].
    pub labels: Vec<OwnerLabel>,
    /// What may be done at all, and to whom.
    pub safety: Safety,
    /// Limits and policies, those of the configuration file first, then those of each drop-in.
    pub rules: Rules,
    /// Where each rule stands, by its name.
    pub places: BTreeMap<Arc<str>, RulePlace>,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulePlace {
    /// In which file.
    pub file: PathBuf,
    /// On which line, from 1.
    pub line: usize,
    /// In which column, from 1, in characters.
    pub column: usize,
}

/// What came of the checks.
pub(super) struct Compiled {
    /// The configuration, without [`Config::places`].
    pub(super) config: Config,
    /// Each rule's name, and where it is written.
    pub(super) names: BTreeMap<Arc<str>, Written>,
    /// What is wrong.
    pub(super) issues: Vec<Issue>,
}

/// Checks a configuration and its drop-ins, and finds everything that is wrong with them.
///
/// What is wrong keeps its default, so that the rest can be checked.
pub(super) fn compile(raw: &RawConfig, drop_ins: &[RawDropIn], users: Users) -> Compiled {
    let mut issues = Issues::default();
    let document = Place::Document(0);
    let mut config = Config::default();
    if let Some(raw) = &raw.collect {
        config.collect = collect::collect(raw, &document.key("collect"), &mut issues);
    }
    if let Some(raw) = &raw.labels {
        config.labels = collect::labels(raw, &document.key("labels"), &mut issues);
    }
    let safety = raw.safety.as_ref();
    config.safety = safety::safety(safety, users, &document.key("safety"), &mut issues);
    let around = Surroundings::new(safety, users);
    let mut rules = rules::Reader::new(&config.safety, &around, &mut issues);
    rules.read(&document, raw.limits.as_deref(), raw.policies.as_deref());
    for (raw, at) in drop_ins.iter().zip(1..) {
        rules.read(&Place::Document(at), raw.limits.as_deref(), raw.policies.as_deref());
    }
    let (rules, names) = rules.finish();
    config.rules = rules;
    Compiled { config, names, issues: issues.into_vec() }
}
