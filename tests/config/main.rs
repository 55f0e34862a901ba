//! The configuration as an operator meets it: good files load, bad ones say everything that is wrong, and where.

mod check;
mod examples;
mod files;
mod refusals;
mod rules;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use stockade::config::{self, Config};
use stockade::model::Collector;
use stockade::model::OwnerLabel;

fn parse(text: &str) -> Result<Config, config::Problems> {
    config::parse(Path::new("s.yaml"), text)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let shown = match parse(text) {
        Ok(config) => panic!("no error in {text:?}: {config:?}"),
        Err(problems) => problems.to_string(),
    };
    assert_eq!(shown.trim_end(), expected.trim(), "\n--- got:\n{shown}");
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

#[test]
fn the_documented_example_is_the_defaults() {
    assert_eq!(config::load(Some(&example("stockade.yaml"))), Ok(Config::default()));
    let text = std::fs::read_to_string(example("stockade.yaml")).unwrap();
    for &collector in Collector::ALL {
        assert!(text.contains(&format!("    {}: {{enabled: {}}}", collector.name(), collector.default_on())));
    }
}

#[test]
fn the_minimal_example_differs_where_it_says() {
    let config = config::load(Some(&example("minimal.yaml"))).unwrap();
    assert_eq!(config.collect.interval, Duration::from_secs(10));
    assert!(config.collect.filter.admits(b"/system.slice/a.service"));
    assert!(!config.collect.filter.admits(b"/user.slice/user-1.slice"));
    assert_eq!(config.collect.linger, Config::default().collect.linger);
}

#[test]
fn nothing_said_is_the_defaults() {
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "---\n...\n",
        "~",
        "{}",
        "collect:\nlabels:\n",
        "collect: {include: , linger: ~}",
    ] {
        assert_eq!(parse(text), Ok(Config::default()), "{text:?}");
    }
    assert_eq!(config::load(None), Ok(Config::default()));
}

#[test]
fn what_is_said_is_taken() {
    let config = parse(
        "collect:\n  interval: 1s\n  include: ['/a/**', '/dev-\\x2d.mount']\n  exclude: [/a/b]\n  max_depth: 3\n  \
         max_series: 7\n  linger: 0s\n  averages: true\n  collectors:\n    memory_stat: {interval: 30s}\n    \
         rdma: {enabled: false}\n    memory_numa: {enabled: true}\nlabels: {attach: [user, slice]}\n",
    )
    .unwrap();
    let collect = &config.collect;
    assert_eq!(collect.interval, Duration::from_secs(1));
    assert!(collect.filter.admits(b"/a/x") && collect.filter.admits(b"/dev-\\x2d.mount"));
    assert!(!collect.filter.admits(b"/a/b") && !collect.filter.admits(b"/a/x/y/z"));
    assert_eq!((collect.max_series, collect.linger, collect.averages), (7, Duration::ZERO, true));
    assert_eq!(collect.intervals[Collector::MemoryStat as usize], Some(Duration::from_secs(30)));
    assert_eq!(collect.intervals.iter().flatten().count(), 1);
    assert!(!collect.collectors.has(Collector::Rdma) && collect.collectors.has(Collector::MemoryNuma));
    assert_eq!(config.labels, [OwnerLabel::Slice, OwnerLabel::User]);
}

#[test]
fn an_alias_stands_for_what_it_names() {
    let config = parse("collect:\n  interval: &t 9s\n  linger: *t\n").unwrap();
    assert_eq!(config.collect.linger, Duration::from_secs(9));
}

