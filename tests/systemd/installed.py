"""The installed package under systemd: its units with the rights that they give and no others, and its end."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

from support import (CGROUPS, ENFORCER, WATCHER, call, configure, enforcing, exported, fails, held, ready, shown, until,
                     watching)

WATCHES = pathlib.Path("/etc/stockade/watch.yaml")
GROUP = CGROUPS / f"stockade-test-hog-{os.getpid()}"
# On these kernels a file system of control groups takes no fanotify mark.
WITHOUT_FANOTIFY = ("5.", "6.1.")

RULES = """
collect: {{interval: 500ms}}
safety:
  mode: {mode}
  scope: ["/stockade-test-hog-*"]
  freeze_max: 10m
  kill_budget: {{target: {{max: 9, per: 1m}}, host: {{max: 9, per: 1m}}}}
limits: [{{name: cap, match: {{path: "/stockade-test-hog-*"}}, set: {{pids.max: 77}}}}]
policies:
  - name: hog
    match: {{path: "/stockade-test-hog-*"}}
    when: {{signal: age, above: 0s}}
    steps: [{{freeze: {{ttl: 10m}}, relieved_within: 1h}}]
  - name: pressure
    match: {{path: "/stockade-test-hog-*"}}
    when: {{signal: cpu.pressure.some.avg10, above: 99%, for: 1h}}
    steps: [notify: {{}}]
"""
DRY_RUN, ENFORCE = RULES.format(mode="dry_run"), RULES.format(mode="enforce")


@contextlib.contextmanager
def hog():
    """Somebody else's cgroup with a process of theirs in it, and files that their owner has closed."""
    GROUP.mkdir()
    process = subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", "sleep", "1000"])
    try:
        (GROUP / "cgroup.procs").write_text(str(process.pid))
        for path in (GROUP, *GROUP.iterdir()):
            shutil.chown(path, 65534)
        for name in ("pids.max", "cgroup.freeze"):
            (GROUP / name).chmod(0o600)
        yield
    finally:
        process.kill()
        process.wait()
        until(f"{GROUP} is removed", lambda: GROUP.rmdir() is None)


@contextlib.contextmanager
def drop_in(unit: str, text: str):
    """More settings of a unit, until the end."""
    directory = pathlib.Path(f"/run/systemd/system/{unit}.d")
    directory.mkdir(parents=True)
    (directory / "test.conf").write_text(f"[Service]\n{text}", encoding="ascii")
    try:
        call("systemctl", "daemon-reload")
        yield
    finally:
        shutil.rmtree(directory)
        call("systemctl", "daemon-reload")


def limited() -> bool:
    return (GROUP / "pids.max").read_text() == "77\n"


def frozen() -> bool:
    return "frozen 1" in (GROUP / "cgroup.events").read_text()


def untouched() -> bool:
    return (GROUP / "pids.max").read_text() == "max\n" and not frozen()


def pid(unit: str) -> int:
    return int(shown(unit, "MainPID"))


def capabilities(unit: str) -> set:
    """The sets of the running program, as bit masks in hexadecimal: what it may have, and what it has."""
    lines = pathlib.Path(f"/proc/{pid(unit)}/status").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith(("CapBnd:", "CapEff:"))}


def logged(unit: str) -> str:
    return call("journalctl", "--output=cat", f"--unit={unit}")


def watcher() -> None:
    """The package has enabled and started it. It sees everything, and can do nothing."""
    until("the watcher is active after its installation", lambda: shown(WATCHER, "ActiveState") == "active")
    call("systemctl", "stop", WATCHER)
    call("systemctl", "start", "multi-user.target")
    until("what a boot starts has the watcher started", lambda: shown(WATCHER, "ActiveState") == "active")
    fails("systemctl", "is-enabled", ENFORCER)
    held("the enforcer does not run", shown(ENFORCER, "ActiveState") == "inactive")
    ready()
    until("its status says what it does", lambda: shown(WATCHER, "StatusText").startswith("watching ")
          and shown(WATCHER, "StatusText").endswith(" cgroups; nothing is enforced"))
    held("it has two capabilities", capabilities(WATCHER) == {"0000000000080004"})
    held("it is not root", pathlib.Path(f"/proc/{pid(WATCHER)}").stat().st_uid != 0)
    held("it cannot write to a control group",
         " /sys/fs/cgroup ro," in pathlib.Path(f"/proc/{pid(WATCHER)}/mountinfo").read_text())
    for what, series in (
            ("it sees the cgroups", '^cgroup_memory_current_bytes{cgroup="/system.slice/stockade-watch.service"}'),
            ("it sees the namespaces of processes of root", '^cgroup_namespaces{cgroup="/init.scope"'),
            ("it notices by inotify", '^stockade_watch_method{method="inotify"} 1')):
        until(what, lambda series=series: exported(series))
    held("nothing is denied to it", not exported("^stockade_read_faults_total.*permission.* [1-9]"))


def fanotify() -> str:
    """The drop-in of the manual gives the watcher what fanotify asks for; what this kernel cannot, it does not miss."""
    method = "inotify" if os.uname().release.startswith(WITHOUT_FANOTIFY) else "fanotify"
    with drop_in(WATCHER, "AmbientCapabilities=CAP_SYS_ADMIN\nCapabilityBoundingSet=CAP_SYS_ADMIN\n"
                          "SystemCallFilter=fanotify_init fanotify_mark\n"):
        call("systemctl", "restart", WATCHER)
        until(f"it notices by {method}", lambda: exported(f'^stockade_watch_method{{method="{method}"}} 1'))
    call("systemctl", "restart", WATCHER)
    return method


