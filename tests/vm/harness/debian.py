"""Whole Debian systems for guests with systemd as PID 1: a root file system a suite, made once and kept in the cache.

mmdebstrap makes it from the archive that apt is set up with, mke2fs turns it into a disk image. A guest boots from a
throw-away copy-on-write view of it (QEMU's `snapshot=on`), so that every guest begins with the same disk.
"""

import collections
import hashlib
import os
import pathlib
import tempfile
import time

from . import host, kernels

# A suite, the kernel series that belongs to it, and what it has besides what every suite has.
Suite = collections.namedtuple("Suite", "name series packages")
SUITES = {
    suite.name: suite
    for suite in (
        Suite("bookworm", "6.1", ()),
        Suite("trixie", "6.12", ("docker-cli",)),
    )
}

# What every system has: systemd with a bus and sessions, the runtimes, and what runs the scenarios.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "udev",
    "systemd-container", "podman", "crun", "catatonit", "uidmap", "docker.io", "busybox-static", "python3",
)
# Documents and translations are half of what is unpacked, and nothing in a guest reads them.
WITHOUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# Daemons that a scenario starts itself, when it has set them up.
NOT_STARTED = (
    "docker.service", "docker.socket", "containerd.service", "podman-restart.service", "podman-auto-update.service",
    "podman-auto-update.timer",
)
IMAGE_MEBIBYTES = 1536
FRESH_SECONDS = 30 * 24 * 3600


def recipe(suite: Suite) -> str:
    """What the image is made from; another recipe is another image."""
    words = (suite.name, *PACKAGES, *suite.packages, *WITHOUT, *NOT_STARTED, str(IMAGE_MEBIBYTES))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def image(name: str, label: str = "", extra=()) -> pathlib.Path:
    """The disk image of a suite, made unless the cache has one of the last month.

    With `extra` packages it is an image of its own, and `label` is what the cache calls it.
    """
    if name not in SUITES:
        raise host.Trouble(f"suite {name!r} is not known; known are {', '.join(SUITES)}")
    suite = SUITES[name]._replace(packages=SUITES[name].packages + tuple(extra))
    label = label or name
    place = host.cache() / "debian"
    place.mkdir(exist_ok=True)
    path = place / f"{label}-{recipe(suite)}.ext4"
    with host.lock(f"debian-{label}"):
        if path.exists() and time.time() - path.stat().st_mtime < FRESH_SECONDS:
            return path
        print(f"making a Debian {name} with {', '.join(PACKAGES + suite.packages)}", flush=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".new-") as scratch:
            scratch = pathlib.Path(scratch)
            make(suite, scratch)
            os.replace(scratch / "image", path)
        for old in place.glob(f"{label}-*.ext4"):
            if old != path:
                old.unlink()
    return path


def bootstrap(suite: str, packages, into: pathlib.Path, *options) -> None:
    """Makes a Debian with these packages from the archive that apt is set up with: a directory, or a tar archive."""
    uri, key = kernels.repositories()["main"]
    signed = f"[signed-by={key}] " if key.startswith("/") else ""
    host.run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", *options,
             suite, into, f"deb {signed}{uri} {suite} main")


def make(suite: Suite, scratch: pathlib.Path) -> None:
    """Makes the image `scratch/image`."""
    tree = scratch / "tree"
    bootstrap(suite.name, PACKAGES + suite.packages, tree,
              *(word for path in WITHOUT for word in ("--dpkgopt", f"path-exclude={path}")))
    # What apt downloaded is no part of a system that runs.
    for package in (tree / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    for unit in NOT_STARTED:
        for wants in (tree / "etc/systemd/system").glob("*.wants"):
            # The link leads out of the tree, so that only the name can be asked for.
            (wants / unit).unlink(missing_ok=True)
    host.run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, scratch / "image", f"{IMAGE_MEBIBYTES}M")
