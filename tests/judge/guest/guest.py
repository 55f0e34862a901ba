"""The guest's side of the judge: runs one scenario beside the contender that this system has, and tells what happened.

    guest.py CONTENDER SCENARIO SEED
"""

import json
import os
import pathlib
import sys
import threading
import time
import traceback

sys.path.insert(0, "/scenarios")
import measure
from loads import PLACE
from sampler import PERIOD_SECONDS, Sampler, lock_memory, read
from scenarios import SCENARIOS, Cast
from units import Failed, call, journal

UNITS = {"stockade": "stockade.service", "systemd-oomd": "systemd-oomd.service", "oomd": "oomd.service"}
# For so long the innocents are looked at, at peace, before the culprits begin.
SETTLE_SECONDS = 4.0
PATIENCE = 90.0


def say(**row) -> None:
    """One line of the result."""
    print(json.dumps(row), flush=True)


def await_contender(contender: str) -> None:
    """Waits until the contender's unit is active."""
    unit = UNITS.get(contender)
    deadline = time.monotonic() + PATIENCE
    while unit and (state := call("systemctl", "show", unit, "-p", "ActiveState", "--value")) != "active":
        if state == "failed" or time.monotonic() > deadline:
            raise Failed(f"{unit} is {state}: " + call("journalctl", "--unit", unit, "--lines=20", "--output=cat"))
        time.sleep(0.5)


def mark(contender: str, unit) -> None:
    """Tells the contender to avoid a unit, in its own way; Stockade's is in its configuration."""
    if contender == "systemd-oomd":
        call("systemctl", "set-property", "--runtime", unit.name, "ManagedOOMPreference=avoid")
    elif contender == "oomd":
        os.setxattr(f"/sys/fs/cgroup{unit.path}", "trusted.oomd_avoid", b"1")


def settled(scenario, sampler: Sampler) -> bool:
    """Whether the run has shown what it can show."""
    now = sampler.now()
    if now >= scenario.cap:
        return True
    if not all(finished(role.unit.name) for role in scenario.roles if role.finishes):
        return False
    innocents = scenario.names("nothing")
    if measure.onset(sampler.samples, scenario.resource) is None:
        return now >= scenario.quiet or (not scenario.relief and any(role.finishes for role in scenario.roles))
    if measure.relief(sampler.samples, scenario.resource, innocents, scenario.hold) is None:
        return False
    # Where nobody has done anything and the host is still under pressure, the innocents' turn may yet come.
    return bool(sampler.events) or measure.calm(sampler.samples, scenario.resource, scenario.hold)


def diaries(name: str) -> list:
    """What the loads of a unit have written down."""
    rows = []
    for path in PLACE.glob(f"{name}.*"):
        fields = read(path).split()
        if len(fields) == 3:
            pid = path.name.rpartition(".")[2]
            rows.append({"pid": int(pid), "units": int(fields[0]), "done": fields[1] == "1",
                         "alive": pathlib.Path(f"/proc/{pid}").exists()})
    return rows


def busiest() -> dict:
    """The CPU seconds of the services that used most, so that a run that was disturbed can be told."""
    used = {}
    for file in pathlib.Path("/sys/fs/cgroup").glob("*.slice/*/cpu.stat"):
        used[file.parent.name] = int(read(file).split()[1]) / 1e6
    return dict(sorted(used.items(), key=lambda pair: -pair[1])[:8])


def finished(name: str) -> bool:
    """Whether it came to its own end, or can no more."""
    rows = diaries(name)
    return bool(rows) and all(row["done"] or not row["alive"] for row in rows)


