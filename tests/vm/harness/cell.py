"""One cell of the matrix: a kernel, a layout, a boot, and what came back."""

import dataclasses
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

from . import guest, host

# The guests that run now. Whoever ends the harness ends them, and their directories go with them.
RUNNING = set()
STOPPING = threading.Event()


def stop_guests(*_) -> None:
    """Ends every guest and lets no other begin; a signal's handler."""
    STOPPING.set()
    for process in list(RUNNING):
        process.kill()
    raise SystemExit(143)


LAYOUTS = ("unified", "hybrid", "legacy")
DEADLINE_SECONDS = 600
# From power-on to the first result: 3 s on an idle machine.
BOOT_SECONDS = 60
# An emulated machine that dies or hangs before its userland has tested nothing: it is booted again, and the table says so.
BOOTS = 3


@dataclasses.dataclass
class Result:
    """What a guest said and did."""

    begin: dict
    scenarios: list
    trouble: str
    console: str
    seconds: float
    # What `stockade check --host` said in the guest.
    survey: dict = dataclasses.field(default_factory=dict)
    # Why earlier boots of it came to nothing, before any scenario ran.
    boots: list = dataclasses.field(default_factory=list)

    def named(self, outcome: str) -> list:
        """The scenarios of that outcome."""
        return [row for row in self.scenarios if row["outcome"] == outcome]

    @property
    def good(self) -> bool:
        """Whether the guest came to its end and nothing failed in it."""
        return not self.trouble and not self.named("failed") and bool(self.scenarios)


def qemu(kernel, initramfs, drives, into: pathlib.Path, append, mebibytes: int = 1536, cpus: int = 2) -> list:
    """The command line: virtual CPUs in software, the console and the results on a serial port each.

    One thread runs both CPUs in turn: with one each, a CPU can meet the breakpoint by which another patches the kernel's
    code after that patch is over, and the kernel dies of it ("Oops: int3" in a static branch). Two guests side by side
    keep a host's CPUs as busy, and the whole takes no longer.
    """
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max",
               "-smp", str(cpus), "-m", str(mebibytes),
               "-kernel", str(kernel.image), "-initrd", str(initramfs),
               "-append", " ".join(["console=ttyS0", "quiet", "panic=-1", "random.trust_cpu=on", *append]),
               "-display", "none", "-monitor", "none", "-no-reboot", "-nodefaults", "-no-user-config",
               "-serial", f"file:{into / 'console'}", "-serial", f"file:{into / 'results'}"]
    for drive in drives:
        command += ["-drive", drive]
    return command


def read(path: pathlib.Path) -> str:
    """A file's text, empty when it was never made."""
    return path.read_bytes().decode(errors="replace") if path.exists() else ""


def judge(into: pathlib.Path, trouble: str, seconds: float) -> Result:
    """Reads the results; a guest that did not say that it ended is in trouble."""
    begin, scenarios, survey, ended = {}, [], {}, False
    for line in read(into / "results").splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            trouble = trouble or f"the guest wrote a result that is no JSON: {line!r}"
            continue
        if "begin" in row:
            begin = row["begin"]
        elif "survey" in row:
            survey = row["survey"]
        elif "end" in row:
            ended = True
        else:
            scenarios.append(row)
    if not ended and not trouble:
        trouble = "the guest stopped before its scenarios were done"
    return Result(begin, scenarios, trouble, read(into / "console"), seconds, survey)


def boot(kernel, layout: str, programs, arguments, append, deadline: float, capture) -> Result:
    """Boots one guest, and again where it did not even reach its userland."""
    return again(lambda: boot_once(kernel, layout, programs, arguments, append, deadline, capture))


def again(once) -> Result:
    """Boots by `once`, and again where the guest tested nothing."""
    boots = []
    while True:
        result = once()
        result.boots = boots
        if result.begin or not result.trouble or len(boots) + 1 == BOOTS or STOPPING.is_set():
            return result
        last = result.console.strip().splitlines()[-1:] or ["its console is empty"]
        boots = [*boots, f"{result.trouble} ({last[0]})"]


