"""Looks at the kernel's files four times a second, whoever acts: pressure, use, and every control that changes.

It locks itself into memory and lives in a slice with a guaranteed minimum, because it must see what others suffer.
"""

import ctypes
import os
import pathlib
import time

from loads import PLACE
from units import ROOT

PERIOD_SECONDS = 0.25
# The share of a second that was waited is taken over this many samples.
WINDOW = 4
# Every so many samples all cgroups' controls are read, those of the scenario's own units each time.
SWEEP = 8

# A cgroup's controls settle within this time of its making.
NEW_SECONDS = 1.0
CONTROLS = ("memory.high", "memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max",
            "cgroup.freeze")
# Of mlockall(2).
MCL_CURRENT, MCL_FUTURE = 1, 2


def lock_memory() -> None:
    """Keeps this process in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE):
        raise OSError(ctypes.get_errno(), "mlockall")


def read(path: pathlib.Path) -> str:
    """A file's text, empty where it is not, or not any more."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def stalled(path: pathlib.Path):
    """The microseconds of `some` stall so far."""
    for line in read(path).splitlines():
        if line.startswith("some"):
            return int(line.rpartition("total=")[2])
    return None


class Sampler:
    """Samples of a run, and the changes that were seen."""

    def __init__(self, units, origin: float):
        self.units = units
        # The time of the culprits' beginning.
        self.origin = origin
        self.samples = []
        self.events = []
        # By cgroup: since when it is known, and its controls.
        self.controls = {}
        self.totals = []

    def now(self) -> float:
        return time.monotonic() - self.origin

    def sample(self) -> None:
        """Takes one sample."""
        at = self.now()
        totals = {"t": at, "memory": stalled("/proc/pressure/memory"), "cpu": stalled("/proc/pressure/cpu")}
        # Where the sampler itself came late the whole machine stood still, which is an emulated one: nobody's doing.
        lag = max(0.0, at - self.totals[-1]["t"] - PERIOD_SECONDS) if self.totals else 0.0
        units = {}
        for unit in self.units:
            place = ROOT / unit.path.lstrip("/")
            for resource in ("memory", "cpu"):
                totals[f"{unit.name} {resource}"] = stalled(place / f"{resource}.pressure")
            current, swap, pids = (read(place / name) for name in
                                   ("memory.current", "memory.swap.current", "pids.current"))
            units[unit.name] = {"late": self.late(unit.name, lag), "bytes": int(current or 0), "swap": int(swap or 0),
                                "pids": int(pids or 0)}
            self.look(unit.path, place)
        self.totals.append(totals)
        before = self.totals[-1 - min(WINDOW, len(self.totals) - 1)]
        shown = {"t": round(at, 2), "lag": round(lag, 2), "units": units}
        for resource in ("memory", "cpu"):
            shown[resource] = share(before, totals, resource) or 0.0
            for unit in self.units:
                units[unit.name][resource] = share(before, totals, f"{unit.name} {resource}")
        self.samples.append(shown)
        if len(self.samples) % SWEEP == 1:
            self.sweep()

    def late(self, name: str, lag: float):
        """How long a unit has not said anything, beyond the 0.1 s that it waits; None where it never did."""
        said = [float(fields[2]) for path in PLACE.glob(f"{name}.*")
                if len(fields := read(path).split()) == 3 and fields[1] == "0"]
        return round(max(0.0, time.monotonic() - max(said) - 0.1 - lag), 2) if said else None

    def sweep(self) -> None:
        """Looks at the controls of all cgroups of services and users."""
        for top in ("system.slice", "user.slice"):
            for place, _, _ in os.walk(ROOT / top):
                self.look(place[len(str(ROOT)):], pathlib.Path(place))

    def look(self, path: str, place: pathlib.Path) -> None:
        """Notes what of a cgroup's controls is not as it was."""
        found = {name: text for name in CONTROLS if (text := read(place / name))}
        if not found:
            return
        since, before = self.controls.get(path, (self.now(), {}))
        for name, text in found.items():
            # What systemd sets of a unit's own settings when it makes it is nobody's action.
            if before.get(name, text) != text and self.now() - since > NEW_SECONDS:
                self.events.append({"t": round(self.now(), 2), "cgroup": path, "control": name,
                                    "before": before[name], "after": text})
        self.controls[path] = (since, found)


def share(before: dict, after: dict, key: str):
    """The share of the time between two samples in which tasks waited."""
    elapsed = after["t"] - before["t"]
    if elapsed <= 0 or before.get(key) is None or after.get(key) is None:
        return None
    # A group that was made anew begins at nothing.
    return round(min(1.0, max(0, after[key] - before[key]) / 1e6 / elapsed), 3)
