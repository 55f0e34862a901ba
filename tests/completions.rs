//! A shell completes what the program takes: every command and flag, this host's cgroups, a configuration's rules.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use stockade::cli::Cli;
use support::TestGroup;

/// What bash proposes for the last of these words, after it read what `stockade completions bash` prints.
fn bash(words: &[&str]) -> Vec<String> {
    const SCRIPT: &str = r#"
        eval "$(stockade completions bash)"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        [[ $(complete -p stockade) == *'-F _clap_complete_stockade stockade' ]] || exit 9
        _clap_complete_stockade stockade "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    asked(Command::new("bash").args(["--norc", "-c", SCRIPT, "bash"]).args(words))
}

/// What fish proposes for a command line, after it read what `stockade completions fish` prints.
fn fish(line: &str) -> Vec<String> {
    const SCRIPT: &str = "stockade completions fish | source; complete -C $argv[1]";
    let lines = asked(Command::new("fish").args(["--no-config", "-c", SCRIPT, line]));
    // A tab, and what it means.
    lines.iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

fn asked(shell: &mut Command) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_stockade")).parent().expect("it is in a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("there is a PATH"));
    let home = tempfile::tempdir().expect("a directory");
    let output = shell
        .env("PATH", path)
        .env("HOME", home.path())
        .env_remove("STOCKADE_CONFIG")
        .output()
        .expect("tests/run has installed the shell");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_command_and_every_flag_is_completed() {
    let mut program = Cli::command();
    program.build();
    let commands: BTreeSet<String> =
        program.get_subcommands().map(|each| each.get_name().to_owned()).collect();
    assert!(commands.len() > 12, "{commands:?}");
    let proposed: BTreeSet<String> = bash(&["stockade", ""]).into_iter().collect();
    assert_eq!(commands.difference(&proposed).collect::<Vec<_>>(), Vec::<&String>::new());
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let proposed: BTreeSet<String> = bash(&["stockade", command.get_name(), "--"]).into_iter().collect();
        for flag in
            command.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(|flag| flag.get_long())
        {
            let flag = format!("--{flag}");
            assert!(proposed.contains(&flag), "{} {flag} is not among {proposed:?}", command.get_name());
        }
    }
    let off = bash(&["stockade", "serve", "--no-collector.memory_"]);
    assert_eq!(off, ["--no-collector.memory_stat", "--no-collector.memory_numa"]);
}

#[test]
fn fish_asks_too() {
    assert!(fish("stockade ").contains(&"serve".to_owned()));
    assert_eq!(fish("stockade completions e"), ["elvish"]);
    assert!(fish("stockade serve --web.l").contains(&"--web.listen-address".to_owned()));
}

#[test]
fn every_shell_has_its_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script =
            asked(Command::new(env!("CARGO_BIN_EXE_stockade")).args(["completions", shell])).join("\n");
        assert!(script.contains("STOCKADE_COMPLETE"), "{shell}: {script}");
    }
    let zsh = asked(Command::new(env!("CARGO_BIN_EXE_stockade")).args(["completions", "zsh"]));
    assert_eq!(zsh[0], "#compdef stockade", "zsh looks at the first line alone");
    let first_time = zsh.windows(2).any(|lines| {
        lines[0].contains("$funcstack[1] == _stockade")
            && lines[1].trim() == "_clap_dynamic_completer_stockade \"$@\""
    });
    assert!(first_time, "the first completion in a shell proposes nothing");
    let shells = bash(&["stockade", "completions", ""]);
    assert_eq!(shells[..5], ["bash", "elvish", "fish", "powershell", "zsh"]);
}

#[test]
fn cgroups_are_this_hosts_and_a_name_that_a_shell_would_run_is_left_out() {
    let group = TestGroup::everywhere("completions");
    for name in ["one", "other.service", "$(reboot)", "a b", "x;y"] {
        group.child(name);
    }
    let below = |name: &str| format!("{}/{name}", group.path);
    let proposed = bash(&["stockade", "inspect", &below("o")]);
    assert_eq!(proposed, [below("one"), below("other.service")]);
    let all = bash(&["stockade", "freeze", &below("")]);
    assert_eq!(all, proposed, "nothing that is read as more than a word");
    // Without a slash it is a name, as the commands take it.
    let name = group.path.trim_start_matches('/');
    assert!(bash(&["stockade", "ls", &name[..name.len() - 1]]).contains(&name.to_owned()));
}

#[test]
fn rules_are_those_of_the_configuration_and_controls_those_that_can_be_set() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("stockade.yaml");
    let text = "limits: [{name: cap, match: {path: /a}, set: {pids.max: 5}}]
policies: [{name: calm, match: {path: /a}, when: {signal: pids.current, above: 3}, steps: [{notify: {}}]}]";
    fs::write(&file, text).expect("a configuration");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(bash(&["stockade", "audit", "--config", file, "--policy", "ca"]), ["cap", "calm"]);
    assert_eq!(bash(&["stockade", "audit", "--config", file, "--policy", "x"]), Vec::<String>::new());
    let controls = bash(&["stockade", "set", "/", "cpu."]);
    assert_eq!(controls, ["cpu.max=", "cpu.weight="]);
}
