"""What the policies decided, what came of it, what is in force, and what held them back."""

from grafana import BY_HOST, ORANGE, RED, YELLOW, dashboard, heatmap, quantile, row, stat, steps, table, timeseries

DECIDED = "increase(stockade_decisions_total{@}[$__range])"
HELD_BACK = "protected|cooldown|budget|kill_loop|yielded|not_owner"
WRONG = "failed|timed_out|unsupported|vanished"


def decisions(matcher):
    return f"sum(increase(stockade_decisions_total{{@,{matcher}}}[$__range]))"


NOW = row(
    "Now",
    stat("Mode", "How many hosts are in which mode: observe decides nothing, dry_run writes down what it would do, "
         "enforce does it. A host without rules has no mode.", "short",
         ("count by (mode) (stockade_mode{@} == 1)", "{{mode}}"), width=4, text="value_and_name", no_value="no rules"),
    stat("Actions in force", "Cgroups on which an action is in force in the kernel and will be undone.", "short",
         ("sum(stockade_actions_active{@})", "actions"), width=3, thresholds=steps((1, YELLOW))),
    stat("Applied", "Decisions of the time shown that were carried out and read back.", "short",
         (decisions('outcome="applied"'), "applied"), width=3, decimals=0),
    stat("Only tried", "Decisions of the time shown that a dry run wrote down and did not carry out.", "short",
         (decisions('outcome="dry_run"'), "tried"), width=3, decimals=0),
    stat("Held back", "Decisions of the time shown that a guard rail refused: protected, cooldown, budget, a kill "
         "loop, left to others, not the owner.", "short", (decisions(f'outcome=~"{HELD_BACK}"'), "held back"), width=3,
         thresholds=steps((0.5, YELLOW)), decimals=0),
    stat("Went wrong", "Decisions of the time shown that were to be carried out and were not: failed, timed out, not "
         "possible on this host, or the cgroup was gone.", "short", (decisions(f'outcome=~"{WRONG}"'), "went wrong"),
         width=3, thresholds=steps((0.5, RED)), decimals=0),
    stat("Kills", "Kills of the time shown that were carried out.", "short",
         (decisions('action="kill",outcome="applied"'), "kills"), width=2, thresholds=steps((0.5, ORANGE)), decimals=0),
    stat("To be undone", "Changes in the journal that are in the kernel and to be undone.", "short",
         ("sum(stockade_journal_open_entries{@})", "entries"), width=3),
)

DECISIONS = row(
    "Decisions",
    timeseries("By outcome", "Decisions in each interval by what came of them. What each outcome means is in "
               "config/README.md.", "short",
               ("sum by (outcome) (increase(stockade_decisions_total{@}[$__rate_interval])) > 0", "{{outcome}}"),
               width=12, stacked=True, bars=True, cgroups=False, decimals=0),
    timeseries("By policy and action", "Decisions in each interval that were carried out or, in a dry run, would have "
               "been: the ten policies and actions with the most.", "short",
               ("""topk(10, sum by (policy, action) (increase(
                   stockade_decisions_total{@,outcome=~"applied|dry_run"}[$__rate_interval])) > 0)""",
                "{{policy}}: {{action}}"), width=12, stacked=True, bars=True, cgroups=False, decimals=0),
    table("Every policy, action and outcome", "How many decisions of the time shown came to what: the 50 kinds with "
          "the most. The cgroup and the reason of each are in the audit: stockade audit --policy NAME.", "short",
          (f"topk(50, sum by (policy, action, outcome) ({DECIDED}) > 0)", "decisions", "short", None), width=12,
          labels=("policy", "action", "outcome"), sort="decisions", cgroups=False, decimals=0),
    timeseries("Held back and gone wrong", "Decisions in each interval that a guard rail refused, or that were not "
               "carried out: the ten policies and outcomes with the most. A budget that is used up again and again is "
               "a service that is killed again and again.", "short",
               (f"""topk(10, sum by (policy, outcome) (increase(
                   stockade_decisions_total{{@,outcome=~"{HELD_BACK}|{WRONG}"}}[$__rate_interval])) > 0)""",
                "{{policy}}: {{outcome}}"), width=12, height=9, stacked=True, bars=True, cgroups=False, decimals=0),
)

