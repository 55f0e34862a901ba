"""One cgroup in depth: whose it is, what it uses, what bounds it, what it waits for."""

from grafana import BY_HOST, ORANGE, RED, YELLOW, dashboard, row, stat, steps, table, timeseries

IDENTITY = row(
    "Who is it",
    table("Whose it is", "What its path and its runtime's files tell about the cgroup: slice, unit, user, container, "
          "pod, job.", "short", ("cgroup_info{@cgroup}", "info", "short", None), height=4,
          labels=("instance", "cgroup", "slice", "unit", "user", "runtime", "container", "image", "namespace", "pod"),
          hide=("job", "Value", "container_id", "pod_uid"), cgroups=False),
    stat("State", "Whether processes live in it or below it, and whether a freezer has stopped them.", "short",
         ("cgroup_populated{@cgroup} + 2 * (cgroup_frozen{@cgroup} or 0 * cgroup_populated{@cgroup})", BY_HOST),
         width=4, text="value", no_value="unknown",
         mappings=[{"type": "value", "options": {
             "0": {"text": "empty", "index": 0}, "1": {"text": "running", "color": "green", "index": 1},
             "2": {"text": "frozen, empty", "color": "blue", "index": 2},
             "3": {"text": "frozen", "color": "blue", "index": 3}}}]),
    stat("CPU", "Cores in use now, with all below it.", "short",
         ("rate(cgroup_cpu_usage_seconds_total{@cgroup}[$__rate_interval])", BY_HOST)),
    stat("Memory", "The working set, with all below it: what cannot be reclaimed cheaply.", "bytes",
         ("cgroup_memory_working_set_bytes{@cgroup}", BY_HOST), no_value="unknown"),
    stat("Room before OOM", "What it can still take before its own memory limit, or one of a cgroup above, is "
         "reached.", "bytes", ('cgroup_memory_headroom_bytes{@cgroup,limit="max"}', BY_HOST), no_value="no limit",
         thresholds={"mode": "absolute", "steps": [{"color": RED, "value": None}, {"color": ORANGE, "value": 16 << 20},
                                                   {"color": "green", "value": 128 << 20}]}),
    stat("OOM kills", "Processes in it and below it that the kernel killed because a memory limit was reached, in the "
         "time shown.", "short", ('increase(cgroup_memory_events_total{@cgroup,event="oom_kill"}[$__range])', BY_HOST),
         thresholds=steps((0.5, RED)), no_value="not told", decimals=0),
    stat("Tasks", "Processes and threads in it and below it.", "short", ("cgroup_pids_current{@cgroup}", BY_HOST),
         no_value="unknown"),
)

CPU = row(
    "CPU",
    timeseries("CPU time and its limit", "Cores in use in user mode and in the kernel, and the quota as cores, if "
               "there is one.", "short",
               ("rate(cgroup_cpu_user_seconds_total{@cgroup}[$__rate_interval])", "user · {{instance}}"),
               ("rate(cgroup_cpu_system_seconds_total{@cgroup}[$__rate_interval])", "kernel · {{instance}}"),
               ("cgroup_cpu_limit_cores{@cgroup}", "quota · {{instance}}"), stacked=True, dashed=["quota"],
               cgroups=False),
    timeseries("Waiting for a CPU", "Share of time in which some process (some) or every one (full) waited for a CPU. "
               "Being stopped by its own quota counts: compare with the next panel.", "percentunit",
               ("rate(cgroup_pressure_cpu_waiting_seconds_total{@cgroup}[$__rate_interval])", "some · {{instance}}"),
               ("rate(cgroup_pressure_cpu_stalled_seconds_total{@cgroup}[$__rate_interval])", "full · {{instance}}"),
               cgroups=False),
    timeseries("Stopped by its own quota", "Share of the quota's periods in which it was stopped. Where this is zero "
               "and it waits, others are in its way.", "percentunit",
               ("""rate(cgroup_cpu_throttled_periods_total{@cgroup}[$__rate_interval])
                   / (rate(cgroup_cpu_periods_total{@cgroup}[$__rate_interval]) > 0)""", BY_HOST), most=1,
               cgroups=False),
)

