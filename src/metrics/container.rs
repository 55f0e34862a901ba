//! The labels that cAdvisor and kubelet put on the series of a cgroup.
//!
//! Dashboards choose containers by `image!=""` and `container!=""`, and add them up. So a container has both, always,
//! and its parents and what it makes below itself have neither, or it would be counted twice.

use crate::model::{Identity, OwnerLabel};

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
    let (path, owner) = (&*identity.display, |label| identity.owner.get(label));
    let (id, named) = (owner(OwnerLabel::ContainerId), owner(OwnerLabel::Container));
    let pod_uid = owner(OwnerLabel::PodUid);
    let is_container =
        id.or(named).is_some_and(|unique| is_its_own(path, unique)) && !is_below_a_container(path, pod_uid);
    let is_pod = pod_uid.is_some() && id.is_none();
    let of_container = |value: Option<_>| value.filter(|_| is_container);
    let of_pod = |label| owner(label).filter(|_| pod_uid.is_some() && (is_container || is_pod));
    let pod = of_pod(OwnerLabel::Pod);
    // Its class says that a pod is of Kubernetes, whose runtimes name a container by its id.
    let in_kubernetes = owner(OwnerLabel::Qos).is_some();
    [
        // Of a pod that is known every container's name is known but that of its sandbox, to which kubelet gives none.
        ("container", of_container(if pod.is_some() { named } else { named.or(id) })),
        ("image", of_container(owner(OwnerLabel::Image).or(Some(UNKNOWN_IMAGE)))),
        ("name", of_container(if in_kubernetes { id.or(named) } else { named.or(id) })),
        ("namespace", of_pod(OwnerLabel::Namespace)),
        ("pod", pod),
    ]
}

/// Whether the cgroup is the container's own, and not one below it: its directory then has the container's name.
fn is_its_own(path: &str, unique: &str) -> bool {
    path.rsplit('/').next().is_some_and(|directory| directory.contains(unique))
}

/// Whether a directory above is a container's. Podman's pods have ids of the same form, and are none.
fn is_below_a_container(path: &str, pod_uid: Option<&str>) -> bool {
    let is_id = |run: &str| run.len() == 64 && Some(run) != pod_uid;
    path.rsplit('/').skip(1).any(|above| above.split(|c: char| !c.is_ascii_hexdigit()).any(is_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Owner;

    const ID: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";
    const OTHER: &str = "0d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";
    const POD: &str = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b_2.slice";

    /// The labels as `name=value`, from an owner written in the same way.
    fn told(path: &str, parts: &str) -> String {
        let mut owner = Owner::default();
        for (name, value) in parts.split_whitespace().filter_map(|part| part.split_once('=')) {
            let label = OwnerLabel::ALL.iter().find(|label| label.name() == name).expect("a label");
            owner.set(*label, Some(&value.replace("ID", ID)));
        }
        let identity = Identity { path: path.as_bytes().into(), display: path.into(), id: 1, owner };
        let shown: Vec<String> = labels(&identity)
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect();
        shown.join(" ").replace(ID, "ID")
    }

    #[test]
    fn a_container_of_kubernetes_is_told_as_kubelet_tells_it() {
        let pod = "qos=burstable pod_uid=1b-2 pod=web-0 namespace=shop";
        let path = format!("{POD}/cri-containerd-{ID}.scope");
        assert_eq!(
            told(&path, &format!("{pod} container_id=ID container=nginx image=nginx:1.27")),
            "container=nginx image=nginx:1.27 name=ID namespace=shop pod=web-0"
        );
        assert_eq!(
            told(&path, &format!("{pod} container_id=ID image=pause:3.10")),
            "image=pause:3.10 name=ID namespace=shop pod=web-0",
            "the sandbox has no name"
        );
        assert_eq!(told(POD, pod), "namespace=shop pod=web-0", "the pod's own cgroup");
    }

    #[test]
    fn a_container_always_has_an_image_and_a_name() {
        let path = format!("{POD}/cri-containerd-{ID}.scope");
        assert_eq!(
            told(&path, "qos=burstable pod_uid=1b-2 container_id=ID"),
            "container=ID image=unknown name=ID"
        );
        assert_eq!(
            told(&format!("/docker/{ID}"), "container_id=ID container=db image=postgres:17"),
            "container=db image=postgres:17 name=db"
        );
        assert_eq!(
            told("/lxc.payload.web1", "runtime=lxc container=web1"),
            "container=web1 image=unknown name=web1"
        );
    }

    #[test]
    fn what_is_above_and_below_a_container_is_none() {
        let identity = "qos=burstable pod_uid=1b-2 pod=web-0 namespace=shop container_id=ID container=nginx";
        for below in ["/init.scope", "/system.slice/a.service"] {
            assert_eq!(told(&format!("{POD}/cri-containerd-{ID}.scope{below}"), identity), "", "{below}");
        }
        let nested = format!("{POD}/cri-containerd-{OTHER}.scope/docker/{ID}");
        assert_eq!(told(&nested, identity), "", "a container in a container");
        for above in ["/", "/kubepods.slice", "/system.slice/cron.service"] {
            assert_eq!(told(above, "slice=kubepods.slice qos=burstable"), "", "{above}");
        }
        let podman = format!("/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope");
        assert_eq!(
            told(&podman, &format!("pod_uid={OTHER} container_id=ID container=db")),
            "container=db image=unknown name=db",
            "a pod of Podman is no container"
        );
    }
}
