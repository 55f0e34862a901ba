//! What a person sees who gives a command something wrong: one message that names the thing, says what was expected or
//! what to do, and the exit code that the README promises.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::TestGroup;
use support::daemon::Daemon;

/// A directory with the files that a person may give by mistake.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        // Others come in, to find out what they may not read.
        fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// A configuration whose journal lies here.
    fn configuration(&self, scope: &str) -> PathBuf {
        let journal = self.path("state/journal");
        let text = format!(
            "safety: {{mode: enforce, scope: [\"{scope}\"], journal: {}}}
policies: [{{name: calm, match: {{path: \"{scope}\"}}, when: {{signal: pids.current, above: 3}}, steps: [{{notify: {{}}}}]}}]",
            journal.display()
        );
        self.file("stockade.yaml", text.as_bytes())
    }
}

/// The exit code, and what was said on the standard error.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env_remove("STOCKADE_CONFIG").output().expect("the binary was built with the tests");
    (output.status.code(), String::from_utf8(output.stderr).expect("messages are UTF-8"))
}

fn stockade(arguments: &[&str]) -> (Option<i32>, String) {
    said(Command::new(env!("CARGO_BIN_EXE_stockade")).args(arguments))
}

/// Holds one command line to its code, to what the message must have in it, and to being no longer than it needs.
fn check(arguments: &[&str], code: i32, parts: &[&str]) {
    let (ended, message) = stockade(arguments);
    expect(&format!("stockade {}", arguments.join(" ")), (ended, &message), code, parts);
}

fn expect(command: &str, (ended, message): (Option<i32>, &str), code: i32, parts: &[&str]) {
    assert_eq!(ended, Some(code), "{command}: {message}");
    for part in parts {
        assert!(message.contains(part), "{command}: no `{part}` in\n{message}");
    }
    assert!(message.lines().count() <= 12, "{command}: too long\n{message}");
    for noise in ["panicked", "RUST_BACKTRACE", "Error {", "invalid digit"] {
        assert!(!message.contains(noise), "{command}: {noise} in\n{message}");
    }
}

#[test]
fn a_configuration_that_is_none_is_named_with_what_was_expected() {
    let place = Place::new();
    let directory = place.path("directory");
    fs::create_dir(&directory).expect("a directory");
    let files: [(PathBuf, &[&str]); 6] = [
        (place.path("nothing.yaml"), &["No such file", "expected a YAML file"]),
        (directory, &["this is a directory", "expected a YAML file"]),
        (
            place.file("latin.yaml", b"collect:\n  interval: \xff\n"),
            &["line 2 is not UTF-8", "saved as UTF-8"],
        ),
        (place.file("list.yaml", b"- a\n"), &["found a list", "expected a mapping"]),
        (place.file("text.yaml", b"hello\n"), &["found the string `hello`", "expected a mapping"]),
        (place.file("large.yaml", &vec![b'#'; 2 << 20]), &["too large", "expected at most"]),
    ];
    for (file, parts) in &files {
        let name = file.to_str().expect("UTF-8");
        let parts: Vec<&str> = parts.iter().copied().chain([name]).collect();
        check(&["check", "--no-host", name], 1, &parts);
        let used: Vec<&str> = parts.iter().copied().chain(["the configuration cannot be used"]).collect();
        for command in
            [&["serve", "--config", name][..], &["undo", "--config", name], &["audit", "--config", name]]
        {
            check(command, 1, &used);
        }
        check(&["explain", "/", "--config", name], 1, &used);
        check(&["kill", "/", "--config", name], 1, &used);
    }
    let empty = place.file("empty.yaml", b"");
    assert_eq!(stockade(&["check", "--no-host", empty.to_str().expect("UTF-8")]), (Some(0), String::new()));
}

#[test]
fn a_cgroup_that_is_none_is_named_and_nothing_is_done_to_the_root() {
    for command in ["ls", "inspect", "explain", "freeze", "thaw", "kill", "undo"] {
        check(&[command, "/no/such/group"], 1, &["there is no cgroup /no/such/group", "`stockade ls` shows"]);
        // As `stockade kill "$unset"` gives it.
        check(&[command, ""], 1, &["an empty name is no cgroup", "/ for the root"]);
    }
    check(&["set", "/no/such/group", "pids.max=5"], 1, &["there is no cgroup /no/such/group"]);
    check(&["reclaim", "/no/such/group", "5MiB"], 1, &["there is no cgroup /no/such/group"]);
    check(&["kill", "/"], 3, &["protected", "the root cgroup holds the whole host"]);
    check(&["inspect", "4000000000"], 1, &["there is no process 4000000000"]);
    check(&["ns", "-p", "4000000000"], 1, &["there is no process 4000000000"]);
}

#[test]
fn a_value_that_is_none_is_a_usage_error_that_says_what_is_one() {
    for (arguments, parts) in [
        (&["ls", "-n", "many"][..], &["'many'", "--rows", "expected a whole number"][..]),
        (&["ls", "--depth", "-1"], &["-1"]),
        (&["ls", "-o", "nothing"], &["there is no column `nothing`", "memory"]),
        (&["ls", "--sort", "nothing"], &["'nothing'", "memory"]),
        (&["ns", "-p", "init"], &["'init'", "expected a whole number"]),
        (&["ns", "-t", "disk"], &["'disk'", "expected one of mnt, net"]),
        (&["audit", "-n", "all"], &["'all'", "expected a whole number"]),
        (&["audit", "--since", "yesterday"], &["'yesterday'", "expected a duration such as"]),
        (&["freeze", "/a", "--ttl", "5"], &["`5` has no unit", "expected a duration such as"]),
        (&["kill", "/a", "-s", "STOP"], &["`STOP`", "`TERM`"]),
        (&["set", "/a", "memory.high"], &["`memory.high` sets nothing", "memory.high=4GiB"]),
        (&["set", "/a", "memory.hihg=1GiB"], &["unknown key `memory.hihg`", "memory.high"]),
        (&["set", "/a", "memory.high=lots"], &["`lots` is no value of memory.high", "`512MiB`"]),
        (&["reclaim", "/a", "lots"], &["'lots'", "expected a size such as"]),
        (&["serve", "--web.listen-address", "localhost:1"], &["'localhost:1'", "expected ADDRESS:PORT"]),
        (&["serve", "--web.max-requests", "x"], &["'x'", "expected a whole number"]),
        (&["serve", "--watch.method", "x"], &["'x'", "expected auto, fanotify, inotify or walk"]),
        (&["completions", "tcsh"], &["'tcsh'", "bash"]),
        (&["sevre"], &["'sevre'", "'serve'"]),
    ] {
        check(arguments, 2, parts);
    }
}

#[test]
fn a_file_system_that_is_none_is_named_with_its_flag() {
    check(&["serve", "--path.cgroupfs", "/no/such"], 1, &["/no/such", "correct --path.cgroupfs"]);
    for command in ["serve", "ls"] {
        check(&[command, "--path.procfs", "/no/such"], 1, &["/no/such", "--path.procfs"]);
    }
    check(&["ns", "--path.procfs", "/no/such"], 1, &["/no/such", "--path.procfs"]);
}

#[test]
fn an_audit_log_that_is_none_ends_with_one_message() {
    let place = Place::new();
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let missing = text(&place.path("nothing.jsonl"));
    check(&["audit", "--log", &missing], 1, &["there is no audit log", &missing, "`safety.audit`"]);
    let config = text(&place.configuration("/stockade-test-nothing"));
    check(&["audit", "--config", &config], 1, &["there is no audit log", "nothing was decided yet"]);
    let directory = text(place.0.path());
    check(&["audit", "--log", &directory], 1, &[&directory, "cannot be read", "Is a directory"]);
    let (_, message) = stockade(&["audit", "--log", &directory]);
    assert_eq!(message.lines().count(), 1, "{message}");
    let other = text(&place.file("other.jsonl", b"not JSON\n"));
    check(&["audit", "--log", &other], 1, &["line 1 is no line of an audit log"]);
    let log = text(&place.file("audit.jsonl", b"{\"kind\":\"reload\",\"outcome\":\"x\"}\n"));
    let nothing = ["none of the 1 lines", &log];
    check(&["audit", "--log", &log, "--outcome", "aplied"], 0, &nothing);
}

#[test]
fn a_port_in_use_and_an_address_of_nobody_are_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    check(
        &["serve", "--web.listen-address", &address],
        1,
        &[&address, "another process listens there", "choose another"],
    );
    check(
        &["serve", "--web.listen-address", "192.0.2.1:9"],
        1,
        &["192.0.2.1:9", "no interface of this host"],
    );
}

/// Runs the program, copied to where anybody may run it, as nobody.
fn as_nobody(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let program = place.path("stockade");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_stockade"), &program).expect("a copy");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    said(Command::new(program).args(arguments).uid(65534).gid(65534).current_dir("/"))
}

#[test]
fn who_is_not_root_is_told_what_is_missing() {
    let group = TestGroup::everywhere("nobody");
    let place = Place::new();
    let config = place.configuration(&group.path);
    let config = config.to_str().expect("UTF-8");
    let nobody = |arguments: &[&str], code: i32, parts: &[&str]| {
        let (ended, message) = as_nobody(&place, arguments);
        expect(&format!("nobody: stockade {}", arguments.join(" ")), (ended, &message), code, parts);
    };
    let secret = place.file("secret.yaml", b"{}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let secret = secret.to_str().expect("UTF-8");
    nobody(&["check", secret], 1, &[secret, "Permission denied", "that this user may read"]);
    nobody(&["serve", "--config", secret], 1, &[secret, "Permission denied"]);
    // Where a kill freezes first it is the journal that cannot be written, else the kernel's file.
    nobody(&["kill", &group.path, "--config", config], 1, &["failed: kill", &group.path]);
    nobody(&["freeze", &group.path, "--config", config], 1, &["cannot make the journal's directory"]);
    nobody(
        &["serve", "--config", config, "--web.listen-address", "127.0.0.1:0"],
        1,
        &["cannot make the journal's directory", "`safety.journal`"],
    );
    nobody(&["man", "--dir", "/proc/pages"], 1, &["cannot be written into /proc/pages"]);

    let daemon = Daemon::configured(Path::new(config), &[]);
    for command in [&["undo"][..], &["explain", &group.path], &["thaw", &group.path]] {
        nobody(
            &[command, &["--config", config]].concat(),
            1,
            &["cannot be asked", "Permission denied", "run as root"],
        );
    }
    // What root did is for root to read.
    assert_eq!(stockade(&["set", &group.path, "pids.max=100", "--config", config]).0, Some(0));
    nobody(&["audit", "--config", config], 1, &["audit.jsonl cannot be read", "run as root"]);
    drop(daemon);
}