def wait(process, into: pathlib.Path, deadline: float, boot_seconds: float) -> str:
    """Waits for the guest's end; tells what kept it from coming."""
    booting = time.monotonic() + min(boot_seconds, deadline)
    while not (into / "results").exists() or not (into / "results").stat().st_size:
        try:
            process.wait(0.2)
            return ""
        except subprocess.TimeoutExpired:
            if time.monotonic() > booting:
                return f"the guest did not reach its userland within {boot_seconds:.0f} s and was stopped"
    try:
        process.wait(deadline)
        return ""
    except subprocess.TimeoutExpired:
        return f"the guest did not power off within {deadline:.0f} s and was stopped"


def boot_once(kernel, layout: str, programs, arguments, append, deadline: float, capture) -> Result:
    """Boots one guest in a directory of its own, and stops it at the deadline."""
    arguments = [*arguments, "--capture=/dev/vdc"] if capture else arguments
    with tempfile.TemporaryDirectory(prefix="stockade-vm-") as scratch:
        scratch = pathlib.Path(scratch)
        initramfs = guest.initramfs(scratch, kernel, layout, arguments, programs)
        disks = [guest.disk(scratch / name, size) for name, size in (("raw", 64), ("files", 256), ("capture", 64))]
        drives = [f"file={image},format=raw,if=virtio,cache=unsafe" for image in disks]
        result = watch(qemu(kernel, initramfs, drives, scratch, append), scratch, deadline, BOOT_SECONDS)
        if capture and not result.trouble:
            unpack(disks[2], pathlib.Path(capture))
            provenance(kernel, layout, result, pathlib.Path(capture))
        return result


def watch(command, scratch: pathlib.Path, deadline: float, boot_seconds: float) -> Result:
    """Runs a guest to its end, or stops it at the deadline."""
    if STOPPING.is_set():
        raise host.Trouble("stopped by a signal")
    started = time.monotonic()
    with open(scratch / "qemu", "wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        RUNNING.add(process)
        trouble = ""
        try:
            trouble = wait(process, scratch, deadline, boot_seconds)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            RUNNING.discard(process)
    if process.returncode not in (0, -signal.SIGKILL):
        trouble = f"QEMU ended with {process.returncode}: {read(scratch / 'qemu').strip()}"
    return judge(scratch, trouble, time.monotonic() - started)


def unpack(image: pathlib.Path, into: pathlib.Path) -> None:
    """Unpacks the tree that the guest wrote as a tar archive onto its capture disk."""
    if into.exists():
        shutil.rmtree(into)
    into.mkdir(parents=True)
    with tarfile.open(image) as archive:
        for member in archive:
            # Only plain files below the target: names in there come from a guest.
            if member.isfile() and not member.name.startswith("/") and ".." not in member.name.split("/"):
                member.mode = 0o644
                archive.extract(member, into)


def provenance(kernel, layout: str, result: Result, into: pathlib.Path) -> None:
    """Says in the fixture where it comes from."""
    about = kernel.about
    load = next((row["reason"] for row in result.scenarios if row["scenario"] == "capture"), "")
    text = "".join(f"{key}: {value}\n" for key, value in (
        ("kernel", about["release"]),
        ("packages", ", ".join(f"{name} {about['version']} (sha256 {digest})"
                               for name, digest in about["packages"].items())),
        ("layout", layout),
        ("captured", time.strftime("%Y-%m-%d", time.gmtime())),
        ("guest", "QEMU, 2 CPUs, 1.5 GiB, virtio disks, booted by tests/vm/run --capture"),
        ("load", load),
    ))
    (into / "PROVENANCE").write_text(text, encoding="utf-8")


def show(name: str, result: Result, console: bool) -> None:
    """Prints what a cell found, and its console when something went wrong."""
    for row in result.scenarios:
        reason = f": {row['reason']}" if row.get("reason") else ""
        print(f"  {row['outcome']:8} {row['scenario']} ({row['seconds']:.1f} s){reason}")
    for reason in result.boots:
        print(f"  booted again: {reason}")
    if result.trouble:
        print(f"  {result.trouble}")
    if console or not result.good:
        print(f"--- console of {name}\n{result.console.rstrip()}\n--- end of console of {name}")
    sys.stdout.flush()


def require_layout(text: str) -> str:
    """The layout's name, checked."""
    if text not in LAYOUTS:
        raise host.Trouble(f"layout {text!r} is not known; known are {', '.join(LAYOUTS)}")
    return text
