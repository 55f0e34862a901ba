"""Whose a cgroup is under systemd, who may write it, who wins, and what happens when nobody can be asked."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from runtimes import lingering
from support import CGROUPS, CONFIGURATION, Failed, call, held, shown, until
from transient import Unit, audit_length, audited, clean, end, governing, hand, refused, state, transient

# Who has no rights over systemd's units, and a configuration of their own.
NOBODY = 65534
THEIRS = """
safety: {{mode: enforce, scope: ["/**/stockade-test-*"], journal: {place}/journal, audit: {{path: {place}/audit}}}}
"""
# A unit that divides what it was given: its process is in a cgroup of its own making.
DIVIDED = ("sh", "-c",
           # Whoever mounts a hierarchy of v1 for a moment, as systemd-nspawn 252 does, leaves every process a line of it.
           'mine=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir "$mine/inner"; '
           'echo $$ >"$mine/inner/cgroup.procs"; '
           # A process that has just ended in it may still be counted.
           'until echo +pids >"$mine/cgroup.subtree_control"; do sleep 0.2; done; exec sleep 1000')
# A call that nobody answers is given up after 4 s; an action makes a few, on an emulated machine.
NO_HANG = 40.0


def inside_of_a_unit() -> None:
    """What lies within a unit that is not delegated is nobody's to write."""
    with transient("whole") as unit:
        governing()
        inner = CGROUPS / unit.cgroup.lstrip("/") / "inner"
        inner.mkdir()
        said = refused(3, "freeze", f"{unit.cgroup}/inner")
        held(f"it says whose it is: {said}", unit.name in said and "Delegate=yes" in said)
        held("nothing was written", (inner / "cgroup.freeze").read_text() == "0\n")
        inner.rmdir()


def divided(unit: Unit, inner: pathlib.Path) -> bool:
    """Whether a unit has handed its controllers to the cgroup below it."""
    if (inner / "pids.max").exists():
        return True
    raise Failed(call("journalctl", "--lines=2", "--output=cat", f"--unit={unit.name}"))


def delegated() -> None:
    """What lies within a delegated unit is written directly; the unit itself is systemd's."""
    with transient("divided", "Delegate=yes", command=DIVIDED) as unit:
        governing()
        inner = CGROUPS / unit.cgroup.lstrip("/") / "inner"
        until("it has divided itself", lambda: divided(unit, inner))
        hand("set", f"{unit.cgroup}/inner", "pids.max=50")
        held("the kernel has it", unit.file("pids.max", "inner") == "50")
        hand("freeze", f"{unit.cgroup}/inner", "--ttl", "1m")
        held("it is frozen", "frozen 1" in unit.file("cgroup.events", "inner"))
        held("systemd was not asked", not unit.drop_ins() and unit.shows("FreezerState") == "running")
        hand("undo", f"{unit.cgroup}/inner")
        held("it is undone", unit.file("pids.max", "inner") == "max")
        held("and thawed", "frozen 0" in unit.file("cgroup.events", "inner"))
        before = state(unit)
        hand("set", unit.cgroup, "memory.high=96MiB")
        held("systemd was asked for the unit itself", unit.shows("MemoryHigh") == "100663296" and unit.drop_ins())
        hand("undo", unit.cgroup)
        clean(unit, before)


def user_manager() -> None:
    """A user's manager is a unit, and what is below it has been given to it."""
    uid = lingering("ada")
    unit = Unit(f"user@{uid}.service")
    governing()
    until("it has divided itself", lambda: unit.file("pids.max", "app.slice"))
    before = state(unit)
    hand("set", unit.cgroup, "memory.high=300MiB")
    held("systemd was asked", unit.shows("MemoryHigh") == str(300 << 20) == unit.file("memory.high"))
    hand("set", f"{unit.cgroup}/app.slice", "pids.max=400")
    held("the kernel has it", unit.file("pids.max", "app.slice") == "400")
    hand("undo", f"{unit.cgroup}/app.slice")
    hand("undo", unit.cgroup)
    held("the slice has no limit again", unit.file("pids.max", "app.slice") == "max")
    clean(unit, before)


def transient_scope() -> None:
    """A scope, which has processes that systemd did not start."""
    unit = Unit("stockade-test-sheet.scope")
    process = subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={unit.name}", "sleep", "1000"])
    try:
        until("it runs", lambda: unit.shows("ActiveState") == "active" and unit.cgroup)
        governing()
        before = state(unit)
        hand("set", unit.cgroup, "memory.high=96MiB", "cpu.max=25%")
        held("systemd was asked", unit.shows("MemoryHigh") == "100663296" and unit.file("cpu.max") == "25000 100000")
        hand("freeze", unit.cgroup, "--ttl", "1m")
        held("systemd shows it frozen", unit.shows("FreezerState") == "frozen")
        hand("undo", unit.cgroup)
        clean(unit, before)
        hand("kill", unit.cgroup, "--signal", "KILL")
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        end(unit)


