"""PURE: what is made of the facts of a run: who was acted on and how, how fast, who was hurt, and if it was right."""

import dataclasses

import measure
from scenarios import SEVERITY

# Controls by which somebody is held down when they become smaller.
HELD_BY = ("memory.high", "memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max")

# A freeze by the scenario itself is seen within this time.
ADMINISTRATOR_SECONDS = 4.0


@dataclasses.dataclass
class Row:
    """One line of the table."""

    scenario: str
    contender: str
    # What was done, by unit: the severities in the order they were first seen, with the second.
    acted: dict
    onset: float
    relief: float
    # Whether somebody has to bring relief; else the pressure goes by itself, or there is none.
    asked: bool
    hurt: list
    lost: int
    # How long those took that were to come to their end and did, by unit.
    took: dict
    verdict: str
    why: str


def by_administrator(facts: dict, name: str, at: float) -> bool:
    """Whether the scenario itself had just frozen the unit."""
    return any(act["unit"] == name and act["what"] == "freeze" and act["t"] <= at <= act["t"] + ADMINISTRATOR_SECONDS
               for act in facts["acts"])


def number(text: str) -> float:
    """A control's value, as far as it can be compared."""
    first = text.split()[0] if text else "max"
    return float("inf") if first == "max" else float(first) if first.isdigit() else float("nan")


def actions(facts: dict) -> dict:
    """By unit, what was done to it: a list of (second, severity, detail)."""
    found = {}
    units = {unit["path"]: name for name, unit in facts["units"].items()}
    for event in facts["events"]:
        # Any other cgroup is nobody that may be acted on.
        name = units.get(event["cgroup"]) or event["cgroup"].rpartition("/")[2]
        if event["control"] == "cgroup.freeze":
            if event["after"] == "1" and not by_administrator(facts, name, event["t"]):
                found.setdefault(name, []).append((event["t"], "freeze", ""))
        elif event["control"] in HELD_BY and number(event["after"]) < number(event["before"]):
            found.setdefault(name, []).append((event["t"], "throttle", event["control"]))
    for entry in facts["journal"]:
        if entry["what"] in ("killed", "kernel") and entry["at"] >= 0:
            who = "kill" if entry["what"] == "killed" else "oom"
            found.setdefault(entry["unit"], []).append((entry["at"], who, ""))
    # A scope has no main process: its own child says how it ended.
    for name, unit in facts["units"].items():
        if unit["exit"] is not None and unit["exit"] < 0 and not any(
                one[1] in ("kill", "oom") for one in found.get(name, ())):
            found.setdefault(name, []).append((facts["samples"][-1]["t"], "kill", ""))
    return {name: sorted(rows) for name, rows in found.items()}


def severity(kind: str) -> str:
    """The severity of what was done."""
    return "kill" if kind == "oom" else kind


def lost(facts: dict) -> int:
    """Units of work of processes that were killed before their end, since their start."""
    return sum(row["units"] for unit in facts["units"].values() for row in unit["diaries"]
               if not row["alive"] and not row["done"])


def judge(scenario: str, contender: str, facts: dict) -> Row:
    """The verdict."""
    innocents = [name for name, unit in facts["units"].items() if unit["most"] == "nothing"]
    samples, resource = facts["samples"], facts["resource"]
    acted = actions(facts)
    hurt, wrong = [], []
    for name, rows in acted.items():
        worst = max((severity(row[1]) for row in rows), key=SEVERITY.index)
        most = facts["units"].get(name, {"most": "nothing"})["most"]
        if SEVERITY.index(worst) > SEVERITY.index(most):
            wrong.append(f"{name}: {worst}")
            if most == "nothing":
                hurt.append(f"{name} ({worst})")
    for name in innocents:
        silent = measure.longest_silence(samples, name)
        if silent >= measure.HURT_SECONDS and not facts["units"][name]["finishes"]:
            hurt.append(f"{name} (silent for {silent:.0f} s)")
    unfinished = [name for name, unit in facts["units"].items()
                  if unit["finishes"] and not any(row["done"] for row in unit["diaries"])]
    frozen = [name for name, unit in facts["units"].items() if unit["freezer"] == "frozen"]
    onset = measure.onset(samples, resource)
    relief = measure.relief(samples, resource, innocents, facts["hold"])
    verdict, why = "right", ""
    if wrong:
        verdict, why = "wrong", ", ".join(wrong)
    elif unfinished:
        verdict, why = "wrong" if acted else "missed", "not finished: " + ", ".join(unfinished)
    elif frozen and not facts["relief"]:
        verdict, why = "wrong", "left frozen: " + ", ".join(frozen)
    elif facts["relief"] and onset is not None and relief is None:
        verdict, why = "missed", "no relief"
    elif any("silent" in one for one in hurt):
        verdict, why = "missed", "innocents stood still"
    took = {name: measure.took(samples, name) for name, unit in facts["units"].items()
            if unit["finishes"] and name not in unfinished}
    return Row(scenario, contender, acted, onset, relief, facts["relief"], hurt, lost(facts), took, verdict, why)
