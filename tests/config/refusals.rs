//! Rules and guard rails that are refused: each with the place, the text that is underlined, what is wrong, and what was
//! expected.

use super::parse;

/// A policy with one key of its own.
fn policy(key: &str, value: &str) -> String {
    let default = [
        ("match", "{path: /a/*}"),
        ("when", "{signal: memory.current, above: 1GiB}"),
        ("steps", "[{notify: {}}]"),
    ];
    rule("policies:\n  - name: p\n", &default, key, value)
}

/// A limit with one key of its own.
fn limit(key: &str, value: &str) -> String {
    rule("limits:\n  - name: l\n", &[("match", "{path: /a/*}"), ("set", "{memory.high: 1GiB}")], key, value)
}

fn rule(head: &str, default: &[(&str, &str)], key: &str, value: &str) -> String {
    let mut text = head.to_owned();
    for (name, usual) in default {
        text.push_str(&format!("    {name}: {}\n", if *name == key { value } else { usual }));
    }
    if default.iter().all(|(name, _)| *name != key) {
        text.push_str(&format!("    {key}: {value}\n"));
    }
    text
}

/// A policy that clears.
fn clear(when: &str, clear: &str) -> String {
    format!("{}    clear: {clear}\n", policy("when", when))
}

/// `line:column [what is underlined] what is wrong | what was expected`, for each problem.
fn told(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err(text).to_json();
    let lines: Vec<&str> = text.lines().collect();
    let number =
        |value: &serde_json::Value| usize::try_from(value.as_u64().expect("a number")).expect("it is small");
    let tell = |problem: &serde_json::Value| {
        let (line, column, width) =
            (number(&problem["line"]), number(&problem["column"]), number(&problem["width"]));
        let underlined: String = lines[line - 1].chars().skip(column - 1).take(width).collect();
        let (message, expected) = (&problem["message"], &problem["expected"]);
        let (message, expected) = (message.as_str().expect("text"), expected.as_str().expect("text"));
        format!("{line}:{column} [{underlined}] {message} | {expected}")
    };
    problems["problems"].as_array().expect("a list").iter().map(tell).collect()
}

