//! Containers and machines by the names that their runtimes give to cgroups.

use super::unescape;
use crate::model::{Owner, OwnerLabel};

/// `PREFIX<id>.scope` of the systemd cgroup drivers, and who makes it.
const SCOPES: [(&str, &str); 5] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-", "podman"),
];

/// `ABOVE/PREFIX<id>` of the cgroupfs drivers; an empty `ABOVE` stands for any. `libpod-` under any other parent is a
/// container of `podman run --cgroup-parent`, or one in a pod; `libpod-payload-` is one of `--cgroups=split`.
const DIRECTORIES: [(&str, &str, &str); 7] = [
    ("docker", "", "docker"),
    ("", "libpod-", "podman"),
    ("", "libpod-payload-", "podman"),
    ("k8s.io", "", "containerd"),
    ("default", "", "containerd"),
    ("moby", "", "docker"),
    ("", "crio-", "cri-o"),
];

/// `PREFIX<id>[.slice]` of Podman's pods: `machine-libpod_pod_` of root, `user-libpod_pod_` of others.
const PODS: [&str; 3] = ["machine-libpod_pod_", "user-libpod_pod_", "libpod_pod_"];

/// `ABOVE/<name>` of those that give names: LXC up to 3.0, LXC 3.1 to 4.0, and libvirt's LXC driver without systemd.
const NAMED: [(&str, &str); 2] = [("lxc", "lxc"), ("lxc.payload", "lxc")];

/// libvirt's drivers: `machine-DRIVER-NUMBER-NAME.scope`, and `machine/DRIVER-NUMBER-NAME.libvirt-DRIVER` without systemd.
const LIBVIRT: [&str; 3] = ["qemu", "lxc", "ch"];

/// Takes in one component of a path.
pub(super) fn component(name: &str, above: &str, owner: &mut Owner) {
    let unit = name.strip_suffix(".slice").unwrap_or(name);
    if let Some(pod) = PODS.iter().find_map(|prefix| id(unit, prefix)) {
        owner.set(OwnerLabel::Runtime, Some("podman"));
        owner.set(OwnerLabel::PodUid, Some(pod));
        return;
    }
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
    } else if let Some(lxc) = name.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
        named(owner, "lxc", lxc);
    } else if let Some((_, runtime)) = NAMED.iter().find(|(parent, _)| *parent == above) {
        named(owner, runtime, name);
    } else if let Some((driver, machine)) = libvirt_directory(name) {
        named(owner, driver, machine);
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
    match libvirt(machine) {
        Some((driver, name)) => named(owner, driver, name),
        None => named(owner, "nspawn", machine),
    }
}

/// `DRIVER-NUMBER-NAME`.
fn libvirt(machine: &str) -> Option<(&'static str, &str)> {
    LIBVIRT.into_iter().find_map(|driver| {
        let (number, name) = machine.strip_prefix(driver)?.strip_prefix('-')?.split_once('-')?;
        (super::is_number(number) && !name.is_empty()).then_some((driver, name))
    })
}