def no_enforcing() -> None:
    """The watcher does not start to enforce, and says why."""
    before = WATCHES.read_text(encoding="utf-8")
    WATCHES.write_text(before.replace("observe", "enforce"), encoding="utf-8")
    try:
        fails("systemctl", "restart", WATCHER)
        until("it says why", lambda: "/sys/fs/cgroup is mounted read-only: mount it read-write "
              "(a systemd unit: ProtectControlGroups=no" in logged(WATCHER))
    finally:
        WATCHES.write_text(before, encoding="utf-8")
        call("systemctl", "reset-failed", WATCHER)
        watching()


def enforcer() -> None:
    """It does nothing in a dry run, and what it is told to after a reload, with four capabilities."""
    with hog(), enforcing(DRY_RUN):
        held("the watcher has made room for it", shown(WATCHER, "ActiveState") == "inactive")
        until("its status says dry_run", lambda: shown(ENFORCER, "StatusText").startswith("dry_run: "))
        until("it decides", lambda: exported('outcome="dry_run",policy="hog"} [1-9]'))
        held("it does nothing in dry_run", untouched())
        held("it has four capabilities", capabilities(ENFORCER) == {"0000000001080022"})
        configure(ENFORCE)
        call("systemctl", "reload", ENFORCER)
        until("a limit of somebody else's group is set", limited)
        until("and the group frozen", frozen)
        until("its status says how much is in force", lambda: shown(ENFORCER, "StatusText").startswith("enforce: ")
              and shown(ENFORCER, "StatusText").endswith(" 2 changes in force"))
        until("the kernel wakes it for pressure", lambda: exported("^stockade_triggers_armed [1-9]"))
        until("it sees the namespaces of other users",
              lambda: exported('^cgroup_namespaces{cgroup="/stockade-test-hog-'))
        call("stockade", "kill", f"/{GROUP.name}", "--signal", "TERM", "--grace", "1s", "--config",
             "/etc/stockade/stockade.yaml")
        until("a kill by hand reaches a process of another user",
              lambda: "populated 0" in (GROUP / "cgroup.events").read_text())


def reload_refused() -> None:
    """A wrong configuration fails the reload, and leaves the program with the old one."""
    with hog(), enforcing(ENFORCE):
        until("it enforces", limited)
        configure("safety: [\n")
        fails("systemctl", "reload", ENFORCER)
        held("it runs", shown(ENFORCER, "ActiveState") == "active")
        held("the old configuration is in force", limited())


def crash() -> None:
    """Everything is undone when the program was killed, whatever the configuration has become; then it goes on."""
    with hog(), enforcing(ENFORCE):
        until("it enforces", lambda: limited() and frozen())
        configure("safety: [\n")
        os.kill(pid(ENFORCER), signal.SIGKILL)
        until("everything is undone", untouched)
        configure(ENFORCE)
        call("systemctl", "reset-failed", ENFORCER)
        call("systemctl", "start", ENFORCER)
        until("it enforces again", limited)


def watchdog() -> None:
    """A program that hangs is started again, and one that does not is left alone."""
    with hog(), drop_in(ENFORCER, "WatchdogSec=8s\nTimeoutAbortSec=2s\nRestartSec=1s\n"), enforcing(ENFORCE):
        until("it enforces", limited)
        before = int(shown(ENFORCER, "NRestarts"))
        # More than the watchdog's time.
        time.sleep(10)
        held("signs of life keep the watchdog quiet", int(shown(ENFORCER, "NRestarts")) == before)
        os.kill(pid(ENFORCER), signal.SIGSTOP)
        until("it is started again", lambda: int(shown(ENFORCER, "NRestarts")) == before + 1)
        until("it enforces again", lambda: pid(ENFORCER) and limited())


def one_at_a_time() -> None:
    """The watcher and the enforcer do not run side by side, and the end of the enforcer undoes what it did."""
    with hog(), enforcing(ENFORCE):
        until("it enforces", lambda: limited() and frozen())
        for word in ("start", "restart"):
            call("systemctl", word, WATCHER)
            held("the enforcer has made room for the watcher", shown(ENFORCER, "ActiveState") == "inactive")
            held("what it did was undone", untouched())
            call("systemctl", word, ENFORCER)
            held("the watcher has made room for the enforcer", shown(WATCHER, "ActiveState") == "inactive")
            until("it enforces again", limited)
        call("systemctl", "stop", ENFORCER)
        held("its end undoes everything", untouched())
        held("it ended well", shown(ENFORCER, "Result") == "success")


def removal() -> None:
    """The package is removed while its program enforces, which undoes everything; a purge takes the state."""
    with hog():
        configure(ENFORCE)
        call("systemctl", "enable", ENFORCER)
        call("systemctl", "restart", ENFORCER)
        until("it enforces", limited)
        call("dpkg", "--remove", "stockade")
        held("everything is undone", untouched())
        for unit in (ENFORCER, WATCHER):
            held(f"{unit} does not run", shown(unit, "ActiveState") != "active")
        call("dpkg", "--purge", "stockade")
        for state in ("stockade", "private/stockade-watch"):
            held(f"{state} is gone", not (pathlib.Path("/var/lib") / state).exists())


# The last takes away what all others need.
SCENARIOS = {f"package_{one.__name__}": one
             for one in (watcher, fanotify, no_enforcing, enforcer, reload_refused, crash, watchdog, one_at_a_time)}
LAST = {"package_removal": removal}
