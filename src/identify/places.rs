//! PURE: where the files stand that runtimes keep of their containers. What is in them is [`super::state`]'s.

use crate::model::{Owner, OwnerLabel};

/// How a place is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Docker's `config.v2.json` of one container.
    Docker,
    /// `containers.json` of containers/storage, of all containers.
    Storage,
    /// An OCI bundle's `config.json`.
    Bundle,
    /// A directory of `NAMESPACE_POD_UID`.
    PodLogs,
    /// A directory of `POD_NAMESPACE_CONTAINER-ID.log`.
    ContainerLogs,
}

impl Format {
    /// The name that its faults are counted under.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::Docker => "config.v2.json",
            Self::Storage => "containers.json",
            Self::Bundle => "config.json",
            Self::PodLogs => "/var/log/pods",
            Self::ContainerLogs => "/var/log/containers",
        }
    }

    /// Whether its names are what it says.
    #[must_use]
    pub const fn is_directory(self) -> bool {
        matches!(self, Self::PodLogs | Self::ContainerLogs)
    }
}

/// Somewhere to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path below the host's root.
    pub path: String,
    /// How it is read.
    pub format: Format,
    /// Who keeps it, which is thus who runs what it tells of.
    pub runtime: Option<&'static str>,
}

/// What runs the container, where its file is, and how it is read. `{id}` is the container's id, `{home}` its user's home.
const PLACES: [(&str, &str, Format); 16] = [
    ("docker", "/var/lib/docker/containers/{id}/config.v2.json", Format::Docker),
    ("docker", "{home}/.local/share/docker/containers/{id}/config.v2.json", Format::Docker),
    ("docker", "/var/snap/docker/common/var-lib-docker/containers/{id}/config.v2.json", Format::Docker),
    ("containerd", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json", Format::Bundle),
    (
        "containerd",
        "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json",
        Format::Bundle,
    ),
    ("containerd", "/run/containerd/io.containerd.runtime.v2.task/default/{id}/config.json", Format::Bundle),
    ("cri-o", "/run/containers/storage/overlay-containers/{id}/userdata/config.json", Format::Bundle),
    ("cri-o", "/var/lib/containers/storage/overlay-containers/containers.json", Format::Storage),
    ("podman", "/var/lib/containers/storage/overlay-containers/containers.json", Format::Storage),
    ("podman", "/var/lib/containers/storage/overlay-containers/volatile-containers.json", Format::Storage),
    ("podman", "/var/lib/containers/storage/vfs-containers/containers.json", Format::Storage),
    ("podman", "/var/lib/containers/storage/vfs-containers/volatile-containers.json", Format::Storage),
    ("podman", "{home}/.local/share/containers/storage/overlay-containers/containers.json", Format::Storage),
    (
        "podman",
        "{home}/.local/share/containers/storage/overlay-containers/volatile-containers.json",
        Format::Storage,
    ),
    ("podman", "{home}/.local/share/containers/storage/vfs-containers/containers.json", Format::Storage),
    (
        "podman",
        "{home}/.local/share/containers/storage/vfs-containers/volatile-containers.json",
        Format::Storage,
    ),
];

/// Where the kubelet keeps logs, and their format.
const LOGS: [(&str, Format); 2] =
    [("/var/log/pods", Format::PodLogs), ("/var/log/containers", Format::ContainerLogs)];

/// Whether its path is that of a pod of Kubernetes.
pub(super) fn in_kubernetes(owner: &Owner) -> bool {
    owner.get(OwnerLabel::Qos).is_some()
}

/// Whether a file may tell something that is not known of this owner.
#[must_use]
pub fn wants(owner: &Owner) -> bool {
    let lacks = |label| owner.get(label).is_none();
    (!lacks(OwnerLabel::ContainerId) && (lacks(OwnerLabel::Container) || lacks(OwnerLabel::Image)))
        || (in_kubernetes(owner) && (lacks(OwnerLabel::Pod) || lacks(OwnerLabel::Namespace)))
}

/// Where to look for an owner, in this order. `home` is the home directory of its user.
#[must_use]
pub fn places(owner: &Owner, home: Option<&str>) -> Vec<Place> {
    let mut places = Vec::new();
    if let Some(id) = owner.get(OwnerLabel::ContainerId) {
        for (runtime, template, format) in PLACES {
            if owner.get(OwnerLabel::Runtime).is_some_and(|known| known != runtime) {
                continue;
            }
            let path = match (template.strip_prefix("{home}"), home) {
                (None, _) => template.replace("{id}", id),
                (Some(rest), Some(home)) => format!("{home}{}", rest.replace("{id}", id)),
                (Some(_), None) => continue,
            };
            places.push(Place { path, format, runtime: Some(runtime) });
        }
    }
    if in_kubernetes(owner) {
        places.extend(LOGS.map(|(path, format)| Place { path: path.to_owned(), format, runtime: None }));
    }
    places
}

/// The home directory of a user in the text of a passwd file.
#[must_use]
pub fn home(passwd: &str, uid: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut parts = line.split(':').skip(2);
        (parts.next()? == uid).then_some(())?;
        parts.nth(2).filter(|home| home.starts_with('/') && *home != "/").map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(parts: &[(OwnerLabel, &str)]) -> Owner {
        let mut owner = Owner::default();
        for (label, value) in parts {
            owner.set(*label, Some(value));
        }
        owner
    }

    #[test]
    fn homes() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nal:x:1000:1000::/home/al:/bin/sh\nno:x:1:1::/:/x\n";
        assert_eq!(home(passwd, "1000").as_deref(), Some("/home/al"));
        assert_eq!((home(passwd, "1"), home(passwd, "7"), home("", "0")), (None, None, None));
    }

    #[test]
    fn where_to_look_depends_on_who_runs_it() {
        let of = |runtime: Option<&str>, home| {
            let mut owner = owner(&[(OwnerLabel::ContainerId, "id")]);
            owner.set(OwnerLabel::Runtime, runtime);
            places(&owner, home).into_iter().map(|place| place.path).collect::<Vec<_>>()
        };
        assert_eq!(
            of(Some("docker"), Some("/home/al"))[1],
            "/home/al/.local/share/docker/containers/id/config.v2.json"
        );
        assert_eq!(of(Some("docker"), None).len(), 2);
        assert_eq!(of(Some("lxc"), None), Vec::<String>::new());
        assert!(of(None, None).len() > 6);
        assert!(!wants(&owner(&[(OwnerLabel::Runtime, "lxc"), (OwnerLabel::Container, "web")])));
    }
}
