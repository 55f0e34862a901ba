"""Real container runtimes under systemd, each recognised with its name: what no host without systemd can run."""

import contextlib
import pathlib
import subprocess

from support import Failed, busybox, call, info, listed, until, watching

WORK = pathlib.Path("/var/tmp/runtimes")
PODMAN = ["podman", "--events-backend=none", "--storage-driver=vfs"]


def recognised(**labels: str) -> str:
    """A cgroup with these labels is in the metrics and in `ls`; gives its path."""
    path = info(**labels)
    shown = [one for one in listed() if one["path"] == path]
    if not shown or any(shown[0].get(name) != value for name, value in labels.items()):
        raise Failed(f"`ls -J` shows {path} as {shown}, expected {labels}")
    return path


def rootfs(name: str) -> pathlib.Path:
    return busybox(WORK / name)


def lingering(name: str) -> str:
    """A user whose own systemd runs although nobody has logged in; gives the number."""
    with contextlib.suppress(Failed):
        call("useradd", "--create-home", "--shell", "/bin/sh", name)
    call("loginctl", "enable-linger", name)
    uid = call("id", "-u", name)
    until(f"the systemd of {name} runs", lambda: call("systemctl", "is-active", f"user@{uid}.service") == "active")
    return uid


def podman() -> str:
    """Podman with crun and the systemd cgroup manager."""
    root = rootfs("podman")
    watching()
    ident = call(*PODMAN, "run", "--detach", "--name", "web", "--network=none", "--rootfs", root,
                 "/bin/sleep", "600")
    try:
        return recognised(runtime="podman", container="web", container_id=ident)
    finally:
        call(*PODMAN, "rm", "--force", "--time=0", "web")


def podman_pod() -> str:
    """A pod of Podman's: the container, its infra container, and the pod's slice."""
    root = rootfs("pod")
    watching()
    pod = call(*PODMAN, "pod", "create", "--name", "shop", "--network=none")
    try:
        ident = call(*PODMAN, "run", "--detach", "--pod", "shop", "--name", "till", "--rootfs", root,
                     "/bin/sleep", "600")
        path = recognised(runtime="podman", container="till", container_id=ident, pod_uid=pod)
        infra = call(*PODMAN, "pod", "inspect", "--format", "{{.InfraContainerID}}", "shop")
        recognised(runtime="podman", container_id=infra, pod_uid=pod)
        return path
    finally:
        call(*PODMAN, "pod", "rm", "--force", "--time=0", "shop")


def podman_rootless() -> str:
    """Podman of a user without rights, in the user's own systemd."""
    uid = lingering("ada")
    root = rootfs("rootless")
    call("chown", "--recursive", "ada:ada", root)
    user = ["setpriv", "--reuid=ada", "--regid=ada", "--init-groups", "env", "-C", "/home/ada", "HOME=/home/ada",
            f"XDG_RUNTIME_DIR=/run/user/{uid}", f"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus", *PODMAN]
    watching()
    ident = call(*user, "run", "--detach", "--name", "mine", "--network=none", "--rootfs", root,
                 "/bin/sleep", "600")
    try:
        return recognised(runtime="podman", container="mine", container_id=ident, user=uid)
    finally:
        call(*user, "rm", "--force", "--time=0", "mine")


def docker() -> str:
    """Docker's engine with its systemd driver and no bridge."""
    root = rootfs("docker")
    try:
        call("systemctl", "start", "docker.service")
    except Failed as failed:
        said = call("journalctl", "--unit=docker.service", "--lines=20", "--output=cat")
        raise Failed(f"{failed}; {said}") from failed
    watching()
    try:
        call("tar", "-C", root, "-cf", WORK / "docker.tar", ".")
        call("docker", "import", WORK / "docker.tar", "busybox:test")
        # Bookworm's kernel has AppArmor on, and its parser is a package that nothing else here needs.
        ident = call("docker", "run", "--detach", "--name", "job-1", "--network=none",
                     "--security-opt=apparmor=unconfined", "busybox:test", "/bin/sleep", "600")
        path = recognised(runtime="docker", container="job-1", container_id=ident, image="busybox:test")
        call("docker", "rm", "--force", "job-1")
        return path
    finally:
        call("systemctl", "stop", "docker.service", "docker.socket", "containerd.service")


def nspawn() -> str:
    """systemd-nspawn, registered with machined."""
    root = rootfs("nspawn")
    watching()
    container = subprocess.Popen(
        ["systemd-nspawn", "--quiet", "--machine=box", f"--directory={root}", "--register=yes",
         "/bin/sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return recognised(runtime="nspawn", container="box")
    except Failed as failed:
        container.kill()
        raise Failed(f"{failed}; it said {container.communicate()[0]!r}") from failed
    finally:
        container.terminate()
        container.wait()


def session() -> str:
    """A user's own services: the unit below the manager of the user, by the number in its slice."""
    uid = lingering("ada")
    watching()
    call("systemd-run", "--quiet", "--user", "--machine=ada@.host", "--unit=compile", "/bin/sleep", "600")
    return recognised(user=uid, unit="compile.service")


SCENARIOS = {f"runtimes_{one.__name__}": one
             for one in (podman, podman_pod, podman_rootless, docker, nspawn, session)}
