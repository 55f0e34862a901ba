//! Which cgroup: path, kernel id, owner.

use std::fmt::Write as _;

macro_rules! labels {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A part of a cgroup's identity, named as its label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum OwnerLabel { $($(#[$doc])* $variant,)+ }

        impl OwnerLabel {
            /// Every label, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name, in the configuration and on series.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

labels! {
    /// The innermost systemd slice on the path: `system.slice`.
    Slice = "slice",
    /// The innermost systemd service or scope on the path: `nginx.service`.
    Unit = "unit",
    /// The user id of the innermost `user-UID.slice`, or of a Slurm job, or of who owns the directory
    /// where that is another than who owns the hierarchy.
    User = "user",
    /// The login session, of `session-ID.scope`.
    Session = "session",
    /// The application: a desktop or Flatpak id, or what NGINX Unit isolates.
    App = "app",
    /// What runs the container: `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `nspawn`, `qemu`; or else what made the
    /// group: `slurm`, `nginx-unit`.
    Runtime = "runtime",
    /// The container's or machine's name. Two containers may claim one name; their ids differ.
    Container = "container",
    /// The container's id, all 64 digits of it.
    ContainerId = "container_id",
    /// The image that the container was made from, as its runtime names it.
    Image = "image",
    /// The name of the Kubernetes pod.
    Pod = "pod",
    /// The Kubernetes namespace of the pod.
    Namespace = "namespace",
    /// The uid of the Kubernetes pod, or the id of the Podman pod.
    PodUid = "pod_uid",
    /// The pod's class: `guaranteed`, `burstable` or `besteffort`.
    Qos = "qos",
    /// The Slurm job: its number, or its SLUID where the path has that.
    Job = "job_id",
    /// The step of the Slurm job: a number, `batch`, `extern` or `interactive`.
    Step = "step_id",
}

/// Whom a cgroup belongs to, as far as its path and the files of its runtime tell. A part that is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    parts: [Option<Box<str>>; OwnerLabel::COUNT],
}

impl Owner {
    /// One part.
    #[must_use]
    pub fn get(&self, label: OwnerLabel) -> Option<&str> {
        self.parts[label as usize].as_deref()
    }

    /// Stores one part, or takes it away.
    pub fn set(&mut self, label: OwnerLabel, value: Option<&str>) {
        self.parts[label as usize] = value.map(Box::from);
    }
}

/// A cgroup's identity. A new kernel id under an old path is another cgroup; more that becomes known of its owner makes
/// it no other, so that owners do not count when two are compared.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The path below the hierarchy's root, `/` for the root itself. Any byte but NUL and newline may stand in it.
    pub path: Box<[u8]>,
    /// [`display_path`] of the path: what people and Prometheus see.
    pub display: Box<str>,
    /// The inode of its directory: on the v2 side where it has one, else in its first v1 hierarchy.
    pub id: u64,
    /// Whom it belongs to.
    pub owner: Owner,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.path == other.path
    }
}

impl Eq for Identity {}

impl Identity {
    /// How many directories deep: the root is 0.
    #[must_use]
    pub fn depth(&self) -> usize {
        path_depth(&self.path)
    }
}

/// How many directories deep a path is: the root is 0.
#[must_use]
pub fn path_depth(path: &[u8]) -> usize {
    if path == b"/" { 0 } else { path.iter().filter(|&&byte| byte == b'/').count() }
}

/// A path as text in which two different paths never look alike.
///
/// Names come from whoever may `mkdir`, so they can hold control characters and bytes that are no UTF-8.
/// Valid, printable text stays as it is. A byte that is no UTF-8, and a control character, becomes U+FFFD and two hex
/// digits; U+FFFD itself is doubled. A name can thus never be dressed up as another one.
#[must_use]
pub fn display_path(path: &[u8]) -> String {
    const MARK: char = char::REPLACEMENT_CHARACTER;
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == MARK {
                text.extend([MARK, MARK]);
            } else if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "{MARK}{byte:02x}");
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "{MARK}{byte:02x}");
        }
    }
    text
}

/// The path of the parent; the root has none.
#[must_use]
pub fn parent_path(path: &[u8]) -> Option<&[u8]> {
    if path == b"/" {
        return None;
    }
    let slash = path.iter().rposition(|&byte| byte == b'/')?;
    Some(if slash == 0 { b"/" } else { &path[..slash] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_and_hostile_names_cannot_look_alike() {
        assert_eq!(display_path(b"/system.slice/dev-\\x2d.mount"), "/system.slice/dev-\\x2d.mount");
        let hostile: [&[u8]; 6] = [
            b"/a\xff",
            "/a\u{fffd}ff".as_bytes(),
            b"/a\x01",
            "/a\u{fffd}01".as_bytes(),
            b"/a\xc2\x85",
            b"/a\x85",
        ];
        let shown: std::collections::BTreeSet<String> =
            hostile.iter().map(|path| display_path(path)).collect();
        assert_eq!(shown.len(), hostile.len(), "{shown:?}");
        assert!(shown.iter().all(|text| !text.chars().any(char::is_control)), "{shown:?}");
    }

    #[test]
    fn parents() {
        assert_eq!(parent_path(b"/"), None);
        assert_eq!(parent_path(b"/a"), Some(&b"/"[..]));
        assert_eq!(parent_path(b"/a/b"), Some(&b"/a"[..]));
    }
}
