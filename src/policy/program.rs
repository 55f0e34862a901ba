//! Conditions made ready to be asked again and again: comparisons by column, and how long each has held.

use std::time::Duration;

use super::condition::{Compare, Condition, Of, Threshold, Truth};
use super::measure::{Measure, ceiling};
use super::signal::Signal;

/// Whose row a comparison looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The target's own.
    This,
    /// Its parent's.
    Parent,
    /// The host's.
    Host,
    /// That of a named path, by its place among [`Names::paths`].
    Path(usize),
}

/// One comparison, compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// What is measured.
    pub signal: Signal,
    /// Its column.
    pub column: usize,
    /// Whose.
    pub subject: Subject,
    /// Which side counts.
    pub compare: Compare,
    /// Compared with this, or with this share of the limit in [`Self::limit`].
    pub threshold: f64,
    /// The limit's column.
    pub limit: Option<usize>,
    /// How long it must have been so.
    pub hold: Duration,
}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(usize),
}

/// Every measure and every path that some condition names.
#[derive(Debug, Default)]
pub struct Names {
    /// The measures, a column each.
    pub measures: Vec<Measure>,
    /// The paths of `of: /a/path`.
    pub paths: Vec<Box<[u8]>>,
}

impl Names {
    /// The column of a measure, made if there is none yet.
    pub fn column(&mut self, measure: Measure) -> usize {
        // What the host's pressure is due to is told by the cgroups' own pressure of that kind.
        if let Measure::Signal(Signal::HostPressure(resource, stall, window)) = measure {
            self.column(Measure::Signal(Signal::Pressure(resource, stall, window)));
        }
        place(&mut self.measures, |each| *each == measure, || measure)
    }

    /// The column of a signal.
    pub fn signal(&mut self, signal: Signal) -> usize {
        self.column(Measure::Signal(signal))
    }

    fn path(&mut self, path: &[u8]) -> usize {
        place(&mut self.paths, |each| **each == *path, || path.into())
    }
}

fn place<T>(all: &mut Vec<T>, same: impl FnMut(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    all.iter().position(same).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    })
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its comparisons, in the order they are written.
    pub tests: Vec<Comparison>,
    root: Node,
}

impl Program {
    /// Compiles a condition.
    #[must_use]
    pub fn new(condition: &Condition, names: &mut Names) -> Self {
        let mut tests = Vec::new();
        let root = compile(condition, names, &mut tests);
        Self { tests, root }
    }

    /// Whether the condition holds, given how each comparison came out.
    #[must_use]
    pub fn judge(&self, truths: &[Truth]) -> Truth {
        judge(&self.root, truths)
    }

    /// Whether some comparison looks at such a subject.
    pub fn looks_at(&self, which: impl Fn(Subject) -> bool) -> bool {
        self.tests.iter().any(|test| which(test.subject))
    }
}

fn compile(condition: &Condition, names: &mut Names, tests: &mut Vec<Comparison>) -> Node {
    let mut each =
        |conditions: &[Condition]| conditions.iter().map(|one| compile(one, names, tests)).collect();
    match condition {
        Condition::All(conditions) => Node::All(each(conditions)),
        Condition::Any(conditions) => Node::Any(each(conditions)),
        Condition::Not(condition) => Node::Not(Box::new(compile(condition, names, tests))),
        Condition::Test(test) => {
            let (signal, subject) = match (test.signal, &test.of) {
                (Signal::Pressure(resource, stall, window), Of::Host) => {
                    (Signal::HostPressure(resource, stall, window), Subject::Host)
                }
                (
                    host @ (Signal::HostMemoryAvailable | Signal::HostSwapFree | Signal::HostPressure(..)),
                    _,
                ) => (host, Subject::Host),
                (signal, Of::This) => (signal, Subject::This),
                (signal, Of::Parent) => (signal, Subject::Parent),
                // What the root cgroup uses is what the host uses.
                (signal, Of::Host) => (signal, Subject::Path(names.path(b"/"))),
                (signal, Of::Path(path)) => (signal, Subject::Path(names.path(path))),
            };
            let (threshold, limit) = match test.threshold {
                Threshold::Fixed(number) => (number, None),
                Threshold::OfLimit(share) => match ceiling(signal) {
                    Some(limit) => (share, Some(names.column(Measure::Ceiling(limit)))),
                    // A share of nothing is never known.
                    None => (f64::NAN, None),
                },
            };
            let column = names.signal(signal);
            let (compare, hold) = (test.compare, test.hold);
            tests.push(Comparison { signal, column, subject, compare, threshold, limit, hold });
            Node::Test(tests.len() - 1)
        }
    }
}

