"""Facts that were made up, with what has to be made of them: the judge is judged before each run."""

import measure

from . import verdict

PERIOD = 0.25


def unit(most: str, **changes) -> dict:
    """What the guest says of a unit that ran without trouble."""
    return {"path": "", "most": most, "finishes": False,
            "diaries": [{"pid": 1, "units": 9, "done": False, "alive": True}], "state": "active", "sub": "running", "result": "success", "restarts": 0, "status": "0",
            "freezer": "running", "exit": None, **changes}


def facts(until: float, events=(), journal=(), silent=None, resource: str = "memory", **units) -> dict:
    """A run of 30 s in which the host and an innocent are under pressure from 5 s `until` then."""
    samples = []
    for step in range(int(30 / PERIOD)):
        at = step * PERIOD
        felt = 0.5 if 5 <= at < until else 0.0
        late = min(at - 5, silent) if silent and 5 <= at < 5 + silent else 0.0
        samples.append({"t": at, "memory": felt, "cpu": 0.0,
                        "units": {"shop.service": {"memory": felt, "cpu": 0.0, "late": late}}})
    cast = {"shop.service": unit("nothing"), "hog.service": unit("kill"), **units}
    for name, one in cast.items():
        one["path"] = f"/system.slice/{name}"
    return {"samples": samples, "events": list(events), "journal": list(journal), "units": cast, "resource": resource,
            "hold": 10.0, "relief": True, "acts": [{"t": 6, "unit": "job.service", "what": "freeze"}]}


def change(at: float, name: str, control: str, before: str, after: str) -> dict:
    return {"t": at, "cgroup": f"/system.slice/{name}", "control": control, "before": before, "after": after}


def killed(at: float, name: str) -> dict:
    return {"at": at, "what": "killed", "unit": name, "text": ""}


ENDED = [{"pid": 1, "units": 7, "done": False, "alive": False}]
CASES = (
    ("relief is counted from the onset", facts(9.0), ("right", 3.75, 0)),
    ("pressure that stays is no relief", facts(25.0), ("missed", None, 0)),
    ("holding down the culprit is right", facts(7.0, [change(6, "hog.service", "memory.high", "max", "1000")]),
     ("right", 1.75, 0)),
    ("a limit that is loosened holds nobody down",
     facts(7.0, [change(6, "shop.service", "pids.max", "828", "4000")]), ("right", 1.75, 0)),
    ("holding down an innocent is wrong",
     facts(7.0, [change(6, "shop.service", "cpu.max", "max 100000", "50000 100000")]), ("wrong", 1.75, 1)),
    ("so is a freeze", facts(7.0, [change(6, "shop.service", "cgroup.freeze", "0", "1")]), ("wrong", 1.75, 1)),
    ("and the killing of somebody who has no part in it", facts(7.0, journal=[killed(6, "dbus.service")]),
     ("wrong", 1.75, 1)),
    ("what the administrator froze is nobody's doing",
     facts(7.0, [change(7, "job.service", "cgroup.freeze", "0", "1")], **{"job.service": unit("nothing")}),
     ("right", 1.75, 0)),
    ("who would have ended by himself must not be killed",
     facts(7.0, journal=[killed(6, "job.service")], **{"job.service": unit("freeze", finishes=True, diaries=ENDED)}),
     ("wrong", 1.75, 0)),
    ("an innocent that stands still is hurt", facts(7.0, silent=12.0), ("missed", 11.75, 1)),
)


def rehearse() -> list:
    """The cases in which the judge errs."""
    wrong = []
    samples = [{"t": at, "units": {"job.service": {"pids": at in (3, 4, 7)}}} for at in range(9)]
    if (took := measure.took(samples, "job.service")) != 4 or measure.took(samples, "other.service") is not None:
        wrong.append(f"a job takes from its first process to its last: {took}")
    for about, made_up, (expected, relief, hurt) in CASES:
        row = verdict.judge("rehearsal", "nobody", made_up)
        if (row.verdict, row.relief, len(row.hurt)) != (expected, relief, hurt):
            wrong.append(f"{about}: {row}")
    return wrong
