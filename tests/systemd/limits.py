"""Limits of systemd's units, through systemd: in the kernel's files, in what systemd shows, and undone."""

import os
import signal

from installed import drop_in
from support import ENFORCER, call, held, ready, shown, until
from transient import (BY_HAND, audit_length, audited, clean, from_file, governing, hand, state, transient)

# What is asked for; what the kernel's file then says; what systemd shows.
KNOBS = (
    ("memory.high=96MiB", "memory.high", "100663296", "MemoryHigh", "100663296"),
    ("memory.max=192MiB", "memory.max", "201326592", "MemoryMax", "201326592"),
    ("memory.low=4MiB", "memory.low", "4194304", "MemoryLow", "4194304"),
    ("memory.min=2MiB", "memory.min", "2097152", "MemoryMin", "2097152"),
    ("memory.swap.max=8MiB", "memory.swap.max", "8388608", "MemorySwapMax", "8388608"),
    ("cpu.max=25%", "cpu.max", "25000 100000", "CPUQuotaPerSecUSec", "250ms"),
    ("cpu.weight=50", "cpu.weight", "50", "CPUWeight", "50"),
    ("io.weight=50", "io.weight", "default 50", "IOWeight", "50"),
    ("io.max=vda rbps=1MiB wiops=100", "io.max", "254:0 rbps=1048576 wbps=max riops=max wiops=100",
     "IOReadBandwidthMax", "/dev/vda 1048576"),
    ("io.max=vda rbps=1MiB wiops=100", "io.max", "254:0 rbps=1048576 wbps=max riops=max wiops=100",
     "IOWriteIOPSMax", "/dev/vda 100"),
    ("pids.max=77", "pids.max", "77", "TasksMax", "77"),
)
SETS = (
    ("cpuset.cpus=0", "cpuset.cpus.effective", "0", "AllowedCPUs", "0"),
    ("cpuset.mems=0", "cpuset.mems.effective", "0", "AllowedMemoryNodes", "0"),
)

POLICY = BY_HAND + """
policies:
  - name: narrow
    match: {path: "/**/stockade-test-growth.service"}
    when: {signal: memory.growth, above: 2MiB/s, for: 1s}
    steps: [{set: {memory.high: 90% of current}, at_least: 16MiB, ttl: 1m, relieved_within: 30s}]
    cooldown: {target: 10m, host: 0s}
"""
# Takes 4 MiB five times a second until it has 96 MiB.
GROWTH = """
import time
held = []
for _ in range(24):
    held.append(bytearray(b"x" * (4 << 20)))
    time.sleep(0.2)
time.sleep(1000)
"""


def in_force(unit, knobs) -> None:
    """Every knob is what was asked for, in the kernel and in systemd."""
    found = state(unit)
    for asked, file, kernel, name, systemd in knobs:
        held(f"{file} is {kernel!r} and not {found[file]!r} ({asked})", found[file] == kernel)
        held(f"{name} is {systemd!r} and not {found[name]!r} ({asked})", found[name] == systemd)


def set_and_undone(unit, knobs) -> None:
    """Knobs are set, survive a reload of systemd, and are undone."""
    governing()
    before = state(unit)
    hand("set", unit.cgroup, *sorted({knob[0] for knob in knobs}))
    in_force(unit, knobs)
    call("systemctl", "daemon-reload")
    in_force(unit, knobs)
    hand("undo", unit.cgroup)
    clean(unit, before)
    call("systemctl", "daemon-reload")
    clean(unit, before)


def every_knob() -> None:
    """Of a unit that has no limits of its own."""
    with transient("knobs") as unit:
        set_and_undone(unit, KNOBS)


def sets() -> None:
    """CPUs and memory nodes of a unit that had all of them."""
    with transient("sets") as unit:
        set_and_undone(unit, SETS)


def every_knob_of_a_file() -> None:
    """Of a unit whose file has values of its own, which are there again."""
    with from_file("own", "MemoryHigh=512M", "MemoryMax=600M", "MemoryLow=1M", "MemoryMin=512K", "MemorySwapMax=64M",
                   "CPUQuota=50%", "CPUWeight=200", "IOWeight=200", "IOReadBandwidthMax=/dev/vda 5M", "TasksMax=300",
                   "AllowedCPUs=0-1", "AllowedMemoryNodes=0") as unit:
        set_and_undone(unit, KNOBS + SETS)


