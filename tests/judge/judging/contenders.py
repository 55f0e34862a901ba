"""Who is compared, and with which settings: the files that each has in its guest."""

from . import TREE

CONTENDERS = ("stockade", "systemd-oomd", "oomd", "nobody")

# Units of the image that are not to run, by contender.
DAEMONS = {"systemd-oomd": ("systemd-oomd.service", "systemd-oomd.socket"), "oomd": ("oomd.service",)}

# What Debian does of itself now and then, and would do in the middle of a run.
HOUSEKEEPING = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
                "e2scrub_reap.service", "fstrim.timer", "systemd-tmpfiles-clean.timer", "podman.service",
                "podman.socket", "docker.service", "docker.socket", "containerd.service",
                "systemd-udev-trigger.service")

# The unit that the scenario's `marks` has every contender avoid, each by its own means.
MARKED = "archive.service"

# What everybody's guest has: the looker-on is guaranteed to see, and swap is there at boot for nobody.
COMMON = {
    "/etc/systemd/system/scenarios.slice": "[Slice]\nMemoryMin=96M\nMemoryLow=96M\nCPUWeight=1000\n",
    "/etc/systemd/system/scenarios.service.d/judge.conf": "[Service]\nOOMScoreAdjust=-1000\nMemoryMin=96M\n",
}

KILL_AT_HALF = "ManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=50%\n"
SYSTEMD_OOMD = {
    "/etc/systemd/system/-.slice.d/judge.conf": "[Slice]\nManagedOOMSwap=kill\n",
    "/etc/systemd/system/system.slice.d/judge.conf": f"[Slice]\n{KILL_AT_HALF}",
    "/etc/systemd/system/user.slice.d/judge.conf": f"[Slice]\n{KILL_AT_HALF}",
    "/etc/systemd/system/user@.service.d/judge.conf": f"[Service]\n{KILL_AT_HALF}",
    "/etc/systemd/oomd.conf.d/judge.conf": "[OOM]\nDefaultMemoryPressureDurationSec=20s\n",
}

OOMD = {
    # The package's own options, less the one that its comment says to remove on a unified hierarchy.
    "/etc/default/oomd": 'DAEMON_OPTS="--interval 1 --config /etc/oomd/oomd.json"\n',
    "/etc/systemd/system/oomd.service.d/judge.conf": "[Service]\nMemoryMin=64M\nMemoryLow=64M\n",
}

# What stands in the table's foot.
SETTINGS = {
    "stockade": "config/host.yaml with `mode: enforce`; in `marks` the unit is in `safety.protect`",
    "systemd-oomd": "ManagedOOMSwap=kill on -.slice; ManagedOOMMemoryPressure=kill, 50 % for 20 s, on system.slice, "
                    "user.slice and user@.service; in `marks` ManagedOOMPreference=avoid",
    "oomd": "the package's oomd.json, an interval of 1 s, MemoryMin=64M; in `marks` trusted.oomd_avoid",
    "nobody": "the kernel's own OOM killer",
}


def stockade(scenario: str) -> dict:
    """The shipped policies in force, and the shipped unit."""
    text = (TREE / "config/host.yaml").read_text(encoding="utf-8")
    enforced = text.replace("  mode: dry_run\n", "  mode: enforce\n")
    if enforced == text:
        raise ValueError("config/host.yaml has no line `  mode: dry_run` to be changed")
    if scenario == "marks":
        enforced = enforced.replace("  protect:\n", f"  protect:\n    - {{unit: {MARKED}}}\n", 1)
    unit = (TREE / "deploy/systemd/stockade.service").read_text(encoding="utf-8")
    return {
        "/etc/stockade/stockade.yaml": enforced,
        "/etc/systemd/system/stockade.service": unit.replace("/usr/bin/stockade", "/usr/local/bin/stockade"),
    }


def files(contender: str, scenario: str) -> dict:
    """The files by path."""
    own = {"stockade": lambda: stockade(scenario), "systemd-oomd": lambda: SYSTEMD_OOMD, "oomd": lambda: OOMD,
           "nobody": dict}[contender]()
    return {**COMMON, **own}


def masked(contender: str) -> list:
    """The words of the kernel's command line that keep the others' daemons, and housekeeping, from running."""
    others = [unit for name, units in DAEMONS.items() if name != contender for unit in units]
    return [f"systemd.mask={unit}" for unit in (*others, *HOUSEKEEPING)]