/// `DRIVER-NUMBER-NAME.libvirt-DRIVER`; before libvirt 1.3 without the number.
fn libvirt_directory(name: &str) -> Option<(&'static str, &str)> {
    let (machine, driver) = name.rsplit_once(".libvirt-")?;
    let driver = LIBVIRT.into_iter().find(|known| *known == driver)?;
    Some(libvirt(machine).unwrap_or((driver, machine))).filter(|(_, name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::identify::tests::{ID, agree};

    const POD: &str = "aa1f0c6c8a7fb2f1f1c5ee70da6fd0c7a9b1d2e3f405162738495a6b7c8d9eff";

    #[test]
    fn docker() {
        agree(&[
            // moby/moby: the cgroupfs driver of v1 hosts and of those without systemd.
            (&format!("/docker/{ID}"), &format!("runtime=docker container_id={ID}")),
            (
                &format!("/docker/{ID}/init.scope"),
                &format!("unit=init.scope runtime=docker container_id={ID}"),
            ),
            // docker-in-docker (kubernetes/test-infra#37440): the innermost counts.
            (&format!("/docker/{POD}/docker/{ID}"), &format!("runtime=docker container_id={ID}")),
            // The systemd driver, the default on v2 since 20.10.
            (
                &format!("/system.slice/docker-{ID}.scope"),
                &format!("slice=system.slice unit=docker-{ID}.scope runtime=docker container_id={ID}"),
            ),
            // Rootless, below the user's manager.
            (
                &format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope"),
                &format!(
                    "slice=user.slice unit=docker-{ID}.scope user=1000 runtime=docker container_id={ID}"
                ),
            ),
            ("/docker/buildx", ""),
            (&format!("/srv/{ID}"), ""),
        ]);
    }

    #[test]
    fn podman() {
        agree(&[
            // Root's, systemd, v1 and v2; the payload's cgroup below it is crun's.
            (
                &format!("/machine.slice/libpod-{ID}.scope/container"),
                &format!("slice=machine.slice unit=libpod-{ID}.scope runtime=podman container_id={ID}"),
            ),
            // containers/podman#4639: rootless.
            (
                &format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                &format!(
                    "slice=user.slice unit=libpod-{ID}.scope user=1000 runtime=podman container_id={ID}"
                ),
            ),
            // cgroupfs, with the default parent and with --cgroup-parent (containers/podman#6434).
            (&format!("/libpod_parent/libpod-{ID}"), &format!("runtime=podman container_id={ID}")),
            (&format!("/test111/ccc/libpod-{ID}"), &format!("runtime=podman container_id={ID}")),
            // containers/podman#6400: pods.
            (
                &format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{POD}.slice/libpod-{ID}.scope/container"
                ),
                &format!(
                    "slice=user-libpod_pod_{POD}.slice unit=libpod-{ID}.scope user=1000 runtime=podman container_id={ID} pod_uid={POD}"
                ),
            ),
            (
                &format!("/machine.slice/machine-libpod_pod_{POD}.slice"),
                &format!("slice=machine-libpod_pod_{POD}.slice runtime=podman pod_uid={POD}"),
            ),
            (
                &format!("/libpod_parent/libpod_pod_{POD}/libpod-{ID}"),
                &format!("runtime=podman container_id={ID} pod_uid={POD}"),
            ),
            // containers/podman#16589: Quadlet's services and others with --cgroups=split, the monitor in `runtime`.
            (
                &format!("/system.slice/quadlet-minimal.service/libpod-payload-{ID}"),
                &format!("slice=system.slice unit=quadlet-minimal.service runtime=podman container_id={ID}"),
            ),
            (
                "/system.slice/quadlet-minimal.service/runtime",
                "slice=system.slice unit=quadlet-minimal.service",
            ),
            // The monitors are no containers, nor is the rootless pause process.
            (
                &format!("/machine.slice/libpod-conmon-{ID}.scope"),
                &format!("slice=machine.slice unit=libpod-conmon-{ID}.scope"),
            ),
            ("/libpod_parent/conmon", ""),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/podman-239302.scope",
                "slice=user.slice unit=podman-239302.scope user=1000",
            ),
        ]);
    }

    #[test]
    fn containerd_and_crio_without_kubernetes() {
        agree(&[
            (&format!("/k8s.io/{ID}"), &format!("runtime=containerd container_id={ID}")),
            // containerd/nerdctl: systemd and cgroupfs drivers.
            (
                &format!("/system.slice/nerdctl-{ID}.scope"),
                &format!("slice=system.slice unit=nerdctl-{ID}.scope runtime=containerd container_id={ID}"),
            ),
            (&format!("/default/{ID}"), &format!("runtime=containerd container_id={ID}")),
            (
                &format!("/system.slice/crio-{ID}.scope"),
                &format!("slice=system.slice unit=crio-{ID}.scope runtime=cri-o container_id={ID}"),
            ),
            (
                &format!("/system.slice/crio-conmon-{ID}.scope"),
                &format!("slice=system.slice unit=crio-conmon-{ID}.scope"),
            ),
        ]);
    }

    #[test]
    fn lxc_and_incus() {
        agree(&[
            // LXC up to 3.0, v1.
            ("/lxc/web1", "runtime=lxc container=web1"),
            (
                "/lxc/web1/system.slice/ssh.service",
                "slice=system.slice unit=ssh.service runtime=lxc container=web1",
            ),
            // lxc/lxc#2782, draios/sysdig#1344: 3.1.
            ("/lxc.payload/web1", "runtime=lxc container=web1"),
            ("/lxc.monitor/web1", ""),
            // lxc/lxc#4384: 4.0 and later, LXD and Incus too (projects as PROJECT_NAME).
            ("/lxc.payload.node-ct/system.slice", "slice=system.slice runtime=lxc container=node-ct"),
            ("/lxc.payload.shop_web1", "runtime=lxc container=shop_web1"),
            ("/lxc.monitor.node-ct", ""),
            ("/lxc.pivot", ""),
        ]);
    }

    #[test]
    fn machines() {
        agree(&[
            // libvirt 1.1.1 and later with machined, v2: libvirt.org/cgroups.html, ceems-dev/ceems#377.
            (
                "/machine.slice/machine-qemu\\x2d3\\x2dbuild\\x2dbox.scope/libvirt/emulator",
                "slice=machine.slice unit=machine-qemu\\x2d3\\x2dbuild\\x2dbox.scope runtime=qemu container=build-box",
            ),
            // libvirt/libvirt#520: 6.2, v1.
            (
                "/machine.slice/machine-qemu\\x2d15\\x2dGUS37e3e279\\x2d94d0.scope/vcpu0",
                "slice=machine.slice unit=machine-qemu\\x2d15\\x2dGUS37e3e279\\x2d94d0.scope runtime=qemu container=GUS37e3e279-94d0",
            ),
            (
                "/machine.slice/machine-lxc\\x2d7\\x2ddb.scope",
                "slice=machine.slice unit=machine-lxc\\x2d7\\x2ddb.scope runtime=lxc container=db",
            ),
            // Without systemd.
            ("/machine/qemu-1-instance1.libvirt-qemu/emulator", "runtime=qemu container=instance1"),
            ("/machine/db.libvirt-lxc", "runtime=lxc container=db"),
            // systemd-nspawn by hand, and as a service (systemd 233 and later: payload and supervisor).
            (
                "/machine.slice/machine-trixie.scope/payload",
                "slice=machine.slice unit=machine-trixie.scope runtime=nspawn container=trixie",
            ),
            (
                "/machine.slice/systemd-nspawn@web\\x2d1.service/payload/init.scope",
                "slice=machine.slice unit=init.scope runtime=nspawn container=web-1",
            ),
            (
                "/machine.slice/systemd-nspawn@web\\x2d1.service/supervisor",
                "slice=machine.slice unit=systemd-nspawn@web\\x2d1.service runtime=nspawn container=web-1",
            ),
        ]);
    }
}
