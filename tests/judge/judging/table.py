"""The table, and the page that holds it. Nothing in it is written by hand."""

from . import TREE, contenders

PAGE = TREE / "tests/judge/RESULTS.md"
# What a slice for every run of all tests looks at.
QUICK = ("leak", "forkbomb", "database")

HEAD = ("Scenario", "Under", "Acted on", "Onset to relief", "Innocents hurt", "Work lost", "Verdict")


def acted(row) -> str:
    """Who was acted on, and how, in the order in which it was first done."""
    words = []
    for name, rows in row.acted.items():
        kinds = {}
        for at, kind, _ in rows:
            first, count = kinds.get(kind, (at, 0))
            kinds[kind] = (first, count + 1)
        said = {"throttle": "throttled", "freeze": "frozen", "kill": "killed", "oom": "killed by the kernel"}
        words.append(f"{name.removesuffix('.service')}: " + ", ".join(
            said[kind] + (f" ×{count}" if count > 1 and kind != "throttle" else "")
            for kind, (_, count) in sorted(kinds.items(), key=lambda pair: pair[1][0])))
    return "; ".join(words) or "nobody"


def seconds(row) -> str:
    """From onset to relief."""
    if row.onset is None:
        return "no pressure"
    return "none" if row.relief is None else f"{row.relief:.1f} s"


def cells(row) -> tuple:
    """The columns of a row."""
    verdict = row.verdict + (f" ({row.why})" if row.why else "")
    return (row.scenario, row.contender, acted(row), seconds(row), ", ".join(row.hurt) or "none",
            str(row.lost) if row.lost else "none", verdict)


def line(row) -> str:
    """A row for the terminal."""
    return " | ".join(cells(row))


def page(found: list, seed: str) -> str:
    """The whole page."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row, _ in found]
    return "\n".join(lines) + "\n"
