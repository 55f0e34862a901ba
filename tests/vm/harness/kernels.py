"""Finds the newest Debian cloud kernel of a series through the host's own apt mirror, and unpacks it into the cache.

apt does the talking, with a private state directory: its proxy, keys and signature checks are the host's, and nothing
of the host's package state is touched. The checksum of each package is verified once more against the signed index.
"""

import collections
import functools
import hashlib
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from . import host

# A series, the suites that carry it, and what its package versions begin with. The first index that answers counts;
# security updates are in a suite of their own.
Series = collections.namedtuple("Series", "name suites prefix required")
SERIES = {
    series.name: series
    for series in (
        Series("5.10", ("bullseye", "bullseye-security"), "5.10.", False),
        Series("6.1", ("bookworm", "bookworm-security"), "6.1.", True),
        Series("6.12", ("trixie", "trixie-security"), "6.12.", True),
        Series("newest", ("trixie-backports",), "", False),
    )
}

# Modules that the scenarios use. One that a kernel has built in, or not at all, is simply not there.
MODULES = (
    "virtio_pci", "virtio_blk", "loop", "null_blk", "lzo", "lzo-rle", "zram", "ext4", "bfq", "crc32c_generic",
)
FRESH_SECONDS = 24 * 3600


def name_of(text: str) -> str:
    """The series for what the user typed: its name, or any version that is no other series."""
    if text in SERIES:
        return text
    raise host.Trouble(f"kernel {text!r} is not in the matrix; known are {', '.join(SERIES)}")


def root() -> pathlib.Path:
    """Where unpacked kernels are."""
    path = host.cache() / "kernels"
    path.mkdir(parents=True, exist_ok=True)
    return path


def repositories() -> dict:
    """The Debian archives that apt is set up with: the main one and the security one, with the key of each."""
    line = "$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)|$(ORIGIN)"
    found = {}
    for row in host.run("apt-get", "indextargets", "--format", line, "Created-By: Packages").splitlines():
        uri, release, key, origin = row.split("|")
        if origin not in ("Debian", ""):
            continue
        kind = "security" if release.endswith(("-security", "/updates")) else "main"
        # A backports-only or third-party source must not stand in for the main archive.
        if kind == "security" or re.fullmatch(r"[a-z]+", release):
            found.setdefault(kind, (uri, key))
    if "main" not in found:
        raise host.Trouble("apt has no Debian archive in its sources (apt-get indextargets shows none): add one")
    return found


