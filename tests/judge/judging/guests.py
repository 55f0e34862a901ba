"""One run: a guest with a contender in it and a scenario, and what it told."""

import pathlib
import tempfile

from harness import cell, debian, guest, kernels, machine

from . import GUEST, contenders

SUITE = "bookworm"
PACKAGES = ("systemd-oomd", "oomd")
MEBIBYTES = 768
SWAP_MEBIBYTES = 768
DEADLINE_SECONDS = 1800.0
BOOT_SECONDS = 500.0
# The guest's clock counts instructions, 8 ns each, and real time only while it has nothing to do: what a run takes in
# the guest does not depend on how busy the machine is that runs it. QEMU has such a clock for one CPU only.
CLOCK = ["-icount", "shift=3,sleep=on,align=off"]
# Page table isolation empties the emulated CPU's cache of translations at each system call.
QUICKER = ("mitigations=off",)


def image() -> pathlib.Path:
    """The disk that every guest begins with."""
    return debian.image(SUITE, "judge", PACKAGES)


def boot(contender: str, scenario: str, seed: str, programs: dict) -> cell.Result:
    """Boots a fresh guest and has it run one scenario; again where it did not come so far."""
    kernel = kernels.fetch(debian.SUITES[SUITE].series)
    disk = image()

    def once() -> cell.Result:
        with tempfile.TemporaryDirectory(prefix="stockade-judge-") as scratch:
            scratch = pathlib.Path(scratch)
            laid = machine.overlay(scratch, programs, GUEST, [contender, scenario, seed],
                                   contenders.files(contender, scenario))
            if contender == "stockade":
                wants = laid / "etc/systemd/system/multi-user.target.wants"
                wants.mkdir(parents=True)
                (wants / "stockade.service").symlink_to("../stockade.service")
            swap = guest.disk(scratch / "swap", SWAP_MEBIBYTES)
            drives = [f"file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe",
                      f"file={swap},format=raw,if=virtio,cache=unsafe"]
            command = cell.qemu(kernel, machine.initramfs(scratch, kernel, laid), drives, scratch,
                                ["psi=1", *QUICKER, *contenders.masked(contender)], MEBIBYTES, cpus=1)
            return cell.watch([*command, *CLOCK], scratch, DEADLINE_SECONDS, BOOT_SECONDS)

    return cell.again(once)
