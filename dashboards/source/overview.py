"""The first page: is anything wrong, on which host, and which cgroup is it."""

from grafana import EACH, OF_CGROUP, ORANGE, RED, YELLOW, dashboard, row, stat, steps, timeseries

NOW = row(
    "Is anything wrong",
    stat("Hosts", "Hosts from which Prometheus has numbers. Those it should have and has not: see Stockade / Stockade "
         "itself.", "short", ("count(stockade_build_info{@})", "hosts"), width=3),
    stat("Cgroups", "Living cgroups that are sampled, on all chosen hosts.", "short",
         ('sum(stockade_cgroups{@,state="live"})', "cgroups"), width=3),
    stat("Memory left", "The smallest share of memory that new work can have without swapping, of any "
         "chosen host.", "percentunit",
         ("min(host_memory_available_bytes{@} / host_memory_total_bytes{@})", "available"), width=3,
         thresholds={"mode": "absolute", "steps": [{"color": RED, "value": None}, {"color": ORANGE, "value": 0.05},
                                                   {"color": "green", "value": 0.15}]}),
    stat("Memory waits", "The share of time in which some process waited for memory, of the host where it "
         "is most.", "percentunit",
         ("max(rate(host_pressure_memory_waiting_seconds_total{@}[$__rate_interval]))", "waiting"), width=3,
         thresholds=steps((0.05, YELLOW), (0.2, RED))),
    stat("OOM kills", "Processes that the kernel killed because a memory limit was reached, in the time shown. A "
         "parent counts its children's kills, so the largest count of each host is taken.", "short",
         ("""sum(max by (job, instance) (increase(cgroup_memory_events_total{@,event="oom_kill"}[$__range])))""",
          "kills"), width=3, thresholds=steps((0.5, RED)), no_value="not told", decimals=0),
    stat("Policy kills", "Cgroups that a policy of Stockade killed, in the time shown.", "short",
         ("""sum(increase(stockade_decisions_total{@,action="kill",outcome="applied"}[$__range]))""", "kills"),
         width=3, thresholds=steps((0.5, ORANGE)), no_value="no rule", decimals=0),
    stat("Actions in force", "Limits, freezes and other actions that Stockade holds in the kernel now and will undo.",
         "short", ("sum(stockade_actions_active{@})", "actions"), width=3, thresholds=steps((1, YELLOW))),
    stat("Oldest sample", "The age of the oldest numbers shown here, at the time of their scrape. Above a few "
         "sampling intervals nothing here is to be trusted.", "s",
         ("max(stockade_sample_age_seconds{@})", "age"), width=3, thresholds=steps((15, YELLOW), (60, RED)),
         no_value="none"),
)

HOSTS = row(
    "Hosts: who waits",
    *(timeseries(
        f"Waiting for {name}", f"Share of time in which some process of the host waited for {what}: the ten hosts "
        "where it is most.", "percentunit",
        (f"topk(10, rate(host_pressure_{resource}_waiting_seconds_total{{@}}[$__rate_interval]))", "{{instance}}"),
        width=6, height=7, cgroups=False)
      for resource, name, what in [("cpu", "a CPU", "a CPU"), ("memory", "memory", "memory"),
                                   ("io", "I/O", "a block device")]),
    timeseries("Memory in use", "What is not available to new work, as a share of the host's memory: the ten hosts "
               "with the most.", "percentunit",
               ("topk(10, 1 - host_memory_available_bytes{@} / host_memory_total_bytes{@})", "{{instance}}"),
               width=6, height=7, most=1, cgroups=False),
)

USERS = row(
    "Cgroups: who uses it",
    timeseries("Memory that cannot be reclaimed cheaply", "The working set: memory less inactive page cache. The ten "
               "cgroups with the most. A parent includes its children.", "bytes",
               ("topk(10, cgroup_memory_working_set_bytes{@below})", OF_CGROUP), width=12),
    timeseries("CPU", "Cores in use: the ten cgroups with the most. A parent includes its children.", "short",
               ("topk(10, rate(cgroup_cpu_usage_seconds_total{@below}[$__rate_interval]))", OF_CGROUP), width=12),
    timeseries("Disk reads", "Bytes a second over all devices: the ten cgroups that read most.", "Bps",
               (f"""topk(10, sum by ({EACH}) (
                    rate(cgroup_io_read_bytes_total{{@below}}[$__rate_interval])))""", OF_CGROUP)),
    timeseries("Disk writes", "Bytes a second over all devices: the ten cgroups that write most.", "Bps",
               (f"""topk(10, sum by ({EACH}) (
                    rate(cgroup_io_write_bytes_total{{@below}}[$__rate_interval])))""", OF_CGROUP)),
    timeseries("Processes and threads", "Tasks in the pids controller: the ten cgroups with the most. A parent "
               "includes its children.", "short", ("topk(10, cgroup_pids_current{@below})", OF_CGROUP)),
)

SUFFERERS = row(
    "Cgroups: who suffers",
    *(timeseries(
        f"Waiting for {name}", f"Share of time in which some process of the cgroup waited for {what}: the ten "
        "cgroups where it is most.", "percentunit",
        (f"topk(10, rate(cgroup_pressure_{resource}_waiting_seconds_total{{@below}}[$__rate_interval]))", OF_CGROUP))
      for resource, name, what in [
          ("memory", "memory", "memory: reclaim, swapping in, refaults"),
          ("io", "I/O", "a block device"),
          ("cpu", "a CPU", "a CPU, for whatever reason: Stockade / Pressure tells a quota from contention")]),
    timeseries("Stopped by a CPU quota", "Share of the quota's periods in which the cgroup was stopped: the ten where "
               "it is most.", "percentunit",
               ("""topk(10, rate(cgroup_cpu_throttled_periods_total{@below}[$__rate_interval])
                   / (rate(cgroup_cpu_periods_total{@below}[$__rate_interval]) > 0))""", OF_CGROUP), most=1),
    timeseries("Memory left before a limit", "The ten cgroups with the least room before their own memory limit, or "
               "one of a cgroup above, is reached.", "bytes",
               ('bottomk(10, cgroup_memory_headroom_bytes{@below,limit="max"})', OF_CGROUP)),
    timeseries("Tasks near their limit", "Processes and threads as a share of the cgroup's limit: the ten where it is "
               "most. At the limit, forks fail.", "percentunit",
               ("topk(10, cgroup_pids_current{@below} / cgroup_pids_limit{@below})", OF_CGROUP), most=1),
)

DASHBOARD = dashboard("stockade-overview", "Host overview",
                      "Is anything wrong, on which host, and which cgroups use it or suffer.",
                      [NOW, HOSTS, USERS, SUFFERERS])
