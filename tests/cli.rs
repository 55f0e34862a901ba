//! `stockade ls` and `stockade inspect`: the real program on made-up hierarchies, whose output is known to the letter,
//! and on this host's own cgroups.

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use stockade::cli::{Exit, InspectArgs, LsArgs};
use support::TestGroup;
use support::fake::FakeTree;

/// What a run of the program gave.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    Ran {
        code: output.status.code().expect("no signal"),
        out: String::from_utf8(output.stdout).expect("only text reaches a terminal"),
        err: String::from_utf8(output.stderr).expect("only text reaches a terminal"),
    }
}

/// Runs on a made-up hierarchy, and expects success.
fn shown(tree: &FakeTree, args: &[&str]) -> String {
    let ran = run(args.iter().map(|arg| (*arg).to_owned()).chain(tree.flags()));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    ran.out
}

/// Runs on a made-up hierarchy, and expects an error.
fn refused(tree: &FakeTree, args: &[&str]) -> (i32, String) {
    let ran = run(args.iter().map(|arg| (*arg).to_owned()).chain(tree.flags()));
    assert_eq!(ran.out, "", "{args:?}");
    (ran.code, ran.err)
}

/// Arguments as the command line gives them.
fn parsed<A: Args>(args: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("test"));
    let matches = command.try_get_matches_from(["test"].iter().chain(args)).expect("good arguments");
    A::from_arg_matches(&matches).expect("good arguments")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// A root with four controllers and nothing below it.
fn unified() -> FakeTree {
    let tree = FakeTree::unified("cpu io memory pids\n");
    tree.group("/", &[("cgroup.procs", "")]);
    tree
}