MEMORY = row(
    "Memory",
    timeseries("Memory and its limits", "What is charged, what cannot be reclaimed cheaply, and the limits set on the "
               "cgroup itself: max kills, high slows down.", "bytes",
               ("cgroup_memory_current_bytes{@cgroup}", "charged · {{instance}}"),
               ("cgroup_memory_working_set_bytes{@cgroup}", "working set · {{instance}}"),
               ("cgroup_memory_swap_current_bytes{@cgroup}", "swap · {{instance}}"),
               ('cgroup_memory_limit_bytes{@cgroup,limit=~"max|high"}', "limit {{limit}} · {{instance}}"),
               dashed=["limit"], cgroups=False),
    timeseries("What it is used for", "Memory by use: anonymous memory goes only by ending processes or swapping; file "
               "pages can be dropped, and read again.", "bytes",
               ('cgroup_memory_stat_bytes{@cgroup,stat=~"anon|file|slab|kernel_stack|pagetables|sock"}',
                "{{stat}} · {{instance}}"), stacked=True, cgroups=False),
    timeseries("Waiting for memory", "Share of time in which some process (some) or every one (full) waited for "
               "memory.", "percentunit",
               ("rate(cgroup_pressure_memory_waiting_seconds_total{@cgroup}[$__rate_interval])",
                "some · {{instance}}"),
               ("rate(cgroup_pressure_memory_stalled_seconds_total{@cgroup}[$__rate_interval])",
                "full · {{instance}}"), cgroups=False),
    timeseries("Limits reached", "Times a second that a limit was met: high (made to reclaim and slowed down), max "
               "(reclaimed at the limit), oom, oom_kill; v1 counts only failures of a limit.", "cps",
               ("rate(cgroup_memory_events_total{@cgroup}[$__rate_interval])", "{{event}} · {{instance}}"),
               ("rate(cgroup_memory_failures_total{@cgroup}[$__rate_interval])", "v1 {{counter}} · {{instance}}"),
               width=12, cgroups=False),
    timeseries("Faults and refaults", "Page faults that needed a disk, pages read back soon after they were dropped, "
               "and pages swapped in, a second. Refaults that stay are thrashing.", "cps",
               ('rate(cgroup_memory_stat_events_total{@cgroup,stat=~"pgmajfault|workingset_refault_.*|pswpin"}'
                '[$__rate_interval])', "{{stat}} · {{instance}}"), width=12, cgroups=False),
)

IO = row(
    "I/O",
    timeseries("Bytes and limits", "Bytes a second by device, and the limits on them, if there are any.", "Bps",
               ("rate(cgroup_io_read_bytes_total{@cgroup}[$__rate_interval])", "read {{device}} · {{instance}}"),
               ("rate(cgroup_io_write_bytes_total{@cgroup}[$__rate_interval])", "write {{device}} · {{instance}}"),
               ("cgroup_io_read_limit_bytes_per_second{@cgroup}", "limit read {{device}} · {{instance}}"),
               ("cgroup_io_write_limit_bytes_per_second{@cgroup}", "limit write {{device}} · {{instance}}"),
               dashed=["limit"], cgroups=False),
    timeseries("Operations", "Reads and writes a second by device.", "iops",
               ("rate(cgroup_io_reads_total{@cgroup}[$__rate_interval])", "read {{device}} · {{instance}}"),
               ("rate(cgroup_io_writes_total{@cgroup}[$__rate_interval])", "write {{device}} · {{instance}}"),
               cgroups=False),
    timeseries("Waiting for I/O", "Share of time in which some process (some) or every one (full) waited for a block "
               "device.", "percentunit",
               ("rate(cgroup_pressure_io_waiting_seconds_total{@cgroup}[$__rate_interval])", "some · {{instance}}"),
               ("rate(cgroup_pressure_io_stalled_seconds_total{@cgroup}[$__rate_interval])", "full · {{instance}}"),
               cgroups=False),
)

TASKS = row(
    "Tasks, namespaces, network",
    timeseries("Tasks and their limit", "Processes and threads in it and below it, and how many there may be.",
               "short", ("cgroup_pids_current{@cgroup}", "tasks · {{instance}}"),
               ("cgroup_pids_limit{@cgroup}", "limit · {{instance}}"), dashed=["limit"], cgroups=False),
    timeseries("Forks refused", "Times a second that a fork failed because of a limit on tasks, in it or below it.",
               "cps", ("rate(cgroup_pids_events_total{@cgroup}[$__rate_interval])", "{{event}} · {{instance}}"),
               cgroups=False),
    timeseries("Network", "Bytes a second by device, of a network namespace that the cgroup has for itself. There is "
               "nothing where it uses the host's.", "Bps",
               ("rate(cgroup_network_receive_bytes_total{@cgroup}[$__rate_interval])",
                "received {{device}} · {{instance}}"),
               ("rate(cgroup_network_transmit_bytes_total{@cgroup}[$__rate_interval])",
                "sent {{device}} · {{instance}}"), cgroups=False),
    table("Namespaces", "The namespaces of its own processes: how many are the host's (host), shared with other "
          "cgroups (peer), or its own.", "short", ("cgroup_namespaces{@cgroup} > 0", "namespaces", "short", None),
          width=12, height=8, labels=("instance", "kind", "shared"), hide=("job", "cgroup"), cgroups=False),
    table("Directly below it", "The ten cgroups one level below with the largest working sets, and the cores that "
          "they use.", "bytes",
          ('topk(10, cgroup_memory_working_set_bytes{@,cgroup=~"$cgroup/[^/]+"})', "working set", "bytes", None),
          ("""rate(cgroup_cpu_usage_seconds_total{@,cgroup=~"$cgroup/[^/]+"}[$__rate_interval])
              and topk(10, cgroup_memory_working_set_bytes{@,cgroup=~"$cgroup/[^/]+"})""", "cores", "short",
           steps((1, YELLOW))), width=12, height=8, labels=("instance", "cgroup"), hide=("job",),
          sort="working set"),
)

DASHBOARD = dashboard("stockade-cgroup", "One cgroup",
                      "Everything about one cgroup, or one path on several hosts: whose it is, what it uses, what "
                      "bounds it and what it waits for.", [IDENTITY, CPU, MEMORY, IO, TASKS], cgroup="one")
