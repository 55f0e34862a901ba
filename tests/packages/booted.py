"""The installed package under a real systemd, in a guest: the units with the rights that they give, and no others."""

import pathlib
import shutil
import subprocess
import time

from debian import Root
from harness import cell, host, kernels, machine

KERNEL = "6.12"
# A loaded host emulates slowly.
DEADLINE = 900

UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /test.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
"""


def disk(into: pathlib.Path, package: pathlib.Path) -> pathlib.Path:
    """A root file system with the package installed and the test as a unit of its own."""
    root = Root(into / "root")
    root.run("dpkg", "-i", root.take(package))
    shutil.copy(pathlib.Path(__file__).with_name("guest.sh"), root.path / "test.sh")
    (root.path / "etc/systemd/system/stockade-test.service").write_text(UNIT, encoding="ascii")
    root.run("systemctl", "enable", "stockade-test.service")
    # Nobody logs in, and without udev no terminal ever comes.
    root.run("systemctl", "mask", "getty.target", "systemd-udevd.service", "systemd-udev-trigger.service")
    root.run("systemctl", "set-default", "graphical.target")
    image = into / "disk"
    host.run("truncate", "--size=1G", image)
    host.run("mke2fs", "-q", "-t", "ext4", "-d", root.path, image)
    shutil.rmtree(root.path)
    return image


def outcomes(package: pathlib.Path, work: pathlib.Path) -> list:
    """Boots it; gives whether each case held, and prints it."""
    kernel = kernels.fetch(KERNEL)
    work.mkdir()
    image, packed = disk(work, package), machine.initramfs(work, kernel)
    drive = f"file={image},format=raw,if=virtio,cache=unsafe"
    command = cell.qemu(kernel, packed, [drive], work, ["systemd.show_status=false", "rw"])
    begun = time.monotonic()
    trouble = ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            guest.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            trouble = f"the guest did not power off within {DEADLINE} s and was stopped"
            guest.kill()
    lines = cell.read(work / "results").splitlines()
    if not trouble and lines[-1:] != ["end"]:
        trouble = "the guest stopped before its cases were done"
    held = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("ok", "failed"):
            held.append(word == "ok")
            print(f"{'ok      ' if word == 'ok' else 'FAILED  '} guest {rest}", flush=True)
    if trouble:
        held.append(False)
        console = cell.read(work / "console").rstrip()
        print(f"FAILED   guest: {trouble}\n--- its console\n{console}\n--- end of its console", flush=True)
    print(f"the guest: {kernel.about['release']}, {time.monotonic() - begun:.0f} s", flush=True)
    return held
