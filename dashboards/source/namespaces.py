"""Slices, users, containers, pods and jobs: what they use, and which namespaces they share."""

from grafana import EACH, ORANGE, RED, dashboard, row, stat, steps, table, timeseries

CORES = "rate(cgroup_cpu_usage_seconds_total{@}[$__rate_interval])"
MEMORY = "cgroup_memory_working_set_bytes{@}"
WAITS = "rate(cgroup_pressure_memory_waiting_seconds_total{@}[$__rate_interval])"


def owned(number, label, within="instance"):
    """A number of everybody who has the label: that of its topmost cgroup, which has what is below it too."""
    names = ", ".join(dict.fromkeys(["instance", *within.split(", "), label]))
    return f"""max by ({names}) ({number} * on ({EACH}) group_left ({", ".join(n for n in names.split(", ")
               if n != "instance")}) cgroup_info{{@,{label}!=""}})"""


def summed(number, label, within="instance"):
    return f"topk(10, sum by ({label}) ({owned(number, label, within)}))"


def tenants(kind, label, what, within="instance", collapsed=False):
    return row(
        f"By {kind}",
        timeseries(f"Memory by {kind}", f"The working set of {what}: the ten with the most, over the chosen hosts. "
                   "What lies within another is in both.",
                   "bytes", (summed(MEMORY, label, within), f"{{{{{label}}}}}"), cgroups=False),
        timeseries(f"CPU by {kind}", f"Cores used by {what}: the ten with the most, over the chosen hosts.", "short",
                   (summed(CORES, label, within), f"{{{{{label}}}}}"), cgroups=False),
        timeseries(f"Waiting for memory by {kind}", f"Share of time in which some process of {what} waited for memory: "
                   "the ten where it is most, on the host where it is most.", "percentunit",
                   (f"topk(10, max by ({label}) ({owned(WAITS, label, within)}))", f"{{{{{label}}}}}"), cgroups=False),
        collapsed=collapsed,
    )


NOW = row(
    "Who is here",
    stat("Containers", "Containers by the runtime that made them.", "short",
         ("""count by (runtime) (count by (instance, runtime, container_id) (cgroup_info{@,container_id!=""}))""",
          "{{runtime}}"), width=6, text="value_and_name"),
    stat("Pods", "Pods, by their class of service.", "short",
         ("""count by (qos) (count by (instance, qos, pod_uid) (cgroup_info{@,pod_uid!=""}))""", "{{qos}}"),
         width=6, text="value_and_name"),
    stat("Users", "Users with a slice of their own.", "short",
         ("""count(count by (instance, user) (cgroup_info{@,user!=""}))""", "users"), width=3),
    stat("In host network", "Cgroups of containers that share the host's network namespace.", "short",
         (f"""count((cgroup_namespaces{{@,kind="net",shared="host"}} > 0)
              and on ({EACH}) cgroup_info{{@,container_id!=""}})""", "cgroups"), width=3,
         thresholds=steps((0.5, ORANGE))),
    stat("In host pid ns", "Cgroups of containers that see every process of the host.", "short",
         (f"""count((cgroup_namespaces{{@,kind="pid",shared="host"}} > 0)
              and on ({EACH}) cgroup_info{{@,container_id!=""}})""", "cgroups"), width=3,
         thresholds=steps((0.5, RED))),
    stat("Root is host root", "Cgroups with a user namespace of their own whose root is the host's root all "
         "the same.", "short", ("count(cgroup_user_namespace_root_uid{@} == 0)", "cgroups"), width=3,
         thresholds=steps((0.5, RED))),
)

CONTAINERS = row(
    "By container",
    table("Containers", "The 30 containers with the largest working sets, the cores that they use and how long they "
          "wait for memory.", "bytes",
          (f"""topk(30, max by (job, instance, runtime, container_id, container) ({MEMORY} * on ({EACH})
               group_left (runtime, container_id, container) cgroup_info{{@,container_id!=""}}))""", "working set",
           "bytes", None),
          (f"""max by (job, instance, runtime, container_id, container) ({CORES} * on ({EACH})
               group_left (runtime, container_id, container) cgroup_info{{@,container_id!=""}})
               and topk(30, max by (job, instance, runtime, container_id, container) ({MEMORY} * on ({EACH})
               group_left (runtime, container_id, container) cgroup_info{{@,container_id!=""}}))""", "cores", "short",
           None),
          width=24, labels=("instance", "runtime", "container", "container_id"), hide=("job",), sort="working set",
          cgroups=False),
)