def set_before_by_an_administrator() -> None:
    """What an administrator had set at run time is there again, and so is its drop-in."""
    with transient("before") as unit:
        governing()
        call("systemctl", "set-property", "--runtime", unit.name, "MemoryHigh=300M")
        before, drop_ins = state(unit), unit.drop_ins()
        hand("set", unit.cgroup, "memory.high=96MiB")
        held("it is set", unit.file("memory.high") == "100663296")
        hand("undo", unit.cgroup)
        call("systemctl", "daemon-reload")
        held("the administrator's value is there again", state(unit) == before)
        held("and the drop-in", unit.drop_ins() == drop_ins)


def reload_and_reexec() -> None:
    """A limit and a freeze stay through a daemon-reload and a daemon-reexec, and are undone after it."""
    with transient("reexec") as unit:
        governing()
        before = state(unit)
        hand("set", unit.cgroup, "memory.high=96MiB", "pids.max=77")
        hand("freeze", unit.cgroup, "--ttl", "1m")
        for word in ("daemon-reload", "daemon-reexec"):
            call("systemctl", word)
            found = state(unit)
            held(f"the limits are in force after a {word}: {found}", (
                found["memory.high"], found["pids.max"], found["MemoryHigh"]) == ("100663296", "77", "100663296"))
            held(f"it is frozen after a {word}", (found["cgroup.freeze"], found["FreezerState"]) == ("1", "frozen"))
        hand("undo", unit.cgroup)
        clean(unit, before)


def started_again() -> None:
    """The unit's next cgroup begins with what was set for the one before, and is given back what was there."""
    with from_file("again", "MemoryHigh=512M") as unit:
        governing()
        before = state(unit)
        hand("set", unit.cgroup, "memory.high=96MiB", "cpu.max=25%")
        call("systemctl", "restart", unit.name)
        until("the new cgroup is as the file says", lambda: unit.file("memory.high") == before["memory.high"]
              and unit.file("cpu.max") == before["cpu.max"])
        until("no drop-in is left", lambda: not unit.drop_ins())
        clean(unit, before)


def crash() -> None:
    """The daemon is killed with limits and a freeze in force: its unit undoes them."""
    with transient("crash") as unit:
        governing()
        before = state(unit)
        hand("set", unit.cgroup, "memory.high=96MiB", "cpu.max=25%", "pids.max=77")
        hand("freeze", unit.cgroup, "--ttl", "1m")
        os.kill(int(shown(ENFORCER, "MainPID")), signal.SIGKILL)
        until("everything is undone", lambda: state(unit) == before)
        clean(unit, before)
        until("it is started again", lambda: shown(ENFORCER, "ActiveState") == "active")
        ready()


def crash_without_a_second_look() -> None:
    """The same where its unit does not undo: the next start does, and says so."""
    with drop_in(ENFORCER, "ExecStopPost=\nRestartSec=1s\n"), transient("next-start") as unit:
        governing()
        call("systemctl", "restart", ENFORCER)
        ready()
        before, since = state(unit), audit_length()
        hand("set", unit.cgroup, "memory.high=96MiB", "cpu.max=25%")
        hand("freeze", unit.cgroup, "--ttl", "1m")
        os.kill(int(shown(ENFORCER, "MainPID")), signal.SIGKILL)
        until("everything is undone", lambda: state(unit) == before)
        until("the audit says so", lambda: {"memory.high", "cpu.max"} <= {
            row["control"] for row in audited(since, kind="recovery", outcome="restored")})
        clean(unit, before)
        ready()


def policy() -> None:
    """A service that grows is narrowed by a policy, and what was done is undone when it has ended."""
    governing(POLICY)
    since = audit_length()
    with transient("growth", command=("python3", "-c", GROWTH)) as unit:
        before = {name: "max" if name == "memory.high" else "infinity" for name in ("memory.high", "MemoryHigh")}

        def acted():
            return audited(since, kind="decision", policy="narrow", action="set", outcome="applied")

        row = until("the policy acts", acted)[0]
        held(f"the audit has what was changed: {row['changes']}",
             [change["control"] for change in row["changes"]] == ["memory.high"])
        until("it has all that it wants", lambda: int(unit.file("memory.current")) > 96 << 20)
        until("it is undone", lambda: audited(since, kind="decision", policy="narrow", action="undo", outcome="applied")
              and unit.file("memory.high") == "max")
        clean(unit, before)


SCENARIOS = {f"units_{one.__name__}": one
             for one in (every_knob, sets, every_knob_of_a_file, set_before_by_an_administrator,
                         reload_and_reexec, started_again, crash, crash_without_a_second_look, policy)}
