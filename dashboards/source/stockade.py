"""Stockade itself: whether its numbers are fresh and whole, and what they cost."""

from grafana import BY_HOST, ORANGE, RED, YELLOW, dashboard, quantile, row, stat, steps, table, timeseries


def topmost(expression):
    return f"topk(10, {expression})"


NOW = row(
    "Are the numbers good",
    stat("Not answering", "Hosts that Prometheus could not scrape.", "short", ("count(up{@} == 0) or 0 * sum(up{@})",
                                                                               "hosts"), width=3,
         thresholds=steps((1, RED))),
    stat("Oldest sample", "The age of the oldest numbers, at the time of their scrape. It should be below two sampling "
         "intervals.", "s", ("max(stockade_sample_age_seconds{@})", "age"), width=3,
         thresholds=steps((15, YELLOW), (60, RED))),
    stat("Series dropped", "Series of cgroups that a budget (collect.max_series) keeps out of the expositions.",
         "short", ("sum(stockade_series_dropped{@})", "series"), width=3, thresholds=steps((1, ORANGE))),
    stat("Faulty collectors", "Collectors that met a fault in their last pass, over the chosen hosts.", "short",
         ("count(stockade_collector_success{@} == 0) or 0 * sum(stockade_collector_success{@})", "collectors"),
         width=3, thresholds=steps((1, ORANGE))),
    stat("Configs refused", "Hosts on which the newest configuration was refused: the one before is in force.",
         "short", ("""count(stockade_config_last_reload_successful{@} == 0)
                      or 0 * sum(stockade_config_last_reload_successful{@})""", "hosts"), width=3,
         thresholds=steps((1, RED)), no_value="no file"),
    stat("CPU of one host", "Cores that Stockade itself uses, of the host where it is most.", "short",
         ("max(rate(process_cpu_seconds_total{@}[$__rate_interval]))", "cores"), width=3,
         thresholds=steps((0.1, YELLOW), (0.5, RED))),
    stat("Memory of one host", "Resident memory of Stockade itself, of the host where it is most.", "bytes",
         ("max(process_resident_memory_bytes{@})", "memory"), width=3,
         thresholds=steps((256 << 20, YELLOW), (1 << 30, RED))),
    stat("Series", "Series of cgroups in one scrape of every chosen host together: what Prometheus has to keep.",
         "short", ("sum(stockade_series{@})", "series"), width=3),
)

SAMPLING = row(
    "Sampling",
    timeseries("Age of the sample", "How old the numbers were when they were scraped: the ten hosts with the oldest. A "
               "line that rises is a sampler that hangs.", "s", (topmost("stockade_sample_age_seconds{@}"), BY_HOST),
               cgroups=False),
    timeseries("Duration of a pass", "How long a pass over every cgroup takes, 99 times in 100: the ten slowest hosts. "
               "It must stay well below the sampling interval.", "s",
               (topmost(quantile("0.99", "stockade_sample_duration_seconds", "instance")), BY_HOST),
               cgroups=False),
    timeseries("Duration of the collectors", "Time that each collector spent in the last pass, of the host where it is "
               "most: the ten slowest. Slow ones can have a longer interval, or be switched off.", "s",
               (topmost("max by (collector) (stockade_collector_duration_seconds{@})"), "{{collector}}"),
               stacked=True, cgroups=False),
    timeseries("Passes", "Passes a second over every cgroup: the ten hosts with the fewest.", "ops",
               ("bottomk(10, rate(stockade_samples_total{@}[$__rate_interval]))", BY_HOST), cgroups=False),
    timeseries("Faults", "Files a second that could not be used, by file and reason, over the chosen hosts: the ten "
               "kinds with the most.", "cps",
               (topmost("sum by (source, kind) (rate(stockade_read_faults_total{@}[$__rate_interval]))"),
                "{{source}}: {{kind}}"), cgroups=False),
    timeseries("Births and deaths", "Cgroups a second that were first seen and that ended, deaths whose last numbers "
               "no scrape carried, and rescans because the watch lost events; over the chosen hosts.", "cps",
               ("sum(rate(stockade_cgroup_births_total{@}[$__rate_interval]))", "births"),
               ("sum(rate(stockade_cgroup_deaths_total{@}[$__rate_interval]))", "deaths"),
               ("sum(rate(stockade_cgroup_deaths_unscraped_total{@}[$__rate_interval]))", "deaths unscraped"),
               ("sum(rate(stockade_rescans_total{@}[$__rate_interval]))", "rescans"), cgroups=False),
)

