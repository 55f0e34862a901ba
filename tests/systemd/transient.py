"""Units of a scenario's own: started by systemd-run or from a unit file, looked at, and taken away."""

import contextlib
import json
import pathlib
import subprocess

from support import CGROUPS, CONFIGURATION, ENFORCER, Failed, call, configure, held, ready, shown, until

# Where systemd keeps what was set at run time: of units from files, and of transient ones.
DROP_INS = [pathlib.Path("/run/systemd") / place for place in ("system.control", "transient")]
UNIT_FILES = pathlib.Path("/run/systemd/system")
AUDIT = pathlib.Path("/var/lib/stockade/audit.jsonl")

# Enforces by hand only, and on the scenarios' own units. Without any rule the daemon would hold no journal.
BY_HAND = """
collect: {interval: 500ms}
safety:
  mode: enforce
  scope: ["/**/stockade-test-*", "/**/stockade-test-*/**", "/**/user@*.service", "/**/user@*.service/**"]
  kill_budget: {target: {max: 20, per: 1h}, host: {max: 200, per: 1h}}
limits: [{name: nothing, match: {path: "/stockade-test-nothing"}, set: {pids.max: 77}}]
"""


class Unit:
    """A unit, and its cgroup."""

    def __init__(self, name: str):
        self.name = name
        self._cgroup = ""

    @property
    def cgroup(self) -> str:
        """The path of its cgroup, empty before it has one; the next one that it gets has the same."""
        self._cgroup = self._cgroup or shown(self.name, "ControlGroup")
        return self._cgroup

    def shows(self, name: str) -> str:
        """A property, as systemd says it."""
        return shown(self.name, name)

    def file(self, control: str, below: str = "") -> str:
        """What the kernel says; where a controller is off, that is what the parent has, or no limit."""
        group = CGROUPS / self.cgroup.lstrip("/") / below
        if control.endswith(".effective"):
            group = next(one for one in (group, *group.parents) if (one / control).exists())
        with contextlib.suppress(FileNotFoundError):
            return (group / control).read_text().strip()
        return UNLIMITED[control]

    def drop_ins(self) -> list:
        """The settings that were made at run time."""
        return sorted(str(path) for place in DROP_INS for path in (place / f"{self.name}.d").glob("*"))


UNLIMITED = {"cpu.max": "max 100000", "cpu.weight": "100", "io.weight": "default 100", "io.max": ""}


def end(unit: Unit) -> None:
    """Stops a unit, frozen or not, and forgets how it ended."""
    for command in (("thaw",), ("stop",), ("reset-failed",)):
        # Each fails where there is nothing left to do.
        subprocess.run(["systemctl", *command, unit.name], capture_output=True, check=False, timeout=120)


@contextlib.contextmanager
def transient(name: str, *properties: str, command=("sleep", "1000"), options=()):
    """A transient service named stockade-test-NAME, which runs until the end."""
    unit = Unit(f"stockade-test-{name}.service")
    call("systemd-run", "--quiet", f"--unit={unit.name}", *options, *(f"--property={one}" for one in properties),
         *command)
    try:
        until(f"{unit.name} runs", lambda: unit.shows("ActiveState") == "active" and unit.cgroup)
        yield unit
    finally:
        end(unit)


@contextlib.contextmanager
def from_file(name: str, *settings: str):
    """A service with a unit file, named stockade-test-NAME, which runs until the end."""
    unit = Unit(f"stockade-test-{name}.service")
    lines = ["[Service]", "ExecStart=sleep 1000", *settings]
    (UNIT_FILES / unit.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        call("systemctl", "daemon-reload")
        call("systemctl", "start", unit.name)
        yield unit
    finally:
        end(unit)
        (UNIT_FILES / unit.name).unlink()
        call("systemctl", "daemon-reload")


def governing(text: str = BY_HAND) -> None:
    """The enforcer runs with this configuration, and goes on for the next scenario."""
    if CONFIGURATION.read_text(encoding="utf-8") != text or shown(ENFORCER, "ActiveState") != "active":
        configure(text)
        call("systemctl", "restart", ENFORCER)
    ready()


def hand(*words) -> str:
    """A command by hand, which must succeed."""
    return call("stockade", *words, "--config", CONFIGURATION)


def refused(code: int, *words) -> str:
    """A command by hand that must end with this code; gives what it said."""
    command = ["stockade", *map(str, words), "--config", str(CONFIGURATION)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = (done.stdout + done.stderr).strip()
    if done.returncode != code:
        raise Failed(f"stockade {' '.join(map(str, words))}: exit {done.returncode} and not {code}: {said}")
    return said


def audited(since: int, **wanted) -> list:
    """The audit's lines after that many, with these values."""
    rows = [json.loads(line) for line in AUDIT.read_text(encoding="utf-8").splitlines()[since:]]
    return [row for row in rows if all(row.get(name) == what for name, what in wanted.items())]


def audit_length() -> int:
    """How many lines the audit has."""
    return len(AUDIT.read_text(encoding="utf-8").splitlines()) if AUDIT.exists() else 0


def clean(unit: Unit, before: dict) -> None:
    """Everything is as it was, in the kernel and in what systemd shows, and no drop-in is left."""
    now = state(unit)
    for name, was in before.items():
        held(f"{name} of {unit.name} is {was!r} again, and not {now[name]!r}", now[name] == was)
    held(f"no drop-in is left: {unit.drop_ins()}", not unit.drop_ins())


# What is read of a unit to see that nothing has changed.
FILES = ("memory.high", "memory.max", "memory.low", "memory.min", "memory.swap.max", "cpu.max", "cpu.weight",
         "io.weight", "io.max", "pids.max", "cpuset.cpus.effective", "cpuset.mems.effective", "cgroup.freeze")
PROPERTIES = ("MemoryHigh", "MemoryMax", "MemoryLow", "MemoryMin", "MemorySwapMax", "CPUQuotaPerSecUSec", "CPUWeight",
              "IOWeight", "IOReadBandwidthMax", "IOWriteIOPSMax", "TasksMax", "AllowedCPUs", "AllowedMemoryNodes",
              "FreezerState")


def state(unit: Unit) -> dict:
    """What the kernel and systemd say of a unit."""
    shows = dict(line.split("=", 1) for line in
                 call("systemctl", "show", f"--property={','.join(PROPERTIES)}", unit.name).splitlines())
    return {name: unit.file(name) for name in FILES} | {name: shows.get(name, "") for name in PROPERTIES}
