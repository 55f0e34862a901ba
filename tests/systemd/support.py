"""What every scenario needs: commands with a deadline, waiting for a condition, the daemon's answers."""

import contextlib
import json
import pathlib
import re
import subprocess
import time
import urllib.request

# An emulated CPU is some thirty times slower than a real one.
PATIENCE = 120.0
ADDRESS = "127.0.0.1:19306"
# The package's two units; one of them runs at a time.
WATCHER, ENFORCER = "stockade-watch.service", "stockade.service"
CONFIGURATION = pathlib.Path("/etc/stockade/stockade.yaml")
CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Failed(Exception):
    """Something is not as it must be."""


class Absent(Exception):
    """This system cannot have it; the text says why."""


def call(*command, patience: float = PATIENCE, **options) -> str:
    """Runs a command to its end and gives its output; a failure fails the scenario with what it said."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=patience, check=False, **options)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(words)}: no end within {patience:.0f} s") from late
    if done.returncode:
        raise Failed(f"{' '.join(words)}: exit {done.returncode}: {(done.stderr + done.stdout).strip()}")
    return done.stdout.strip()


def until(what: str, condition, patience: float = PATIENCE):
    """Waits until a condition gives something true, and gives it. What it raises counts as not yet."""
    deadline, last = time.monotonic() + patience, None
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (Failed, OSError, ValueError) as error:
            last = error
        # A look at all series takes an emulated program a while.
        time.sleep(0.3)
    raise Failed(f"not within {patience:.0f} s: {what}" + (f" ({last})" if last else ""))


def http(path: str) -> str:
    """What the daemon answers."""
    with urllib.request.urlopen(f"http://{ADDRESS}{path}", timeout=PATIENCE) as answer:
        return answer.read().decode()


def fails(*command) -> str:
    """Runs a command that must fail, and gives what it said."""
    try:
        said = call(*command)
    except Failed as failed:
        return str(failed)
    raise Failed(f"{' '.join(map(str, command))}: succeeded, and must not: {said}")


def held(what: str, condition) -> None:
    """Something must be so now."""
    if not condition:
        raise Failed(f"not so: {what}")


def shown(unit: str, name: str) -> str:
    """A unit's property, as systemd says it."""
    return call("systemctl", "show", "--value", f"--property={name}", unit)


def exported(pattern: str) -> bool:
    """Whether the daemon has a series like this: a regular expression over a line."""
    return re.search(pattern, http("/metrics"), re.MULTILINE) is not None


def ready() -> None:
    """Waits until the daemon answers."""
    until("the daemon is ready", lambda: http("/-/ready"))


def watching() -> None:
    """The watcher runs, as the package has set it up."""
    call("systemctl", "start", WATCHER)
    ready()


def configure(text: str) -> None:
    """Writes the enforcer's configuration."""
    CONFIGURATION.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def enforcing(text: str):
    """The enforcer runs with this configuration, and is stopped in the end, which undoes what it did."""
    configure(text)
    # It may run with what another scenario gave it.
    call("systemctl", "restart", ENFORCER)
    try:
        ready()
        yield
    finally:
        call("systemctl", "stop", ENFORCER)


def info(**labels: str) -> str:
    """The cgroup whose `cgroup_info` has all these labels, waited for."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]

    def found():
        lines = [line for line in http("/metrics").splitlines() if line.startswith("cgroup_info{")]
        for line in lines:
            if all(part in line for part in wanted):
                return line.split('cgroup="', 1)[1].split('"', 1)[0]
        # Those that have at least one of the labels, or there would be too many to read.
        near = [line for line in lines if any(part in line for part in wanted)]
        raise Failed(f"{len(lines)} cgroups, near it: " + " ".join(near))

    return until(f"a cgroup_info with {', '.join(wanted)}", found)


def listed() -> list:
    """The cgroups as `ls -J` lists them."""
    return json.loads(call("stockade", "ls", "-J", "--interval=0"))["cgroups"]


def busybox(directory: pathlib.Path) -> pathlib.Path:
    """A root file system for containers."""
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc", "run", "var", "usr", "root"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    program = directory / "bin/busybox"
    program.write_bytes(pathlib.Path("/usr/bin/busybox").read_bytes())
    program.chmod(0o755)
    for applet in ("sh", "sleep", "cat"):
        with contextlib.suppress(FileExistsError):
            (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/os-release").write_text("ID=busybox\n")
    return directory
