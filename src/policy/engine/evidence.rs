//! Why: every comparison of a condition, with what was measured.

use super::Sight;
use super::watched::Watched;
use crate::policy::condition::{Compare, Truth};
use crate::policy::decision::Finding;
use crate::policy::program::{Comparison, Subject};

/// How a comparison comes out, `hold` aside.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What was measured, `NaN` where it is not known.
    pub value: f64,
    /// What it was compared with, `NaN` where that is not known.
    pub threshold: f64,
    /// How it comes out.
    pub truth: Truth,
}

impl Sight<'_> {
    /// How a comparison comes out for the target at a place.
    #[must_use]
    pub fn outcome(&self, test: &Comparison, place: u32) -> Measured {
        let (value, at_most) = self.table.look(test.subject, place, self.paths, test.column);
        let threshold = test.limit.map_or(test.threshold, |limit| {
            test.threshold * self.table.look(test.subject, place, self.paths, limit).0
        });
        Measured { value, threshold, truth: test.compare(value, threshold, at_most) }
    }
}

/// Whether a target's `when` holds by what is known now, however long ago it was looked at.
#[must_use]
pub fn holds(watched: &Watched, at: usize, sight: Sight<'_>) -> bool {
    let truths: Vec<Truth> =
        findings(watched, at, false, sight).into_iter().map(|finding| finding.truth).collect();
    watched.when.judge(&truths) == Truth::True
}

/// Every comparison of a target's `when`, or of its `clear`.
#[must_use]
pub fn findings(watched: &Watched, at: usize, clear: bool, sight: Sight<'_>) -> Vec<Finding> {
    let program = match &watched.clear {
        Some(program) if clear => program,
        _ => &watched.when,
    };
    let place = watched.entries[at].place;
    let tests = program.tests.iter().zip(watched.holds_of(at, clear));
    tests
        .map(|(test, hold)| {
            let Measured { value, threshold, truth } = sight.outcome(test, place);
            let of = match test.subject {
                Subject::Host => "host".to_owned(),
                Subject::Path(path) if sight.paths[path].is_none() => {
                    "a cgroup that does not exist".to_owned()
                }
                other => match sight.table.row_of(other, place, sight.paths) {
                    Some(row) => sight.identity(row).display.to_string(),
                    None => "the parent of the root".to_owned(),
                },
            };
            Finding {
                signal: test.signal.name(),
                of,
                value: (!value.is_nan()).then_some(value),
                compare: match test.compare {
                    Compare::Above => "above",
                    Compare::Below => "below",
                },
                threshold: (!threshold.is_nan()).then_some(threshold),
                held: hold.held(),
                hold: test.hold,
                truth: match truth {
                    Truth::True if hold.held() < test.hold => Truth::False,
                    other => other,
                },
            }
        })
        .collect()
}
