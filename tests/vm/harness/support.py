"""The support table of deploy/kernels.md, made from what `stockade check --host` said in every cell."""

import difflib
import os
import pathlib

PAGE = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "kernels.md"
BEGIN, END = "<!-- support -->\n", "<!-- /support -->"

WORDS = {True: "yes", False: "–", None: "?"}


def table(surveys: dict) -> str:
    """Features by kernel on the unified layout, then what hybrid and legacy hosts have instead."""
    series = list(dict.fromkeys(name for name, _ in surveys))
    unified = [surveys[name, "unified"] for name in series]
    lines = ["| On a unified host | " + " | ".join(f"Linux {name}" if name[0].isdigit() else f"{name} Linux" for name in series) + " |",
             "|---|" + "---|" * len(series)]

    def row(name, cells):
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    row("Births, deaths and control writes noticed by", [survey["watch"]["method"] for survey in unified])
    for controller in unified[0]["controllers"]:
        name = controller["name"]
        row(f"`{name}` controller", [WORDS[served(survey, name) is not None] for survey in unified])
    for feature in unified[-1]["features"]:
        row(feature["name"] if " " in feature["name"] else f"`{feature['name']}`",
            [WORDS[present(survey, feature["name"])] for survey in unified])
    lines += ["", "| Served by, on the other layouts | " + " | ".join(
        f"{name} {layout}" for name in series for layout in ("hybrid", "legacy")) + " |",
        "|---|" + "---|" * (2 * len(series))]
    for controller in unified[0]["controllers"]:
        name = controller["name"]
        row(f"`{name}`", [served(surveys[one, layout], name) or "–" for one in series
                          for layout in ("hybrid", "legacy")])
    row("pressure of each cgroup", ["–" if layout == "legacy" else WORDS[present(surveys[one, layout], "cpu.pressure")]
                                    for one in series for layout in ("hybrid", "legacy")])
    return "\n".join(lines) + "\n"


def served(survey: dict, name: str):
    """The version that serves a controller, or None."""
    return next((one["version"] for one in survey["controllers"] if one["name"] == name), None)


def present(survey: dict, name: str):
    """Whether a feature is there; False for one that this kernel's report does not even look for."""
    return next((one["present"] for one in survey["features"] if one["name"] == name), False)


def columns(text: str, newest: bool) -> list:
    """The cells of the tables: those of the newest kernel, or those of all the others."""
    rows, kept = [], []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if "Linux" in line or "layouts" in line:
            kept = [at for at, cell in enumerate(cells) if at == 0 or ("newest" in cell) == newest]
        rows.append([cells[at] for at in kept if at < len(cells)])
    return rows


def agrees(surveys: dict) -> bool:
    """Whether the page says what was found; with STOCKADE_BLESS=1 it is made to.

    The newest kernel is another one every few weeks: what it changes is said aloud and fails nothing.
    """
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    said, after = rest.split(END)
    found = table(surveys)
    if said == found:
        return True
    if os.environ.get("STOCKADE_BLESS") == "1":
        PAGE.write_text(before + BEGIN + found + END + after)
        print(f"\n{PAGE.name}: the support table was written anew")
        return True
    print("\nthe support table is not what the guests found; STOCKADE_BLESS=1 tests/vm/matrix writes it:")
    print("".join(difflib.unified_diff(said.splitlines(True), found.splitlines(True), "said", "found")))
    return columns(said, False) == columns(found, False)
