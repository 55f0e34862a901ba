//! The engine: what the policies make of a snapshot, given what they made of those before.
//!
//! It is fed snapshots and the time that stands in them, and nothing else: no feedback of what became of its decisions.
//! A recorded sequence thus gives the same decisions twice, and a dry run the same as the real one.

mod deadline;
mod evidence;
mod explain;
mod state;
mod victims;
mod wants;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Cgroup, Host, Identity, Namespaces, Snapshot};
use crate::policy::decision::{Decision, Evidence, Spared, UndoReason, Verdict};
use crate::policy::program::Names;
use crate::policy::rule::{Policy, Rules};
use crate::policy::signal::Resource;
use crate::policy::table::{Table, Throttles};

pub use explain::{Explanation, Matched, Next};
pub use state::{Episode, State, relief_time, starved};
use victims::Chosen;
pub use wants::TriggerWant;
use watched::Watched;

/// What there is to see.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The last full pass.
    pub snapshot: &'a Snapshot,
    /// Now (monotonic): the snapshot's own time in a full pass.
    pub at: Duration,
    /// Newer readings of some cgroups, sorted by path, where an event woke us between two passes; else empty.
    pub fresh: &'a [Cgroup],
    /// Newer readings of the host, likewise.
    pub host: Option<&'a Host>,
}

impl<'a> View<'a> {
    /// A full pass.
    #[must_use]
    pub const fn pass(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, at: snapshot.at, fresh: &[], host: None }
    }
}

/// Whether a policy may not touch a cgroup, whatever it does. It is asked of candidates only. What it answers must follow from
/// the configuration and the host, not from decisions: the engine stays replayable.
pub type Untouchable<'a> = &'a dyn Fn(&Policy, &Identity) -> bool;

/// A living cgroup, at its place in the order of paths.
#[derive(Clone, Debug)]
struct Place {
    identity: Arc<Identity>,
    namespaces: Arc<Namespaces>,
    born: Duration,
}

/// Whether nothing has become known of a cgroup that decides on who matches it: whose it is, which namespaces it is in.
fn as_known(place: &Place, cgroup: &Cgroup) -> bool {
    let owner =
        Arc::ptr_eq(&place.identity, &cgroup.identity) || place.identity.owner == cgroup.identity.owner;
    owner && (Arc::ptr_eq(&place.namespaces, &cgroup.namespaces) || place.namespaces == cgroup.namespaces)
}

/// What a policy looks at.
#[derive(Clone, Copy)]
struct Sight<'a> {
    table: &'a Table,
    places: &'a [Place],
    paths: &'a [Option<u32>],
    now: Duration,
}

impl Sight<'_> {
    fn identity(&self, place: u32) -> &Arc<Identity> {
        &self.places[place as usize].identity
    }
}

/// What was read between two passes.
struct Touched<'a> {
    places: &'a [u32],
    host: bool,
}

impl Touched<'_> {
    fn has(&self, place: u32) -> bool {
        self.places.binary_search(&place).is_ok()
    }
}