@contextlib.contextmanager
def without_bus():
    """Nobody listens on the system bus. systemctl has a line of its own."""
    call("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        yield
    finally:
        call("systemctl", "start", "dbus.socket", "dbus.service")


@contextlib.contextmanager
def silent_bus():
    """The system bus takes everything and passes nothing on."""
    bus = int(shown("dbus.service", "MainPID"))
    os.kill(bus, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(bus, signal.SIGCONT)


def gives_up(unit, what: str) -> None:
    """A limit and a freeze come to nothing in good time, and it is said why."""
    for words in (("set", unit.cgroup, "memory.high=96MiB"), ("freeze", unit.cgroup, "--ttl", "1m")):
        begun = time.monotonic()
        said = refused(1, *words)
        held(f"it is said why: {said}", what in said)
        held("it does not hang", time.monotonic() - begun < NO_HANG)


def works(unit, before: dict) -> None:
    """A limit is set and undone, through systemd."""
    hand("set", unit.cgroup, "memory.high=96MiB")
    held("systemd was asked", unit.shows("MemoryHigh") == "100663296")
    hand("undo", unit.cgroup)
    clean(unit, before)


def no_bus() -> None:
    """Without a bus nothing is done and nothing hangs; what could not be put back is, when the bus is there again."""
    with transient("no-bus") as unit:
        governing()
        before = state(unit)
        hand("set", unit.cgroup, "pids.max=77")
        with without_bus():
            gives_up(unit, "cannot be reached")
            refused(1, "undo", unit.cgroup)
            held("nothing is pretended", unit.file("pids.max") == "77")
        hand("undo", unit.cgroup)
        clean(unit, before)
        works(unit, before)


def slow_bus() -> None:
    """A bus that passes nothing on is given up; what it does late is undone as well."""
    with transient("slow-bus") as unit:
        governing()
        before = state(unit)
        with silent_bus():
            gives_up(unit, "did not answer")
        hand("undo", unit.cgroup)
        clean(unit, before)
        works(unit, before)


def denied() -> None:
    """systemd refuses whom polkit does not know, and it is said."""
    with transient("denied") as unit, tempfile.TemporaryDirectory() as place:
        before = state(unit)
        file = pathlib.Path(place) / "theirs.yaml"
        file.write_text(THEIRS.format(place=place), encoding="utf-8")
        os.chown(place, NOBODY, NOBODY)
        command = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", "stockade", "set", unit.cgroup,
                   "memory.high=96MiB", "--config", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=NO_HANG)
        said = done.stdout + done.stderr
        held(f"it is said why: {said}", done.returncode == 1 and "systemd refuses" in said)
        clean(unit, before)


def administrator_limits() -> None:
    """What an administrator sets over ours stays, and the audit has it."""
    with transient("admin") as unit:
        governing()
        since = audit_length()
        hand("set", unit.cgroup, "memory.high=96MiB", "pids.max=77")
        call("systemctl", "set-property", "--runtime", unit.name, "MemoryHigh=200M")
        until("the audit has it", lambda: [row for row in audited(since, kind="drift", control="memory.high")
                                           if row["answer"] == "yield"])
        hand("undo", unit.cgroup)
        call("systemctl", "daemon-reload")
        held("the administrator's value stays", unit.file("memory.high") == str(200 << 20) == unit.shows("MemoryHigh"))
        held("and its drop-in", [path for path in unit.drop_ins() if path.endswith("/50-MemoryHigh.conf")])
        held("ours is undone", unit.file("pids.max") != "77" and len(unit.drop_ins()) == 1)


def administrator_thaws() -> None:
    """A unit that an administrator thaws stays thawed, and the audit has it at once."""
    with transient("thawed") as unit:
        governing()
        since = audit_length()
        hand("freeze", unit.cgroup, "--ttl", "10m")
        call("systemctl", "thaw", unit.name)
        held("it runs", unit.shows("FreezerState") == "running" and unit.file("cgroup.freeze") == "0")
        told = until("the audit has it", lambda: audited(since, kind="drift", control="cgroup.freeze"))
        held(f"it is let go of: {told}", [row["answer"] for row in told] == ["yield"])
        said = hand("undo", unit.cgroup)
        held(f"nothing is left to undo: {said}", "nothing of it was in force" in said)
        held("it still runs", unit.shows("FreezerState") == "running" and unit.file("cgroup.freeze") == "0")


def vanished() -> None:
    """A unit that ends while it is acted on: nothing is done to what comes after it."""
    with transient("vanished") as unit:
        governing()
        cgroup = unit.cgroup
        with silent_bus():
            words = ["stockade", "set", cgroup, "memory.high=96MiB", "--config", str(CONFIGURATION)]
            with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asked:
                time.sleep(1)
                call("systemctl", "stop", unit.name)
                os.kill(int(shown("dbus.service", "MainPID")), signal.SIGCONT)
                said = asked.communicate(timeout=NO_HANG)[0]
        held(f"it says so: {said}", asked.returncode == 1 and "vanished" in said)
        held(f"no drop-in is left: {unit.drop_ins()}", not unit.drop_ins())


SCENARIOS = {f"owners_{one.__name__}": one
             for one in (inside_of_a_unit, delegated, user_manager, transient_scope, no_bus, slow_bus, denied,
                         administrator_limits, administrator_thaws, vanished)}