fn judge(node: &Node, truths: &[Truth]) -> Truth {
    match node {
        Node::All(nodes) => Truth::all(nodes.iter().map(|node| judge(node, truths))),
        Node::Any(nodes) => Truth::any(nodes.iter().map(|node| judge(node, truths))),
        Node::Not(node) => judge(node, truths).negated(),
        Node::Test(test) => truths.get(*test).copied().unwrap_or(Truth::Unknown),
    }
}

impl Comparison {
    /// How it comes out, `hold` aside. `NaN` is a number that is not known. A value that is `at_most` right may be too
    /// large, and not too small.
    #[must_use]
    pub fn compare(&self, value: f64, threshold: f64, at_most: bool) -> Truth {
        if value.is_nan() || threshold.is_nan() {
            return Truth::Unknown;
        }
        let (holds, trusted_where) = match self.compare {
            Compare::Above => (value > threshold, false),
            Compare::Below => (value < threshold, true),
        };
        match holds {
            _ if at_most && holds != trusted_where => Truth::Unknown,
            true => Truth::True,
            false => Truth::False,
        }
    }
}

/// How long a comparison has been true for one target.
///
/// Time counts between two looks at which it was true. A look at which it was unknown neither adds time nor takes away
/// what was there: the kernel not answering once is no evidence of relief, and a reader that is disturbed every so
/// often must not keep a policy from ever firing. But what happened meanwhile is not known either, so a gap longer than
/// the hold itself begins the count again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold {
    held: u64,
    seen: u64,
    state: Run,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Run {
    #[default]
    No,
    Yes,
    Paused,
}

impl Hold {
    /// Takes one more look into account, and gives the outcome with `hold` included.
    pub fn look(&mut self, truth: Truth, now: Duration, hold: Duration) -> Truth {
        match truth {
            Truth::False => {
                *self = Self::default();
                Truth::False
            }
            Truth::Unknown => {
                if self.state == Run::Yes {
                    self.state = Run::Paused;
                }
                Truth::Unknown
            }
            Truth::True => {
                let (now, hold) = (micros(now), micros(hold));
                let gap = now.saturating_sub(self.seen);
                match self.state {
                    Run::No => self.held = 0,
                    Run::Yes => self.held += gap,
                    Run::Paused if gap > hold => self.held = 0,
                    Run::Paused => {}
                }
                (self.state, self.seen) = (Run::Yes, now);
                if self.held >= hold { Truth::True } else { Truth::False }
            }
        }
    }

    /// How long it has been true.
    #[must_use]
    pub const fn held(&self) -> Duration {
        Duration::from_micros(self.held)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Truth::{False, True, Unknown};
    use super::*;

    #[test]
    fn holds_are_time_without_a_break_and_unknown_pauses_them() {
        type Look = (u64, Truth, Truth);
        let cases: &[(&str, &[Look])] = &[
            ("time, not looks", &[(0, True, False), (1, True, False), (15, True, True)]),
            (
                "a break begins again",
                &[(0, True, False), (9, False, False), (10, True, False), (20, True, True)],
            ),
            (
                "unknown adds nothing",
                &[
                    (0, True, False),
                    (8, True, False),
                    (9, Unknown, Unknown),
                    (12, True, False),
                    (14, True, True),
                ],
            ),
            (
                "too long unknown begins again",
                &[
                    (0, True, False),
                    (9, True, False),
                    (10, Unknown, Unknown),
                    (20, True, False),
                    (29, True, False),
                    (30, True, True),
                ],
            ),
            ("unknown never begins", &[(0, Unknown, Unknown), (50, True, False)]),
        ];
        for (name, looks) in cases {
            let mut hold = Hold::default();
            for &(at, truth, expected) in *looks {
                let outcome = hold.look(truth, Duration::from_secs(at), Duration::from_secs(10));
                assert_eq!(outcome, expected, "{name}, at {at} s");
            }
        }
    }

    #[test]
    fn a_number_that_may_be_too_large_convicts_nobody() {
        let test = |compare| Comparison {
            signal: Signal::Age,
            column: 0,
            subject: Subject::This,
            compare,
            threshold: 0.0,
            limit: None,
            hold: Duration::ZERO,
        };
        let cases = [
            (Compare::Above, 2.0, false, True),
            (Compare::Above, 2.0, true, Unknown),
            (Compare::Above, 0.5, true, False),
            (Compare::Below, 0.5, true, True),
            (Compare::Below, 2.0, true, Unknown),
            (Compare::Below, 2.0, false, False),
            (Compare::Above, f64::NAN, false, Unknown),
        ];
        for (compare, value, at_most, expected) in cases {
            assert_eq!(
                test(compare).compare(value, 1.0, at_most),
                expected,
                "{value} {compare:?} 1, at most: {at_most}"
            );
        }
        assert_eq!(test(Compare::Below).compare(1.0, f64::NAN, false), Unknown, "no limit is set");
    }
}
