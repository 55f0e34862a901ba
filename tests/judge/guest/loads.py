"""What runs in the units of a scenario: culprits, innocents and their probes. One process each, started by its unit.

Every load says what it has done in a file of its own below /run/judge: how many units of work, whether it came to its
end, and when it last got to say so. From that come the innocents' delays and the work that a kill has lost.
"""

import mmap
import os
import pathlib
import random
import signal
import sys
import time

PLACE = pathlib.Path("/run/judge")
MEBIBYTE = 1 << 20
PAGE = mmap.PAGESIZE
# What memory is filled with.
PIECE = os.urandom(PAGE) * (MEBIBYTE // PAGE)
# How often a load says that it is there. The sampler counts a longer silence as delay.
BEAT_SECONDS = 0.1


class Diary:
    """The load's own record: units of work done, whether it is at its end, and the time of the last line."""

    def __init__(self, name: str):
        self.file = os.open(PLACE / f"{name}.{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o644)
        self.units = 0
        self.say()

    def say(self, done: bool = False) -> None:
        os.pwrite(self.file, f"{self.units:12d} {int(done)} {time.monotonic():20.6f}\n".encode(), 0)

    def worked(self, units: int = 1) -> None:
        self.units += units
        self.say()


class Memory:
    """Anonymous memory that can be touched at the speed of C."""

    def __init__(self, mebibytes: float):
        self.map = mmap.mmap(-1, max(PAGE, int(mebibytes * MEBIBYTE)), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def fill(self) -> None:
        """Writes to all of it."""
        self.map.seek(0)
        while (left := len(self.map) - self.map.tell()) > 0:
            self.map.write(PIECE[:left])

    def touch(self, start: int = 0, length: int = 0) -> None:
        """Reads a byte of each page of a stretch, or of all."""
        bytes(self.map[start : start + length or None : PAGE])

    def dirty(self, page: int) -> None:
        """Writes a byte of one page."""
        self.map[page * PAGE] = (self.map[page * PAGE] + 1) & 255


def leak(diary: Diary, rate: float, base: float = 20, most: float = 4000) -> None:
    """A service that answers ten requests a second, and keeps `rate` MiB a second for ever."""
    kept = [Memory(base)]
    kept[0].fill()
    grown = base
    last = time.monotonic()
    while True:
        time.sleep(BEAT_SECONDS)
        now = time.monotonic()
        # By the clock, but never a leap: what was held up does not come all at once.
        grow, last = min(rate * (now - last), rate), now
        if grown < most:
            kept.append(Memory(grow))
            kept[-1].fill()
            grown += grow
        kept[0].touch()
        diary.worked()


def burst(diary: Diary, size: float, hold: float, base: float = 20) -> None:
    """A job that needs much memory for a moment, and ends."""
    Memory(base).fill()
    pieces = []
    for _ in range(int(size / 10)):
        pieces.append(Memory(10))
        pieces[-1].fill()
        diary.worked()
    ended = time.monotonic() + hold
    while time.monotonic() < ended:
        time.sleep(BEAT_SECONDS)
        diary.worked()
    pieces.clear()
    diary.say(done=True)


def steady(diary: Diary, size: float, churn: float = 1, ramp: float = 1000) -> None:
    """A service with a working set: ten times a second it reads all of it, and takes and gives back a little memory.

    It loads what it needs at `ramp` MiB a second.
    """
    loaded = []
    memory = Memory(min(size, ramp))
    memory.fill()
    while True:
        if len(loaded) * ramp / 10 + min(size, ramp) < size:
            loaded.append(Memory(ramp / 10))
            loaded[-1].fill()
        memory.touch()
        Memory(churn).fill()
        diary.worked()
        time.sleep(BEAT_SECONDS)


def compile(diary: Diary, jobs: int, each: float, units: int) -> None:
    """A build: `jobs` compilers at a time, each takes memory, computes, and gives it back; it ends after `units`."""
    running, begun, ended = set(), 0, 0

    def compiler() -> None:
        memory = Memory(each)
        memory.fill()
        until = time.process_time() + 1.0
        while time.process_time() < until:
            sum(range(5000))
            # What was read in and parsed lies there; the passes go over a part of it.
            memory.touch(0, len(memory.map) // 10)
        os._exit(0)

    while ended < units:
        while len(running) < jobs and begun < units:
            child = os.fork()
            if child == 0:
                compiler()
            running.add(child)
            begun += 1
        child, status = os.wait()
        running.discard(child)
        if status:
            sys.exit(f"a compiler ended with {status}")
        ended += 1
        diary.worked()
    diary.say(done=True)


def thrash(diary: Diary, size: float) -> None:
    """A program whose working set is larger than the memory that there is: it touches all of it at random."""
    memory = Memory(size)
    stretch = 64 * PAGE
    places = len(memory.map) // stretch
    for place in range(places):
        memory.map[place * stretch : (place + 1) * stretch : PAGE] = b"x" * 64
        if place % 16 == 0:
            diary.worked()
    while True:
        for _ in range(16):
            memory.dirty(random.randrange(places) * 64 + random.randrange(64))
        diary.worked()


def database(diary: Diary, path: str, size: float, anon: float) -> None:
    """A database that reads its file all over, so that the page cache holds what fits: it is there for that."""
    memory = Memory(anon)
    memory.fill()
    with open(path, "w+b") as file:
        file.truncate(int(size * MEBIBYTE))
        while True:
            ended = time.monotonic() + BEAT_SECONDS
            while time.monotonic() < ended:
                os.pread(file.fileno(), MEBIBYTE // 4, random.randrange(int(size * 4)) * MEBIBYTE // 4)
            memory.touch()
            diary.worked()
            time.sleep(BEAT_SECONDS / 2)


def spool(diary: Diary, rate: float, total: float) -> None:
    """Fills a tmpfs with files that nobody takes away."""
    place = pathlib.Path("/run/spool")
    written, last = 0.0, time.monotonic()
    while True:
        time.sleep(BEAT_SECONDS)
        now = time.monotonic()
        grow, last = min(rate * (now - last), rate), now
        if written < total:
            with open(place / f"{os.getpid()}.{diary.units}", "wb") as file:
                for _ in range(max(1, round(grow))):
                    file.write(PIECE)
                    written += 1
        diary.worked()


def forks(diary: Diary) -> None:
    """A fork bomb: each process makes another two, and none ever ends."""
    diary.worked()
    # Nobody waits for the children, and it is the shell's classic: small, fast, and busy once nothing more can be made.
    os.execvp("sh", ["sh", "-c", "bomb() { bomb | bomb & }; while :; do bomb; done"])


def writer(diary: Diary, pipe: str, keeps: float) -> None:
    """Feeds a pipe; while its reader does not read it keeps what it has, up to a bound, and then waits."""
    kept = Memory(keeps)
    with open(pipe, "wb", buffering=0) as out:
        for page in range(len(kept.map) // PAGE):
            kept.dirty(page)
        for _ in range(200):
            out.write(b"x" * 65536)
            diary.worked()
    diary.say(done=True)


def reader(diary: Diary, pipe: str, keeps: float) -> None:
    """Reads a pipe slowly, with much memory of its own."""
    memory = Memory(keeps)
    memory.fill()
    with open(pipe, "rb", buffering=0) as source:
        while source.read(65536):
            memory.touch(0, 4 * MEBIBYTE)
            diary.worked()
            time.sleep(0.05)
    diary.say(done=True)


LOADS = {one.__name__: one for one in
         (leak, burst, steady, compile, thrash, database, spool, forks, writer, reader)}


def main() -> None:
    kind, name, seed, *settings = sys.argv[1:]
    random.seed(f"{seed} {name}")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    values = {}
    for setting in settings:
        key, value = setting.split("=", 1)
        try:
            values[key] = int(value) if value.isdigit() else float(value)
        except ValueError:
            values[key] = value
    LOADS[kind](Diary(name), **values)


if __name__ == "__main__":
    main()
