"""Units of a scenario, made through systemd, and what systemd and the kernel say of them afterwards."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path("/sys/fs/cgroup")
PATIENCE = 60.0


class Failed(Exception):
    """The scenario could not be set up, or not be read out."""


def call(*command) -> str:
    """Runs a command to its end and gives its output."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(words)}: no end within {PATIENCE:.0f} s") from late
    if done.returncode:
        raise Failed(f"{' '.join(words)}: exit {done.returncode}: {(done.stderr + done.stdout).strip()}")
    return done.stdout.strip()


class Unit:
    """A service of the system, or, with a user, a scope of that user's session."""

    def __init__(self, name: str, kind: str, seed: str, properties: dict, **settings):
        self.name = name
        self.properties = properties
        self.command = [sys.executable, "/scenarios/loads.py", kind, name, seed,
                        *(f"{key}={value}" for key, value in settings.items())]
        self.scope = name.endswith(".scope")
        self.path = f"/user.slice/user-1000.slice/{name}" if self.scope else f"/system.slice/{name}"
        self.process = None

    def start(self) -> None:
        words = [word for key, value in self.properties.items() for word in ("-p", f"{key}={value}")]
        if self.scope:
            # As a login makes it; the process is this one's child, and not to have its protection.
            self.process = subprocess.Popen(
                ["systemd-run", "--quiet", "--scope", f"--unit={self.name}", "--slice=user-1000.slice", *words,
                 "choom", "-n", "0", "--", *self.command], stdin=subprocess.DEVNULL)
        else:
            call("systemd-run", "--quiet", f"--unit={self.name}", "--slice=system.slice", "-p", "Type=exec",
                 "-p", "RemainAfterExit=yes", *words, *self.command)

    def freeze(self) -> None:
        call("systemctl", "freeze", self.name)

    def thaw(self) -> None:
        call("systemctl", "thaw", self.name)

    def ending(self) -> dict:
        """How it is at the end."""
        shown = dict(line.split("=", 1) for line in call(
            "systemctl", "show", self.name, "-p", "ActiveState,SubState,Result,NRestarts,FreezerState,ExecMainStatus"
        ).splitlines() if "=" in line)
        return {"state": shown.get("ActiveState", ""), "sub": shown.get("SubState", ""),
                "result": shown.get("Result", ""), "restarts": int(shown.get("NRestarts") or 0),
                "status": shown.get("ExecMainStatus", ""), "freezer": shown.get("FreezerState", ""),
                "exit": self.process.poll() if self.process else None}


def journal(since: float) -> list:
    """What of the journal is about ends of units and the kernel's out-of-memory killer, after that monotonic time."""
    told = []
    for line in call("journalctl", "--boot", "--output=json", "--no-pager").splitlines():
        entry = json.loads(line)
        at = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
        text = entry.get("MESSAGE")
        if at < since or not isinstance(text, str):
            continue
        unit = entry.get("UNIT") or entry.get("USER_UNIT") or ""
        if "Main process exited, code=killed" in text or "code=dumped" in text:
            told.append({"at": at, "what": "killed", "unit": unit, "text": text})
        elif "A process of this unit has been killed by the OOM killer" in text:
            told.append({"at": at, "what": "kernel", "unit": unit, "text": text})
        elif entry.get("_TRANSPORT") == "kernel" and "oom-kill:" in text:
            told.append({"at": at, "what": "kernel", "text": text,
                         "unit": text.rpartition("task_memcg=")[2].partition(",")[0].rpartition("/")[2]})
    return told
