"""Control groups of our own with load in them: made in every v1 hierarchy that holds what cAdvisor reads, and removed."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids")


class Trouble(Exception):
    """What keeps the comparison from running."""


def hierarchies() -> dict:
    """The mount of each v1 controller."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, after = line.split(" - ", 1)
            kind, _, options = after.split()[:3]
            root, mount = before.split()[3:5]
            if kind == "cgroup" and root == "/":
                for controller in set(options.split(",")) & set(CONTROLLERS):
                    found.setdefault(controller, pathlib.Path(mount))
    return found


# What runs in the groups. Each goes where it belongs, says so, loads, says that it is loaded, and then holds still.
MEMORY = """
held = bytearray(24 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
with open(sys.argv[1] + "/pages", "wb") as file:
    for _ in range(40):
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
mapped = mmap.mmap(os.open(sys.argv[1] + "/pages", os.O_RDONLY), 2 << 20, prot=mmap.PROT_READ)
seen = sum(mapped[at] for at in range(0, 2 << 20, 4096))
"""
DISK = """
device = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
block = mmap.mmap(-1, 16384)
for at in range(64):
    os.pwrite(device, block, at * 16384)
for at in range(48):
    os.preadv(device, [block], at * 16384)
os.close(device)
children = [os.fork() for _ in range(3)]
if 0 in children:
    signal.pause()
"""
BUSY = """
def work():
    for at in range(20000):
        os.stat("/")
"""
SCRIPT = """
import mmap, os, signal, sys
for procs in sys.argv[2:]:
    open(procs, "w").write("0")
{load}
print("loaded", flush=True)
while {busy}:
    work()
signal.pause()
"""


class Groups:
    """A parent with limits and three children with load; a context manager that leaves nothing behind."""

    def __init__(self):
        self.mounts = hierarchies()
        missing = [controller for controller in CONTROLLERS if controller not in self.mounts]
        if missing:
            raise Trouble(
                f"no v1 hierarchy serves {', '.join(missing)} here: cAdvisor 0.38 is compared on a v1 or hybrid host"
            )
        self.path = f"/stockade-test-cadvisor-{os.getpid()}"
        self.processes = []
        self.device = None
        self.files = tempfile.TemporaryDirectory(dir="/var/tmp")

    def directory(self, controller: str, child: str = "") -> pathlib.Path:
        return self.mounts[controller] / self.path[1:] / child

    def write(self, controller: str, child: str, file: str, value) -> None:
        (self.directory(controller, child) / file).write_text(str(value), encoding="ascii")

    def __enter__(self):
        try:
            for child in ("", "busy", "memory", "disk", "idle"):
                for mount in set(self.mounts.values()):
                    (mount / self.path[1:] / child).mkdir()
            self.write("memory", "", "memory.limit_in_bytes", 256 << 20)
            self.write("memory", "memory", "memory.limit_in_bytes", 48 << 20)
            self.write("memory", "memory", "memory.soft_limit_in_bytes", 40 << 20)
            self.write("cpu", "busy", "cpu.cfs_quota_us", 20_000)
            self.write("cpu", "busy", "cpu.cfs_period_us", 50_000)
            self.write("cpu", "disk", "cpu.shares", 512)
            self.write("pids", "disk", "pids.max", 40)
            self.start("memory", MEMORY)
            device = self.attach()
            # The kernel counts a device's I/O only in groups and devices that some limit is about; this one is no limit.
            number = pathlib.Path("/sys/block", device.name, "dev").read_text(encoding="ascii").strip()
            self.write("blkio", "disk", "blkio.throttle.write_bps_device", f"{number} {1 << 40}")
            self.start("disk", DISK, place=device)
            self.start("busy", BUSY, busy=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def attach(self) -> pathlib.Path:
        """A block device of our own, so that nothing is set on one of the host's."""
        file = pathlib.Path(self.files.name, "device")
        with open(file, "wb") as sparse:
            sparse.truncate(4 << 20)
        done = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"losetup gives no loop device for the disk load: {done.stderr.strip()}")
        self.device = pathlib.Path(done.stdout.strip())
        return self.device

    def start(self, child: str, load: str, busy: bool = False, place=None) -> None:
        """Starts a load, and waits until it is in place."""
        procs = [str(mount / self.path[1:] / child / "cgroup.procs") for mount in sorted(set(self.mounts.values()))]
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(load=load, busy=busy), place or self.files.name, *procs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self.processes.append(process)
        if process.stdout.readline() != b"loaded\n":
            raise Trouble(f"the load in {self.path}/{child} ended early, see above")

    def members(self) -> set:
        found = set()
        for procs in self.mounts["pids"].joinpath(self.path[1:]).rglob("cgroup.procs"):
            found.update(int(pid) for pid in procs.read_text(encoding="ascii").split())
        return found

    def __exit__(self, *_):
        # Everything in these groups was started here.
        deadline = time.monotonic() + 10
        while self.directory("pids").exists() and (members := self.members()) and time.monotonic() < deadline:
            for pid in members:
                os.kill(pid, signal.SIGKILL)
            for process in self.processes:
                process.poll()
            time.sleep(0.05)
        for process in self.processes:
            process.kill()
            process.wait()
        for mount in set(self.mounts.values()):
            top = mount / self.path[1:]
            for child in [*top.glob("*/"), top]:
                remove(child, deadline)
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], check=True)
        self.files.cleanup()


def remove(group: pathlib.Path, deadline: float) -> None:
    """Removes a group, as soon as the kernel has let go of its last process."""
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
