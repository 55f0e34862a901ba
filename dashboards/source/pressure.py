"""Who waits, and whether a limit of its own or somebody else is the reason."""

from grafana import EACH, OF_CGROUP, ORANGE, RED, YELLOW, dashboard, row, steps, table, timeseries

CPU_WAITS = "rate(cgroup_pressure_cpu_waiting_seconds_total{@below}[$__rate_interval])"
# Throttled time is added up over CPUs, so it is never less than the time in which the quota made somebody wait: what is
# left of the waiting has another reason. Where there is no quota there is nothing to take off.
CONTENDED = f"""clamp_min({CPU_WAITS}
    - (rate(cgroup_cpu_throttled_seconds_total{{@below}}[$__rate_interval]) or 0 * {CPU_WAITS}), 0)"""
STOPPED = """rate(cgroup_cpu_throttled_periods_total{@below}[$__rate_interval])
    / (rate(cgroup_cpu_periods_total{@below}[$__rate_interval]) > 0)"""

MEMORY_WAITS = "rate(cgroup_pressure_memory_waiting_seconds_total{@below}[$__rate_interval])"
# v2 says which limit was met, v1 only that the hard one was.
LIMIT_MET = f"""(sum by ({EACH}) (rate(cgroup_memory_events_total{{@below,event=~"high|max"}}[$__rate_interval])) > 0
    or sum by ({EACH}) (rate(cgroup_memory_failures_total{{@below}}[$__rate_interval])) > 0)"""

IO_WAITS = "rate(cgroup_pressure_io_waiting_seconds_total{@below}[$__rate_interval])"

WAITING = steps((0.1, YELLOW), (0.4, RED))


def moved(direction):
    return f"sum by ({EACH}) (rate(cgroup_io_{direction}_bytes_total{{@below}}[$__rate_interval]))"


def share_of_limit(direction):
    return f"""topk(10, max by ({EACH}) (
        rate(cgroup_io_{direction}_bytes_total{{@below}}[$__rate_interval])
        / cgroup_io_{direction}_limit_bytes_per_second{{@below}}))"""


CPU = row(
    "CPU: throttled by its own quota, or in contention with others",
    table("Who waits for a CPU, and why", "The 20 cgroups that wait most. Waits and is stopped: its quota is too small "
          "for what it does. Waits and is not stopped: others are in its way; look at weights, or move it. “By others” "
          "is at least the share of time that no quota of its own explains.", "percentunit",
          (f"topk(20, {CPU_WAITS})", "waits", "percentunit", WAITING),
          (f"({STOPPED}) and topk(20, {CPU_WAITS})", "periods stopped", "percentunit", WAITING),
          (f"{CONTENDED} and topk(20, {CPU_WAITS})", "by others", "percentunit", WAITING),
          (f"rate(cgroup_cpu_usage_seconds_total{{@below}}[$__rate_interval]) and topk(20, {CPU_WAITS})",
           "cores used", "short", None),
          (f"cgroup_cpu_limit_cores{{@below}} and topk(20, {CPU_WAITS})", "cores allowed", "short", None),
          labels=("instance", "cgroup"), hide=("job",), sort="waits"),
    timeseries("Waiting for a CPU", "Share of time in which some process waited for a CPU, for whatever reason: the "
               "ten cgroups where it is most.", "percentunit", (f"topk(10, {CPU_WAITS})", OF_CGROUP)),
    timeseries("Stopped by its own quota", "Share of the quota's periods in which the cgroup was stopped: the ten "
               "where it is most. Cure: a larger cpu.max, cpu.max.burst, or fewer threads.", "percentunit",
               (f"topk(10, {STOPPED})", OF_CGROUP), most=1),
    timeseries("In contention with others", "The waiting that the cgroup's own quota does not explain, at least: the "
               "ten where it is most. Cure: a higher cpu.weight, a quota for the hog, another host.", "percentunit",
               (f"topk(10, {CONTENDED})", OF_CGROUP)),
)

