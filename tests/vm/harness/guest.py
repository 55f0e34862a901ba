"""Builds what a guest runs: the static binaries, the package, the initramfs, the disks."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

from . import host

TARGET = "x86_64-unknown-linux-gnu"
# Cargo's profile of whatever is made for a test: the binaries, the package and the image share one build.
PROFILE = "guest"


def binaries() -> dict:
    """Builds `stockade` and the guest's test runner, statically linked; gives the path of each."""
    target = host.cache() / "target"
    command = ["cargo", "build", "--locked", "--quiet", "--profile", PROFILE, "--target", TARGET,
               "--bin", "stockade", "--test", "guest", "--message-format", "json-render-diagnostics"]
    environment = {**os.environ, "RUSTFLAGS": "-C target-feature=+crt-static", "CARGO_TARGET_DIR": str(target)}
    with host.lock("target"):
        if shutil.which("cargo") is None:
            raise host.Trouble("cargo is not there: install Rust (https://rustup.rs)")
        done = subprocess.run(command, cwd=host.TREE, env=environment, stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise host.Trouble("the guest's binaries do not build (cargo's messages are above)")
        built = {}
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                built[message["target"]["name"]] = pathlib.Path(message["executable"])
        found = {name: keep(path) for name, path in built.items()}
    for name, path in found.items():
        if not host.is_static(str(path)):
            raise host.Trouble(f"{name}: {path} is not statically linked: is the static C library (libc6-dev) there?")
    return found


def package(into: pathlib.Path) -> pathlib.Path:
    """Makes the Debian package with the script that users have; who calls holds the cache's lock `target`."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(host.cache() / "target")}
    said = host.run("deploy/debian/build", "--profile", PROFILE, "--output", into, cwd=host.TREE, env=environment)
    return pathlib.Path(said.splitlines()[-1])


def keep(program: pathlib.Path) -> pathlib.Path:
    """Copies a program to a name of its own content, so that the next build does not change a run under way."""
    place = host.cache() / "programs"
    place.mkdir(exist_ok=True)
    kept = place / hashlib.sha256(program.read_bytes()).hexdigest()
    if not kept.exists():
        # Builds of the last days may be in use; older ones are not.
        for old in place.iterdir():
            if time.time() - old.stat().st_mtime > 2 * 24 * 3600:
                old.unlink(missing_ok=True)
        fresh = kept.with_suffix(".new")
        shutil.copy(program, fresh)
        os.replace(fresh, kept)
    return kept


def initramfs(into: pathlib.Path, kernel, layout: str, arguments, programs: dict) -> pathlib.Path:
    """Packs busybox, the binaries, the kernel's modules, the init script and the cell's settings."""
    root = into / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "mnt", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
    shutil.copy(pathlib.Path(__file__).parents[1] / "init", root / "init")
    (root / "init").chmod(0o755)
    for name, path in programs.items():
        shutil.copy(path, root / name)
    for name in kernel.about["modules"]:
        shutil.copy(kernel.path / "modules" / f"{name}.ko", root / "modules")
    words = " ".join(["--layout", layout, *arguments])
    modules = " ".join(kernel.about["modules"])
    (root / "cell").write_text(f"LAYOUT='{layout}'\nMODULES='{modules}'\nARGUMENTS='{words}'\n", encoding="ascii")
    return pack(root, into / "initramfs.cpio")


def pack(root: pathlib.Path, packed: pathlib.Path) -> pathlib.Path:
    """Packs a directory as an initramfs; everything in it is root's."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with open(packed, "wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=root, input=names.encode(),
                       stdout=file, check=True)
    return packed


def disk(path: pathlib.Path, mebibytes: int) -> pathlib.Path:
    """An empty sparse disk image."""
    with open(path, "wb") as file:
        file.truncate(mebibytes << 20)
    return path