SHARING = row(
    "Namespaces",
    table("Containers in the host's namespaces", "Cgroups of containers with processes in a namespace of the host's, "
          "other than those that are nearly always shared (user, time). 50 at most.", "short",
          (f"""topk(50, sum by ({EACH}, kind) (cgroup_namespaces{{@,shared="host",kind!~"user|time"}} > 0)
               * on ({EACH}) group_left (runtime, container) cgroup_info{{@,container_id!=""}})""", "namespaces",
           "short", None),
          width=16, labels=("instance", "cgroup", "kind", "runtime", "container"), hide=("job", "Value")),
    timeseries("Namespaces of a host", "Different namespaces that processes are in, by kind: of the chosen hosts, the "
               "one with the most. What only grows is leaked.", "short",
               ("max by (kind) (host_namespaces{@})", "{{kind}}"), width=8, height=9, cgroups=False),
    table("Roots of user namespaces", "Who is root outside, of whoever is root in a user namespace of a cgroup: 0 is "
          "the host's root. 50 at most.", "short",
          ("bottomk(50, cgroup_user_namespace_root_uid{@})", "outside uid", "none", None), width=8, height=8,
          labels=("instance", "cgroup"), hide=("job",)),
    table("Deepest pid namespaces", "How many pid namespaces below the host's the deepest process of a cgroup is. 50 "
          "at most.", "short", ("topk(50, cgroup_pid_namespace_depth{@})", "depth", "none", None), width=8, height=8,
          labels=("instance", "cgroup"), hide=("job",), sort="depth"),
    timeseries("Processes looked at", "Processes in cgroups whose namespaces are known, may not be read, or have not "
               "had their turn yet.", "short",
               ("sum by (state) (stockade_census_processes{@})", "{{state}}"), stacked=True, cgroups=False),
)

NETWORK = row(
    "Network",
    timeseries("Received", "Bytes a second that came in over all devices, of cgroups with a network namespace of their "
               "own: the ten with the most.", "Bps",
               (f"topk(10, sum by ({EACH}) (rate(cgroup_network_receive_bytes_total{{@}}[$__rate_interval])))",
                "{{cgroup}} · {{instance}}")),
    timeseries("Sent", "Bytes a second that went out over all devices, of cgroups with a network namespace of their "
               "own: the ten with the most.", "Bps",
               (f"topk(10, sum by ({EACH}) (rate(cgroup_network_transmit_bytes_total{{@}}[$__rate_interval])))",
                "{{cgroup}} · {{instance}}")),
    timeseries("Dropped and wrong", "Packets a second that were dropped or had errors, in either direction: the ten "
               "cgroups with the most.", "pps",
               (f"""topk(10, sum by ({EACH}) (rate(cgroup_network_receive_drops_total{{@}}[$__rate_interval])
                    + rate(cgroup_network_transmit_drops_total{{@}}[$__rate_interval])
                    + rate(cgroup_network_receive_errors_total{{@}}[$__rate_interval])
                    + rate(cgroup_network_transmit_errors_total{{@}}[$__rate_interval])))""",
                "{{cgroup}} · {{instance}}")),
)

DASHBOARD = dashboard(
    "stockade-namespaces", "Namespaces and tenants",
    "What slices, users, containers, pods and jobs use, and which namespaces they share with the host.",
    [NOW, tenants("slice", "slice", "a systemd slice"), tenants("user", "user", "a user's slice"), CONTAINERS,
     tenants("pod namespace", "namespace", "all pods of a Kubernetes namespace", within="pod_uid"),
     tenants("batch job", "job_id", "a job of Slurm"), SHARING, NETWORK], cgroup="no")
