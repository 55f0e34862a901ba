"""The guest's side: installs the package under systemd as PID 1, runs the scenarios, writes a JSON line for each."""

import json
import sys
import time
import traceback

sys.path.insert(0, "/scenarios")
import actions
import cooperation
import installed
import limits
import owners
import runtimes
from support import ENFORCER, WATCHER, Absent, Failed, call

SCENARIOS = {**runtimes.SCENARIOS, **installed.SCENARIOS, **limits.SCENARIOS, **actions.SCENARIOS, **owners.SCENARIOS,
             **cooperation.SCENARIOS, **installed.LAST}


def say(**row) -> None:
    """One line of the result."""
    print(json.dumps(row), flush=True)


def installation() -> None:
    """The package, as an administrator installs it; every other scenario needs it."""
    call("dpkg", "--install", "/stockade.deb")


def run(name: str, scenario) -> bool:
    """Runs one scenario and says how it went; one that failed is told with what the units logged last."""
    started, outcome, reason = time.monotonic(), "passed", ""
    try:
        reason = scenario() or ""
    except Absent as absent:
        outcome, reason = "absent", str(absent)
    except Failed as failed:
        outcome, reason = "failed", str(failed)
    except Exception:  # The next scenario does not suffer for a mistake in this one.
        outcome, reason = "failed", traceback.format_exc()
    seconds = time.monotonic() - started
    if outcome == "failed":
        reason += "\n" + call("journalctl", "--output=cat", "--lines=12", f"--unit={ENFORCER}", f"--unit={WATCHER}")
    say(scenario=name, outcome=outcome, reason=reason, seconds=seconds)
    return outcome != "failed"


def main() -> None:
    chosen = sys.argv[1:] or list(SCENARIOS)
    say(begin={"kernel": call("uname", "-r"), "systemd": call("systemctl", "--version").split()[1],
               "scenarios": chosen})
    if run("installation", installation):
        for name in chosen:
            run(name, SCENARIOS[name])
    say(end=True)


main()
