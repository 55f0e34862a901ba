"""One Debian guest with systemd as PID 1: its disk, what is laid over it, a boot, and what came back.

The guest's own part is a directory that is copied over its root before systemd starts: programs, Stockade's package,
which the scripts install, units, scripts. A unit in it runs the scenarios, and powers off; what it writes to the second
serial port is the result, as in the matrix.
"""

import pathlib
import shutil
import tempfile

from . import cell, debian, guest, kernels

# Emulated, systemd takes 10 s on an idle machine until it starts the unit.
BOOT_SECONDS = 300
# The kernel's own test of its timer takes a host that is busy for a broken board, and panics.
APPEND = ("psi=1", "no_timer_check")
# Where the scripts find the package.
PACKAGE = "stockade.deb"
MEBIBYTES = 2048

UNIT = """\
[Unit]
Description=The scenarios
After=multi-user.target
FailureAction=poweroff-force
SuccessAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /scenarios/guest.py {arguments}
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS0
TimeoutStartSec=infinity
# What lives here tests the tree, and is no part of what is tested.
Slice=scenarios.slice
"""


def overlay(into: pathlib.Path, programs: dict, scripts: pathlib.Path, arguments, files: dict,
            package=None) -> pathlib.Path:
    """Lays out what goes over the guest's root: programs, package, scripts, the unit that runs them, `files` by path."""
    root = into / "overlay"
    programs_at = root / "usr/local/bin"
    programs_at.mkdir(parents=True)
    for name, path in programs.items():
        shutil.copy(path, programs_at / name)
        (programs_at / name).chmod(0o755)
    if package:
        shutil.copy(package, root / PACKAGE)
    shutil.copytree(scripts, root / "scenarios", ignore=shutil.ignore_patterns("__pycache__"))
    units = root / "etc/systemd/system"
    wants = units / "graphical.target.wants"
    wants.mkdir(parents=True)
    (units / "scenarios.service").write_text(UNIT.format(arguments=" ".join(arguments)), encoding="utf-8")
    (wants / "scenarios.service").symlink_to("../scenarios.service")
    # It hangs up whatever else writes to the console.
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")
    for path, text in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return root


def initramfs(into: pathlib.Path, kernel, overlaid: pathlib.Path) -> pathlib.Path:
    """Packs busybox, the kernel's modules, the init script that hands over to systemd, and the overlay."""
    root = into / "initramfs"
    for name in ("bin", "dev", "proc", "new", "modules"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
    shutil.copy(pathlib.Path(__file__).parents[1] / "init-systemd", root / "init")
    (root / "init").chmod(0o755)
    for name in kernel.about["modules"]:
        shutil.copy(kernel.path / "modules" / f"{name}.ko", root / "modules")
    (root / "cell").write_text(f"MODULES='{' '.join(kernel.about['modules'])}'\n", encoding="ascii")
    shutil.move(overlaid, root / "overlay")
    return guest.pack(root, into / "initramfs.cpio")


def boot(suite: str, programs: dict, scripts: pathlib.Path, arguments, files: dict, deadline: float,
         package: pathlib.Path | None = None) -> cell.Result:
    """Boots one guest of a suite in a directory of its own, and again where it did not reach its scenarios."""
    kernel = kernels.fetch(debian.SUITES[suite].series)
    image = debian.image(suite)

    def once() -> cell.Result:
        with tempfile.TemporaryDirectory(prefix="stockade-vm-") as scratch:
            scratch = pathlib.Path(scratch)
            laid = overlay(scratch, programs, scripts, arguments, files, package)
            drive = f"file={image},format=raw,if=virtio,snapshot=on,cache=unsafe"
            command = cell.qemu(kernel, initramfs(scratch, kernel, laid), [drive], scratch, APPEND, MEBIBYTES)
            return cell.watch(command, scratch, deadline, BOOT_SECONDS)

    return cell.again(once)
