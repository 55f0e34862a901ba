"""What is done to systemd's units besides limits: freezing, signals, restarts and stops, and what bounds them."""

import contextlib

from support import CGROUPS, held, until
from transient import BY_HAND, audit_length, audited, from_file, governing, hand, refused, transient

ONCE = BY_HAND.replace("target: {max: 20, per: 1h}", "target: {max: 1, per: 1h}")
STEPS = ONCE + """
policies:
  - name: again
    match: {path: "/**/stockade-test-restarted.service"}
    when: {signal: age, above: 0s}
    steps: [{restart: {}, relieved_within: 1h}]
    cooldown: {target: 0s, host: 0s}
  - name: enough
    match: {path: "/**/stockade-test-stopped.service"}
    when: {signal: age, above: 0s}
    steps: [{stop: {}, relieved_within: 1h}]
"""


def main_pid(unit) -> int:
    return int(unit.shows("MainPID"))


def running_again(unit, pid: int) -> None:
    """Another process of the unit runs."""
    until(f"{unit.name} runs again", lambda: main_pid(unit) not in (0, pid) and unit.shows("ActiveState") == "active")


def freeze() -> None:
    """systemd knows that a unit is frozen, and that it is thawed: by hand, and when the time is over."""
    with transient("freeze") as unit:
        governing()
        for end in ("by hand", "its time"):
            hand("freeze", unit.cgroup, "--ttl", "1m" if end == "by hand" else "2s")
            if end == "by hand":
                held("systemd shows it", unit.shows("FreezerState") == "frozen")
                held("every task stands", "frozen 1" in unit.file("cgroup.events"))
                hand("thaw", unit.cgroup)
            until(f"systemd shows that it runs, after {end}", lambda: unit.shows("FreezerState") == "running")
            held("the tasks run", "frozen 0" in unit.file("cgroup.events"))


def killed(name: str, frozen: bool) -> None:
    """A service that is always started again is killed, and is another cgroup then."""
    with transient(name, "Restart=always", "RestartSec=100ms") as unit:
        governing()
        since, pid, inode = audit_length(), main_pid(unit), (CGROUPS / unit.cgroup.lstrip("/")).stat().st_ino
        if frozen:
            hand("freeze", unit.cgroup, "--ttl", "1m")
        hand("kill", unit.cgroup, "--signal", "KILL")
        held("the audit has it", audited(since, kind="decision", action="kill", outcome="applied"))
        running_again(unit, pid)
        held("it is another cgroup", (CGROUPS / unit.cgroup.lstrip("/")).stat().st_ino != inode)
        held("it is not frozen", unit.shows("FreezerState") == "running")


def kill() -> None:
    """systemd starts it again."""
    killed("kill", False)


def kill_of_a_frozen() -> None:
    """The same for a frozen one."""
    killed("kill-frozen", True)


def kill_with_grace() -> None:
    """Who does not end at the first signal is killed after the grace."""
    with transient("deaf", command=("sh", "-c", "trap '' TERM; while :; do sleep 1; done")) as unit:
        governing()
        hand("kill", unit.cgroup, "--signal", "TERM", "--grace", "1s")
        until("none is left", lambda: unit.shows("ActiveState") != "active")


def restarted(name: str, frozen: bool) -> None:
    """A restart by hand: another process, which runs."""
    with from_file(name) as unit:
        governing()
        pid, since = main_pid(unit), audit_length()
        if frozen:
            hand("freeze", unit.cgroup, "--ttl", "1m")
        hand("restart", unit.cgroup)
        running_again(unit, pid)
        held("it is not frozen", unit.shows("FreezerState") == "running")
        held("the audit has it", audited(since, policy="by hand", action="restart", outcome="applied"))


def restart() -> None:
    """Of a unit that runs."""
    restarted("restart", False)


def restart_of_a_frozen() -> None:
    """Of a unit that is frozen."""
    restarted("restart-frozen", True)


def stop_by_hand(name: str, frozen: bool) -> None:
    """A stop by hand: it stays stopped, whatever its Restart= says."""
    with from_file(name, "Restart=always", "RestartSec=100ms") as unit:
        governing()
        since = audit_length()
        if frozen:
            hand("freeze", unit.cgroup, "--ttl", "1m")
        hand("stop", unit.cgroup)
        until("it is stopped", lambda: unit.shows("ActiveState") == "inactive")
        held("it was not started again", unit.shows("NRestarts") == "0")
        held("the audit has it", audited(since, kind="decision", action="stop", outcome="applied"))


def stop() -> None:
    """Of a unit that runs."""
    stop_by_hand("stop", False)


def stop_of_a_frozen() -> None:
    """Of a unit that is frozen."""
    stop_by_hand("stop-frozen", True)


def budget() -> None:
    """A restart counts as a kill does: the next one of the same unit, by whatever means, is refused."""
    with from_file("budget") as unit:
        governing(ONCE)
        hand("restart", unit.cgroup)
        for words in (("restart",), ("stop",), ("kill", "--signal", "KILL")):
            said = refused(3, words[0], unit.cgroup, *words[1:])
            held(f"the budget is named: {said}", "budget" in said)
        held("it runs", unit.shows("ActiveState") == "active")


def steps() -> None:
    """Restart and stop as steps of policies; the budget refuses the second restart of a unit that comes back."""
    with contextlib.ExitStack() as stack:
        restarted = stack.enter_context(from_file("restarted"))
        since, pid = audit_length(), main_pid(restarted)
        governing(STEPS)
        running_again(restarted, pid)
        until("the second restart is refused", lambda: audited(since, policy="again", outcome="budget"))
        held("there was one restart", len(audited(since, policy="again", action="restart", outcome="applied")) == 1)
        stopped = stack.enter_context(from_file("stopped"))
        until("the other is stopped", lambda: stopped.shows("ActiveState") == "inactive")
        held("the audit has it", audited(since, policy="enough", action="stop"))


SCENARIOS = {f"units_{one.__name__}": one
             for one in (freeze, kill, kill_of_a_frozen, kill_with_grace, restart, restart_of_a_frozen, stop,
                         stop_of_a_frozen, budget, steps)}
