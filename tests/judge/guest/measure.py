"""PURE: what is made of the samples of a run. The guest asks it when a run may end, the host for the table.

A sample is a dictionary: `t` (seconds since the culprits began), `memory` and `cpu` (the host's `some` pressure, a
share of the last second), and `units`, by name: `memory`, `cpu` (the unit's own `some` pressure) and `late` (seconds
since it last said that it is there; None where it does not say).
"""

# The host is under pressure from the first sample in which tasks waited for more than this share of a second.
ONSET = {"memory": 0.20, "cpu": 0.80}
# An innocent is at ease below this share of its own, and while it is never silent for longer than this.
EASE = {"memory": 0.10, "cpu": 0.50}
LATE_SECONDS = 3.0
# An innocent that got nothing done for so long at a stretch is hurt.
HURT_SECONDS = 10.0


def onset(samples: list, resource: str):
    """When the host came under pressure, or None."""
    return next((one["t"] for one in samples if one["t"] >= 0 and one[resource] >= ONSET[resource]), None)


def calm(samples: list, resource: str, hold: float) -> bool:
    """Whether the host has been without pressure for so long."""
    return all(one[resource] < ONSET[resource] for one in samples if one["t"] > samples[-1]["t"] - hold)


def troubled(sample: dict, resource: str, innocents) -> list:
    """The innocents that feel it in this sample."""
    return [name for name in innocents if (unit := sample["units"].get(name)) and (
        (unit[resource] or 0) >= EASE[resource] or (unit["late"] or 0) >= LATE_SECONDS)]


def relief(samples: list, resource: str, innocents, hold: float):
    """Seconds from onset until no innocent felt anything any more, for at least `hold` seconds; None without relief."""
    began = onset(samples, resource)
    if began is None:
        return None
    last = began
    for one in samples:
        if one["t"] >= began and troubled(one, resource, innocents):
            last = one["t"]
    return last - began if samples[-1]["t"] - last >= hold else None


def took(samples: list, name: str):
    """Seconds from a unit's first process to its last, None where it never had any."""
    there = [one["t"] for one in samples if one["units"].get(name, {}).get("pids")]
    return there[-1] - there[0] if there else None


def longest_silence(samples: list, name: str) -> float:
    """The longest time for which an innocent got nothing done, in seconds, from the culprits' beginning on."""
    return max((one["units"][name]["late"] or 0 for one in samples if one["t"] >= 0 and name in one["units"]),
               default=0.0)
