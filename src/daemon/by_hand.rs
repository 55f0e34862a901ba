//! Orders by hand: from what is asked to a request for the guard rails, and from an outcome to an answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::socket::{self, Answer, What};
use crate::config;
use crate::enforce::apply::Enforcer;
use crate::enforce::order::{Done, Outcome};
use crate::enforce::plan::{Request, Wish};
use crate::model::{Identity, Snapshot, Value};
use crate::policy::rule::{Amount, Kill, Mode, OnDrift, Setting};

/// The cgroup that is meant, if one is.
pub(super) fn target(
    request: &socket::Request,
    snapshot: &Snapshot,
) -> Result<Option<Arc<Identity>>, Answer> {
    let Some(target) = &request.target else { return Ok(None) };
    let found = snapshot.find(&target.path).filter(|found| found.identity.id == target.id);
    found.map(|found| Some(Arc::clone(&found.identity))).ok_or_else(|| Answer {
        outcome: "vanished".to_owned(),
        detail: format!(
            "{} is gone, or another cgroup has its name now",
            crate::model::display_path(&target.path)
        ),
        data: serde_json::Value::Null,
    })
}

/// What is asked, as the guard rails take it.
pub(super) fn request(
    what: &What,
    target: &Arc<Identity>,
    dry_run: bool,
    noticed: Duration,
) -> Result<Request, Answer> {
    let (wish, ttl, allow_oom) = match what {
        What::Set { assignments, ttl, allow_oom } => {
            let set = config::assignments(assignments).map_err(Answer::failed)?;
            let settings = set
                .into_iter()
                .map(|(knob, value)| Setting { knob, amount: Amount::Fixed(value), at_least: None })
                .collect();
            // A person may loosen what is there: it is what they say.
            (Wish::Set { settings, on_drift: OnDrift::Yield, loosens: true }, *ttl, *allow_oom)
        }
        What::Freeze { ttl } => (Wish::Freeze, Some(*ttl), false),
        What::Thaw => (Wish::Thaw, None, false),
        What::Kill { signal, grace } => (Wish::Kill(Kill { signal: *signal, grace: *grace }), None, false),
        What::Restart => (Wish::Restart, None, false),
        What::Stop => (Wish::Stop, None, false),
        What::Reclaim { bytes } => (Wish::Reclaim(Amount::Fixed(Value::of(*bytes))), None, false),
        What::Undo => (Wish::Undo, None, false),
        What::Explain => return Err(Answer::failed("only a daemon with policies can explain".to_owned())),
    };
    let mode = Some(if dry_run { Mode::DryRun } else { Mode::Enforce });
    Ok(Request { ttl, allow_oom, mode, ..Request::by_hand(target, wish, noticed) })
}

/// What came of an order.
pub(super) fn answer(done: &Done) -> Answer {
    let changes: Vec<serde_json::Value> = done
        .changes
        .iter()
        .map(|change| {
            json!({
                "control": change.knob.to_string(),
                "before": change.before.to_string(),
                "after": change.after.to_string(),
            })
        })
        .collect();
    let mut detail = format!("{} {}", done.order.deed.name(), done.order.target.display);
    for change in &done.changes {
        detail.push_str(&format!(", {} {} -> {}", change.knob, change.before, change.after));
    }
    if !done.detail.is_empty() {
        detail.push_str(&format!(": {}", done.detail));
    }
    Answer {
        outcome: done.outcome.name().to_owned(),
        detail,
        data: json!({"cgroup": &*done.order.target.display, "changes": changes}),
    }
}

/// What a thaw or an undo would take back: of one cgroup, or of all. None where it is neither.
pub(super) fn would_take_back(what: &What, target: Option<&Identity>, enforcer: &Enforcer) -> Option<Answer> {
    let verb = match what {
        What::Undo => "undo",
        What::Thaw => "thaw",
        _ => return None,
    };
    let mut active = enforcer.active();
    active.retain(|claim| {
        let meant =
            target.is_none_or(|target| claim.target.path == target.path && claim.target.id == target.id);
        meant && (*what == What::Undo || claim.knob.is_none())
    });
    let claims: Vec<String> = active
        .iter()
        .map(|claim| {
            let control = claim.knob.as_ref().map_or_else(|| "freeze".to_owned(), ToString::to_string);
            format!("{control} of {} ({})", claim.target.display, claim.rule)
        })
        .collect();
    let detail = match (claims.is_empty(), what) {
        (false, _) => format!("would {verb} {}", claims.join(", ")),
        (true, What::Thaw) => "would thaw: this program did not freeze it".to_owned(),
        (true, _) => "nothing is in force that could be undone".to_owned(),
    };
    Some(Answer { outcome: Outcome::DryRun.name().to_owned(), detail, data: json!({"would_undo": claims}) })
}

/// So many changes, in words.
pub(super) fn changes(count: usize) -> String {
    match count {
        1 => "1 change was".to_owned(),
        count => format!("{count} changes were"),
    }
}

/// Undoes everything.
pub(super) fn undone(enforcer: &Enforcer, within: Duration) -> Answer {
    let before = enforcer.active().len();
    if enforcer.undo_all(within) {
        let left = enforcer.active().len();
        let detail = match (before, left) {
            (0, _) => "nothing was left to undo".to_owned(),
            (_, 0) => format!("{} undone", changes(before)),
            _ => return Answer::failed(format!("{left} of {before} changes could not be undone")),
        };
        Answer { outcome: "done".to_owned(), detail, data: json!({"undone": before}) }
    } else {
        Answer::failed(format!("not everything was undone within {within:?}"))
    }
}
