"""The container image: what is in the archive, and the program running out of it, by podman, in a cgroup of the test's."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import time
import urllib.request

from harness import guest, host

PORT = 19306
PATIENCE = 60.0
LIMITS = ["--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512"]


def build(output: pathlib.Path) -> pathlib.Path:
    """Makes the image with the script that users have; who calls holds the cache's lock `target`."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(host.cache() / "target")}
    host.run("deploy/image/build", "--profile", guest.PROFILE, "--output", output, cwd=host.TREE, env=environment)
    return output


def blob(archive: tarfile.TarFile, digest: str) -> bytes:
    """A blob, which must be what its name says."""
    content = archive.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}").read()
    assert "sha256:" + hashlib.sha256(content).hexdigest() == digest, digest
    return content


def contents(archive: pathlib.Path) -> None:
    """It is what both formats call an image, says what it is, and holds one program."""
    with tarfile.open(archive) as image:
        index = json.load(image.extractfile("index.json"))
        manifest = json.loads(blob(image, index["manifests"][0]["digest"]))
        config = json.loads(blob(image, manifest["config"]["digest"]))
        (layer,) = manifest["layers"]
        blob(image, layer["digest"])
        older = json.load(image.extractfile("manifest.json"))[0]
        assert older["Layers"] == ["blobs/sha256/" + layer["digest"].removeprefix("sha256:")], older
        with tarfile.open(fileobj=image.extractfile(older["Layers"][0])) as root:
            files = {member.name: member for member in root if member.isfile()}
            assert set(files) == {"stockade", "licenses/LICENSE"}, files
            assert files["stockade"].mode == 0o755
            assert all((member.uid, member.gid) == (0, 0) for member in root)
    labels = config["config"]["Labels"]
    for key in ("title", "description", "version", "licenses", "created"):
        assert labels[f"org.opencontainers.image.{key}"] == manifest["annotations"][f"org.opencontainers.image.{key}"]
    assert config["config"]["Entrypoint"] == ["/stockade"], config


def raise_loopback() -> None:
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        SIOCSIFFLAGS, IFF_UP = 0x8914, 1
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def mounts() -> list:
    """Where the hierarchies are mounted."""
    split = [line.partition(" - ") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    return [pathlib.Path(left.split()[4]) for left, _, right in split if right.split()[0] in ("cgroup", "cgroup2")]


def remove(group: str) -> None:
    """Takes away the test's cgroups; what still lives there is the test's own, and is killed."""
    for top in [mount / group for mount in mounts()]:
        until = time.monotonic() + 10
        while top.exists() and time.monotonic() < until:
            for place, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    for pid in pathlib.Path(place, "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(OSError):
                    os.rmdir(place)
            time.sleep(0.05)


def runs(archive: pathlib.Path, work: pathlib.Path, group: str) -> None:
    """Loaded and run as the documentation says, it sees the container that it is in; stopped, it ends well."""
    root = work / "host"
    storage = root / "var/lib/containers/storage"
    podman = ["podman", "--root", storage, "--runroot", work / "run", "--tmpdir", work / "tmp", "--storage-driver=vfs",
              "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime", shutil.which("runc")]
    confined = ["--cgroups=no-conmon", f"--cgroup-parent=/{group}", *LIMITS]

    def call(*words) -> str:
        command = [str(word) for word in [*podman, *words]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
        return done.stdout.strip()

    try:
        call("load", "--quiet", "--input", archive)
        image = call("images", "--quiet")
        version = call("run", "--rm", "--network=none", *confined, image, "--version")
        assert version.startswith("stockade "), version
        call("run", "--detach", "--name=stockade", "--network=host", "--pid=host", "--cgroupns=host", "--read-only",
             "--cap-drop=all", "--cap-add=SYS_PTRACE", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:ro",
             f"--volume={root}:/host:ro", *confined, image,
             "serve", f"--web.listen-address=:{PORT}", "--path.rootfs=/host")
        until = time.monotonic() + PATIENCE
        wanted = [f'cgroup="/{group}/', 'runtime="podman"']
        while True:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=PATIENCE) as answer:
                    lines = answer.read().decode().splitlines()
                if any(line.startswith("cgroup_info{") and all(word in line for word in wanted) for line in lines):
                    break
            assert time.monotonic() < until, "no series of the container itself: " + call("logs", "stockade")
            time.sleep(0.2)
        assert any(line.startswith("cgroup_namespaces{") for line in lines), "no namespaces: is SYS_PTRACE in force?"
        call("stop", "--time=30", "stockade")
        assert call("inspect", "--format={{.State.ExitCode}}", "stockade") == "0", call("logs", "stockade")
    finally:
        subprocess.run([*map(str, podman), "rm", "--force", "--time=0", "stockade"], capture_output=True, timeout=PATIENCE,
                       check=False)
