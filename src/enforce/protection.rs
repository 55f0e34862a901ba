//! PURE: who is never touched, and where the scope ends.

use super::plan::Residents;
use super::safety::Safety;
use crate::model::{Identity, OwnerLabel, PathFilter, PathGlob, Snapshot};
use crate::policy::selector::{LabelGlob, Matcher};

/// `safety.protect` and `safety.scope`, compiled.
#[derive(Debug)]
pub(super) struct Protection {
    protect: Vec<Protected>,
    scope: Option<Vec<Option<PathFilter>>>,
}

/// One entry of `safety.protect`.
#[derive(Debug)]
struct Protected {
    /// `Some(None)` is a glob that could not be compiled: it protects everything.
    path: Option<Option<PathFilter>>,
    labels: Vec<(OwnerLabel, LabelGlob)>,
}

impl Protected {
    fn new(matcher: &Matcher) -> Self {
        Self { path: matcher.path.as_ref().map(compile), labels: matcher.labels.clone() }
    }

    fn is_match(&self, identity: &Identity) -> bool {
        let path = match &self.path {
            None | Some(None) => true,
            Some(Some(filter)) => filter.admits(&identity.path),
        };
        path && self
            .labels
            .iter()
            .all(|(label, glob)| identity.owner.get(*label).is_some_and(|value| glob.is_match(value)))
    }
}

fn compile(glob: &PathGlob) -> Option<PathFilter> {
    PathFilter::new(vec![glob.clone()], Vec::new(), usize::MAX).ok()
}

impl Protection {
    pub fn new(safety: &Safety) -> Self {
        Self {
            protect: safety.protect.iter().map(Protected::new).collect(),
            scope: safety.scope.as_ref().map(|globs| globs.iter().map(compile).collect()),
        }
    }

    /// Why the target may not be touched, where it may not.
    ///
    /// Whatever is done to a cgroup is done to all below it as well, so the ancestors of a protected one are protected
    /// too. The scope asks for the target alone: what lies below it is meant with it.
    pub fn refuses(&self, target: &Identity, residents: &Residents, snapshot: &Snapshot) -> Option<String> {
        let what = &target.display;
        if &*target.path == b"/" {
            return Some("the root cgroup holds the whole host".to_owned());
        }
        for (who, homes) in [
            ("this program", &residents.own),
            ("PID 1", &residents.init),
            ("a kernel thread", &residents.kernel_threads),
        ] {
            if homes.iter().any(|home| **home == *target.path || is_below(home, &target.path)) {
                return Some(format!("{who} lives in {what}, or below it"));
            }
        }
        if self.protect.iter().any(|protected| protected.is_match(target)) {
            return Some(format!("`safety.protect` names {what}"));
        }
        let below = descendants(snapshot, &target.path);
        let found =
            below.into_iter().find(|each| self.protect.iter().any(|protected| protected.is_match(each)));
        if let Some(found) = found {
            return Some(format!("`safety.protect` names {}, which is below {what}", found.display));
        }
        let scope = self.scope.as_ref()?;
        let within = scope.iter().flatten().any(|filter| filter.admits(&target.path));
        (!within).then(|| format!("{what} is outside `safety.scope`"))
    }
}

/// Whether a path lies below another one.
fn is_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The living below a path that is not the root's.
fn descendants<'a>(snapshot: &'a Snapshot, path: &[u8]) -> impl IntoIterator<Item = &'a Identity> + use<'a> {
    let prefix = [path, b"/"].concat();
    let from = snapshot.cgroups.partition_point(|cgroup| *cgroup.identity.path < *prefix);
    snapshot.cgroups[from..]
        .iter()
        .map(|cgroup| &*cgroup.identity)
        .take_while(move |identity| identity.path.starts_with(&prefix))
}