#[track_caller]
fn refused(cases: &[(String, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(told(text), *expected, "{text}");
    }
}

#[test]
fn signals_and_values() {
    refused(&[
        (
            policy("when", "{signal: memory.curent, above: 1GiB}"),
            &["4:20 [memory.curent] unknown signal `memory.curent` | did you mean `memory.current`?"],
        ),
        (
            policy("when", "{signal: nonsense.at.all, above: 1}"),
            &[
                "4:20 [nonsense.at.all] unknown signal `nonsense.at.all` | expected a signal such as `memory.current`, `cpu.usage` or `memory.pressure.full.avg10`",
            ],
        ),
        (
            policy("when", "{signal: memory.current, above: 40%}"),
            &[
                "4:43 [40%] `40%` is no value of memory.current | memory.current is measured in bytes: expected a size such as `512MiB` or `64M`, or `of_limit: true` beside it",
            ],
        ),
        (
            policy("when", "{signal: memory.pressure.full.avg10, above: 512MiB}"),
            &[
                "4:55 [512MiB] `512MiB` is no value of memory.pressure.full.avg10 | memory.pressure.full.avg10 is measured in shares: expected a share such as `80%`",
            ],
        ),
        (
            policy("when", "{signal: memory.pressure.full.avg10, above: 0.4}"),
            &[
                "4:55 [0.4] `0.4` is no value of memory.pressure.full.avg10 | memory.pressure.full.avg10 is measured in shares: expected a share such as `80%`",
            ],
        ),
        (
            policy("when", "{signal: cpu.usage, above: 2 cores}"),
            &[
                "4:38 [2 cores] `2 cores` is no value of cpu.usage | cpu.usage is measured in CPU cores: expected an amount of CPU such as `1.5` (cores) or `150%`",
            ],
        ),
        (
            policy("when", "{signal: memory.growth, above: 64MiB}"),
            &[
                "4:42 [64MiB] `64MiB` is no value of memory.growth | memory.growth is measured in bytes a second: expected a rate such as `64MiB/s`",
            ],
        ),
        (
            policy("when", "{signal: pids.growth, above: 100}"),
            &[
                "4:40 [100] `100` is no value of pids.growth | pids.growth is measured in things a second: expected a rate such as `100/s`",
            ],
        ),
        (
            policy("when", "{signal: pids.current, above: 1.5}"),
            &[
                "4:41 [1.5] `1.5` is no value of pids.current | pids.current is measured in whole numbers: expected a whole number such as `100`",
            ],
        ),
        (
            policy("when", "{signal: age, above: 5}"),
            &[
                "4:32 [5] `5` is no value of age | age is measured in time: expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            policy("when", "{signal: memory.current, above: -1GiB}"),
            &[
                "4:43 [-1GiB] `-1GiB` is no value of memory.current | memory.current is measured in bytes: expected a size such as `512MiB` or `64M`",
            ],
        ),
        (
            policy("when", "{signal: memory.current, above: [1GiB]}"),
            &["4:43 [[] wrong type: found a list | expected a word or a number"],
        ),
        (
            policy("when", "{signal: memory.current, above: 1gib, of_limit: true}"),
            &[
                "4:43 [1gib] `1gib` is no share | with `of_limit` it is a share of the limit: expected a share such as `80%`",
            ],
        ),
        (
            policy("when", "{signal: memory.growth, above: 50%, of_limit: true}"),
            &[
                "4:57 [true] no limit bounds memory.growth | expected `of_limit` with memory, swap, CPU usage or a number of processes",
            ],
        ),
    ]);
}

#[test]
fn conditions_that_are_incomplete_or_too_much() {
    refused(&[
        (
            policy("when", "{}"),
            &[
                "4:11 [{] this compares nothing | expected `{signal: memory.current, above: 2GiB, for: 10s}`, `all`, `any` or `not`",
            ],
        ),
        (
            policy("when", "{all: []}"),
            &["4:17 [[] `all` of nothing says nothing | expected at least one condition"],
        ),
        (
            policy("when", "{all: [{}]}"),
            &[
                "4:18 [{] this compares nothing | expected `{signal: memory.current, above: 2GiB, for: 10s}`, `all`, `any` or `not`",
            ],
        ),
        (
            policy("when", "5"),
            &[
                "4:11 [5] wrong type: found the number `5` | expected a mapping such as `{signal: memory.current, above: 2GiB, for: 10s}`",
            ],
        ),
        (
            policy("when", "{signal: cpu.usage}"),
            &["4:11 [{] this comparison has no threshold | expected `above` or `below`"],
        ),
        (
            policy("when", "{above: 2}"),
            &[
                "4:11 [{] this comparison names no signal | expected `{signal: memory.current, above: 2GiB, for: 10s}`",
            ],
        ),
        (
            policy("when", "{signal: cpu.usage, above: 2, below: 3}"),
            &[
                "4:41 [below] `below` stands beside `above` | expected one; two comparisons joined by `all` make a range",
            ],
        ),
        (
            policy("when", "{all: [{signal: cpu.usage, above: 2}], any: []}"),
            &[
                "4:50 [any] `any` stands beside `all` | expected one of `all`, `any`, `not`, or one comparison; several go into a list",
            ],
        ),
        (
            policy("when", "{not: {signal: cpu.usage, above: 2}, for: 5s}"),
            &[
                "4:48 [for] `for` stands beside `not` | expected one of `all`, `any`, `not`, or one comparison; several go into a list",
            ],
        ),
        (
            policy("when", "{signal: cpu.usage, above: 2, for: 5}"),
            &[
                "4:46 [5] bad value: found `5` | `5` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            policy("when", "{signal: cpu.usage, above: 2, for: 2d}"),
            &["4:46 [2d] `2d` is too long to wait for | expected at most 1d"],
        ),
        (
            policy("when", "{signal: cpu.usage, abov: 2}"),
            &[
                "4:31 [abov] unknown key `abov` | expected one of: all, any, not, signal, of, above, below, of_limit, for; did you mean `above`?",
            ],
        ),
        (
            policy(
                "when",
                "{not: {not: {not: {not: {not: {not: {not: {not: {signal: cpu.usage, above: 2}}}}}}}}}",
            ),
            &[
                "4:59 [{] conditions are nested too deeply here | expected at most 8 levels of `all`, `any` and `not`",
            ],
        ),
        (
            policy("when", &format!("{{any: [{}]}}", vec!["{signal: cpu.usage, above: 2}"; 65].join(", "))),
            &["4:11 [{] this condition has 65 comparisons | expected at most 64"],
        ),
        (
            "policies:\n  - name: p\n    match: {path: /a/*}\n    steps: [{notify: {}}]\n".to_owned(),
            &[
                "2:5 [n] this policy never fires | expected `when`, such as `{signal: memory.current, above: 2GiB, for: 10s}`",
            ],
        ),
    ]);
}

#[test]
fn whose_signal_it_is() {
    refused(&[
        (
            policy("when", "{signal: host.memory.available, of: parent, below: 1GiB}"),
            &[
                "4:47 [parent] host.memory.available is the host's | expected no `of` beside a signal of the host",
            ],
        ),
        (
            policy("when", "{signal: memory.current, of: host, above: 1GiB}"),
            &[
                "4:40 [host] the host has no memory.current | expected pressure, a signal such as `host.memory.available`, or `of: /` for the root cgroup",
            ],
        ),
        (
            policy("when", "{signal: memory.current, of: brother, above: 1GiB}"),
            &[
                "4:40 [brother] `brother` is nobody | expected `self`, `parent`, `host` or the path of a cgroup, such as `/batch.slice`",
            ],
        ),
        (
            policy("when", "{signal: memory.current, of: /a/*, above: 1GiB}"),
            &["4:40 [/a/*] `/a/*` is a glob | expected the path of one cgroup"],
        ),
        (
            policy("when", "{signal: memory.current, of: /a/, above: 1GiB}"),
            &[
                "4:40 [/a/] bad path `/a/` | a cgroup path does not end in `/`: write `/**` for all that is below",
            ],
        ),
    ]);
}

#[test]
fn conditions_that_can_never_hold() {
    refused(&[
        (
            policy("when", "{signal: memory.pressure.full.avg10, above: 100%}"),
            &["4:55 [100%] memory.pressure.full.avg10 is never above 100% | expected a threshold below 100%"],
        ),
        (
            policy("when", "{signal: memory.current, below: 0}"),
            &["4:43 [0] memory.current is never below zero | expected a threshold above zero"],
        ),
        (
            policy("when", "{signal: cpu.throttled, below: 101%}"),
            &["4:42 [101%] cpu.throttled is always below this | expected a threshold of at most 100%"],
        ),
        (
            policy("when", "{signal: pids.current, below: 0%, of_limit: true}"),
            &["4:41 [0%] pids.current is never below zero | expected a threshold above zero"],
        ),
        (
            policy("when", "{signal: host.pressure.cpu.full.avg10, above: 10%}"),
            &[
                "4:57 [10%] host.pressure.cpu.full.avg10 is always zero | expected `some`: a host never stalls as a whole",
            ],
        ),
        (
            policy("when", "{all: [{signal: cpu.usage, above: 2}, {signal: cpu.usage, below: 1.5}]}"),
            &[
                "4:76 [1.5] this contradicts another comparison with cpu.usage | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
        (
            policy("when", "{all: [{signal: cpu.usage, below: 2}, {signal: cpu.usage, above: 2}]}"),
            &[
                "4:76 [2] this contradicts another comparison with cpu.usage | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
        (
            policy(
                "when",
                "{all: [{signal: pids.current, of: /x, below: 20%, of_limit: true}, {all: [{signal: pids.current, of: /x, above: 80%, of_limit: true}]}]}",
            ),
            &[
                "4:123 [80%] this contradicts another comparison with pids.current | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
        (
            policy(
                "when",
                "{all: [{signal: cpu.usage, above: 2}, {any: [{signal: pids.current, above: 9}, {signal: cpu.usage, below: 2}]}]}",
            ),
            &[
                "4:117 [2] this contradicts another comparison with cpu.usage | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
        (
            policy("when", "{all: [{signal: cpu.usage, above: 2}, {not: {signal: cpu.usage, above: 1}}]}"),
            &[
                "4:82 [1] this contradicts another comparison with cpu.usage | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
        (
            policy("when", "{not: {any: [{signal: cpu.usage, below: 3}, {signal: cpu.usage, above: 2}]}}"),
            &[
                "4:82 [2] this contradicts another comparison with cpu.usage | expected comparisons that can hold at the same time, or `any`",
            ],
        ),
    ]);
}

#[test]
fn clear_on_the_wrong_side() {
    refused(&[
        (
            clear(
                "{signal: memory.pressure.full.avg10, above: 40%}",
                "{signal: memory.pressure.full.avg10, below: 60%}",
            ),
            &[
                "6:56 [60%] memory.pressure.full.avg10 clears above its trigger | expected `below` with a threshold below that of `when`",
            ],
        ),
        (
            clear(
                "{signal: memory.pressure.full.avg10, above: 40%}",
                "{signal: memory.pressure.full.avg10, below: 40%}",
            ),
            &[
                "6:56 [40%] memory.pressure.full.avg10 clears above its trigger | expected `below` with a threshold below that of `when`",
            ],
        ),
        (
            clear(
                "{signal: memory.pressure.full.avg10, above: 40%}",
                "{signal: memory.pressure.full.avg10, above: 10%}",
            ),
            &[
                "6:56 [10%] memory.pressure.full.avg10 clears on the side where it fires | expected `below` with a threshold below that of `when`",
            ],
        ),
        (
            clear(
                "{signal: host.memory.available, below: 1GiB}",
                "{signal: host.memory.available, above: 512MiB}",
            ),
            &[
                "6:51 [512MiB] host.memory.available clears below its trigger | expected `above` with a threshold above that of `when`",
            ],
        ),
        (
            clear(
                "{any: [{signal: cpu.usage, above: 2}, {signal: cpu.usage, above: 4}]}",
                "{all: [{signal: cpu.usage, below: 3}]}",
            ),
            &[
                "6:46 [3] cpu.usage clears above its trigger | expected `below` with a threshold below that of `when`",
            ],
        ),
        (
            clear("{signal: cpu.usage, above: 2}", "{not: {signal: cpu.usage, above: 2}}"),
            &[
                "6:45 [2] cpu.usage clears above its trigger | expected `below` with a threshold below that of `when`",
            ],
        ),
        (
            clear("{signal: cpu.usage, above: 2}", "{signal: cpu.usage, below: 0}"),
            &["6:39 [0] cpu.usage is never below zero | expected a threshold above zero"],
        ),
    ]);
}

#[test]
fn selectors() {
    refused(&[
        (policy("match", "{}"), &[r#"3:12 [{] this says nothing about the cgroups that it matches | expected a key such as `path: "/batch.slice/**"` or `unit: nginx.service`"#]),
        (policy("match", "{min_age: 5s}"), &[r#"3:12 [{] this says nothing about the cgroups that it matches | expected a key such as `path: "/batch.slice/**"` or `unit: nginx.service`"#]),
        (policy("match", "{path: }"), &[r#"3:12 [{] this says nothing about the cgroups that it matches | expected a key such as `path: "/batch.slice/**"` or `unit: nginx.service`"#]),
        (policy("match", "{path: a}"), &["3:19 [a] bad glob `a` | a cgroup path starts with `/`: put `/**/` before it to match at any depth"]),
        (policy("match", "{path: /a, any: [{path: /b}]}"), &["3:13 [path] `path` stands beside `any` | expected `path` in an item of `any`, or no `any`"]),
        (policy("match", "{any: []}"), &["3:18 [[] this matches no cgroup | expected at least one description"]),
        (policy("match", "{any: [{}]}"), &[r#"3:19 [{] this says nothing about the cgroups that it matches | expected a key such as `path: "/batch.slice/**"` or `unit: nginx.service`"#]),
        (policy("match", "{paths: /a}"), &["3:13 [paths] unknown key `paths` | expected one of: any, not, min_age, path, slice, unit, user, session, app, runtime, container, container_id, image, pod, namespace, pod_uid, qos, job_id, step_id, namespaces; did you mean `path`?"]),
        (policy("match", r#"{unit: "[a"}"#), &[r#"3:19 ["[a"] bad glob `[a` | unclosed character class; missing ']'"#]),
        (policy("match", "{namespaces: x}"), &["3:25 [x] wrong type: found the string `x` | expected a mapping such as `{net: host}`"]),
        (policy("match", "{path: /a, namespaces: {net: none}}"), &["3:41 [none] unknown name `none` | expected one of: host, peer, own"]),
        (policy("match", "{path: /a, namespaces: {nett: host}}"), &["3:36 [nett] unknown key `nett` | expected one of: mnt, net, pid, uts, ipc, user, cgroup, time; did you mean `net`?"]),
        (policy("match", "{path: /}"), &["3:12 [{] this can match only cgroups that are protected | expected cgroups besides the root and those that `safety.protect` lists"]),
        (policy("match", "{path: /a/b, not: [{path: /a/*}]}"), &["3:12 [{] `not` leaves nothing of what this matches | expected exceptions that are narrower"]),
        (policy("match", r#"{any: [{unit: a.service}], not: [{unit: "*.service"}]}"#), &["3:12 [{] `not` leaves nothing of what this matches | expected exceptions that are narrower"]),
        ("policies:\n  - name: p\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &[r#"2:5 [n] this policy matches nothing | expected `match`, such as `{path: "/batch.slice/**"}`"#]),
        ("safety:\n  scope: [/a/**, /b]\n  protect: [{path: /init.scope}, {path: /a/p/**}, {unit: \"ssh*.service\"}]\npolicies:\n  - name: p\n    match: {path: /init.scope}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:12 [{] this can match only cgroups that are protected | expected cgroups besides the root and those that `safety.protect` lists"]),
        ("safety:\n  scope: [/a/**, /b]\n  protect: [{path: /init.scope}, {path: /a/p/**}, {unit: \"ssh*.service\"}]\npolicies:\n  - name: p\n    match: {path: /a/p/x/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:12 [{] this can match only cgroups that are protected | expected cgroups besides the root and those that `safety.protect` lists"]),
        ("safety:\n  scope: [/a/**, /b]\n  protect: [{path: /init.scope}, {path: /a/p/**}, {unit: \"ssh*.service\"}]\npolicies:\n  - name: p\n    match: {unit: sshd.service}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:12 [{] this can match only cgroups that are protected | expected cgroups besides the root and those that `safety.protect` lists"]),
        ("safety:\n  scope: [/a/**, /b]\n  protect: [{path: /init.scope}, {path: /a/p/**}, {unit: \"ssh*.service\"}]\npolicies:\n  - name: p\n    match: {path: /c/**}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:12 [{] this can match only cgroups outside `safety.scope` | expected a path within `safety.scope`, or a wider scope"]),
        ("safety:\n  scope: [/a/**, /b]\n  protect: [{path: /init.scope}, {path: /a/p/**}, {unit: \"ssh*.service\"}]\npolicies:\n  - name: p\n    match: {any: [{path: /}, {path: /a/p/*}, {path: /bb}]}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:12 [{] this can match only cgroups outside `safety.scope` | expected a path within `safety.scope`, or a wider scope"]),
    ]);
}

#[test]
fn steps() {
    refused(&[
        (policy("steps", "[]"), &["5:12 [[] this policy has no steps | expected at least one, such as `{notify: {}}`"]),
        (policy("steps", "[{}]"), &["5:13 [{] this step does nothing | expected one of: notify, set, reclaim, freeze, kill, restart, stop"]),
        (policy("steps", "[{freeze: {}, kill: {}}]"), &["5:26 [kill] `kill` stands beside `freeze` | expected one action in a step; several make several steps"]),
        (policy("steps", "[{kill: {}, ttl: 5m}]"), &["5:24 [ttl] a kill cannot be undone | expected `ttl` with `set` or `freeze` only"]),
        (policy("steps", "[{restart: {}, ttl: 5m}]"), &["5:27 [ttl] a restart cannot be undone | expected `ttl` with `set` or `freeze` only"]),
        (policy("steps", "[{stop: {grace: 5s}}]"), &["5:21 [grace] unknown key `grace` | expected nothing here: `{}`"]),
        (policy("steps", "[{notify: {}, ttl: 5m}]"), &["5:26 [ttl] a notify cannot be undone | expected `ttl` with `set` or `freeze` only"]),
        (policy("steps", "[{reclaim: 1MiB, ttl: 5m}]"), &["5:29 [ttl] a reclaim cannot be undone | expected `ttl` with `set` or `freeze` only"]),
        (policy("steps", "[{freeze: {}, ttl: 5m}]"), &["5:26 [ttl] `ttl` stands beside `freeze` | expected it within: `freeze: {ttl: 30s}`"]),
        (policy("steps", "[{freeze: {ttl: 2m}}]"), &["5:28 [2m] a freeze of `2m` is not allowed | expected longer than 0s, and at most `safety.freeze_max`, which is 1m"]),
        (policy("steps", "[{freeze: {ttl: 0s}}]"), &["5:28 [0s] a freeze of `0s` is not allowed | expected longer than 0s, and at most `safety.freeze_max`, which is 1m"]),
        (policy("steps", "[{kill: {}, at_least: 5}]"), &["5:24 [at_least] a kill has no least value | expected `at_least` with `set` only"]),
        (policy("steps", "[{set: {memory.high: 1GiB}, ttl: 0s}]"), &["5:45 [0s] what is set would be undone at once | expected longer than 0s, such as `10m`"]),
        (policy("steps", "[{freeze: {}, relieved_within: 0s}]"), &["5:43 [0s] a freeze brings no relief in no time | expected longer than 0s, such as `20s`"]),
        (policy("steps", "[{set: {memory.high: 1GiB}, at_least: 2GiB}]"), &["5:50 [2GiB] this is more than memory.high is set to | expected at most what is set"]),
        (policy("steps", "[{set: {memory.high: 90% of current, cpu.max: 50% of current}, at_least: 1GiB}]"), &["5:85 [1GiB] `1GiB` is no value of cpu.max | expected what the control is set in; different ones go into different steps"]),
        (policy("steps", "[{kill: {signal: TREM}}]"), &["5:29 [TREM] unknown name `TREM` | expected one of: TERM, INT, HUP, QUIT, ABRT, USR1, USR2, KILL; did you mean `TERM`?"]),
        (policy("steps", "[{kill: {signal: STOP}}]"), &["5:29 [STOP] unknown name `STOP` | expected one of: TERM, INT, HUP, QUIT, ABRT, USR1, USR2, KILL"]),
        (policy("steps", "[{kill: {signal: KILL, grace: 5s}}]"), &["5:35 [grace] KILL has no grace | expected no `grace`, or a signal such as TERM that leaves time"]),
        (policy("steps", "[{reclaim: {}}]"), &["5:23 [{] this reclaims nothing | expected `amount: 256MiB` or `amount: 10% of current`"]),
        (policy("steps", "[{reclaim: 0}]"), &["5:23 [0] `0` is no amount to reclaim | expected an amount such as `256MiB` or `10% of current`, above zero"]),
        (policy("steps", "[{reclaim: 110% of current}]"), &["5:23 [110% of current] `110% of current` is no amount to reclaim | expected an amount such as `256MiB` or `10% of current`, above zero"]),
        (policy("steps", "[{reclaim: {amunt: 5}}]"), &["5:24 [amunt] unknown key `amunt` | expected one of: amount; did you mean `amount`?"]),
        (policy("steps", r#"[{notify: {webhook: "ftp://a/b"}}]"#), &[r#"5:32 ["ftp://a/b"] `ftp://a/b` is no address of a webhook | expected `https://HOST[:PORT]/PATH` or `http://HOST[:PORT]/PATH`"#]),
        (policy("steps", r#"[{notify: {webhook: "https://a/b", ca_file: ca.crt}}]"#), &["5:56 [ca.crt] `ca.crt` is no absolute path | expected one, such as `/etc/stockade/receivers.crt`"]),
        (policy("steps", r#"[{notify: {webhook: "http://a/b", ca_file: /ca.crt}}]"#), &["5:55 [/ca.crt] no receiver shows a certificate | expected `webhook: https://HOST[:PORT]/PATH` beside it, or no `ca_file`"]),
        (policy("steps", "[{notify: {ca_file: /ca.crt}}]"), &["5:32 [/ca.crt] no receiver shows a certificate | expected `webhook: https://HOST[:PORT]/PATH` beside it, or no `ca_file`"]),
        (policy("steps", "[{notify: {webhook: here}}]"), &["5:32 [here] `here` is no address of a webhook | expected `https://HOST[:PORT]/PATH` or `http://HOST[:PORT]/PATH`"]),
        (policy("steps", "[{notify: {hook: {command: [page]}}}]"), &["5:40 [page] `page` is no absolute path | expected one, such as `/usr/local/bin/page`; no shell and no PATH is used"]),
        (policy("steps", "[{notify: {hook: {command: []}}}]"), &["5:29 [{] this hook has no command | expected `command: [/path/to/program, argument]`"]),
        (policy("steps", "[{notify: {hook: {command: [/a], timeout: 0s}}}]"), &["5:54 [0s] `0s` is no time for a hook | expected longer than 0s, and at most 5m"]),
        (policy("steps", "[{throttle: {}}]"), &["5:14 [throttle] unknown key `throttle` | expected one of: notify, set, reclaim, freeze, kill, restart, stop, at_least, ttl, relieved_within"]),
        (policy("steps", "[{notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}, {notify: {}}]"), &["5:12 [[] these are 17 steps | expected at most 16"]),
        ("policies:\n  - name: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n".to_owned(), &["2:5 [n] this policy has no steps | expected `steps`, such as `[{notify: {}}]`"]),
        ("safety: {kill_budget: {target: {max: 0}}}\npolicies:\n  - name: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{kill: {}}]\n".to_owned(), &["6:14 [kill] this can never be done: `safety.kill_budget.target.max` is 0 | expected a budget of 1 or more, or no kill"]),
        ("safety: {kill_budget: {host: {max: 0}}}\npolicies:\n  - name: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{restart: {}}]\n".to_owned(), &["6:14 [restart] this can never be done: `safety.kill_budget.host.max` is 0 | expected a budget of 1 or more, or no restart"]),
        ("safety: {writers: {systemd: cgroupfs}}\npolicies:\n  - name: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [stop: {}]\n".to_owned(), &["6:13 [stop] a stop is asked of systemd, and `safety.writers.systemd` is not `dbus` | expected `safety.writers: {systemd: dbus}`, or a kill"]),
        ("safety: {freeze_max: 10s}\npolicies:\n  - name: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{freeze: {ttl: 30s}}]\n".to_owned(), &["6:28 [30s] a freeze of `30s` is not allowed | expected longer than 0s, and at most `safety.freeze_max`, which is 10s"]),
    ]);
}

#[test]
fn controls() {
    refused(&[
        (
            limit("set", "{}"),
            &["4:10 [{] this sets nothing | expected at least one control, such as `memory.high: 4GiB`"],
        ),
        (
            limit("set", "{memory.hihg: 1GiB}"),
            &[
                "4:11 [memory.hihg] unknown key `memory.hihg` | expected one of: memory.min, memory.low, memory.high, memory.max, memory.swap.max, cpu.max, cpu.weight, io.max, io.weight, pids.max, cpuset.cpus, cpuset.mems; did you mean `memory.high`?",
            ],
        ),
        (
            limit("set", "{memory.high: 40%}"),
            &[
                "4:24 [40%] `40%` is no value of memory.high | expected a size such as `512MiB` or `64M`, or `max`",
            ],
        ),
        (
            limit("set", "{memory.high: 90% of current}"),
            &[
                "4:24 [90% of current] a standing limit on memory.high follows what is used | expected a fixed value; `of current` is for the steps of a policy",
            ],
        ),
        (
            limit("set", "{memory.high: 2GiB, memory.max: 1GiB}"),
            &[
                "4:24 [2GiB] memory.high is above memory.max | expected at most `memory.max`, which would be reached first",
            ],
        ),
        (
            limit("set", "{cpu.max: 0.5%}"),
            &[
                "4:20 [0.5%] `0.5%` is no value of cpu.max | expected an amount of CPU such as `1.5` (cores) or `150%`, at least 1%, or `max`",
            ],
        ),
        (
            limit("set", "{cpu.max: 2 cores}"),
            &[
                "4:20 [2 cores] `2 cores` is no value of cpu.max | expected an amount of CPU such as `1.5` (cores) or `150%`, at least 1%, or `max`",
            ],
        ),
        (
            limit("set", "{cpu.weight: 0}"),
            &["4:23 [0] `0` is no value of cpu.weight | expected a whole number from 1 to 10000"],
        ),
        (
            limit("set", "{cpu.weight: 10001}"),
            &["4:23 [10001] `10001` is no value of cpu.weight | expected a whole number from 1 to 10000"],
        ),
        (
            limit("set", "{io.weight: max}"),
            &["4:22 [max] `max` is no value of io.weight | expected a whole number from 1 to 10000"],
        ),
        (
            limit("set", "{cpu.weight: 50% of current}"),
            &[
                "4:23 [50% of current] cpu.weight measures no use that a share could be taken of | expected a whole number from 1 to 10000",
            ],
        ),
        (
            limit("set", "{pids.max: many}"),
            &["4:21 [many] `many` is no value of pids.max | expected a whole number such as `100`, or `max`"],
        ),
        (
            limit("set", "{io.max: {}}"),
            &[
                "4:19 [{] `io.max` names no device | expected a device and a rate, such as `{vda: {wbps: 50MiB}}`",
            ],
        ),
        (
            limit("set", "{io.max: {vda: {}}}"),
            &["4:25 [{] `io.max` of vda limits nothing | expected `rbps`, `wbps`, `riops` or `wiops`"],
        ),
        (
            limit("set", "{io.max: {/dev/vda: {wbps: 1MiB}}}"),
            &[
                "4:20 [/dev/vda] `/dev/vda` is no device | expected a name such as `vda`, or a number such as `8:0`",
            ],
        ),
        (
            limit("set", "{io.max: {vda: {wbps: 0}}}"),
            &["4:32 [0] `0` is no value of wbps | expected a rate such as `64MiB/s`, above zero, or `max`"],
        ),
        (
            limit("set", "{io.max: {vda: {riops: 1MiB}}}"),
            &[
                "4:33 [1MiB] `1MiB` is no value of riops | expected a rate such as `1000/s`, above zero, or `max`",
            ],
        ),
        (
            limit("set", "{io.max: {vda: {wpbs: 1}}}"),
            &[
                "4:26 [wpbs] unknown key `wpbs` | expected one of: rbps, wbps, riops, wiops; did you mean `wbps`?",
            ],
        ),
        (
            limit("set", "{io.max: vda}"),
            &["4:19 [vda] wrong type: found the string `vda` | expected a mapping, such as `{name: value}`"],
        ),
        (
            limit("set", "{cpuset.cpus: 3-0}"),
            &[
                "4:24 [3-0] `3-0` is no list for cpuset.cpus | expected numbers and ranges in rising order, such as `0-3,8`",
            ],
        ),
        (
            limit("set", "{cpuset.cpus: all}"),
            &[
                "4:24 [all] `all` is no list for cpuset.cpus | expected numbers and ranges in rising order, such as `0-3,8`",
            ],
        ),
        (
            limit("set", "{cpuset.mems: 50% of current}"),
            &[
                "4:24 [50% of current] cpuset.mems measures no use that a share could be taken of | expected a list such as `0-3`",
            ],
        ),
        (
            "limits:\n  - name: l\n    match: {path: /a/*}\n".to_owned(),
            &["2:5 [n] this limit sets nothing | expected `set`, such as `{memory.high: 4GiB}`"],
        ),
    ]);
}

#[test]
fn names_and_the_rest() {
    refused(&[
        ("limits: [{name: shutdown, match: {path: /a/*}, set: {pids.max: 5}}]\n".to_owned(), &["1:17 [shutdown] the name `shutdown` is taken | expected another name: metrics and the audit call something else by this one"]),
        ("limits:\n  - name: l\n    match: {path: /a/*}\n    set: {memory.high: 1GiB}\npolicies:\n  - name: l\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["6:11 [l] the name `l` is taken | expected a name of its own for each limit and policy; it first stands on line 2"]),
        ("policies:\n  - name: by hand\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["2:11 [by hand] bad name `by hand` | expected 1 to 63 letters, digits, `-`, `_` and `.`, such as `batch-cap`"]),
        ("policies:\n  - nam: p\n    match: {path: /a/*}\n    when: {signal: memory.current, above: 1GiB}\n    steps: [{notify: {}}]\n".to_owned(), &["2:5 [nam] unknown key `nam` | expected one of: name, mode, match, when, clear, victim, steps, cooldown, allow_oom, degrade; did you mean `name`?"]),
        (policy("mode", "enforced"), &["6:11 [enforced] unknown name `enforced` | expected one of: observe, dry_run, enforce; did you mean `enforce`?"]),
        (limit("on_drift", "fight"), &["5:15 [fight] unknown name `fight` | expected one of: yield, reassert"]),
        (policy("allow_oom", "maybe"), &["6:16 [maybe] wrong type: found the string `maybe` | expected `true` or `false`"]),
        (policy("victim", "{rank: []}"), &["6:20 [[] victims are ranked by 0 signals | expected 1 to 8 signals, such as `[memory.anon]`"]),
        (policy("victim", "{rank: [host.swap.free]}"), &["6:21 [host.swap.free] host.swap.free is the same for every victim | expected a signal of a cgroup, such as `memory.anon`"]),
        (policy("victim", "{rank: [cpu.usage, cpu.usage]}"), &["6:32 [cpu.usage] `cpu.usage` is listed twice | expected each signal at most once"]),
        (policy("victim", "{at_least: {memory.anno: 1}}"), &["6:25 [memory.anno] unknown signal `memory.anno` | did you mean `memory.anon`?"]),
        (policy("victim", "{at_least: {cpu.usage: 5MiB}}"), &["6:36 [5MiB] `5MiB` is no value of cpu.usage | cpu.usage is measured in CPU cores: expected an amount of CPU such as `1.5` (cores) or `150%`"]),
        (policy("victim", "{max: 0}"), &["6:19 [0] bad value: found the number `0` | expected a whole number, 1 or more"]),
        (policy("cooldown", "{target: 5}"), &["6:24 [5] bad value: found `5` | `5` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`"]),
        (policy("cooldown", "5m"), &["6:15 [5m] wrong type: found the string `5m` | expected a mapping such as `{target: 5m, host: 15s}`"]),
        (policy("degrade", "[memory.swap]"), &["6:15 [memory.swap] memory.swap is not used by this policy | expected signals of `when`, `clear` or `victim`"]),
        (policy("degrade", "[memory.swp]"), &["6:15 [memory.swp] unknown signal `memory.swp` | did you mean `memory.swap`?"]),
        (limit("victim", "{}"), &["5:5 [victim] unknown key `victim` | expected one of: name, mode, match, set, allow_oom, on_drift"]),
        ("policies: {}\n".to_owned(), &["1:11 [{] wrong type: found a mapping | expected a list, such as `[a, b]`"]),
        ("policies: [5]\n".to_owned(), &["1:12 [5] wrong type: found the number `5` | expected a mapping with the keys `name`, `match`, `when` and `steps`"]),
    ]);
}

#[test]
fn safety() {
    refused(&[
        (
            "safety: {mode: on}\n".to_owned(),
            &["1:16 [on] unknown name `on` | expected one of: observe, dry_run, enforce"],
        ),
        (
            "safety: {scope: []}\n".to_owned(),
            &[
                "1:17 [[] this scope holds no cgroup | expected at least one glob, such as `/batch.slice/**`; `mode: observe` does nothing",
            ],
        ),
        (
            "safety: {scope: [a]}\n".to_owned(),
            &[
                "1:18 [a] bad glob `a` | a cgroup path starts with `/`: put `/**/` before it to match at any depth",
            ],
        ),
        (
            "safety: {protect: [{}]}\n".to_owned(),
            &[
                r#"1:20 [{] this says nothing about the cgroups that it matches | expected a key such as `path: "/batch.slice/**"` or `unit: nginx.service`"#,
            ],
        ),
        (
            "safety: {protect: [{path: x, unit: \"[\"}]}\n".to_owned(),
            &[
                "1:27 [x] bad glob `x` | a cgroup path starts with `/`: put `/**/` before it to match at any depth",
                r#"1:36 ["["] bad glob `[` | unclosed character class; missing ']'"#,
            ],
        ),
        (
            "safety: {kill_budget: {host: {max: -1}}}\n".to_owned(),
            &["1:36 [-1] bad value: found the number `-1` | expected a whole number, 0 or more"],
        ),
        (
            "safety: {kill_budget: {host: {per: 0s}}}\n".to_owned(),
            &["1:36 [0s] a budget for no time bounds nothing | expected longer than 0s, such as `10m`"],
        ),
        (
            "safety: {writers: {runtimes: dbus}}\n".to_owned(),
            &["1:30 [dbus] unknown name `dbus` | expected one of: cgroupfs, refuse"],
        ),
        (
            "safety: {writers: {systemd: cgropfs}}\n".to_owned(),
            &[
                "1:29 [cgropfs] unknown name `cgropfs` | expected one of: dbus, cgroupfs, refuse; did you mean `cgroupfs`?",
            ],
        ),
        (
            "safety: {freeze_max: 0s}\n".to_owned(),
            &["1:22 [0s] `0s` is no bound for a freeze | expected longer than 0s, and at most 1h"],
        ),
        (
            "safety: {freeze_max: 2h}\n".to_owned(),
            &["1:22 [2h] `2h` is no bound for a freeze | expected longer than 0s, and at most 1h"],
        ),
        (
            "safety: {journal: here}\n".to_owned(),
            &["1:19 [here] `here` is no absolute path | expected a path such as `/var/lib/stockade/journal`"],
        ),
        (
            "safety: {audit: {max_size: 5}}\n".to_owned(),
            &["1:28 [5] bad size `5` | expected a size such as `512MiB` or `64M`, and at least 64KiB"],
        ),
        (
            "safety: {audit: {path: a.log}}\n".to_owned(),
            &[
                "1:24 [a.log] `a.log` is no absolute path | expected a path such as `/var/log/stockade/audit.jsonl`",
            ],
        ),
        (
            "safety: {audit: {keep: 0}}\n".to_owned(),
            &["1:24 [0] bad value: found the number `0` | expected a whole number, 1 or more"],
        ),
        (
            "safety: {scop: []}\n".to_owned(),
            &[
                "1:10 [scop] unknown key `scop` | expected one of: mode, scope, protect, kill_budget, writers, freeze_max, journal, audit; did you mean `scope`?",
            ],
        ),
        (
            format!("safety:\n  scope: [{}]\n", vec!["/a"; 101].join(", ")),
            &["2:10 [[] these are 101 | expected at most 100; globs can hold many"],
        ),
    ]);
}