/// The policies, and what each is doing with whom.
#[derive(Debug)]
pub struct Engine {
    names: Names,
    watched: Vec<Watched>,
    table: Table,
    places: Vec<Place>,
    /// Where the paths that conditions name stand.
    paths: Vec<Option<u32>>,
    /// The snapshot that the table was last filled from.
    sequence: Option<u64>,
    /// What others hold down in our name: sorted by path.
    outside: Vec<(Arc<Identity>, Throttles)>,
    throttled: Vec<Throttles>,
    withdrawn: Vec<Decision>,
    decisions: Vec<Decision>,
    touched: Vec<u32>,
    chosen: Chosen,
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut names = Names::default();
        let watched = rules.policies.iter().map(|policy| Watched::new(policy, &mut names)).collect();
        Self {
            table: Table::new(&names.measures),
            paths: vec![None; names.paths.len()],
            names,
            watched,
            places: Vec::new(),
            sequence: None,
            outside: Vec::new(),
            throttled: Vec::new(),
            withdrawn: Vec::new(),
            decisions: Vec::new(),
            touched: Vec::new(),
            chosen: Chosen::default(),
        }
    }

    /// Takes other rules. A policy of the same name and content keeps its states; what another one did is withdrawn in the
    /// next evaluation.
    pub fn replace(&mut self, rules: &Rules) {
        self.take_over(rules, true);
    }

    /// The same, and every policy begins anew: what any of them did is withdrawn.
    pub fn begin_anew(&mut self, rules: &Rules) {
        self.take_over(rules, false);
    }

    fn take_over(&mut self, rules: &Rules, keep: bool) {
        let mut old = std::mem::take(&mut self.watched);
        let mut names = Names::default();
        let everyone: Vec<u32> = (0u32..).take(self.places.len()).collect();
        for policy in &rules.policies {
            let same = old.iter().position(|watched| keep && *watched.policy == **policy);
            let watched = match same.map(|at| old.swap_remove(at)) {
                Some(mut watched) => {
                    watched.rename(&mut names);
                    watched
                }
                None => {
                    let mut watched = Watched::new(policy, &mut names);
                    watched.take_in(&everyone, &self.places);
                    watched
                }
            };
            self.watched.push(watched);
        }
        old.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        for watched in old.iter().filter(|watched| watched.decides()) {
            for entry in &watched.entries {
                if entry.state.episode().is_some_and(|episode| episode.ends.is_some()) {
                    self.withdrawn.push(Decision {
                        at: Duration::ZERO,
                        policy: Arc::clone(&watched.policy),
                        target: Arc::clone(&self.places[entry.place as usize].identity),
                        verdict: Verdict::Undo { why: UndoReason::Withdrawn },
                        evidence: Evidence::default(),
                    });
                }
            }
        }
        self.table.reshape(&names.measures);
        self.names = names;
        self.find_paths();
    }

    /// Says what is held down in our name by others than the policies: by standing limits, or by hand. What they make their
    /// cgroups wait for counts as little as what a policy does.
    pub fn throttled_by_us(&mut self, held: impl IntoIterator<Item = (Arc<Identity>, Resource)>) {
        self.outside = held.into_iter().map(|(who, what)| (who, Throttles::of(what))).collect();
        self.outside.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    }

    /// Looks, and decides. The decisions stand until the next call, in the order in which they are to be carried out.
    ///
    /// Between two passes only those targets are looked at whose condition something that was read anew can change; the time
    /// of all others, for a next step or an end, is looked at in the next pass.
    pub fn evaluate(&mut self, view: &View<'_>) -> &[Decision] {
        self.evaluate_sparing(view, &|_, _| false)
    }

    /// The same, where some cgroups may not be touched: see [`Untouchable`].
    pub fn evaluate_sparing(&mut self, view: &View<'_>, untouchable: Untouchable<'_>) -> &[Decision] {
        self.decisions.clear();
        for mut decision in self.withdrawn.drain(..) {
            decision.at = view.at;
            self.decisions.push(decision);
        }
        let full =
            view.fresh.is_empty() && view.host.is_none() || self.sequence != Some(view.snapshot.sequence);
        if full {
            self.settle(view.snapshot, view.at);
            self.table.pass(&view.snapshot.cgroups, &view.snapshot.host, view.snapshot.at);
            self.sequence = Some(view.snapshot.sequence);
        }
        self.overlay(view);
        self.attribute();
        let touched = Touched { places: &self.touched, host: view.host.is_some() };
        let touched = (!full).then_some(&touched);
        let sight = Sight { table: &self.table, places: &self.places, paths: &self.paths, now: view.at };
        for watched in &mut self.watched {
            let decided = self.decisions.len();
            let decisions = &mut self.decisions;
            let eager = watched.advance(touched, sight, |watched, at, verdict| {
                decisions.push(decision(watched, at, verdict, Vec::new(), sight));
            });
            if eager {
                self.chosen.choose(watched, sight, untouchable, |watched, at, verdict, spared| {
                    decisions.push(decision(watched, at, verdict, spared, sight));
                });
            }
            if !watched.decides() {
                self.decisions.truncate(decided);
            }
        }
        &self.decisions
    }

    /// Follows births and deaths.
    fn settle(&mut self, snapshot: &Snapshot, now: Duration) {
        let cgroups = &snapshot.cgroups;
        let same = |place: &Place, cgroup: &Cgroup| {
            Arc::ptr_eq(&place.identity, &cgroup.identity)
                || (place.identity.id == cgroup.identity.id && place.identity.path == cgroup.identity.path)
        };
        if self.places.len() == cgroups.len()
            && self.places.iter().zip(cgroups).all(|(a, b)| same(a, b) && as_known(a, b))
        {
            return;
        }
        // Both are sorted by path: one walk tells where each was, and where each went.
        let mut from: Vec<Option<u32>> = Vec::with_capacity(cgroups.len());
        let mut to: Vec<Option<u32>> = vec![None; self.places.len()];
        let mut new: Vec<u32> = Vec::new();
        let mut learned: Vec<u32> = Vec::new();
        let mut old = (0u32..).zip(&self.places).peekable();
        for (place, cgroup) in (0u32..).zip(cgroups) {
            while old.next_if(|(_, before)| before.identity.path < cgroup.identity.path).is_some() {}
            let was = old.next_if(|(_, before)| same(before, cgroup));
            match was {
                Some((was, before)) => {
                    to[was as usize] = Some(place);
                    learned.extend((!as_known(before, cgroup)).then_some(place));
                }
                None => new.push(place),
            }
            from.push(was.map(|(was, _)| was));
        }
        let living = |cgroup: &Cgroup| Place {
            identity: Arc::clone(&cgroup.identity),
            namespaces: Arc::clone(&cgroup.namespaces),
            born: cgroup.born,
        };
        let before = std::mem::replace(&mut self.places, cgroups.iter().map(living).collect());
        self.table.reorder(&from);
        for watched in &mut self.watched {
            let (policy, decides) = (Arc::clone(&watched.policy), watched.decides());
            watched.settle(&to, &new, &self.places, |was, state| {
                if decides && state.episode().is_some() {
                    self.decisions.push(Decision {
                        at: now,
                        policy: Arc::clone(&policy),
                        target: Arc::clone(&before[was].identity),
                        verdict: Verdict::Gone,
                        evidence: Evidence::default(),
                    });
                }
            });
        }
        for watched in self.watched.iter_mut().filter(|_| !learned.is_empty()) {
            let (policy, decides) = (Arc::clone(&watched.policy), watched.decides());
            watched.rematch(&learned, &self.places, |place, state| {
                if decides && state.episode().is_some_and(|episode| episode.ends.is_some()) {
                    self.decisions.push(Decision {
                        at: now,
                        policy: Arc::clone(&policy),
                        target: Arc::clone(&self.places[place as usize].identity),
                        verdict: Verdict::Undo { why: UndoReason::Withdrawn },
                        evidence: Evidence::default(),
                    });
                }
            });
        }
        self.find_paths();
    }

    fn find_paths(&mut self) {
        self.paths.clear();
        self.paths.extend(self.names.paths.iter().map(|path| find(&self.places, path)));
    }

    /// Lays newer readings over the snapshot's. A cgroup that the last pass did not see yet waits for the next one: it has no
    /// rates and no age, and standing limits are put on it without the engine.
    fn overlay(&mut self, view: &View<'_>) {
        self.touched.clear();
        let host = view.host.unwrap_or(&view.snapshot.host);
        if let Some(host) = view.host {
            self.table.overlay_host(host, view.at);
        }
        for cgroup in view.fresh {
            if let Some(place) = find(&self.places, &cgroup.identity.path)
                && self.places[place as usize].identity.id == cgroup.identity.id
            {
                self.table.overlay(place as usize, cgroup, host, view.at);
                self.touched.push(place);
            }
        }
        self.touched.sort_unstable();
    }

    /// Tells what waits because of us: see [`Table::attribute`].
    fn attribute(&mut self) {
        self.throttled.clear();
        self.throttled.resize(self.places.len(), Throttles::default());
        for (identity, throttles) in &self.outside {
            if let Some(place) = find(&self.places, &identity.path)
                && self.places[place as usize].identity.id == identity.id
            {
                let all = &mut self.throttled[place as usize];
                *all = all.and(*throttles);
            }
        }
        for watched in self.watched.iter().filter(|watched| watched.decides()) {
            for entry in &watched.entries {
                let all = &mut self.throttled[entry.place as usize];
                *all = all.and(entry.state.throttles());
            }
        }
        self.table.attribute(&self.throttled);
    }

    /// Whether some policy is about the cgroup at a path, as of the last evaluation.
    #[must_use]
    pub fn is_about(&self, path: &[u8]) -> bool {
        let place = find(&self.places, path);
        place.is_some_and(|place| self.watched.iter().any(|watched| watched.at(place).is_some()))
    }

    /// How many targets each policy has in each state: the policy, the state's name, the number.
    pub fn states(&self) -> impl Iterator<Item = (&Arc<Policy>, &'static str, usize)> {
        self.watched.iter().flat_map(|watched| {
            let mut counts = [0; State::NAMES.len()];
            for entry in &watched.entries {
                counts[entry.state.number()] += 1;
            }
            State::NAMES.into_iter().zip(counts).map(|(name, count)| (&watched.policy, name, count))
        })
    }

    /// Every target that a policy is not done with: the policy, the target, what it is doing with it.
    pub fn active(&self) -> impl Iterator<Item = (&Arc<Policy>, &Arc<Identity>, &State)> {
        self.watched.iter().flat_map(|watched| {
            let open = watched.entries.iter().filter(|entry| entry.state.episode().is_some());
            open.map(|entry| (&watched.policy, &self.places[entry.place as usize].identity, &entry.state))
        })
    }
}

fn decision(
    watched: &Watched,
    at: usize,
    verdict: Verdict,
    spared: Vec<Spared>,
    sight: Sight<'_>,
) -> Decision {
    let cleared = verdict == Verdict::Undo { why: UndoReason::Cleared };
    Decision {
        at: sight.now,
        policy: Arc::clone(&watched.policy),
        target: Arc::clone(sight.identity(watched.entries[at].place)),
        verdict,
        evidence: Evidence {
            findings: evidence::findings(watched, at, cleared && watched.clear.is_some(), sight),
            spared,
        },
    }
}

fn find(places: &[Place], path: &[u8]) -> Option<u32> {
    let at = places.binary_search_by(|place| (*place.identity.path).cmp(path)).ok()?;
    u32::try_from(at).ok()
}