MEMORY = row(
    "Memory: held back by a limit of its own, or the host is short of it",
    timeseries("Waiting, and at a limit of its own", "Share of time in which some process waited for memory, of "
               "cgroups that met memory.high or memory.max (v1: any limit) meanwhile: the ten where it is most. Cure: "
               "a larger limit, or a smaller program.", "percentunit",
               (f"topk(10, {MEMORY_WAITS} and on ({EACH}) {LIMIT_MET})", OF_CGROUP)),
    timeseries("Waiting, and at no limit of its own", "Share of time in which some process waited for memory though "
               "the cgroup met no limit of its own: the host, or a cgroup above, is short of it. The ten where it is "
               "most. Cure: memory.low for who matters, less of the rest.", "percentunit",
               (f"topk(10, {MEMORY_WAITS} unless on ({EACH}) {LIMIT_MET})", OF_CGROUP)),
    timeseries("The host", "Share of time in which some process of the host waited for memory, and the memory that is "
               "not available to new work, as a share: the ten hosts where it is most.", "percentunit",
               ("topk(10, rate(host_pressure_memory_waiting_seconds_total{@}[$__rate_interval]))",
                "waiting · {{instance}}"),
               ("topk(10, 1 - host_memory_available_bytes{@} / host_memory_total_bytes{@})", "in use · {{instance}}"),
               cgroups=False),
    timeseries("Slowed down by memory.high", "Times a second that processes were made to reclaim, and slowed down, "
               "because their cgroup was above memory.high: the ten where it is most. cgroup v2 only.", "cps",
               ('topk(10, rate(cgroup_memory_events_total{@below,event="high"}[$__rate_interval]))', OF_CGROUP)),
    timeseries("Reclaiming at a hard limit", "Times a second that a cgroup was at its hard limit and had to reclaim "
               "before it could go on: the ten where it is most. Next is an OOM kill.", "cps",
               (f"""topk(10, rate(cgroup_memory_events_total{{@below,event="max"}}[$__rate_interval])
                    or sum by ({EACH}) (rate(cgroup_memory_failures_total{{@below}}[$__rate_interval])))""",
                OF_CGROUP)),
    timeseries("Thrashing", "Pages a second that were read back soon after they had been dropped or swapped out, or "
               "faulted in from a disk where the kernel does not count that: the ten where it is most.", "cps",
               (f"""topk(10, sum by ({EACH}) (rate(cgroup_memory_stat_events_total{{@below,
                    stat=~"workingset_refault_.*"}}[$__rate_interval])) or sum by ({EACH}) (
                    rate(cgroup_memory_stat_events_total{{@below,stat="pgmajfault"}}[$__rate_interval])))""",
                OF_CGROUP)),
)

IO = row(
    "I/O: who waits, who keeps the disks busy, and who is at a limit",
    table("Who waits for I/O, and why", "The 20 cgroups that wait most. All wait: every process of it did, nothing got "
          "done. Who waits and moves little suffers from others; who moves much waits for itself.", "percentunit",
          (f"topk(20, {IO_WAITS})", "waits", "percentunit", WAITING),
          (f"rate(cgroup_pressure_io_stalled_seconds_total{{@below}}[$__rate_interval]) and topk(20, {IO_WAITS})",
           "all wait", "percentunit", WAITING),
          (f"{moved('read')} and on ({EACH}) topk(20, {IO_WAITS})", "reads", "Bps", None),
          (f"{moved('write')} and on ({EACH}) topk(20, {IO_WAITS})", "writes", "Bps", None),
          labels=("instance", "cgroup"), hide=("job",), sort="waits"),
    timeseries("Waiting for I/O", "Share of time in which some process waited for a block device: the ten cgroups "
               "where it is most.", "percentunit", (f"topk(10, {IO_WAITS})", OF_CGROUP)),
    timeseries("Bytes moved", "Bytes a second, read and written, over all devices: the ten cgroups with the most.",
               "Bps", (f"topk(10, {moved('read')} + {moved('write')})", OF_CGROUP)),
    timeseries("Share of an I/O limit", "How much of a limit on bytes a second is used, of the device where it is "
               "most: the ten cgroups nearest to one. At 1 it is the limit that makes them wait.", "percentunit",
               (share_of_limit("read"), "read · " + OF_CGROUP), (share_of_limit("write"), "write · " + OF_CGROUP)),
)

IRQ = row(
    "Interrupts",
    timeseries("Time lost to interrupts", "Share of time that interrupts took away from the tasks of a cgroup: the ten "
               "where it is most. It is nobody's own doing: look at devices and their drivers. Where the kernel "
               "accounts for it (CONFIG_IRQ_TIME_ACCOUNTING).", "percentunit",
               ("topk(10, rate(cgroup_pressure_irq_stalled_seconds_total{@below}[$__rate_interval]))", OF_CGROUP),
               width=24, height=7),
    collapsed=True,
)

DASHBOARD = dashboard("stockade-pressure", "Pressure", "Who waits for CPU, memory and I/O, and whether a limit of its "
                      "own is the reason or somebody else.", [CPU, MEMORY, IO, IRQ])
