//! Kubernetes pods, as the kubelet names their cgroups under both cgroup drivers.
//!
//! systemd driver: `kubepods-burstable-pod<uid>.slice`, the uid with underscores, perhaps behind a prefix
//! (`kubelet-kubepods-…` in kind); cgroupfs driver: `burstable/pod<uid>`. A guaranteed pod has no class in its name.

use crate::model::{Owner, OwnerLabel};

/// What stands before `-pod<uid>.slice` in a slice (perhaps behind `PREFIX-`), and the class.
const SLICES: [(&str, &str); 3] =
    [("kubepods", "guaranteed"), ("kubepods-burstable", "burstable"), ("kubepods-besteffort", "besteffort")];

/// What stands above `pod<uid>`, and the class.
const DIRECTORIES: [(&str, &str); 3] =
    [("kubepods", "guaranteed"), ("burstable", "burstable"), ("besteffort", "besteffort")];

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    let pod = if let Some(slice) = name.strip_suffix(".slice") {
        let Some((before, uid)) = slice.rsplit_once("-pod") else { return };
        SLICES
            .iter()
            .find(|(is, _)| before.strip_suffix(is).is_some_and(is_prefix))
            .map(|(_, class)| (class, uid))
    } else {
        let Some(uid) = name.strip_prefix("pod") else { return };
        DIRECTORIES.iter().find(|(is, _)| above == *is).map(|(_, class)| (class, uid))
    };
    // A uid is a UUID; a static pod's is the hash of its manifest.
    if let Some((class, uid)) = pod
        && uid.len() >= 32
        && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_'))
    {
        owner.set(OwnerLabel::PodUid, Some(&uid.replace('_', "-")));
        owner.set(OwnerLabel::Qos, Some(class));
        // What runs this node is another's container, where the node is one itself (kind, minikube).
        for label in [OwnerLabel::Runtime, OwnerLabel::Container, OwnerLabel::ContainerId] {
            owner.set(label, None);
        }
    }
}

fn is_prefix(before: &str) -> bool {
    before.is_empty() || before.ends_with('-')
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::{ID, agree};

    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    #[test]
    fn pods_and_their_containers_under_the_systemd_driver() {
        let uid = UID.replace('-', "_");
        for (above, slice, scope, runtime, qos) in [
            // kubernetes/kubernetes: pkg/kubelet/cm; containerd 1.3 to 2.
            (
                "/kubepods.slice/kubepods-burstable.slice",
                "kubepods-burstable",
                "cri-containerd",
                "containerd",
                "burstable",
            ),
            // lxc/lxc#3563, kubernetes/minikube#11280: CRI-O.
            ("/kubepods.slice", "kubepods", "crio", "cri-o", "guaranteed"),
            (
                "/docker/d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22/kubepods.slice/kubepods-besteffort.slice",
                "kubepods-besteffort",
                "crio",
                "cri-o",
                "besteffort",
            ),
            // kontena/pharos-cluster#440: dockershim, v1.
            (
                "/kubepods.slice/kubepods-besteffort.slice",
                "kubepods-besteffort",
                "docker",
                "docker",
                "besteffort",
            ),
            // kubernetes-sigs/kind#3947: the kubelet's own root.
            (
                "/system.slice/docker-d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice",
                "kubelet-kubepods-besteffort",
                "cri-containerd",
                "containerd",
                "besteffort",
            ),
        ] {
            let slice = format!("{slice}-pod{uid}.slice");
            agree(&[
                (&format!("{above}/{slice}"), &format!("slice={slice} pod_uid={UID} qos={qos}")),
                (
                    &format!("{above}/{slice}/{scope}-{ID}.scope"),
                    &format!(
                        "slice={slice} unit={scope}-{ID}.scope runtime={runtime} container_id={ID} pod_uid={UID} qos={qos}"
                    ),
                ),
            ]);
        }
    }

    #[test]
    fn pods_and_their_containers_under_the_cgroupfs_driver() {
        agree(&[
            // k0sproject/k0s#205, containerd/containerd#3133: containerd and Docker give the same name.
            (
                &format!("/kubepods/besteffort/pod{UID}/{ID}"),
                &format!("container_id={ID} pod_uid={UID} qos=besteffort"),
            ),
            (&format!("/kubepods/pod{UID}/{ID}"), &format!("container_id={ID} pod_uid={UID} qos=guaranteed")),
            (
                &format!("/kubepods/burstable/pod{UID}/crio-{ID}"),
                &format!("runtime=cri-o container_id={ID} pod_uid={UID} qos=burstable"),
            ),
            // A static pod: the hash of its manifest.
            (
                &format!("/kubepods/burstable/pod5f3bd0e8e1d1e0a2b1b0c0d0e0f01234/{ID}"),
                &format!("container_id={ID} pod_uid=5f3bd0e8e1d1e0a2b1b0c0d0e0f01234 qos=burstable"),
            ),
            // kind before 0.20: /kubelet as the root, the node itself a Docker container (v1).
            (
                &format!(
                    "/docker/d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22/kubelet/kubepods/burstable/pod{UID}/{ID}"
                ),
                &format!("container_id={ID} pod_uid={UID} qos=burstable"),
            ),
            ("/kubepods/burstable/podium", ""),
            ("/srv/pod0a1b2c3d-1111-2222-3333-444455556666", ""),
            (
                "/mykubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice",
                "slice=mykubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice",
            ),
        ]);
    }
}
