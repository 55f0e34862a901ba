"""What the harness needs from the host: commands with the Debian package each comes from, and the cache."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess

TREE = pathlib.Path(__file__).resolve().parents[3]

# Every command the harness runs, with the Debian package that has it.
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "zstd": "zstd",
    "gcc": "gcc",
    "dpkg": "dpkg",
    "apt-get": "apt",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
}


class Trouble(Exception):
    """Something that the person at the keyboard has to know; its text says what to do."""


def cache() -> pathlib.Path:
    """The directory outside the tree where kernels and guest binaries are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = pathlib.Path(base) / "stockade"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def lock(name: str):
    """Holds the cache's lock of that name: two runs at once wait for each other here, and nowhere else."""
    with open(cache() / f"{name}.lock", "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*command, **options) -> str:
    """Runs a command and gives its standard output; a failure is Trouble with what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, **options)
    if done.returncode != 0:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise Trouble(f"{' '.join(map(str, command))}: exit {done.returncode}\n{said}")
    return done.stdout.decode(errors="replace")


def is_static(program: str) -> bool:
    """Whether a program needs no dynamic linker: no PT_INTERP (type 3) among its ELF program headers."""
    with open(program, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        offset = int.from_bytes(head[32:40], "little")
        size, count = int.from_bytes(head[54:56], "little"), int.from_bytes(head[56:58], "little")
        file.seek(offset)
        table = file.read(size * count)
    return all(table[at : at + 4] != b"\x03\0\0\0" for at in range(0, size * count, size))


def missing() -> list:
    """The Debian packages whose command is not there (busybox must be the static one)."""
    packages = {package for command, package in PACKAGES.items() if shutil.which(command) is None}
    busybox = shutil.which("busybox")
    if busybox and not is_static(busybox):
        packages.add("busybox-static")
    return sorted(packages)


def require() -> None:
    """Installs what is missing as root; otherwise says which packages and by which command."""
    packages = missing()
    if not packages:
        return
    command = "apt-get install --no-install-recommends " + " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Trouble(f"the guests need these Debian packages: {', '.join(packages)}\nget them with: sudo {command}")
    with lock("install"):
        if not (packages := missing()):
            return
        print(f"installing {', '.join(packages)}", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
        try:
            run(*install, env=quiet)
        except Trouble:
            # The host's index is old or was never fetched; a second failure is the real one.
            run("apt-get", "update", "-qq", env=quiet)
            run(*install, env=quiet)
    if still := missing():
        raise Trouble(f"still missing after the installation: {', '.join(still)}")
