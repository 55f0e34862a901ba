//! What the README shows of a terminal is done, with a group, a port and a directory of the test's own, and what is
//! printed has the README's words: numbers and times may differ.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use stockade::model::Version;

use super::support::{TestGroup, layout};
use super::{blocks, page, section};

/// A command, and the lines that it prints.
#[derive(Debug, PartialEq)]
struct Exchange {
    command: String,
    printed: Vec<String>,
}

/// What a block shows: after each prompt a command, then what it prints.
fn exchanges(block: &str) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("# "), all.last_mut()) {
            (Some(command), _) => all.push(Exchange { command: command.to_owned(), printed: Vec::new() }),
            (None, Some(last)) => last.printed.push(line.to_owned()),
            (None, None) => panic!("a block begins with a command, not with {line}"),
        }
    }
    all
}

/// The words of a line: each number, with what belongs to it, is `N`, and so many spaces are one.
fn words(line: &str) -> String {
    let mut words = String::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let in_word =
            words.chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '-');
        let length = if first.is_ascii_digit() && !in_word {
            words.push('N');
            rest.find(|each: char| !each.is_ascii_digit() && !".:-T".contains(each)).unwrap_or(rest.len())
        } else if first == ' ' {
            words.push(' ');
            rest.len() - rest.trim_start().len()
        } else {
            words.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

/// A shell that does what is shown, in a directory of its own.
struct Terminal {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    place: tempfile::TempDir,
    /// What the README says, and what stands for it here.
    instead: Vec<(String, String)>,
}

impl Terminal {
    fn new(instead: Vec<(String, String)>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let programs = place.path().join("bin");
        fs::create_dir(&programs).expect("a directory");
        // The program under its name, on a port of this test's own.
        let port = free_port();
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = serve ] && set -- \"$@\" --web.listen-address 127.0.0.1:{port}\nexec {} \"$@\"\n",
            env!("CARGO_BIN_EXE_stockade")
        );
        let program = programs.join("stockade");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("there is a PATH"));
        let mut shell = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .env("PATH", path)
            .env_remove("STOCKADE_CONFIG")
            .current_dir(place.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash");
        let input = shell.stdin.take().expect("a pipe");
        let output = BufReader::new(shell.stdout.take().expect("a pipe"));
        let mut instead = instead;
        instead.push(("127.0.0.1:19306".to_owned(), format!("127.0.0.1:{port}")));
        instead.push(("/run/stockade-try".to_owned(), place.path().join("run").display().to_string()));
        Self { shell, input, output, place, instead }
    }

    fn here(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// What a command prints, on both outputs. What is left running in the background logs elsewhere.
    fn once(&mut self, command: &str) -> Vec<String> {
        const END: &str = "--end of what was printed--";
        let background = command.contains(" & ") || command.ends_with('&');
        let outputs = if background { "2>>log >>log" } else { "2>&1" };
        // Braces, not brackets: what the command sets is there for the next one.
        let separator = if command.ends_with('&') { "" } else { ";" };
        writeln!(self.input, "{{ {command}{separator} }} {outputs} </dev/null; echo; echo '{END}'")
            .expect("a shell");
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("UTF-8") > 0, "the shell ended at {command}");
            if line.trim_end() == END {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Does a command, where something is to be printed until that is, for two minutes; a command that only looks may be
    /// done again.
    fn does(&mut self, exchange: &Exchange) {
        const LOOKING: [&str; 5] = ["stockade explain", "stockade audit", "stockade ls", "curl", "cat"];
        let command = self.here(&exchange.command);
        let expected: Vec<String> = exchange.printed.iter().map(|line| words(&self.here(line))).collect();
        let again = LOOKING.iter().any(|looking| command.starts_with(looking));
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let printed = self.once(&command);
            let said: Vec<String> = printed.iter().map(|line| words(line)).collect();
            // Of what changes or starts something without a word, nothing is expected.
            if said == expected {
                return;
            }
            let log = fs::read_to_string(self.place.path().join("log")).unwrap_or_default();
            assert!(
                again && Instant::now() < deadline,
                "{command}\nprinted {printed:#?}\nexpected {:#?}\nlog:\n{log}",
                exchange.printed
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // All that it started, which is in its process group.
        let group = Pid::from_raw(self.shell.id().try_into().expect("a process id"));
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.shell.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A group that the README makes, removed with what lives in it however the test ends.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        for _ in 0..200 {
            let _ = fs::write(self.0.join("cgroup.freeze"), "0");
            for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
                let pid = pid.parse().map(Pid::from_raw);
                let _ = pid.map(|pid| nix::sys::signal::kill(pid, Signal::SIGKILL));
            }
            match fs::remove_dir(&self.0) {
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

#[test]
fn a_policy_acts_as_the_readme_shows() {
    let readme = page("README.md");
    let section = section(&readme, "See a policy act");
    let name = format!("stockade-test-walk-{}-0", std::process::id());
    let mut mounts = layout().hierarchies.into_iter().filter(|each| each.version == Version::V2);
    let unified = mounts.next().expect("the README's walk is on cgroup v2").mount;
    let _made = Made(unified.join(&name));
    let mut terminal = Terminal::new(vec![("stockade-test-hog".to_owned(), name)]);
    let (_, policy) = blocks(section, "yaml").first().copied().expect("the policy");
    fs::write(terminal.place.path().join("try.yaml"), terminal.here(policy)).expect("the policy");
    let mut done = 0;
    for (_, block) in blocks(section, "console") {
        for exchange in exchanges(block) {
            terminal.does(&exchange);
            done += 1;
        }
    }
    assert!(done > 15, "only {done} commands");
}

#[test]
fn the_quick_start_starts() {
    let readme = page("README.md");
    let section = section(&readme, "Quick start");
    let shown: Vec<Exchange> =
        blocks(section, "console").into_iter().flat_map(|(_, block)| exchanges(block)).collect();
    let [serve, ls] = &shown[..] else { panic!("a server and a look: {shown:#?}") };

    let group = TestGroup::everywhere("readme");
    group.child("index.service");
    group.child("render.service");
    let mut terminal = Terminal::new(vec![("/stockade-test-batch.slice".to_owned(), group.path.clone())]);

    // Cargo would build it; the README's reader waits for the line that says where it listens.
    let command = serve.command.replace("cargo run --release --", "stockade");
    terminal.once(&format!("{command} &"));
    let log = terminal.place.path().join("log");
    let expected = terminal.here(&serve.printed[0]);
    super::support::eventually("it listens", || {
        fs::read_to_string(&log).unwrap_or_default().lines().any(|line| line == expected).then_some(())
    });
    let (scrape, child) =
        (terminal.here("curl -s http://127.0.0.1:19306/metrics"), format!("{}/render", group.path));
    super::support::eventually("the group is on the page", || {
        terminal.once(&scrape).iter().any(|line| line.contains(&child)).then_some(())
    });

    // Its columns and its tree; the numbers are those of a group that was at work.
    let printed = terminal.once(&terminal.here(&ls.command));
    let columns = |lines: &[String]| words(&lines[0]);
    assert_eq!(columns(&printed), columns(&ls.printed));
    let names = |lines: &[String]| -> Vec<String> {
        lines[1..].iter().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
    };
    assert_eq!(
        names(&printed),
        names(&ls.printed.iter().map(|line| terminal.here(line)).collect::<Vec<_>>())
    );
}

/// What is installed is there, where man and bash look for it. Cargo has built the program already.
#[test]
fn the_installation_installs() {
    let readme = page("README.md");
    let (_, shown) = blocks(section(&readme, "Install"), "sh").first().copied().expect("how to install");
    let mut terminal = Terminal::new(Vec::new());
    let root = terminal.place.path().join("usr/local");
    fs::create_dir_all(&root).expect("a directory");
    terminal.instead = vec![
        ("/usr/local".to_owned(), root.display().to_string()),
        ("target/release/stockade".to_owned(), env!("CARGO_BIN_EXE_stockade").to_owned()),
    ];
    for command in shown.lines().filter(|line| *line != "cargo build --release") {
        let command = terminal.here(command);
        assert_eq!(terminal.once(&command), Vec::<String>::new(), "{command}");
    }
    let told = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let program = root.join("bin/stockade");
    assert!(told(program.to_str().expect("UTF-8"), &["--version"]).starts_with("stockade "));
    for (section, name) in [("1", "stockade"), ("1", "stockade-serve"), ("5", "stockade.yaml")] {
        let page = fs::read_to_string(root.join(format!("share/man/man{section}/{name}.{section}")));
        assert!(page.is_ok_and(|page| page.contains("\n.SH NAME\n")), "{name}");
    }
    let completions = root.join("share/bash-completion/completions/stockade");
    told("bash", &["-n", completions.to_str().expect("UTF-8")]);
}

/// The lines of `/metrics` that are shown are of metrics that there are, with labels that they have.
#[test]
fn the_metrics_that_are_shown_are_there() {
    let table = stockade::metrics::documentation();
    let rows = table.lines().skip(2).map(|row| row.split(" | ").collect::<Vec<_>>());
    let labels: BTreeMap<&str, &str> =
        rows.map(|row| (row[0].trim_matches(['|', ' ', '`']), row[3])).collect();
    let readme = page("README.md");
    let (_, shown) =
        section(&readme, "Quick start").split_once("```\ncgroup_info").expect("the page is shown");
    let shown = format!("cgroup_info{}", shown.split("```").next().unwrap_or_default());
    assert!(shown.lines().count() > 10);
    for line in shown.lines() {
        let (name, rest) = line.split_once('{').expect("labels");
        let known = labels.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        let (inside, _) = rest.split_once('}').expect("labels end");
        for label in inside.split(',').filter_map(|pair| pair.split('=').next()) {
            assert!(known.contains(&format!("`{label}`")), "{name} has no label {label}");
        }
    }
}

#[test]
fn words_are_what_is_the_same_each_time() {
    for (line, expected) in [
        ("  frozen 1", "frozen N"),
        ("2026-11-24T23:14:08.143Z  dry_run    notify", "NZ dry_run notify"),
        ("is 0.33 cores, for 10.1 s of 5.0 s", "is N cores, for N s of N s"),
        ("by cpu-hog: v2 stockade-test-x-12-0", "by cpu-hog: v2 stockade-test-x-12-0"),
    ] {
        assert_eq!(words(line), expected, "{line}");
    }
    let shown = exchanges("# one\nprinted\n# two\n");
    let of = |command: &str, printed: &[&str]| Exchange {
        command: command.to_owned(),
        printed: printed.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(shown, [of("one", &["printed"]), of("two", &[])]);
}
