"""The host's side of the judge: contenders and their settings, guests, verdicts, the table."""

import pathlib
import sys

TREE = pathlib.Path(__file__).resolve().parents[3]
GUEST = TREE / "tests/judge/guest"
sys.path[:0] = [str(TREE / "tests/vm"), str(GUEST)]
