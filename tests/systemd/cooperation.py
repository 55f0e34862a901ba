"""Who manages a cgroup by systemd's own word, what is left to systemd-oomd, and a unit that systemd starts again."""

import contextlib
import json
import pathlib

from support import CGROUPS, CONFIGURATION, Failed, call, enforcing, until

# Where the unit may write.
WORK = pathlib.Path("/var/lib/stockade/cooperation")
SLICE = "coop.slice"
KILLER = """collect: {{interval: 500ms}}
safety:
  mode: enforce
  scope: ["/{slice}/**"]
  journal: {work}/journal
  {more}
policies:
  - name: killer
    match: {{path: "/{slice}/*.service"}}
    when: {{signal: pids.current, above: 0}}
    victim: {{rank: [pids.current], max: 9}}
    steps: [{{kill: {{signal: KILL}}}}]
    cooldown: {{target: 0s, host: 0s}}
"""


@contextlib.contextmanager
def unit(name: str, *properties: str, slice_: str = SLICE):
    """A service that sleeps; gives its cgroup."""
    call("systemd-run", "--quiet", f"--unit={name}", f"--slice={slice_}",
         *(f"--property={one}" for one in properties), "/bin/sleep", "600")
    try:
        yield f"/{slice_}/{name}"
    finally:
        call("systemctl", "stop", name)
        with contextlib.suppress(Failed):
            call("systemctl", "reset-failed", name)


def configured(more: str) -> str:
    """A configuration with an empty journal and no audit."""
    call("rm", "-rf", WORK)
    WORK.mkdir(parents=True)
    return KILLER.format(slice=SLICE, work=WORK, more=more)


def decided(outcome: str, cgroup: str) -> dict:
    """The last kill of a cgroup that came to this, waited for."""
    def found():
        lines = [json.loads(line) for line in (WORK / "audit.jsonl").read_text().splitlines()]
        kills = [line for line in lines if line["kind"] == "decision" and line["action"] == "kill"]
        about = [line for line in kills if line["target"]["cgroup"] == cgroup]
        wanted = [line for line in about if line["outcome"] == outcome]
        if not wanted:
            raise Failed(f"{cgroup}: " + "; ".join(f"{line['outcome']}: {line['detail']}" for line in about[-3:]))
        return wanted[-1]

    return until(f"{outcome} of {cgroup}", found)


def managed(cgroup: str) -> dict:
    """What `inspect -J` says of who manages a cgroup."""
    told = json.loads(call("stockade", "inspect", "-J", "--no-rates", cgroup))
    return {**told["manager"], "writer": told["writer"]}


def owners_by_systemds_word() -> str:
    """A unit, a group within it, a delegated subtree, and a name that only looks like a unit's."""
    with unit("coop-a.service", "Restart=on-failure", "OOMPolicy=kill", "ManagedOOMPreference=avoid") as plain, \
            unit("coop-d.service", "Delegate=yes") as given:
        groups = {
            plain: {"kind": "systemd", "unit": "coop-a.service", "writer": "dbus"},
            f"/{SLICE}": {"kind": "systemd", "unit": SLICE, "writer": "dbus"},
            f"{plain}/worker": {"kind": "within", "unit": "coop-a.service", "writer": "dbus"},
            f"{given}/worker": {"kind": "delegated", "writer": "cgroupfs"},
            "/pretender.slice": {"kind": "unowned", "writer": "cgroupfs"},
        }
        made = [CGROUPS / path[1:] for path in groups if not (CGROUPS / path[1:]).exists()]
        for directory in made:
            directory.mkdir()
        try:
            listed = {one["path"]: one for one in json.loads(call("stockade", "ls", "-J", "--no-rates"))["cgroups"]}
            for path, expected in groups.items():
                if (told := managed(path)) != expected:
                    raise Failed(f"{path} is said to be {told}, expected {expected}")
                if listed[path]["manager"]["kind"] != expected["kind"]:
                    raise Failed(f"`ls -J` shows {path} as {listed[path]['manager']}")
            unknown = [path for path, one in listed.items() if one["manager"]["kind"] in ("unknown", "named")]
            if unknown:
                raise Failed(f"nobody knows who manages {unknown}")
        finally:
            for directory in made:
                directory.rmdir()
        told = call("stockade", "explain", "--no-rates", plain)
        for part in ("OOMPolicy=kill", "Restart=on-failure", "ManagedOOMSwap=auto", "ManagedOOMPreference=avoid"):
            if part not in told:
                raise Failed(f"{part} is not in {told}")
        return f"{len(listed)} cgroups, each with its manager"


def left_to_systemd_oomd() -> str:
    """What systemd-oomd is told to look after is not killed, and its neighbour is."""
    text = configured("yield_to: [systemd-oomd]")
    # Whether it runs is what counts here; what it does is its own affair.
    with unit("systemd-oomd.service", slice_="system.slice"), \
            unit("coop-left.service", "ManagedOOMMemoryPressure=kill") as left, \
            unit("coop-free.service") as free, enforcing(text):
        killed = decided("applied", free)
        if (killed["writer"], killed["owner"]) != ("dbus", {"kind": "systemd", "unit": "coop-free.service"}):
            raise Failed(f"it was written as {killed}")
        spared = decided("yielded", left)
        if call("systemctl", "is-active", "coop-left.service") != "active":
            raise Failed("what was to be left alone has ended")
        told = call("stockade", "explain", "--config", CONFIGURATION, left)
        if "coop-left.service has ManagedOOMMemoryPressure=kill" not in told:
            raise Failed(f"it is not said why: {told}")
        return spared["detail"]


def kill_loop() -> str:
    """A service that systemd starts again after each kill is told as a loop, and lives on."""
    text = configured("freeze_max: 30s")
    with unit("coop-again.service", "Restart=always", "RestartSec=100ms") as again, enforcing(text):
        first = decided("applied", again)
        loop = decided("kill_loop", again)
        if first["target"]["id"] == loop["target"]["id"]:
            raise Failed(f"it is the same cgroup: {loop}")
        if call("systemctl", "is-active", "coop-again.service") != "active":
            raise Failed("it was killed again")
        return loop["detail"]


SCENARIOS = {f"cooperation_{one.__name__}": one for one in (owners_by_systemds_word, left_to_systemd_oomd, kill_loop)}