def watch(contender: str, scenario) -> Sampler:
    """Runs the scenario to its end."""
    for command in scenario.before:
        call(*command)
    for role in scenario.roles:
        if role.early:
            role.unit.start()
        if role.marked:
            mark(contender, role.unit)
    deadline = time.monotonic() + PATIENCE
    while not all(any(row["units"] > 2 for row in diaries(role.unit.name)) for role in scenario.roles if role.early):
        if time.monotonic() > deadline:
            raise Failed(f"the innocents were not at work within {PATIENCE:.0f} s")
        time.sleep(0.2)
    sampler = Sampler([role.unit for role in scenario.roles], time.monotonic() + SETTLE_SECONDS)
    acts = [(0.0, role.unit.start) for role in scenario.roles if not role.early] + list(scenario.acts)
    running = []
    while True:
        begun = time.monotonic()
        for act in [act for act in acts if act[0] <= sampler.now()]:
            acts.remove(act)
            # Under pressure a command takes long, and nobody stops looking for that.
            thread = threading.Thread(target=act[1], daemon=True)
            thread.start()
            running.append(thread)
        sampler.sample()
        if len(sampler.samples) % 4 == 0 and not acts and settled(scenario, sampler):
            return sampler
        time.sleep(max(0.0, PERIOD_SECONDS - (time.monotonic() - begun)))


def run(contender: str, name: str, seed: str) -> dict:
    """One run: what was seen."""
    PLACE.mkdir(exist_ok=True)
    call("mkswap", "/dev/vdb")
    call("swapon", "/dev/vdb")
    await_contender(contender)
    scenario = SCENARIOS[name](Cast(seed))
    lock_memory()
    before = busiest()
    sampler = watch(contender, scenario)
    origin = sampler.origin
    units = {role.unit.name: {"path": role.unit.path, "most": role.most, "finishes": role.finishes,
                              "diaries": diaries(role.unit.name), **role.unit.ending()} for role in scenario.roles}
    for role in scenario.roles:
        name, unit = role.unit.name, units[role.unit.name]
        if not role.fails and (unit["result"] == "exit-code" or (unit["exit"] or 0) > 0):
            raise Failed(f"the load of {name} failed: " + call("journalctl", "--boot", "--lines=20", "--output=cat"))
    log = call("journalctl", "--unit", UNITS[contender], "--lines=60", "--output=short-monotonic") \
        if contender in UNITS else ""
    audit = read(pathlib.Path("/var/lib/stockade/audit.jsonl"))
    return {"about": scenario.about, "resource": scenario.resource, "hold": scenario.hold, "cap": scenario.cap,
            "relief": scenario.relief, "samples": sampler.samples, "events": sampler.events, "units": units,
            "journal": [{**entry, "at": round(entry["at"] - origin, 2)} for entry in journal(origin - SETTLE_SECONDS)],
            "log": log, "busy": [before, busiest()],
            "acts": [{"t": at, "unit": act.__self__.name, "what": act.__name__}
                     for at, act in scenario.acts],
            "audit": audit.splitlines()[-200:], "memory": read(pathlib.Path("/proc/meminfo")).split()[1]}


def versions(contender: str) -> dict:
    """What runs here."""
    found = {"linux": call("uname", "-r"), "systemd": call("systemctl", "--version").split("\n")[0]}
    if contender == "stockade":
        found["contender"] = call("stockade", "--version")
    elif contender == "systemd-oomd":
        found["contender"] = "systemd-oomd " + call("dpkg-query", "-W", "-f", "${Version}", "systemd-oomd")
    elif contender == "oomd":
        found["contender"] = "oomd " + call("dpkg-query", "-W", "-f", "${Version}", "oomd")
    return found


def main() -> None:
    contender, name, seed = sys.argv[1:]
    say(begin={**versions(contender), "contender_name": contender})
    started, outcome, reason, facts = time.monotonic(), "passed", "", {}
    try:
        facts = run(contender, name, seed)
    except Failed as failed:
        outcome, reason = "failed", str(failed)
    except Exception:
        outcome, reason = "failed", traceback.format_exc()
    say(scenario=name, outcome=outcome, reason=reason, seconds=time.monotonic() - started, facts=facts)
    say(end=True)


main()
