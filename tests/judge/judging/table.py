"""PURE: the table, and the page that holds it. Nothing in it is written by hand."""

import statistics

from scenarios import SCENARIOS

from . import TREE, contenders

PAGE = TREE / "tests/judge/RESULTS.md"
# What a slice for every run of all tests looks at.
QUICK = ("leak", "forkbomb")

HEAD = ("Scenario", "Under", "Acted on", "Onset to relief", "Innocents hurt", "Work lost", "Jobs took", "Verdict")
SAID = {"throttle": "throttled", "freeze": "frozen", "kill": "killed", "oom": "killed by the kernel"}
# Stockade's aim: relief within this share of the time that systemd-oomd takes.
AIM = 0.2
# A job that takes more than this much longer than with nobody is named among the losses.
SLOWER = 1.1


def acted(row) -> str:
    """Who was acted on, and how, in the order in which it was first done."""
    words = []
    for name, rows in row.acted.items():
        kinds = {}
        for at, kind, _ in rows:
            first, count = kinds.get(kind, (at, 0))
            kinds[kind] = (first, count + 1)
        words.append(f"{name.removesuffix('.service')}: " + ", ".join(
            SAID[kind] + (f" ×{count}" if count > 1 and kind != "throttle" else "")
            for kind, (_, count) in sorted(kinds.items(), key=lambda pair: pair[1][0])))
    return "; ".join(words) or "nobody"


def seconds(row) -> str:
    """From onset to relief."""
    if row.onset is None:
        return "no pressure"
    return "no relief" if row.relief is None else f"{row.relief:.1f} s"


def jobs(row) -> str:
    """How long the jobs took that have an end."""
    return ", ".join(f"{name.removesuffix('.service')} {seconds:.0f} s" for name, seconds in row.took.items()) or "none"


def cells(row) -> tuple:
    """The columns of a row."""
    verdict = row.verdict + (f" ({row.why})" if row.why else "")
    return (row.scenario, row.contender, acted(row), seconds(row), ", ".join(row.hurt) or "none",
            str(row.lost) if row.lost else "none", jobs(row), verdict)


def line(row) -> str:
    """A row for the terminal."""
    return " | ".join(cells(row))


def rule(head) -> list:
    """The two lines that begin a table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]


def reliefs(rows: list) -> tuple:
    """The median and the longest time to relief of the runs under pressure that somebody has to relieve."""
    times = [float("inf") if row.relief is None else row.relief
             for row in rows if row.asked and row.onset is not None]
    return tuple("-" if not times else "never" if one == float("inf") else f"{one:.1f} s"
                 for one in (statistics.median(times or [0]), max(times, default=0)))


def counts(rows: list) -> list:
    """How each contender did in all."""
    lines = rule(("Under", "Runs", "Right", "Wrong", "Missed", "Relief where asked for: median", "longest", "Runs with an innocent hurt",
                  "Runs with a kill", "Work lost"))
    for name in contenders.CONTENDERS:
        own = [row for row in rows if row.contender == name]
        if not own:
            continue
        killed = sum(any(kind in ("kill", "oom") for acts in row.acted.values() for _, kind, _ in acts)
                     for row in own)
        shown = [len(own), *(sum(row.verdict == verdict for row in own) for verdict in ("right", "wrong", "missed")),
                 *reliefs(own), sum(bool(row.hurt) for row in own), killed, sum(row.lost for row in own)]
        lines.append(f"| {name} | " + " | ".join(map(str, shown)) + " |")
    return lines


def losses(rows: list) -> list:
    """Where Stockade is not right, or slower than it aims to be, or hurts somebody."""
    lines = []
    others = {row.scenario: row for row in rows if row.contender == "systemd-oomd"}
    alone = {row.scenario: row for row in rows if row.contender == "nobody"}
    for row in (row for row in rows if row.contender == "stockade"):
        other = others.get(row.scenario)
        if row.verdict != "right":
            lines.append(f"- {row.scenario}: {row.verdict}" + (f", {row.why}" if row.why else ""))
        elif row.hurt:
            lines.append(f"- {row.scenario}: hurt are {', '.join(row.hurt)}")
        # Where nobody was acted on, the pressure went as it came.
        slower = row.acted and row.relief and other and other.relief is not None
        if slower and row.relief > AIM * other.relief:
            share = f"{row.relief / other.relief:.1f} of its time, the aim is {AIM}" if other.relief else "at once"
            lines.append(f"- {row.scenario}: relief after {row.relief:.1f} s, after {other.relief:.1f} s under "
                         f"systemd-oomd: {share}")
        if any(kind == "kill" for acts in row.acted.values() for _, kind, _ in acts):
            lines.append(f"- {row.scenario}: it took a kill")
        undisturbed = alone[row.scenario].took if row.scenario in alone else {}
        for name, took in row.took.items():
            if took > SLOWER * undisturbed.get(name, took):
                lines.append(f"- {row.scenario}: {name.removesuffix('.service')} took {took:.0f} s, with nobody "
                             f"{undisturbed[name]:.0f} s")
    return lines or ["Nowhere in these runs."]


def versions(found: list) -> list:
    """What ran."""
    lines = rule(("Under", "Version", "Settings"))
    seen = {}
    for row, facts in found:
        seen.setdefault(row.contender, facts["versions"])
    for name in contenders.CONTENDERS:
        if name in seen:
            lines.append(f"| {name} | {seen[name].get('contender', 'Linux ' + seen[name]['linux'])} | "
                         f"{contenders.SETTINGS[name]} |")
    return lines


def absent(rows: list) -> list:
    """What was not run, so that nobody takes the table for the whole."""
    run = {(row.scenario, row.contender) for row in rows}
    lines = []
    for contender in contenders.CONTENDERS:
        names = [name for name in SCENARIOS if (name, contender) not in run]
        if names:
            lines.append(f"Not run under {contender}: {', '.join(names)}.")
    return ["", *lines] if lines else []


def page(found: list, seed: str) -> str:
    """The whole page: pairs of a row and the facts that it was made of."""
    rows = [row for row, _ in found]
    if not rows:
        return "No run came to its end.\n"
    facts = found[0][1]
    scenarios = {}
    for row, one in found:
        scenarios.setdefault(row.scenario, one["about"])
    lines = [
        "# What the judge found", "",
        "Written by `tests/judge/run --write`; [README.md](README.md) says how each thing is measured.", "",
        f"Seed {seed}. Linux {facts['versions']['linux']}, {facts['versions']['systemd']}, one CPU, "
        f"{int(facts['memory']) // 1024} MiB of memory, as much swap on a disk of its own, and a clock that counts "
        "instructions.", "",
        *versions(found), "", "## In all", "", *counts(rows), *absent(rows), "",
        "## Where Stockade loses", "", *losses(rows), "",
        "## The scenarios", "", *rule(("Scenario", "What happens")),
        *(f"| {name} | {about} |" for name, about in scenarios.items()), "",
        "## Each run", "", *rule(HEAD), *("| " + " | ".join(cells(row)) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"
