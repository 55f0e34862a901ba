//! Which namespaces the processes of a cgroup live in, and who else lives there.

use super::{Reading, TaskState};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A kind of namespace, named as in `/proc/PID/ns` and by lsns.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum NamespaceKind { $($(#[$doc])* $variant,)+ }

        impl NamespaceKind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name of its file in `/proc/PID/ns`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

kinds! {
    /// Mounts.
    Mnt = "mnt",
    /// Network devices, addresses, routes, sockets.
    Net = "net",
    /// Process ids.
    Pid = "pid",
    /// Host and domain name.
    Uts = "uts",
    /// System V IPC and POSIX message queues.
    Ipc = "ipc",
    /// Users, groups and capabilities.
    User = "user",
    /// What of the cgroup tree is seen.
    Cgroup = "cgroup",
    /// The monotonic clock and that since boot (since Linux 5.6).
    Time = "time",
}

impl NamespaceKind {
    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// With whom a namespace is shared, the least apart first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shared {
    /// It is the host's.
    Host,
    /// Processes of a cgroup that is not below this one are in it too.
    Peer,
    /// Only processes of this cgroup and of those below it are in it.
    Own,
}

impl Shared {
    /// Every answer, in order.
    pub const ALL: &'static [Self] = &[Self::Host, Self::Peer, Self::Own];

    /// The label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Peer => "peer",
            Self::Own => "own",
        }
    }
}

/// The namespaces of one process, by kind: their inodes. Absent where one cannot be read or the kernel lacks the kind.
pub type NamespaceSet = [Option<u64>; NamespaceKind::COUNT];

/// One namespace that processes of a cgroup are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace {
    /// Its kind.
    pub kind: NamespaceKind,
    /// Its inode on nsfs, which is its name while it lives.
    pub inode: u64,
    /// With whom it is shared.
    pub shared: Shared,
}

/// The namespaces of the processes in a cgroup itself, descendants not counted. Empty where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    list: Vec<Namespace>,
    /// The host's uid of the user who is root in the cgroup's own user namespace, where it has one with a map of uid 0.
    pub root_uid: Option<u32>,
    /// How many pid namespaces below the host's the deepest of its processes lives.
    pub pid_depth: Option<u32>,
}

impl Namespaces {
    /// These, in any order.
    #[must_use]
    pub fn new(mut list: Vec<Namespace>) -> Self {
        list.sort_unstable();
        list.dedup();
        Self { list, root_uid: None, pid_depth: None }
    }

    /// Each of them, by kind and inode.
    #[must_use]
    pub fn list(&self) -> &[Namespace] {
        &self.list
    }

    /// With whom the cgroup shares its namespace of a kind. Where its processes are in several, the answer is for the
    /// least apart: one process in the host's makes it [`Shared::Host`]. Absent where the cgroup has no process, or
    /// nothing could be read.
    #[must_use]
    pub fn shared(&self, kind: NamespaceKind) -> Option<Shared> {
        self.of(kind).map(|namespace| namespace.shared).min()
    }

    /// How many namespaces of a kind are shared in this way.
    #[must_use]
    pub fn count(&self, kind: NamespaceKind, shared: Shared) -> u64 {
        self.of(kind).filter(|namespace| namespace.shared == shared).count() as u64
    }

    /// The namespaces of a kind.
    pub fn of(&self, kind: NamespaceKind) -> impl Iterator<Item = &Namespace> {
        self.list.iter().filter(move |namespace| namespace.kind == kind)
    }

    /// The kinds and ways of sharing that there are, with how many namespaces are so.
    pub fn counts(&self) -> impl Iterator<Item = (NamespaceKind, Shared, u64)> {
        let all =
            NamespaceKind::ALL.iter().flat_map(|kind| Shared::ALL.iter().map(|shared| (*kind, *shared)));
        all.map(|(kind, shared)| (kind, shared, self.count(kind, shared))).filter(|(_, _, count)| *count > 0)
    }
}

/// What the newest census of processes found and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CensusReport {
    /// The host's namespaces: those of PID 1 as this program sees it; this program's own where PID 1's cannot be read.
    pub host: NamespaceSet,
    /// Different namespaces of each kind that were seen.
    pub namespaces: [u64; NamespaceKind::COUNT],
    /// Processes in cgroups.
    pub processes: u64,
    /// Those of them whose namespaces may not be read.
    pub unreadable: u64,
    /// Those whose turn to be read first has not come yet.
    pub waiting: u64,
    /// Processes whose namespaces were read since the start.
    pub scanned: u64,
    /// Processes of the whole host by state, as far as cgroups list them.
    pub states: [Reading; TaskState::COUNT],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_apart_namespace_of_a_kind_decides() {
        let one = |kind, inode, shared| Namespace { kind, inode, shared };
        let namespaces = Namespaces::new(vec![
            one(NamespaceKind::Net, 9, Shared::Own),
            one(NamespaceKind::Net, 4, Shared::Host),
            one(NamespaceKind::Net, 9, Shared::Own),
            one(NamespaceKind::Pid, 7, Shared::Peer),
        ]);
        assert_eq!(namespaces.list().len(), 3);
        assert_eq!(namespaces.shared(NamespaceKind::Net), Some(Shared::Host));
        assert_eq!(namespaces.shared(NamespaceKind::Pid), Some(Shared::Peer));
        assert_eq!(namespaces.shared(NamespaceKind::User), None);
        let counts: Vec<_> = namespaces.counts().collect();
        assert_eq!(
            counts,
            [
                (NamespaceKind::Net, Shared::Host, 1),
                (NamespaceKind::Net, Shared::Own, 1),
                (NamespaceKind::Pid, Shared::Peer, 1)
            ]
        );
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for (at, kind) in NamespaceKind::ALL.iter().enumerate() {
            assert_eq!(NamespaceKind::from_name(kind.name()), Some(*kind));
            assert_eq!(*kind as usize, at);
        }
        assert_eq!(NamespaceKind::from_name("disk"), None);
    }
}
