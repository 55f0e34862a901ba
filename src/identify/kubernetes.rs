//! Kubernetes pods, as the kubelet names their cgroups under both cgroup drivers.
//!
//! systemd driver: `kubepods-burstable-pod<uid>.slice`, the uid with underscores, perhaps behind a prefix
//! (`kubelet-kubepods-…` in kind); cgroupfs driver: `burstable/pod<uid>`. A guaranteed pod has no class in its name.

use crate::model::{Owner, OwnerLabel};

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    let (class, uid) = if let Some(slice) = name.strip_suffix(".slice") {
        let Some((before, uid)) = slice.rsplit_once("-pod") else { return };
        let class = match before {
            _ if before == "kubepods" || before.ends_with("-kubepods") => "guaranteed",
            _ if before.ends_with("kubepods-burstable") => "burstable",
            _ if before.ends_with("kubepods-besteffort") => "besteffort",
            _ => return,
        };
        (class, uid)
    } else {
        let Some(uid) = name.strip_prefix("pod") else { return };
        let class = match above {
            "kubepods" => "guaranteed",
            "burstable" => "burstable",
            "besteffort" => "besteffort",
            _ => return,
        };
        (class, uid)
    };
    // A uid is a UUID; a static pod's is the hash of its manifest.
    if uid.len() < 32 || !uid.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_')) {
        return;
    }
    owner.set(OwnerLabel::PodUid, Some(&uid.replace('_', "-")));
    owner.set(OwnerLabel::Qos, Some(class));
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::told;

    const ID: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";

    #[test]
    fn pods_and_their_containers_under_both_drivers() {
        for (path, expected) in [
            (
                format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-{ID}.scope"),
                format!("slice=kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice unit=cri-containerd-{ID}.scope runtime=containerd container_id={ID} pod_uid=0a1b2c3d-1111-2222-3333-444455556666 qos=burstable"),
            ),
            (
                format!("/kubepods.slice/kubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice/crio-{ID}.scope"),
                format!("slice=kubepods-pod0a1b2c3d_1111_2222_3333_444455556666.slice unit=crio-{ID}.scope runtime=cri-o container_id={ID} pod_uid=0a1b2c3d-1111-2222-3333-444455556666 qos=guaranteed"),
            ),
            (
                format!("/kubepods/besteffort/pod0a1b2c3d-1111-2222-3333-444455556666/{ID}"),
                format!("container_id={ID} pod_uid=0a1b2c3d-1111-2222-3333-444455556666 qos=besteffort"),
            ),
            (
                format!("/kubepods/burstable/pod5f3bd0e8e1d1e0a2b1b0c0d0e0f01234/{ID}"),
                format!("container_id={ID} pod_uid=5f3bd0e8e1d1e0a2b1b0c0d0e0f01234 qos=burstable"),
            ),
            (
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod0a1b2c3d_1111_2222_3333_444455556666.slice".to_owned(),
                "slice=kubelet-kubepods-besteffort-pod0a1b2c3d_1111_2222_3333_444455556666.slice pod_uid=0a1b2c3d-1111-2222-3333-444455556666 qos=besteffort".to_owned(),
            ),
            ("/kubepods/burstable/podium".to_owned(), String::new()),
            ("/srv/pod0a1b2c3d-1111-2222-3333-444455556666".to_owned(), String::new()),
        ] {
            assert_eq!(told(&path), expected, "{path}");
        }
    }
}