#[test]
fn all_errors_at_once() {
    check(
        "collect:\n  interva: 5s\n  interval: 5\n  include: [docker]\n  max_depth: deep\n  max_series: 0\n  linger: 5m\n  \
         linger: 6m\n  collectors:\n    memry: {}\n    cpu: {interval: 5ms, enabled: 1}\nlabels: {attach: [units, unit]}\nlimit: []\n",
        r#"
error: unknown key `interva`
  --> s.yaml:2:3
   |
 2 |   interva: 5s
   |   ^^^^^^^ expected one of: interval, include, exclude, max_depth, max_series, linger, averages, collectors; did you mean `interval`?

error: bad value: found `5`
  --> s.yaml:3:13
   |
 3 |   interval: 5
   |             ^ `5` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`

error: bad glob `docker`
  --> s.yaml:4:13
   |
 4 |   include: [docker]
   |             ^^^^^^ a cgroup path starts with `/`: put `/**/` before it to match at any depth

error: wrong type: found the string `deep`
  --> s.yaml:5:14
   |
 5 |   max_depth: deep
   |              ^^^^ expected a whole number, 1 or more

error: bad value: found the number `0`
  --> s.yaml:6:15
   |
 6 |   max_series: 0
   |               ^ expected a whole number, 1 or more

error: duplicate key `linger`
  --> s.yaml:8:3
   |
 8 |   linger: 6m
   |   ^^^^^^ expected each key once; it first stands on line 7

error: unknown name `memry`
   --> s.yaml:10:5
    |
 10 |     memry: {}
    |     ^^^^^ expected one of: core, memory, memory_stat, memory_numa, cpu, io, pressure, pids, hugetlb, rdma, misc, cpuset, net_cls, host, namespaces, namespace_inodes, network, processes, thread_states, zombies, open_files; did you mean `memory`?

error: an interval of `5ms` is too short
   --> s.yaml:11:21
    |
 11 |     cpu: {interval: 5ms, enabled: 1}
    |                     ^^^ expected between 100ms and 1h

error: wrong type: found the number `1`
   --> s.yaml:11:35
    |
 11 |     cpu: {interval: 5ms, enabled: 1}
    |                                   ^ expected `true` or `false`

error: unknown name `units`
   --> s.yaml:12:19
    |
 12 | labels: {attach: [units, unit]}
    |                   ^^^^^ expected one of: slice, unit, user, session, app, runtime, container, container_id, image, pod, namespace, pod_uid, qos, job_id, step_id; did you mean `unit`?

error: unknown key `limit`
   --> s.yaml:13:1
    |
 13 | limit: []
    | ^^^^^ expected one of: collect, labels, safety, limits, policies; did you mean `limits`?

s.yaml: 11 errors
"#,
    );
}

/// `line:column message | expected`, for each problem.
fn brief(text: &str) -> Vec<String> {
    let problems = parse(text).expect_err(text);
    let place = |number: Option<usize>| number.map_or("-".to_owned(), |number| number.to_string());
    let show = |problem: &config::Problem| {
        let (line, column) = (place(problem.line()), place(problem.column()));
        format!("{line}:{column} {} | {}", problem.message(), problem.expected())
    };
    problems.list().iter().map(show).collect()
}

#[test]
fn each_malformed_case() {
    let cases: &[(&str, &[&str])] = &[
        (
            "[1, 2]",
            &["1:1 wrong type: found a list | expected a mapping with keys such as `collect` and `policies`"],
        ),
        (
            "5",
            &[
                "1:1 wrong type: found the number `5` | expected a mapping with keys such as `collect` and `policies`",
            ],
        ),
        (
            "collect: 5",
            &["1:10 wrong type: found the number `5` | expected a mapping such as `{interval: 5s}`"],
        ),
        ("collect: [5s]", &["1:10 wrong type: found a list | expected a mapping such as `{interval: 5s}`"]),
        ("collect: [a", &["1:1 this is not YAML | while parsing a flow sequence, expected ',' or ']'"]),
        (
            "collect: {interval: 0s}",
            &["1:21 an interval of `0s` is too short | expected between 100ms and 1h"],
        ),
        (
            "collect: {interval: 2d}",
            &["1:21 an interval of `2d` is too long | expected between 100ms and 1h"],
        ),
        (
            "collect: {interval: 5}",
            &[
                "1:21 bad value: found `5` | `5` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            "collect: {interval: 5min}",
            &[
                "1:21 bad value: found `5min` | there is no unit `min`: use `ms`, `s`, `m`, `h` or `d`; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            "collect: {interval: [5s]}",
            &["1:21 wrong type: found a list | expected a duration such as `500ms`, `5s`, `10m` or `1h30m`"],
        ),
        (
            "collect: {linger: -5s}",
            &[
                "1:19 bad value: found `-5s` | a number must stand before `-5s`; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            "collect: {include: /a}",
            &["1:20 wrong type: found the string `/a` | expected a list, such as `[a, b]`"],
        ),
        (
            "collect: {include: []}",
            &["1:20 this includes no cgroup | expected at least one glob, such as `/**`"],
        ),
        ("collect: {include: [[/a]]}", &["1:21 wrong type: found a list | expected a string"]),
        (
            "collect: {exclude: ['/**']}",
            &["1:21 this excludes every cgroup | expected a narrower glob, such as `/user.slice/**`"],
        ),
        (
            "collect: {include: ['/[a', a, /b/]}",
            &[
                "1:21 bad glob `/[a` | unclosed character class; missing ']'",
                "1:28 bad glob `a` | a cgroup path starts with `/`: put `/**/` before it to match at any depth",
                "1:31 bad glob `/b/` | a cgroup path does not end in `/`: write `/**` for all that is below",
            ],
        ),
        (
            "collect: {max_depth: 0}",
            &["1:22 bad value: found the number `0` | expected a whole number, 1 or more"],
        ),
        (
            "collect: {max_series: -1}",
            &["1:23 bad value: found the number `-1` | expected a whole number, 1 or more"],
        ),
        (
            "collect: {max_series: 1.5}",
            &["1:23 wrong type: found the number `1.5` | expected a whole number, 1 or more"],
        ),
        (
            "collect: {averages: yes}",
            &["1:21 wrong type: found the string `yes` | expected `true` or `false`"],
        ),
        (
            "collect: {collectors: {cpu: {interval: 1s}}}",
            &[
                "1:40 `1s` is shorter than the sampling clock | expected `collect.interval`, which is 5s, or longer",
            ],
        ),
        (
            "collect: {collectors: {cpu: {interval: 10ms}}}",
            &["1:40 an interval of `10ms` is too short | expected between 100ms and 1h"],
        ),
        (
            "collect: {collectors: [cpu]}",
            &["1:23 wrong type: found a list | expected a mapping, such as `{name: value}`"],
        ),
        (
            "collect: {collectors: {memory-stat: {}, cpu: {enable: true}}}",
            &[
                "1:24 unknown name `memory-stat` | expected one of: core, memory, memory_stat, memory_numa, cpu, io, pressure, pids, hugetlb, rdma, misc, cpuset, net_cls, host, namespaces, namespace_inodes, network, processes, thread_states, zombies, open_files; did you mean `memory_stat`?",
                "1:47 unknown key `enable` | expected one of: enabled, interval; did you mean `enabled`?",
            ],
        ),
        (
            "collect: {collectors: {qqq: {}}}",
            &[
                "1:24 unknown name `qqq` | expected one of: core, memory, memory_stat, memory_numa, cpu, io, pressure, pids, hugetlb, rdma, misc, cpuset, net_cls, host, namespaces, namespace_inodes, network, processes, thread_states, zombies, open_files",
            ],
        ),
        (
            "labels: {attach: [unit, unit]}",
            &["1:25 `unit` is listed twice | expected each label at most once"],
        ),
        (
            "labels: {attach: unit}",
            &["1:18 wrong type: found the string `unit` | expected a list, such as `[a, b]`"],
        ),
        (
            "labels: {attach: [zone]}",
            &[
                "1:19 unknown name `zone` | expected one of: slice, unit, user, session, app, runtime, container, container_id, image, pod, namespace, pod_uid, qos, job_id, step_id",
            ],
        ),
        (
            "safty: {}\nqqq: []",
            &[
                "1:1 unknown key `safty` | expected one of: collect, labels, safety, limits, policies; did you mean `safety`?",
                "2:1 unknown key `qqq` | expected one of: collect, labels, safety, limits, policies",
            ],
        ),
        ("? [a]\n: b", &["1:3 wrong type: found a list | expected a key that is one word"]),
        ("a: 1\n---\nb: 1\n", &["2:1 a second document starts here | expected one document in a file"]),
        (
            "labels:\nlabels:\n",
            &["2:1 duplicate key `labels` | expected each key once; it first stands on line 1"],
        ),
        ("&a [*a]", &["1:5 this value contains itself | expected an alias of a value that is complete"]),
        ("collect: *nope", &["1:10 this is not YAML | while parsing node, found unknown anchor"]),
        ("collect: !custom {}", &["1:10 unknown tag `!custom` | expected a value without a tag"]),
        (
            "\tcollect: {}",
            &[
                "1:1 this cannot be read | found character that cannot start any token, while scanning for the next token",
            ],
        ),
        (
            "collect:\n  <<: {interval: 5s}\n",
            &[
                "2:3 unknown key `<<` | expected one of: interval, include, exclude, max_depth, max_series, linger, averages, collectors",
            ],
        ),
        (
            "collect:\n  linger: \"5\\e[31ms\"\n",
            &[
                "2:11 bad value: found `5\u{1b}[31ms` | `5` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        ("é: 1", &["1:1 unknown key `é` | expected one of: collect, labels, safety, limits, policies"]),
        (
            "collect: {interval: 1, collectors: {cpu: {interval: 2s}}}",
            &[
                "1:21 bad value: found `1` | `1` has no unit; expected a duration such as `500ms`, `5s`, `10m` or `1h30m`",
            ],
        ),
        (
            "collect: {interval: 10ms, collectors: {cpu: {interval: 2s}}}",
            &["1:21 an interval of `10ms` is too short | expected between 100ms and 1h"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(brief(text), *expected, "{text:?}");
    }
}

#[test]
fn a_long_list_of_errors_ends() {
    let text: String = (0..1000).map(|at| format!("key{at}: 1\n")).collect();
    let problems = parse(&text).unwrap_err();
    assert_eq!(problems.list().len(), 100);
    assert!(problems.to_string().ends_with("s.yaml: 100 errors, and the rest was not looked for\n"));
    let repeated = parse(&"labels:\n".repeat(20_000)).unwrap_err();
    assert_eq!(repeated.list().len(), 100);
}

#[test]
fn a_long_value_is_not_repeated_in_full() {
    let problems = parse(&format!("collect: {{interval: {}}}\n", "x".repeat(500_000))).unwrap_err();
    assert!(problems.to_string().len() < 2000);
    assert!(problems.to_json().to_string().len() < 2000);
}

#[test]
fn what_would_take_the_program_down_is_refused() {
    let deep = format!("collect: {}{}", "[".repeat(100), "]".repeat(100));
    let deeper = "[".repeat(200_000);
    let wide = format!("collect: [{}]", "1,".repeat(60_000));
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..9).map(|at| {
            let alias = format!("*a{}", at - 1);
            format!("a{at}: &a{at} [{}]\n", vec![alias; 10].join(", "))
        }))
        .collect();
    let chain: String = std::iter::once("a0: &a0 [x]\n".to_owned())
        .chain((1..80).map(|at| format!("a{at}: &a{at} [*a{}]\n", at - 1)))
        .collect();
    for (text, message) in [
        (&deep, "values are nested too deeply here"),
        (&deeper, "this is not YAML"),
        (&wide, "the document is too large"),
        (&bomb, "the aliases in here expand to too much"),
        (&chain, "values are nested too deeply here"),
    ] {
        let problems = parse(text).unwrap_err();
        let messages: Vec<_> = problems.list().iter().map(config::Problem::message).collect();
        assert_eq!(messages, [message], "{:.60}", text);
        assert!(problems.to_string().len() < 1000, "the snippet of a long line is cut");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&text).map_err(|problems| problems.to_string());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        match config::load(Some(file.path())) {
            Ok(_) => prop_assert!(std::str::from_utf8(&bytes).is_ok()),
            Err(problems) => prop_assert!(!problems.list().is_empty() && !problems.to_string().is_empty()),
        }
    }

    #[test]
    fn any_mix_of_yaml_is_read_or_refused(words in proptest::collection::vec(
        proptest::sample::select(&[
            "collect", "interval", "labels", "policies", "limits", "safety", "match", "when", "signal", "above", "steps", "set", "attach", "include", "cpu", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]",
            "{", "}", ", ", "5s", "'", "\"", "&a ", "*a", "!!str ", "!x ", "|\n", ">-\n", "? ", "# ", "---\n", "...\n", "%",
            "\t", "<<", "~", "é", "\u{202e}", "\r\n", "\\x", "0x", "@",
        ][..]), 0..40,
    )) {
        let text = words.concat();
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.list().is_empty());
            let shown = problems.to_string();
            prop_assert!(shown.lines().all(|line| !line.chars().any(char::is_control)), "{:?}", shown);
        }
    }
}