FORCE = row(
    "What is in force",
    timeseries("Actions in force", "Cgroups on which an action of a policy is in force in the kernel: the ten policies "
               "and actions with the most.", "short",
               ("topk(10, sum by (policy, action) (stockade_actions_active{@}))", "{{policy}}: {{action}}"),
               stacked=True, cgroups=False),
    timeseries("States of the policies", "Cgroups that policies act on (acting), have relieved, rest from (cooldown), "
               "or have no step left for (exhausted): the ten policies and states with the most.", "short",
               ('topk(10, sum by (policy, state) (stockade_policy_state{@,state!="watching"}) > 0)',
                "{{policy}}: {{state}}"), stacked=True, cgroups=False),
    table("Frozen cgroups", "Cgroups that stand still now, by a policy, by a person or by another program. At most 20 "
          "are shown.", "short", ("topk(20, cgroup_frozen{@} == 1)", "frozen", "short", None), width=8, height=8,
          labels=("instance", "cgroup"), hide=("job", "Value")),
)

SPEED = row(
    "How fast it is",
    timeseries("Reaction time", "From the moment at which what led to an action was noticed to its effect in the "
               "kernel: half of them, nine in ten, and 99 in 100 were faster. A kill waits for its grace.", "s",
               *((quantile(share, "stockade_reaction_seconds", "action"), f"{name} · {{{{action}}}}")
                 for share, name in [("0.5", "half"), ("0.9", "90 %"), ("0.99", "99 %")]), cgroups=False),
    heatmap("Reaction times", "How many actions took how long, of all kinds.", "s",
            "sum by (le) (increase(stockade_reaction_seconds_bucket{@}[$__rate_interval]))", width=8),
    timeseries("Time to judge the policies", "How long it takes to judge every policy on a snapshot or on what woke "
               "it, 99 times in 100: the ten slowest hosts.", "s",
               (f"topk(10, {quantile('0.99', 'stockade_evaluation_duration_seconds', 'instance')})", BY_HOST),
               cgroups=False),
    timeseries("What wakes it between passes", "How often a second policies were judged between two passes: by a "
               "pressure trigger of the kernel, an event, a birth, or a deadline of their own.", "cps",
               ("sum by (cause) (rate(stockade_wakes_total{@}[$__rate_interval]))", "{{cause}}"), width=12,
               cgroups=False),
    timeseries("Pressure triggers armed", "Triggers of the kernel that would wake the policies: the ten hosts with the "
               "most. There are 256 at most.", "short", ("topk(10, stockade_triggers_armed{@})", BY_HOST),
               width=12, cgroups=False),
)

OTHERS = row(
    "Who else writes",
    timeseries("Drift", "Writes by others, in each interval, to controls that a rule keeps: it yields, or reasserts "
               "its value. Two programs that fight over a control are seen here.", "short",
               ("""topk(10, sum by (policy, file, answer) (
                   increase(stockade_drift_total{@}[$__rate_interval])))""", "{{policy}}: {{file}} {{answer}}"),
               stacked=True, bars=True, cgroups=False, decimals=0),
    timeseries("Control writes by others", "Writes a second to control files by systemd, runtimes and whoever else: "
               "the ten kinds with the most.", "wps",
               ("""topk(10, sum by (writer, file) (
                   rate(stockade_control_writes_total{@,writer!="self"}[$__rate_interval])))""",
                "{{writer}}: {{file}}"), cgroups=False),
    timeseries("Lost lines and messages", "Audit lines that could not be written, notifications that reached nobody, "
               "and torn bytes of the journal, in each interval. All of them should be zero.", "short",
               ("sum(increase(stockade_audit_faults_total{@}[$__rate_interval]))", "audit lines"),
               ("sum(increase(stockade_notify_faults_total{@}[$__rate_interval]))", "notifications"),
               ("sum(increase(stockade_journal_torn_bytes_total{@}[$__rate_interval]))", "torn bytes"), cgroups=False),
)

DASHBOARD = dashboard("stockade-enforcement", "Enforcement", "What the policies decided, what came of it, what is in "
                      "force, how fast it was, and what held them back.",
                      [NOW, DECISIONS, FORCE, SPEED, OTHERS], cgroup="no")
