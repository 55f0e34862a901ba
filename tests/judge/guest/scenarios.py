"""The scenarios: who runs, who is to blame, what may be done to whom, and what must come to its end."""

import dataclasses

from units import Unit

# What may be done to a unit at the most, in order.
SEVERITY = ("nothing", "throttle", "freeze", "kill")


@dataclasses.dataclass
class Role:
    """A unit, and the most that may be done to it: culprits may be killed, innocents must be left alone."""

    unit: Unit
    most: str
    # Runs before the culprits begin, so that what it needs is there.
    early: bool = True
    # It has to come to its own end, undisturbed but for what `most` allows.
    finishes: bool = False
    # The contender is told to avoid it.
    marked: bool = False
    # Its own end is a failure, which is nobody's doing.
    fails: bool = False


@dataclasses.dataclass
class Scenario:
    """One case. It ends when relief has lasted for `hold` seconds and who `finishes` has, at the latest after `cap`."""

    about: str
    roles: list
    resource: str = "memory"
    hold: float = 10.0
    cap: float = 90.0
    # Without pressure, how long to wait for some.
    quiet: float = 40.0
    # (seconds after the culprits began, what is done by the administrator)
    acts: tuple = ()
    # Whether relief is asked for; where there is nothing to be relieved, what counts is that nobody is touched.
    relief: bool = True
    # Commands before all units.
    before: tuple = ()

    def names(self, most: str) -> list:
        return [role.unit.name for role in self.roles if role.most == most]


class Cast:
    """Makes the roles of a scenario, with the seed."""

    def __init__(self, seed: str):
        self.seed = seed

    def innocent(self, name: str, size: float, marked: bool = False, **settings) -> Role:
        return Role(Unit(name, "steady", self.seed, {}, size=size, **settings), "nothing", marked=marked)

    def of(self, name: str, kind: str, most: str = "kill", early: bool = False, finishes: bool = False,
           fails: bool = False, properties=None, **settings) -> Role:
        return Role(Unit(name, kind, self.seed, properties or {}, **settings), most, early, finishes, fails=fails)

    def neighbours(self) -> list:
        """A service and a user's session that have a working set each, and do no harm."""
        return [self.innocent("shop.service", 60), self.innocent("session-7.scope", 40)]


def leak(cast: Cast) -> Scenario:
    return Scenario("a service leaks 60 MiB/s",
                    [*cast.neighbours(), cast.of("leak.service", "leak", rate=60)])


def burst(cast: Cast) -> Scenario:
    return Scenario("a job takes more than there is for a moment, and ends by itself",
                    [*cast.neighbours(),
                     cast.of("burst.service", "burst", most="freeze", finishes=True, size=600, hold=3)], relief=False)


def compile(cast: Cast) -> Scenario:
    return Scenario("a build beside an interactive session",
                    [*cast.neighbours(),
                     cast.of("compile.service", "compile", most="freeze", finishes=True, jobs=6, each=100, units=18)],
                    relief=False, cap=300)


def database(cast: Cast) -> Scenario:
    return Scenario("a database with a large page cache, and a service that needs a part of it",
                    [*cast.neighbours(),
                     cast.of("database.service", "database", most="nothing", early=True, path="/var/lib/judge.db",
                             size=900, anon=50),
                     cast.of("report.service", "burst", most="nothing", finishes=True, size=180, hold=12)],
                    relief=False, quiet=45)


def thrash(cast: Cast) -> Scenario:
    return Scenario("a working set larger than the memory, on a swap disk",
                    [*cast.neighbours(), cast.of("thrash.service", "thrash", size=950)])


def forkbomb(cast: Cast) -> Scenario:
    # The shell that cannot fork any more, as the session has all the tasks that it may have, ends with an error.
    return Scenario("a fork bomb in a user's session",
                    [*cast.neighbours(), cast.of("session-8.scope", "forks", fails=True)], resource="cpu")


def tmpfs(cast: Cast) -> Scenario:
    return Scenario("a service fills a tmpfs that stays when it ends",
                    [*cast.neighbours(), cast.of("spool.service", "spool", rate=60, total=1100)],
                    before=(("mkdir", "-p", "/run/spool"),
                            ("mount", "-t", "tmpfs", "-o", "size=1200m,mode=0755", "spool", "/run/spool")))


def neighbour(cast: Cast) -> Scenario:
    return Scenario("the innocent one is the largest, and the one who grows is small",
                    [*cast.neighbours(), cast.innocent("catalogue.service", 280),
                     cast.of("grower.service", "leak", rate=30)])


def two(cast: Cast) -> Scenario:
    return Scenario("two leak at once, a service and a user's session",
                    [*cast.neighbours(), cast.of("first.service", "leak", rate=40),
                     cast.of("session-8.scope", "leak", rate=40)])


def restart(cast: Cast) -> Scenario:
    return Scenario("who leaks is started again each time",
                    [*cast.neighbours(), cast.of("phoenix.service", "leak", rate=80, properties={
                        "Restart": "always", "RestartSec": "500ms", "StartLimitIntervalSec": "0"})], hold=18)


def marks(cast: Cast) -> Scenario:
    return Scenario("the largest one loads what it needs and is marked to be avoided, a smaller one leaks",
                    [*cast.neighbours(), cast.innocent("archive.service", 300, marked=True, ramp=15),
                     cast.of("grower.service", "leak", rate=20)])


def throttled(cast: Cast) -> Scenario:
    return Scenario("a service is held down by its own MemoryHigh= and CPUQuota=, and nobody else feels it",
                    [*cast.neighbours(),
                     cast.of("held.service", "thrash", most="nothing", size=220,
                             properties={"MemoryHigh": "150M", "CPUQuota": "40%"})],
                    relief=False, quiet=70, cap=70)


def slow(cast: Cast) -> Scenario:
    return Scenario("a service leaks 6 MiB/s, for minutes",
                    [*cast.neighbours(), cast.of("seeper.service", "leak", rate=6)], quiet=150, cap=170)


def pipe(cast: Cast) -> Scenario:
    reader = cast.of("reader.service", "reader", most="freeze", finishes=True, pipe="/run/judge/pipe", keeps=200)
    return Scenario("the administrator freezes the reader of a pipe for 30 s, and its writer waits",
                    [*cast.neighbours(), reader,
                     cast.of("writer.service", "writer", most="freeze", finishes=True, pipe="/run/judge/pipe",
                             keeps=170)],
                    acts=((6, reader.unit.freeze), (36, reader.unit.thaw)), relief=False, cap=110,
                    before=(("mkfifo", "/run/judge/pipe"),))


SCENARIOS = {one.__name__: one for one in (leak, burst, compile, database, thrash, forkbomb, tmpfs, neighbour, two,
                                           restart, marks, throttled, slow, pipe)}
