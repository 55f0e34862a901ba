//! PURE: what is shown of the rules: where they stand, what is in force, what was decided and why.
//!
//! Lists have an end, whatever the host does: each comes with how many there are in all.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::{Identity, Knob, Quantity, Value};

/// Where this program runs, and what its rules are about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overview {
    /// The host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The kernel's release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The configuration file; none where the defaults are in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The rules; none where there are none, and nothing is enforced.
    #[serde(flatten)]
    pub rules: Option<Rules>,
}

/// The rules in force.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    /// What decisions lead to: `observe`, `dry_run`, `enforce`.
    pub mode: &'static str,
    /// Since when, as the audit writes times.
    pub mode_since: String,
    /// Every policy, in the configuration's order.
    pub policies: Vec<Policy>,
    /// Every standing limit, in the configuration's order.
    pub limits: Vec<StandingLimit>,
    /// What is in force in the kernel and will be undone: what ends first stands first, what a standing limit keeps
    /// stands last.
    pub in_force: Vec<InForce>,
    /// How many there are.
    pub in_force_total: usize,
}

/// A policy.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// What its decisions lead to: the stricter of the general mode and its own.
    pub mode: &'static str,
    /// How many of the cgroups that it matches are in each state.
    #[serde(serialize_with = "as_map")]
    pub states: Vec<(&'static str, usize)>,
    /// The cgroups that it is not done with.
    pub targets: Vec<Target>,
    /// How many there are.
    pub targets_total: usize,
}

/// A cgroup that a policy is not done with.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Which.
    #[serde(serialize_with = "as_path")]
    pub cgroup: Arc<Identity>,
    /// The state's name.
    pub state: &'static str,
    /// The last step taken, from 1.
    pub step: usize,
    /// How many steps the policy has.
    pub steps: usize,
    /// What that step does: `freeze`.
    pub action: &'static str,
    /// When the next step is taken unless it gets better; none where there is no next one, or nothing waits for it.
    #[serde(rename = "next_step_in_seconds", serialize_with = "as_seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step_in: Option<Duration>,
    /// When what was done is undone at the latest; none where nothing that was done lasts, or nothing ends it.
    #[serde(rename = "undone_in_seconds", serialize_with = "as_seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_in: Option<Duration>,
}

/// A standing limit.
#[derive(Clone, Debug, Serialize)]
pub struct StandingLimit {
    /// Its name.
    pub name: Arc<str>,
    /// What it leads to: the stricter of the general mode and its own.
    pub mode: &'static str,
    /// What it sets.
    #[serde(serialize_with = "as_settings")]
    pub set: Vec<(Knob, Value)>,
    /// On how many cgroups it is to be kept.
    pub cgroups: usize,
    /// How many controls it holds in the kernel.
    pub in_force: usize,
}

/// A rule's claim on a control, or on the freezer.
#[derive(Clone, Debug, Serialize)]
pub struct InForce {
    /// The rule that it is for.
    pub policy: Arc<str>,
    /// On which cgroup.
    #[serde(serialize_with = "as_path")]
    pub cgroup: Arc<Identity>,
    /// Which control; none is the freezer.
    #[serde(serialize_with = "as_text")]
    pub control: Option<Knob>,
    /// What the rule sets it to.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What it was before any rule set it, and will be again.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Whether the kernel has this rule's value: else a stricter rule's, or a stricter value from before.
    pub holds: bool,
    /// When it is undone by itself.
    #[serde(rename = "undone_in_seconds", serialize_with = "as_seconds")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_in: Option<Duration>,
}

/// What came of a decision, as the audit has it.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// When, as the audit writes times.
    pub time: String,
    /// Its number since the start; 0 where the end of a time did it.
    pub id: u64,
    /// The rule, `by hand` for a person.
    pub policy: Arc<str>,
    /// About which cgroup.
    #[serde(serialize_with = "as_path")]
    pub cgroup: Arc<Identity>,
    /// What: `freeze`.
    pub action: &'static str,
    /// The policy's step, from 1, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Whether it was only played.
    pub dry_run: bool,
    /// What came of it: `applied`.
    pub outcome: &'static str,
    /// What the kernel or a guard rail said.
    pub detail: String,
    /// The controls that it changed.
    pub changes: Vec<Change>,
    /// Why: every comparison.
    pub conditions: Vec<Condition>,
    /// From when it was noticed to the effect in the kernel.
    #[serde(serialize_with = "seconds")]
    pub reaction_seconds: Duration,
}

/// A control that was changed.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Which.
    #[serde(serialize_with = "text")]
    pub control: Knob,
    /// What it was.
    #[serde(serialize_with = "text")]
    pub before: Value,
    /// What it is.
    #[serde(serialize_with = "text")]
    pub after: Value,
}

/// A comparison, as it came out.
#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// The signal's name.
    pub signal: String,
    /// What it is measured in.
    #[serde(skip)]
    pub quantity: Quantity,
    /// The cgroup that it was measured of, `host` for the host.
    pub of: String,
    /// What was measured.
    pub value: Option<f64>,
    /// `above` or `below`.
    pub compare: &'static str,
    /// What it was compared with.
    pub threshold: Option<f64>,
    /// How long it was so.
    #[serde(serialize_with = "seconds")]
    pub held_seconds: Duration,
    /// `true`, `false` or `unknown`.
    pub truth: &'static str,
}

fn as_path<S: Serializer>(identity: &Arc<Identity>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&identity.display)
}

fn as_map<S: Serializer>(rows: &[(&'static str, usize)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rows.iter().copied())
}

fn as_settings<S: Serializer>(rows: &[(Knob, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rows.iter().map(|(knob, value)| (knob.to_string(), value.to_string())))
}

/// The freezer where there is no control; a value that is absent has no key.
fn as_text<T: ToString, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.as_ref().map_or_else(|| FREEZER.to_owned(), T::to_string))
}

fn text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn as_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_some(&time.unwrap_or_default().as_secs_f64())
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// What stands for a control where it is the freezer that is claimed.
pub const FREEZER: &str = "freezer";
