//! Containers and machines by the names that their runtimes give to cgroups.

use crate::model::{Owner, OwnerLabel};

/// `PREFIX<id>.scope` of the systemd cgroup drivers, and who makes it.
const SCOPES: [(&str, &str); 5] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
];

/// `ABOVE/PREFIX<id>` of the cgroupfs drivers.
const DIRECTORIES: [(&str, &str, &str); 5] = [
    ("docker", "", "docker"),
    ("libpod_parent", "libpod-", "podman"),
    ("k8s.io", "", "containerd"),
    ("moby", "", "docker"),
    ("", "crio-", "cri-o"),
];

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    if let Some(scope) = name.strip_suffix(".scope") {
        if let Some((runtime, id)) =
            SCOPES.iter().find_map(|(prefix, runtime)| Some((runtime, id(scope, prefix)?)))
        {
            container(owner, Some(runtime), id);
        } else if let Some(machine) = scope.strip_prefix("machine-") {
            self::machine(owner, &unescape(machine));
        }
        return;
    }
    let directory = DIRECTORIES.iter().find_map(|(parent, prefix, runtime)| {
        (parent.is_empty() || *parent == above).then_some(())?;
        Some((runtime, id(name, prefix)?))
    });
    if let Some((runtime, id)) = directory {
        container(owner, Some(runtime), id);
    } else if let (Some(id), Some(_)) = (id(name, ""), owner.get(OwnerLabel::PodUid)) {
        // Below a pod, Docker and containerd give the same name under the cgroupfs driver.
        container(owner, None, id);
    } else if let Some(lxc) = name.strip_prefix("lxc.payload.").or((above == "lxc").then_some(name)) {
        named(owner, "lxc", lxc);
    } else if let Some(unit) =
        name.strip_prefix("systemd-nspawn@").and_then(|unit| unit.strip_suffix(".service"))
    {
        named(owner, "nspawn", &unescape(unit));
    }
}

/// What follows the prefix, if it is a container's id: 64 hexadecimal digits.
fn id<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let id = name.strip_prefix(prefix)?;
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn container(owner: &mut Owner, runtime: Option<&str>, id: &str) {
    owner.set(OwnerLabel::Runtime, runtime);
    owner.set(OwnerLabel::ContainerId, Some(id));
    owner.set(OwnerLabel::Container, None);
}

fn named(owner: &mut Owner, runtime: &str, name: &str) {
    owner.set(OwnerLabel::Runtime, Some(runtime));
    owner.set(OwnerLabel::Container, Some(name));
    owner.set(OwnerLabel::ContainerId, None);
}

/// systemd-machined's scopes: libvirt says `qemu-ID-NAME` or `lxc-ID-NAME`, systemd-nspawn just the name.
fn machine(owner: &mut Owner, machine: &str) {
    let libvirt = ["qemu", "lxc"].into_iter().find_map(|driver| {
        let (number, name) = machine.strip_prefix(driver)?.strip_prefix('-')?.split_once('-')?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then_some((driver, name))
    });
    match libvirt {
        Some((driver, name)) => named(owner, driver, name),
        None => named(owner, "nspawn", machine),
    }
}

/// Undoes systemd's `\\x2d` (systemd.unit(5), string escaping).
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.strip_prefix(b"x").and_then(|digits| digits.get(..2)).filter(|_| byte == b'\\');
        let value = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    // What an escape makes is as hostile as any other name.
    crate::model::display_path(&bytes)
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::told;

    const ID: &str = "9d1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9e0f";

    #[test]
    fn containers_of_every_runtime() {
        for (path, expected) in [
            (format!("/docker/{ID}"), format!("runtime=docker container_id={ID}")),
            (format!("/docker/{ID}/init.scope"), format!("unit=init.scope runtime=docker container_id={ID}")),
            (
                format!("/system.slice/docker-{ID}.scope"),
                format!("slice=system.slice unit=docker-{ID}.scope runtime=docker container_id={ID}"),
            ),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"),
                format!("slice=user.slice unit=libpod-{ID}.scope user=1000 runtime=podman container_id={ID}"),
            ),
            (
                format!("/machine.slice/libpod-{ID}.scope"),
                format!("slice=machine.slice unit=libpod-{ID}.scope runtime=podman container_id={ID}"),
            ),
            (format!("/libpod_parent/libpod-{ID}"), format!("runtime=podman container_id={ID}")),
            (format!("/k8s.io/{ID}"), format!("runtime=containerd container_id={ID}")),
            (
                format!("/system.slice/nerdctl-{ID}.scope"),
                format!("slice=system.slice unit=nerdctl-{ID}.scope runtime=containerd container_id={ID}"),
            ),
            ("/lxc/web1".to_owned(), "runtime=lxc container=web1".to_owned()),
            ("/lxc.payload.web1/system.slice".to_owned(), "slice=system.slice runtime=lxc container=web1".to_owned()),
            ("/lxc.monitor.web1".to_owned(), String::new()),
            (
                "/machine.slice/machine-qemu\\x2d3\\x2dbuild\\x2dbox.scope/libvirt/emulator".to_owned(),
                "slice=machine.slice unit=machine-qemu\\x2d3\\x2dbuild\\x2dbox.scope runtime=qemu container=build-box".to_owned(),
            ),
            (
                "/machine.slice/machine-trixie.scope/payload".to_owned(),
                "slice=machine.slice unit=machine-trixie.scope runtime=nspawn container=trixie".to_owned(),
            ),
            (
                "/machine.slice/systemd-nspawn@web\\x2d1.service/payload".to_owned(),
                "slice=machine.slice unit=systemd-nspawn@web\\x2d1.service runtime=nspawn container=web-1".to_owned(),
            ),
            ("/docker/buildx".to_owned(), String::new()),
            (format!("/srv/{ID}"), String::new()),
            (format!("/machine.slice/libpod-conmon-{ID}.scope"), format!("slice=machine.slice unit=libpod-conmon-{ID}.scope")),
        ] {
            assert_eq!(told(&path), expected, "{path}");
        }
    }

    #[test]
    fn escapes_are_undone_and_cannot_be_used_to_hide() {
        assert_eq!(super::unescape("a\\x2db"), "a-b");
        assert_eq!(super::unescape("a\\x2"), "a\\x2");
        assert_eq!(super::unescape("a\\xzz\\"), "a\\xzz\\");
        assert_eq!(super::unescape("a\\x0a\\xff"), "a\u{fffd}0a\u{fffd}ff");
    }
}
