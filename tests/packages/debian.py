"""A Debian root file system, and what runs in it: in namespaces of its own, and without systemd as PID 1."""

import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))

from harness import debian, host  # noqa: E402

SUITE = "bookworm"
# systemd for its unit tools, man-db to render the pages.
PACKAGES = ("systemd", "man-db")
PATIENCE = 120


def archive() -> pathlib.Path:
    """The root file system as a tar archive: made once by mmdebstrap from the host's own mirror, kept in the cache."""
    place = host.cache() / f"root-{SUITE}.tar"
    with host.lock("root"):
        if not place.exists():
            print(f"making a root file system of Debian {SUITE} in {place}", flush=True)
            fresh = place.with_suffix(".new.tar")
            debian.bootstrap(SUITE, PACKAGES, fresh)
            fresh.rename(place)
    return place


class Root:
    """An unpacked root file system of a test's own."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        path.mkdir()
        host.run("tar", "-C", path, "--numeric-owner", "-xf", archive())

    def run(self, *command, check=True, stdin=None) -> subprocess.CompletedProcess:
        """Runs a command in it. It sees its own processes only, no network, and nothing of the host's cgroups."""
        script = f"mount -t proc proc '{self.path}/proc' && exec chroot '{self.path}' \"$@\""
        words = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                 "--propagation=private", "sh", "-c", script, "sh", *map(str, command)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8",
                       "SYSTEMD_COLORS": "0", "MANWIDTH": "100"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
                              stdin=stdin or subprocess.DEVNULL)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def take(self, file: pathlib.Path) -> str:
        """Copies a file into it, and gives the path that it has there."""
        shutil.copy(file, self.path / "tmp")
        return f"/tmp/{file.name}"

    def exists(self, path: str) -> bool:
        """Whether something has this path in it."""
        return (self.path / path.lstrip("/")).exists()


def repacked(package: pathlib.Path, version: str, work: pathlib.Path) -> pathlib.Path:
    """The same package with another version, and with other words in a configuration file that it ships."""
    tree = work / f"repacked-{version}"
    host.run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN" / "control"
    lines = control.read_text(encoding="utf-8").splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version: ") else line for line in lines),
                       encoding="utf-8")
    for name in ("stockade.yaml", "watch.yaml"):
        with open(tree / "etc" / "stockade" / name, "a", encoding="utf-8") as file:
            file.write("# As the next version has it.\n")
    result = work / f"stockade_{version}_amd64.deb"
    host.run("dpkg-deb", "--build", "-Zgzip", "-z1", tree, result)
    return result
