"""The guest's side: runs the scenarios under systemd as PID 1, and writes a JSON line for each to standard output."""

import json
import sys
import time
import traceback

sys.path.insert(0, "/scenarios")
import cooperation
import runtimes
from support import Absent, Failed, call

SCENARIOS = {**runtimes.SCENARIOS, **cooperation.SCENARIOS}


def say(**row) -> None:
    """One line of the result."""
    print(json.dumps(row), flush=True)


def main() -> None:
    chosen = sys.argv[1:] or list(SCENARIOS)
    say(begin={"kernel": call("uname", "-r"), "systemd": call("systemctl", "--version").split()[1],
               "scenarios": chosen})
    for name in chosen:
        started, outcome, reason = time.monotonic(), "passed", ""
        try:
            reason = SCENARIOS[name]() or ""
        except Absent as absent:
            outcome, reason = "absent", str(absent)
        except Failed as failed:
            outcome, reason = "failed", str(failed)
        except Exception:  # The next scenario does not suffer for a mistake in this one.
            outcome, reason = "failed", traceback.format_exc()
        say(scenario=name, outcome=outcome, reason=reason, seconds=time.monotonic() - started)
    say(end=True)


main()
