//! The labels that cAdvisor and kubelet put on the series of a cgroup.
//!
//! Dashboards choose containers by `image!=""` and `container!=""`, and add them up. So a container has both, always,
//! and its parents and what it makes below itself have neither, or it would be counted twice.

use crate::model::{Identity, Owner, OwnerLabel};

use super::text;

/// What stands for the image of a container whose image no file tells: not empty, and no image's name.
const UNKNOWN_IMAGE: &str = "unknown";

/// Appends the label block without the closing brace: `{id="/…"`, and of a container or a pod what is known of it.
pub(crate) fn block(out: &mut Vec<u8>, identity: &Identity) {
    out.extend_from_slice(b"{id=\"");
    text::escape(out, &identity.display);
    out.push(b'"');
    for (name, value) in labels(identity) {
        if let Some(value) = value {
            text::label(out, name, value);
        }
    }
}

fn labels(identity: &Identity) -> [(&'static str, Option<&str>); 5] {
    let owner = &identity.owner;
    let (id, named) = (owner.get(OwnerLabel::ContainerId), owner.get(OwnerLabel::Container));
    let in_pod = owner.get(OwnerLabel::PodUid).is_some();
    let pod = if in_pod { told(owner, "pod") } else { None };
    let namespace = if in_pod { told(owner, "namespace") } else { None };
    let of_container = id.or(named).is_some_and(|unique| is_its_own(identity, unique));
    let known = |value: Option<_>| value.filter(|_| of_container);
    // The sandbox of a pod is a container without a name in Kubernetes: kubelet gives it an image only. A name is told
    // for every other container of a pod that is told.
    let container = if pod.is_some() { named } else { named.or(id) };
    [
        ("container", known(container)),
        ("image", known(told(owner, "image").or(Some(UNKNOWN_IMAGE)))),
        // Runtimes of Kubernetes name a container by its id.
        ("name", known(if in_pod { id.or(named) } else { named.or(id) })),
        // A cgroup that a container made inside itself has the same pod, and kubelet does not know of it.
        ("namespace", namespace.filter(|_| of_container || id.is_none())),
        ("pod", pod.filter(|_| of_container || id.is_none())),
    ]
}

/// A part of the identity by its label's name.
fn told<'a>(owner: &'a Owner, name: &str) -> Option<&'a str> {
    OwnerLabel::ALL.iter().find(|label| label.name() == name).and_then(|label| owner.get(*label))
}

/// Whether the cgroup is the container's own, and not one below it: its directory then has the container's name.
fn is_its_own(identity: &Identity, unique: &str) -> bool {
    identity.display.rsplit('/').next().is_some_and(|directory| directory.contains(unique))
}