def apt_options() -> list:
    """apt pointed at a private state and source list below the cache; the rest is the host's configuration."""
    place = root() / "apt"
    (place / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (place / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::Etc::sourcelist": place / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": place / "lists",
        "Dir::Cache": place,
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def update() -> None:
    """Fetches the suites' indexes. One suite that the mirror lacks does not stop the others."""
    apt_options()
    archives = repositories()
    lines = []
    for suite in [suite for series in SERIES.values() for suite in series.suites]:
        kind = "security" if suite.endswith("-security") else "main"
        if kind not in archives:
            continue
        uri, key = archives[kind]
        signed = f" signed-by={key}" if key.startswith("/") else ""
        lines.append(f"deb [arch=amd64{signed}] {uri} {suite} main\n")
    (root() / "apt" / "sources.list").write_text("".join(lines), encoding="utf-8")
    done = subprocess.run(["apt-get", *apt_options(), "update", "-qq"], capture_output=True, check=False)
    if done.returncode != 0:
        print(f"apt-get update of the guest kernels' suites: {done.stderr.decode(errors='replace').strip()}", flush=True)
    (root() / "apt" / "updated").touch()


def index_is_fresh() -> bool:
    """Whether the private index was fetched within the last day."""
    stamp = root() / "apt" / "updated"
    return stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_SECONDS


def packages(suites) -> dict:
    """Every kernel package of the suites, by name: the fields of its stanza in the signed index."""
    found = {}
    for row in host.run(
        "apt-get", *apt_options(), "indextargets", "--format", "$(RELEASE)|$(FILENAME)", "Created-By: Packages"
    ).splitlines():
        release, file = row.split("|")
        if release not in suites:
            continue
        try:
            text = host.run("/usr/lib/apt/apt-helper", "cat-file", file)
        except host.Trouble:
            continue
        for stanza in text.split("\n\n"):
            if not stanza.startswith("Package: linux-"):
                continue
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
            name = fields["Package"]
            if name not in found or newer(fields["Version"], found[name]["Version"]) > 0:
                found[name] = fields
    return found


def newer(one: str, other: str) -> int:
    """Compares two versions as dpkg does."""
    if one == other:
        return 0
    return 1 if subprocess.call(["dpkg", "--compare-versions", one, "gt", other]) == 0 else -1


def choose(series) -> list:
    """The packages of the newest kernel of a series: the image, and the modules where they are apart."""
    found = packages(series.suites)
    images = {}
    for name, fields in found.items():
        match = re.fullmatch(r"linux-(?:image|binary)-([0-9].*-cloud-amd64)", name)
        # A meta-package has no kernel release in its name, only a series: no file to boot in it.
        if match and re.match(r"\d+\.\d+\.\d+", match[1]) and fields["Version"].startswith(series.prefix):
            images[match[1]] = fields["Version"]
    if not images:
        raise host.Trouble(f"no cloud kernel of series {series.name} in {', '.join(series.suites)} of apt's mirror")
    release = max(images, key=functools.cmp_to_key(lambda a, b: newer(images[a], images[b])))
    wanted = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
    return [release, *(found[name] for name in wanted if name in found)]


def download(fields: dict, into: pathlib.Path) -> pathlib.Path:
    """Downloads one package and verifies its checksum against the index."""
    before = set(into.iterdir())
    host.run("apt-get", *apt_options(), "download", "-qq", f"{fields['Package']}={fields['Version']}", cwd=into)
    (file,) = set(into.iterdir()) - before
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != fields["SHA256"]:
        raise host.Trouble(f"{file.name}: SHA256 is {found}, the index says {fields['SHA256']}: not used")
    return file


def module_bytes(file: pathlib.Path) -> bytes:
    """A module's ELF file, whatever it is packed with."""
    if file.suffix == ".xz":
        return lzma.decompress(file.read_bytes())
    if file.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True).stdout
    return file.read_bytes()


def keep_modules(tree: pathlib.Path, into: pathlib.Path) -> list:
    """Copies the wanted modules and what they depend on, unpacked; gives the order to insert them in."""
    files = {}
    for file in tree.rglob("*.ko*"):
        files[file.name.split(".ko")[0].replace("-", "_")] = file
    into.mkdir()
    order = []

    def keep(name):
        if name in order or name not in files:
            return
        data = module_bytes(files[name])
        # `.modinfo` is a row of NUL-terminated `key=value`; softdeps are not needed by these few.
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for need in depends[1].decode().split(",") if depends else []:
            keep(need.replace("-", "_"))
        (into / f"{name}.ko").write_bytes(data)
        order.append(name)

    for name in MODULES:
        keep(name.replace("-", "_"))
    return order


def unpack(series, place: pathlib.Path) -> None:
    """Fetches the newest kernel of a series into `place`, complete or not at all."""
    release, *wanted = choose(series)
    target = root() / release
    if not (target / "kernel.json").exists():
        with tempfile.TemporaryDirectory(dir=root(), prefix=".new-") as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "deb").mkdir()
            for fields in wanted:
                print(f"fetching {fields['Package']} {fields['Version']}", flush=True)
                host.run("dpkg", "-x", download(fields, scratch / "deb"), scratch / "tree")
            images = [file for file in (scratch / "tree").rglob("vmlinuz*") if file.is_file()]
            if len(images) != 1:
                raise host.Trouble(f"{release}: expected one vmlinuz in its packages, found {len(images)}")
            kernel = scratch / "kernel"
            kernel.mkdir()
            shutil.copy(images[0], kernel / "vmlinuz")
            order = keep_modules(scratch / "tree", kernel / "modules")
            about = {
                "series": series.name,
                "release": release,
                "version": wanted[-1]["Version"],
                "packages": {fields["Package"]: fields["SHA256"] for fields in wanted},
                "modules": order,
            }
            (kernel / "kernel.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            os.rename(kernel, target)
    # The series' name is a link that changes in one step, so a run that is booting never sees half a kernel.
    fresh = root() / f".{series.name}-{os.getpid()}"
    fresh.symlink_to(release)
    os.replace(fresh, place)


class Kernel:
    """An unpacked kernel."""

    def __init__(self, path: pathlib.Path):
        self.path = path.resolve()
        self.about = json.loads((self.path / "kernel.json").read_text(encoding="utf-8"))
        self.image = self.path / "vmlinuz"


def cached(series):
    """The kernel of a series that is in the cache, or None."""
    place = root() / series.name
    return Kernel(place) if (place / "kernel.json").exists() else None


def fetch(name: str, refresh: bool = False) -> Kernel:
    """The newest kernel of a series, fetched unless the cache has it and its index is fresh."""
    series = SERIES[name_of(name)]
    with host.lock("kernels"):
        place = root() / series.name
        have = cached(series)
        if have and index_is_fresh() and not refresh:
            return have
        try:
            if refresh or not index_is_fresh():
                update()
            unpack(series, place)
        except host.Trouble as trouble:
            if not have:
                raise
            print(f"{series.name}: kept {have.about['release']} from the cache, as a newer one could not be fetched: "
                  f"{trouble}", flush=True)
        return Kernel(place)
