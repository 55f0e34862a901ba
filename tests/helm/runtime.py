"""Runs the chart's container by Podman and runc, with the pod's own security context, mounts and arguments.

Only for pods without privileges: a privileged one would have this host's cgroups in its hands.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from kubelet import files, get
from rendered import container, expect, pod, volume

PATIENCE = 60


def mounts() -> list[pathlib.Path]:
    """Where this host's hierarchies are."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    split = [line.partition(" - ") for line in lines]
    return [pathlib.Path(left.split()[4]) for left, _, right in split if right.split()[0] in ("cgroup", "cgroup2")]


def image(binary: str, root: pathlib.Path) -> None:
    """What the container image has: the program alone, here with the libraries that a debug build is linked with."""
    root.mkdir()
    shutil.copy(binary, root / "stockade")
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, timeout=60, check=True).stdout
    for library in re.findall(r"(/\S+) \(", linked):
        (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.lstrip("/"))


def options(objects: list[dict], work: pathlib.Path) -> list[str]:
    """Podman's words for what the pod asks for."""
    security = container(objects)["securityContext"]
    expect(security["privileged"] is False, "a privileged pod is not started here")
    given = ["--cgroupns=private", f"--user={security['runAsUser']}:{security['runAsGroup']}"]
    given += ["--pid=host"] if pod(objects)["hostPID"] else []
    given += ["--read-only"] if security["readOnlyRootFilesystem"] else []
    given += [] if security["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]
    given += [f"--cap-drop={each}" for each in security["capabilities"]["drop"]]
    given += [f"--cap-add={each}" for each in security["capabilities"]["add"]]
    given += [f"--env={each['name']}={each['value']}" for each in container(objects)["env"]]
    for each in container(objects)["volumeMounts"]:
        source = volume(objects, each["name"])
        if each["name"] == "state":
            place = work / "state"
            place.mkdir()
        elif "hostPath" in source:
            place = source["hostPath"]["path"]
            expect(each.get("readOnly") is True, f"{place} would be writable")
        else:
            place = work / each["name"]
            for name, text in files(objects, each["name"], {}).items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)
        given.append(f"--volume={place}:{each['mountPath']}:{'ro' if each.get('readOnly') else 'rw'},rbind")
    return given


@contextlib.contextmanager
def cgroup():
    """A cgroup of the test's own for the container, gone at the end."""
    name = f"stockade-test-helm-{os.getpid()}"
    try:
        yield name
    finally:
        for mount in mounts():
            for directory, _, _ in os.walk(mount / name, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def whole_host_is_seen(binary: str, objects: list[dict]) -> None:
    """The container finds the node's cgroups, and not its own alone; reads namespaces; and ends when it is told to."""
    with tempfile.TemporaryDirectory(prefix="stockade-test-helm-") as made, cgroup() as group:
        work = pathlib.Path(made)
        image(binary, work / "rootfs")
        podman = ["podman", "--root", work / "storage", "--runroot", work / "run", "--tmpdir", work / "tmp",
                  "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none",
                  "--runtime", shutil.which("runc")]
        name = f"stockade-{os.getpid()}"
        arguments = [re.sub(r"^--web.listen-address=.*", "--web.listen-address=127.0.0.1:0", each)
                     for each in container(objects)["args"]]

        def call(*command: object) -> str:
            done = subprocess.run([*map(str, podman), *map(str, command)], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)
            expect(done.returncode == 0, f"podman {command[0]}: {(done.stdout + done.stderr)[-600:]}")
            return done.stdout + done.stderr

        try:
            call("run", "--detach", "--name", name, "--network=host", "--cgroups=no-conmon",
                 "--ulimit=nofile=512:512", "--ulimit=nproc=512:512", f"--cgroup-parent=/{group}/pod",
                 *options(objects, work), "--rootfs", work / "rootfs", "/stockade", *arguments)
            until = time.monotonic() + PATIENCE
            while not (found := re.search(r"listens on http://127\.0\.0\.1:(\d+)/", call("logs", name))):
                expect(time.monotonic() < until, f"it does not listen: {call('logs', name)}")
                time.sleep(0.1)
            while (answer := get(int(found[1]), "/-/ready", "http"))[0] != 200:
                expect(time.monotonic() < until, f"it does not get ready: {answer}")
                time.sleep(0.1)
            text = get(int(found[1]), "/metrics", "http")[1]
            expect(f'cgroup_populated{{cgroup="/{group}/pod"}} 1' in text, "the host's cgroups are not seen")
            expect("\ncgroup_namespaces{" in text, "no namespaces of other processes are read")
            call("stop", "--time=30", name)
            expect(call("inspect", "--format={{.State.ExitCode}}", name).strip() == "0", call("logs", name)[-600:])
        finally:
            subprocess.run([*map(str, podman), "rm", "--force", "--time=0", name], capture_output=True,
                           timeout=PATIENCE, check=False)