BUDGETS = row(
    "Budgets",
    timeseries("Series of a host", "Series of cgroups in one exposition: the ten hosts with the most. What the budget "
               "drops is beside it, and should be nothing.", "short",
               (topmost("stockade_series{@}"), "shown · {{instance}}"),
               (topmost("stockade_series_dropped{@} > 0"), "dropped · {{instance}}"), cgroups=False),
    timeseries("Descriptors held", "Descriptors held open on cgroup files, as a share of how many may be: the ten "
               "hosts with the most. Above it files are opened anew in every pass, which costs time and nothing else.",
               "percentunit", (topmost("stockade_descriptors_held{@} / (stockade_descriptors_budget{@} > 0)"), BY_HOST),
               most=1, cgroups=False),
    timeseries("Descriptors of the process", "Open descriptors as a share of the process's limit: the ten hosts with "
               "the most.", "percentunit", (topmost("process_open_fds{@} / process_max_fds{@}"), BY_HOST), most=1,
               cgroups=False),
)

COST = row(
    "Cost",
    timeseries("CPU", "Cores that Stockade uses: the ten hosts with the most.", "short",
               (topmost("rate(process_cpu_seconds_total{@}[$__rate_interval])"), BY_HOST), cgroups=False),
    timeseries("Resident memory", "Resident memory of Stockade: the ten hosts with the most.", "bytes",
               (topmost("process_resident_memory_bytes{@}"), BY_HOST), cgroups=False),
    timeseries("Threads", "Threads of Stockade: the ten hosts with the most.", "short",
               (topmost("process_threads{@}"), BY_HOST), cgroups=False),
    timeseries("Requests", "Requests answered a second, by route and status, over the chosen hosts: the ten kinds with "
               "the most.", "reqps",
               (topmost("sum by (path, code) (rate(stockade_web_requests_total{@}[$__rate_interval]))"),
                "{{path}} {{code}}"), cgroups=False),
    timeseries("Time to make an exposition", "How long it takes, 99 times in 100, compression not counted: the ten "
               "slowest hosts.", "s",
               (topmost(quantile("0.99", "stockade_render_duration_seconds", "instance")), BY_HOST),
               cgroups=False),
    timeseries("Duration of the scrape", "How long Prometheus waited for the whole exposition: the ten slowest hosts.",
               "s", (topmost("scrape_duration_seconds{@}"), BY_HOST), cgroups=False),
)

FLEET = row(
    "Versions and kinds of hosts",
    table("Versions", "Hosts by version, revision and architecture.", "short",
          ("count by (version, revision, arch) (stockade_build_info{@})", "hosts", "short", None), width=8, height=6,
          labels=("version", "revision", "arch"), sort="hosts", cgroups=False),
    table("Layouts", "Hosts by how they mount control groups: unified is cgroup v2, legacy v1, hybrid both.", "short",
          ("count by (layout) (stockade_layout{@} == 1)", "hosts", "short", None), width=8, height=6,
          labels=("layout",), cgroups=False),
    table("Ways of watching", "Hosts by how births, deaths and control writes are noticed: fanotify is at once and "
          "tells who wrote, inotify is at once, walk is once a pass.", "short",
          ("count by (method) (stockade_watch_method{@} == 1)", "hosts", "short", None), width=8, height=6,
          labels=("method",), cgroups=False),
    timeseries("Time since the start", "How long Stockade has run: the ten hosts where it started last. What stays low "
               "restarts again and again.", "s", ("bottomk(10, time() - process_start_time_seconds{@})", BY_HOST),
               width=12, height=7, cgroups=False),
    timeseries("Time since the configuration was loaded", "How long the configuration in force has been so: the ten "
               "hosts where it is newest.", "s",
               ("bottomk(10, time() - stockade_config_last_reload_success_timestamp_seconds{@})", BY_HOST), width=12,
               height=7, cgroups=False),
)

DASHBOARD = dashboard("stockade-exporter", "Stockade itself",
                      "Whether the numbers of Stockade are fresh and whole, and what they cost.",
                      [NOW, SAMPLING, BUDGETS, COST, FLEET], cgroup="no")