/// A slice with two services, and a group of which the kernel tells nothing.
fn site() -> FakeTree {
    let tree = unified();
    tree.group("/bare", &[]);
    tree.group(
        "/web.slice",
        &[
            ("cgroup.controllers", "cpu io memory pids\n"),
            ("cgroup.subtree_control", "memory pids\n"),
            ("cgroup.events", "populated 1\nfrozen 0\n"),
            ("cgroup.procs", ""),
            ("memory.current", "104857600\n"),
            ("memory.max", "209715200\n"),
            ("memory.high", "max\n"),
            ("pids.current", "12\n"),
            ("pids.max", "100\n"),
            ("cpu.max", "150000 100000\n"),
        ],
    );
    tree.group(
        "/web.slice/api.service",
        &[
            ("cgroup.controllers", "memory pids\n"),
            ("cgroup.subtree_control", ""),
            ("cgroup.events", "populated 1\nfrozen 1\n"),
            ("cgroup.procs", "41\n42\n"),
            ("memory.current", "83886080\n"),
            ("memory.max", "max\n"),
            ("memory.high", "94371840\n"),
            ("memory.stat", "anon 62914560\nfile 10485760\ninactive_file 1048576\npgfault 7\n"),
            ("memory.events", "low 0\nhigh 3\nmax 0\noom 0\noom_kill 1\n"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n"),
            ("cpu.max", "max 100000\n"),
            (
                "cpu.pressure",
                "some avg10=12.34 avg60=1.00 avg300=0.50 total=1500000\n\
                 full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
            (
                "memory.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
            ("io.stat", "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"),
            ("io.max", "8:0 rbps=1048576 wbps=max riops=max wiops=max\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
        ],
    );
    tree.group("/web.slice/db.service", &[("memory.current", "20971520\n"), ("pids.current", "10\n")]);
    tree
}

#[test]
fn a_tree_of_everything() {
    assert_eq!(
        shown(&site(), &["ls", "--no-rates"]),
        "\
MEMORY  MEM-MAX  CPU-TIME  READ  WRITE  CPU-PSI  MEM-PSI  IO-PSI  PIDS  CGROUP
     -        -         -     -      -        -        -       -     -  /
     -        -         -     -      -        -        -       -     -  ├─bare
  100M     200M         -     -      -        -        -       -    12  └─web.slice
 80.0M      max      2.5s  4.0K   8.0K     12.3      0.0       -     2    ├─api.service
 20.0M        -         -     -      -        -        -       -    10    └─db.service
"
    );
}

#[test]
fn a_sorted_table_of_chosen_columns() {
    let tree = site();
    assert_eq!(
        shown(&tree, &["ls", "--no-rates", "-l", "-s", "pids", "-n", "2", "-b", "--no-headings"]),
        "104857600  209715200  -  -  -  -  -  -  12  /web.slice\n 20971520          -  -  -  -  -  -  -  10  /web.slice/db.service\n"
    );
    assert_eq!(
        shown(
            &tree,
            &[
                "ls",
                "web",
                "--ascii",
                "--no-rates",
                "-s",
                "memory",
                "-n",
                "1",
                "-d",
                "1",
                "-o",
                "mem-limit,headroom,cpu-max,frozen,unit,cgroup"
            ]
        ),
        "\
MEM-LIMIT  HEADROOM  CPU-MAX%  FROZEN  UNIT  CGROUP
     200M      100M     150.0      no  -     /web.slice
"
    );
    assert_eq!(
        shown(&tree, &["ls", "--ascii", "--no-rates", "-s", "memory", "-o", "anon,unit,cgroup", "web.slice"]),
        "\
\x20ANON  UNIT         CGROUP
    -  -            /web.slice
60.0M  api.service  |-api.service
    -  db.service   `-db.service
"
    );
}

#[test]
fn a_tree_of_the_first_few_shows_what_they_are_in() {
    assert_eq!(
        shown(&site(), &["ls", "--no-rates", "-s", "cpu", "-n", "1", "-o", "cpu-time,cgroup"]),
        "\
CPU-TIME  CGROUP
       -  /
       -  └─web.slice
    2.5s    └─api.service
"
    );
}

#[test]
fn rates_need_two_samples_of_what_is_there() {
    let out = shown(&site(), &["ls", "-i", "1ms", "-o", "cpu,read,cgroup"]);
    assert_eq!(
        out,
        "\
CPU%  READ/s  CGROUP
   -       -  /
   -       -  ├─bare
   -       -  └─web.slice
 0.0      0B    ├─api.service
   -       -    └─db.service
"
    );
}

#[test]
fn one_cgroup_to_the_letter() {
    let tree = site();
    tree.process(41, b"/usr/bin/api\0--port\08080\0", 0, "/web.slice/api.service");
    tree.process(42, b"", 0, "/web.slice/api.service");
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users").expect("this user").name;
    let (user, me) = (format!("{:width$}", "USER", width = me.len().max(4)), format!("{me:4}"));
    let told = shown(&tree, &["inspect", "/web.slice/api.service", "--no-rates"]);
    // A second after this host was started, by its clock.
    let started = told.lines().last().and_then(|line| line.rsplit(' ').next()).expect("a moment");
    assert!(started.len() == "2026-11-26T09:49:32.380Z".len() && started.ends_with('Z'), "{told}");
    let expected = format!(
        "\
/web.slice/api.service
  id          {id}
  managed by  nobody, written through cgroupfs
  unit        api.service
  slice       web.slice
  state       populated, frozen
  parent      /web.slice
  children    0

Hierarchies
  VERSION  CONTROLLERS  FOR CHILDREN  DIRECTORY
  v2       memory pids  -             {directory}

Limits, weights and switches
  CONTROL          VALUE  EFFECTIVE  HEADROOM  SET BY
  memory.high      90.0M      90.0M     10.0M
  memory.max         max       200M      100M  /web.slice
  cpu.max (cores)    max        1.5         -  /web.slice
  pids.max           max        100        88  /web.slice

I/O limits
  DEVICE  READ/s  WRITE/s  READS/s  WRITES/s  LATENCY  WEIGHT
  8:0       1.0M      max      max       max        -       -

Usage
  cgroup.processes        2
  memory.current      80.0M
  memory.working_set  79.0M
  cpu.usage_seconds    2.5s
  cpu.user_seconds       2s
  cpu.system_seconds  500ms
  pids.current            2

memory.stat
  anon           60.0M
  file           10.0M
  inactive_file   1.0M

Events
  memory.events.high      3
  memory.events.oom_kill  1
  3 others                0

I/O
  DEVICE  READ  WRITTEN  DISCARDED  READS  WRITES  DISCARDS
  8:0     4.0K     8.0K         0B      1       2         0

Pressure (percent of the time in which tasks waited)
  RESOURCE  TASKS  AVG10  AVG60  AVG300  TOTAL
  cpu       some    12.3    1.0     0.5   1.5s
  cpu       full     0.0    0.0     0.0     0s
  memory    some     0.0    0.0     0.0     0s
  memory    full     0.0    0.0     0.0     0s

Processes (2)
  PID  {user}  STATE  THREADS  RESIDENT  COMMAND
   41  {me}  S            3        0B  /usr/bin/api --port 8080
   42  {me}  S            3        0B  [sleeper]
  2 sleeping; the oldest since {started}
",
        id = tree.id("/web.slice/api.service"),
        directory = tree.path("/web.slice/api.service").display(),
    );
    assert_eq!(told, expected);
    let asked = shown(&tree, &["inspect", "41", "--no-rates"]);
    let process = "\
Process 41: /usr/bin/api --port 8080
  CONTROLLERS  CGROUP
  unified      /web.slice/api.service

";
    assert_eq!(asked, format!("{process}{expected}"));
}

#[test]
fn all_rows_and_raw_numbers_when_asked_for() {
    let tree = site();
    tree.process(41, b"api\0", 2, "/web.slice/api.service");
    tree.process(42, b"api\0", 5, "/web.slice/api.service");
    let out = shown(&tree, &["inspect", "api", "--no-rates", "--raw", "--all"]);
    for line in [
        "  memory.max            max  209715200  104857600  /web.slice",
        "  cpu.max (cores)       max      1.500          -  /web.slice",
        "  pgfault               7",
        "  memory.events.low       0",
        "  cpu       some   12.34   1.00    0.50  1.500000",
    ] {
        assert!(out.contains(&format!("\n{line}\n")), "`{line}` is not in\n{out}");
    }
    let (first, second) = (out.find("   42  ").expect("a process"), out.find("   41  ").expect("a process"));
    assert!(first < second, "the largest stands first:\n{out}");
}

#[test]
fn a_group_without_files_is_shown_with_what_there_is() {
    let tree = site();
    let out = shown(&tree, &["inspect", "/web.slice/db.service", "--no-rates"]);
    assert!(out.contains("  memory.max           -       200M      100M  /web.slice\n"), "{out}");
    assert!(!out.contains("Events") && !out.contains("Pressure"), "absent is no zero:\n{out}");
    let (bare, id) = (shown(&tree, &["inspect", "/bare", "-i", "0"]), tree.id("/bare"));
    let head = format!(
        "/bare\n  id          {id}\n  managed by  nobody, written through cgroupfs\n  parent      /\n  children    0\n"
    );
    assert!(bare.starts_with(&head), "{bare}");
}

#[test]
fn documents_have_stable_keys() {
    let tree = site();
    tree.process(41, b"api\0", 1, "/web.slice/api.service");
    let once = json(&shown(&tree, &["ls", "-J", "--no-rates"]));
    assert_eq!(keys(&once), ["cgroups", "timestamp_seconds", "version"]);
    assert_eq!(once["version"], 1);
    let paths: Vec<&str> =
        once["cgroups"].as_array().expect("a list").iter().filter_map(|c| c["path"].as_str()).collect();
    assert_eq!(paths, ["/", "/bare", "/web.slice", "/web.slice/api.service", "/web.slice/db.service"]);
    assert_eq!(
        keys(&once["cgroups"][3]),
        ["age_seconds", "id", "manager", "path", "slice", "unit", "values"]
    );
    assert_eq!(once["cgroups"][3]["manager"]["kind"], "unowned", "systemd does not run below this root");
    assert_eq!(once["cgroups"][3]["values"]["memory.high"], 94_371_840);
    assert_eq!(once["cgroups"][3]["values"]["memory.max"], "max");
    assert_eq!(keys(&once["cgroups"][1]["values"]), Vec::<&str>::new(), "absent has no key");

    let twice = json(&shown(&tree, &["ls", "-J", "-i", "1ms", "-s", "memory", "-n", "1"]));
    assert_eq!(keys(&twice), ["cgroups", "interval_seconds", "timestamp_seconds", "version"]);
    assert_eq!(twice["cgroups"][0]["path"], "/web.slice");
    assert_eq!(twice["cgroups"].as_array().map(Vec::len), Some(1));

    let one = json(&shown(&tree, &["inspect", "-J", "--no-rates", "41"]));
    assert_eq!(
        keys(&one),
        [
            "cgroup",
            "hierarchies",
            "manager",
            "process",
            "process_count",
            "processes",
            "timestamp_seconds",
            "version",
            "writer"
        ]
    );
    assert_eq!(one["process"]["cgroups"][0]["path"], "/web.slice/api.service");
    assert_eq!(one["processes"][0]["command"], "api");
    assert_eq!(one["cgroup"]["tables"]["io.stat"]["8:0"]["write_bytes"], 8192);
    assert_eq!(one["hierarchies"][0]["version"], "v2");
}

#[test]
fn hostile_names_and_commands_cannot_touch_the_terminal() {
    let tree = unified();
    let names: [&[u8]; 4] = [b"/\x1b[31mred", b"/line\nfeed", b"/no\xffutf", "/flip\u{202e}ped".as_bytes()];
    for name in names {
        tree.group(OsStr::from_bytes(name), &[("cgroup.procs", "7\n")]);
    }
    tree.process(7, b"\x1b]0;title\x07\0\xe2\x80\xae\n", 1, "/x");
    let mut outputs = vec![
        shown(&tree, &["ls", "--no-rates"]),
        shown(&tree, &["ls", "--no-rates", "-l"]),
        shown(&tree, &["ls", "--no-rates", "-J"]),
        refused(&tree, &["inspect", "/\x1b[32mred"]).1,
        refused(&tree, &["ls", "-o", "\x1b[32m"]).1,
    ];
    assert_eq!(outputs[0].lines().count(), 6, "{}", outputs[0]);
    for name in names {
        let args = [OsString::from("inspect"), "--no-rates".into(), OsStr::from_bytes(name).to_owned()];
        let ran = run(args.into_iter().chain(tree.flags().map(OsString::from)));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name:?}");
        // The name as it was shown finds the same cgroup.
        let display = ran.out.lines().next().expect("a line").to_owned();
        assert_eq!(shown(&tree, &["inspect", "--no-rates", &display]), ran.out);
        outputs.push(ran.out);
    }
    for output in outputs {
        assert!(!output.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{output:?}");
    }
}

#[test]
fn what_is_not_there_is_named_with_what_is_near() {
    let tree = site();
    tree.group("/other.slice/db.service", &[]);
    for (args, code, parts) in [
        (
            &["inspect", "/web.slice/apy.service"][..],
            1,
            &["/web.slice/apy.service", "/web.slice/api.service?; `stockade ls /web.slice`"][..],
        ),
        (&["ls", "zzzzzzzzzz"], 1, &["there is no cgroup /zzzzzzzzzz among the 7 here; `stockade ls`"]),
        (&["inspect", "db"], 1, &["2 cgroups", "/other.slice/db.service, /web.slice/db.service"]),
        (&["inspect", "99999999"], 1, &["no process 99999999", "/99999999"]),
        (&["ls", "-o", "memroy"], 2, &["no column `memroy`", "memory,"]),
        (&["ls", "-i", "5x"], 2, &["500ms"]),
    ] {
        let (got, message) = refused(&tree, args);
        assert_eq!(got, code, "{args:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{args:?}: `{part}` is not in: {message}");
        }
    }
    tree.process(50, b"lost\0", 1, "/../elsewhere");
    let (code, message) = refused(&tree, &["inspect", "50"]);
    assert_eq!(code, 1);
    assert!(message.contains("process 50 is in /../elsewhere") && message.contains("namespace"), "{message}");
    let missing = tree.cgroups().join("nowhere");
    let ran = run(["ls".to_owned(), format!("--path.cgroupfs={}", missing.display())]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("nowhere") && ran.err.contains("--path.cgroupfs"), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_is_told_beside_the_rest() {
    let tree = site();
    fs::write(tree.path("/web.slice/db.service").join("memory.current"), "no number\n").expect("a file");
    let ran = run(["ls".to_owned(), "--no-rates".to_owned()].into_iter().chain(tree.flags()));
    assert_eq!(ran.code, 0);
    assert!(
        ran.out.contains(
            "\n     -        -         -     -      -        -        -       -    10    └─db.service\n"
        ),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("80.0M"), "the others stand: {}", ran.out);
    assert!(ran.err.contains("memory.current (malformed);"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let tree = unified();
    for number in 0..500 {
        tree.group(format!("/group-with-a-rather-long-name-{number}"), &[]);
    }
    for command in [&["ls"][..], &["ls", "-J"], &["inspect", "/"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stockade"))
            .args(command)
            .arg("--no-rates")
            .args(tree.flags())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
    }
}

#[test]
fn real_cgroups_are_listed_with_the_kernels_numbers() {
    let mut group = TestGroup::everywhere("ls");
    let child = group.child("below");
    let pid = group.run("below", "exec sleep 600");
    let name = group.path.trim_start_matches('/').to_owned();
    let listed = support::eventually("the command is in the group", || {
        let ran = run(["ls", "-J", "--no-rates", &name]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let listed = json(&ran.out);
        (listed["cgroups"][1]["values"]["cgroup.processes"] == 1).then_some(listed)
    });
    assert_eq!(listed["cgroups"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed["cgroups"][1]["path"], child.as_str());
    assert_eq!(listed["cgroups"][1]["id"], support::inode(&group.directory("unified").join("below")));

    let tree = run(["ls", "-i", "10ms", "--depth", "1", "-o", "pids,cpu,cgroup", &group.path]);
    let lines: Vec<&str> = tree.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", tree.out);
    assert!(lines[1].ends_with(&group.path) && lines[2].ends_with("└─below"), "{}", tree.out);

    // Its shell turns into the command once it has moved into every hierarchy.
    let inspected = support::eventually("the command has moved everywhere", || {
        let inspected = json(&run(["inspect", "-J", "--no-rates", &pid.to_string()]).out);
        let command = inspected["process"]["command"].as_str()?;
        (command == "sleep 600").then_some(inspected)
    });
    assert_eq!(inspected["cgroup"]["path"], child.as_str());
    assert_eq!(inspected["processes"][0]["pid"], pid);
    for directory in inspected["hierarchies"].as_array().expect("a list") {
        let directory = directory["directory"].as_str().expect("a path");
        let same = json(&run(["inspect", "-J", "--no-rates", directory]).out);
        assert_eq!(same["cgroup"]["id"], inspected["cgroup"]["id"], "{directory}");
    }
}

#[test]
fn an_ancestors_limit_is_told_with_its_headroom() {
    let group = TestGroup::everywhere("bound");
    let child = group.child("below");
    let memory = group.directory("memory");
    let file = ["memory.max", "memory.limit_in_bytes"].into_iter().find(|name| memory.join(name).exists());
    fs::write(memory.join(file.expect("a limit's file")), "67108864").expect("a limit");
    let ran = run(["inspect", "--no-rates", "--raw", &child]);
    let line = ran.out.lines().find(|line| line.trim_start().starts_with("memory.max "));
    let line = line.unwrap_or_else(|| panic!("no limit in\n{}{}", ran.out, ran.err));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[1], words[2], words[4]), ("max", "67108864", group.path.as_str()), "{line}");
    // The kernel charges a little to a group without processes, and takes it back when it likes.
    let headroom: u64 = words[3].parse().expect("bytes");
    assert!((60_000_000..=67_108_864).contains(&headroom), "{line}");
}

#[test]
fn a_cgroup_that_ends_between_the_samples() {
    let group = TestGroup::everywhere("ends");
    group.child("stays");
    let ends = group.child("ends");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ls: LsArgs = parsed(&["-o", "cpu,cgroup", &group.path]);
    let exit = ls
        .run(None, &mut |_: Duration| group.remove_child("ends"), &mut out, &mut err)
        .expect("memory does not fail");
    let text = String::from_utf8_lossy(&out);
    assert_eq!(exit, Exit::Done, "{}", String::from_utf8_lossy(&err));
    assert!(text.contains("└─stays") && text.lines().count() == 3, "{text}");

    group.child("ends");
    out.clear();
    let inspect: InspectArgs = parsed(&[&ends]);
    let exit = inspect
        .run(None, &mut |_: Duration| group.remove_child("ends"), &mut out, &mut err)
        .expect("memory does not fail");
    let text = String::from_utf8_lossy(&out);
    assert_eq!(exit, Exit::Done, "{}", String::from_utf8_lossy(&err));
    assert!(text.starts_with(&ends) && text.contains("ended while it was looked at"), "{text}");
}

#[test]
fn the_tightest_limit_and_the_least_headroom_count() {
    let tree = unified();
    let memory = |path: &str, current: &str, max: &str| {
        tree.group(path, &[("memory.current", current), ("memory.max", max), ("cpu.max", "50000 100000\n")]);
    };
    memory("/a", "100", "200");
    memory("/a/b", "90", "95");
    memory("/a/b/c", "10", "1000");
    let limits = |path: &str| {
        let out = shown(&tree, &["inspect", "--no-rates", "--raw", path]);
        let line = out.lines().find(|line| line.trim_start().starts_with("memory.max ")).expect("a limit");
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limits("/a"), ["200", "200", "100"], "its own");
    assert_eq!(limits("/a/b"), ["95", "95", "5"], "its own, tighter than its parent's");
    assert_eq!(limits("/a/b/c"), ["1000", "95", "5", "/a/b"], "that of the ancestor which is tightest");
    tree.group("/a/b/c", &[("memory.current", "10"), ("memory.max", "96")]);
    tree.group("/a", &[("memory.current", "198")]);
    assert_eq!(limits("/a/b/c"), ["96", "95", "2", "/a/b"], "another one is nearest to its limit");
    let out = shown(&tree, &["inspect", "--no-rates", "/a/b/c"]);
    assert!(out.contains("  cpu.max (cores)    0.5        0.5         -\n"), "a tie is its own:\n{out}");
}
