"""The Debian package: what is in it, and what it does when it is installed, upgraded, removed and purged."""

import os
import pathlib

from debian import Root, repacked

# What an administrator may change, and must find again after an upgrade.
CONFFILES = {
    "/etc/default/stockade", "/etc/stockade/stockade.yaml", "/etc/stockade/watch.yaml", "/etc/stockade/policies.d/README",
}
UNITS = ("stockade.service", "stockade-watch.service")
# systemd-analyze's scale ends at 10; 3.0 is its "OK".
WORST_EXPOSURE = 30


def installed(root: Root, package: pathlib.Path) -> None:
    """A first installation: every file in its place, nothing changed on the way, nothing that enforces enabled."""
    root.run("dpkg", "-i", root.take(package))
    assert root.run("dpkg-query", "-W", "-f", "${Status}", "stockade").stdout == "install ok installed"
    assert root.run("dpkg", "-V", "stockade").stdout == "", "a file is not as the package has it"
    version = root.run("dpkg-query", "-W", "-f", "${Version}", "stockade").stdout.split("-")[0]
    assert root.run("stockade", "--version").stdout.strip() == f"stockade {version}"
    assert root.run("dpkg-query", "-W", "-f", "${Depends}", "stockade").stdout == "", "the program is static"
    listed = root.run("dpkg-query", "-W", "-f", "${Conffiles}", "stockade").stdout.split()
    assert CONFFILES == {word for word in listed if word.startswith("/")}, listed
    wanted = "/etc/systemd/system/multi-user.target.wants"
    links = [name for name in os.listdir(root.path / wanted.lstrip("/")) if name.startswith("stockade")]
    assert links == ["stockade-watch.service"], f"the watcher is enabled and the enforcer is not: {links}"


def modes(root: Root, package: pathlib.Path) -> None:
    """Everything belongs to root, nobody else may write, only the program may be run."""
    for line in root.run("dpkg", "-L", "stockade").stdout.split():
        about = (root.path / line.lstrip("/")).lstat()
        assert (about.st_uid, about.st_gid) == (0, 0), line
        runs = os.path.isdir(root.path / line.lstrip("/")) or line == "/usr/bin/stockade"
        assert about.st_mode & 0o7777 == (0o755 if runs else 0o644), f"{line}: {about.st_mode:o}"


def configurations(root: Root, package: pathlib.Path) -> None:
    """What is installed is good, and tries only; so are the examples."""
    for mode, file in (("dry_run", "stockade"), ("observe", "watch")):
        root.run("stockade", "check", "--no-host", f"/etc/stockade/{file}.yaml")
        assert f"mode: {mode}\n" in (root.path / f"etc/stockade/{file}.yaml").read_text(encoding="utf-8")
    examples = sorted((root.path / "usr/share/doc/stockade/examples").glob("*.yaml"))
    assert len(examples) > 5, examples
    root.run("stockade", "check", "--no-host", *(f"/{file.relative_to(root.path)}" for file in examples))


def pages(root: Root, package: pathlib.Path) -> None:
    """Each manual page renders, and is found by man under its name."""
    names = [path.name.removesuffix(".gz") for path in (root.path / "usr/share/man").glob("man[15]/stockade*.gz")]
    assert {"stockade.1", "stockade-serve.1", "stockade-undo.1"} <= set(names), names
    for name in names:
        page, _, section = name.rpartition(".")
        shown = root.run("man", "--warnings", "-E", "UTF-8", section, page)
        assert page in shown.stdout.lower() and not shown.stderr, f"{name}: {shown.stderr or shown.stdout[:200]}"


def completions(root: Root, package: pathlib.Path) -> None:
    """The shells' files are where the shells look, and bash takes its own."""
    root.run("bash", "-ec", ". /usr/share/bash-completion/completions/stockade; complete -p stockade")
    assert "#compdef stockade" in (root.path / "usr/share/zsh/vendor-completions/_stockade").read_text(encoding="utf-8")
    assert root.exists("/usr/share/fish/vendor_completions.d/stockade.fish")


def units(root: Root, package: pathlib.Path) -> None:
    """systemd finds nothing wrong with the units, and little that is exposed."""
    for unit in UNITS:
        verified = root.run("systemd-analyze", "verify", "--man=no", unit)
        said = [line for line in verified.stderr.splitlines() if "stockade" in line]
        assert not said, "\n".join(said)
        root.run("systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", unit)


def upgraded(root: Root, package: pathlib.Path) -> None:
    """The next version comes; what the administrator wrote stays, and what nobody touched is the new one's."""
    changed = root.path / "etc/stockade/stockade.yaml"
    changed.write_text("safety: {mode: observe}  # ours\n", encoding="utf-8")
    policy = root.path / "etc/stockade/policies.d/ours.yaml"
    policy.write_text("limits: []\n", encoding="utf-8")
    state = root.path / "var/lib/stockade/journal"
    state.mkdir(parents=True, mode=0o700)
    root.run("systemctl", "disable", "stockade-watch.service")
    newer = repacked(package, "9.0.0-1", root.path / "tmp")
    root.run("dpkg", "--force-confdef", "--force-confold", "-i", f"/tmp/{newer.name}")
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "stockade").stdout == "9.0.0-1"
    assert changed.read_text(encoding="utf-8") == "safety: {mode: observe}  # ours\n"
    assert "As the next version" in (root.path / "etc/stockade/watch.yaml").read_text(encoding="utf-8")
    assert policy.exists() and state.exists()
    links = root.path / "etc/systemd/system/multi-user.target.wants/stockade-watch.service"
    assert not links.is_symlink(), "what was disabled stays disabled"


def removed(root: Root, package: pathlib.Path) -> None:
    """The program goes, configuration and state stay. What is left to undo is asked for, and that there is nothing is no
    complaint."""
    done = root.run("dpkg", "-r", "stockade")
    assert not [line for line in done.stderr.splitlines() if line.startswith("stockade")], done.stderr
    assert not root.exists("/usr/bin/stockade") and not root.exists("/usr/lib/systemd/system/stockade.service")
    assert root.exists("/etc/stockade/stockade.yaml") and root.exists("/var/lib/stockade/journal")


def purged(root: Root, package: pathlib.Path) -> None:
    """Everything that the package brought or made goes; a file that the administrator made does not."""
    root.run("dpkg", "-P", "stockade")
    left = [path for path in CONFFILES if root.exists(path)]
    assert not left, left
    assert not root.exists("/var/lib/stockade") and not root.exists("/usr/share/doc/stockade")
    assert root.exists("/etc/stockade/policies.d/ours.yaml")
    state = list((root.path / "var/lib/systemd/deb-systemd-helper-enabled").rglob("*stockade*"))
    assert not state, state


# Each goes on from where the one before it left the root file system.
CASES = (installed, modes, configurations, pages, completions, units, upgraded, removed, purged)
