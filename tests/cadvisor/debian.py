"""The real cAdvisor, from Debian's archive through the host's own apt: fetched once, unpacked into the cache."""

import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))

from harness import host, kernels  # noqa: E402

SUITE = "bullseye"
VERSION = "0.38.7"


def stanza() -> dict:
    """The package's fields in the signed index of the suite."""
    targets = host.run(
        "apt-get", *kernels.apt_options(), "indextargets", "--format", "$(RELEASE)|$(FILENAME)", "Created-By: Packages"
    )
    for row in targets.splitlines():
        release, file = row.split("|")
        if release != SUITE:
            continue
        for text in host.run("/usr/lib/apt/apt-helper", "cat-file", file).split("\n\n"):
            if text.startswith("Package: cadvisor\n"):
                return dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
    raise host.Trouble(f"the index of {SUITE} of apt's mirror has no package cadvisor")


def program() -> pathlib.Path:
    """The program, of the version that the comparison is about."""
    place = host.cache() / f"cadvisor-{VERSION}"
    found = place / "usr" / "bin" / "cadvisor"
    with host.lock("kernels"):
        if found.exists():
            return found
        if not kernels.index_is_fresh():
            kernels.update()
        fields = stanza()
        if not fields["Version"].startswith(VERSION):
            raise host.Trouble(f"{SUITE} has cadvisor {fields['Version']}, the comparison is about {VERSION}")
        with tempfile.TemporaryDirectory(dir=host.cache(), prefix=".new-") as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "deb").mkdir()
            print(f"fetching cadvisor {fields['Version']}", flush=True)
            host.run("dpkg", "-x", kernels.download(fields, scratch / "deb"), scratch / "tree")
            (scratch / "tree").rename(place)
    return found
