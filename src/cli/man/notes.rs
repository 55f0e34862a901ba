//! What the definitions of the command line do not say: exit codes, files and signals.

use clap::Command;

/// A name, and what it means.
pub(super) type Note = (String, String);

fn notes(rows: &[(&str, &str)]) -> Vec<Note> {
    rows.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned())).collect()
}

/// The commands that do something to a cgroup, which a guard rail may refuse.
const ACTING: [&str; 8] = ["set", "freeze", "thaw", "kill", "restart", "stop", "reclaim", "undo"];

/// How it ends.
pub(super) fn exit(command: &str) -> Vec<Note> {
    let failed = match command {
        "check" => "A file is wrong, or cannot be read.",
        "serve" => "It could not start, or not go on. What it has done to cgroups is undone all the same.",
        _ => "It failed: what was asked for is not there, cannot be read, or the kernel refused.",
    };
    let mut rows =
        vec![("0", "It did what it was asked."), ("1", failed), ("2", "The command line is wrong.")];
    if command == "stockade" || ACTING.contains(&command) {
        rows.push(("3", "A guard rail refused: protected, cooldown, budget or not_owner."));
    }
    notes(&rows)
}

/// The variables that its flags read, and those that every command reads.
pub(super) fn environment(command: &Command) -> Vec<Note> {
    let of_flags = command.get_arguments().filter_map(|argument| {
        let variable = argument.get_env()?.to_string_lossy().into_owned();
        Some((variable, format!("What --{} is where it is not given.", argument.get_long()?)))
    });
    let mut rows: Vec<Note> = of_flags.collect();
    if matches!(command.get_name(), "ls" | "inspect" | "ns") {
        rows.extend(notes(&[("COLUMNS", "How wide a line may be on a terminal.")]));
    }
    if command.get_name() == "serve" {
        rows.extend(notes(&[
            (
                "NOTIFY_SOCKET",
                "Where systemd is told of readiness, reloads, the end and a status; see sd_notify(3).",
            ),
            (
                "WATCHDOG_USEC",
                "How often systemd wants a sign of life, in microseconds; the sampler's thread gives it.",
            ),
        ]));
    }
    if command.get_name() == "stockade" {
        rows.extend(notes(&[
            ("STOCKADE_CONFIG", "The configuration file where --config is not given."),
            (
                "STOCKADE_COMPLETE",
                "Set by a shell that asks how to complete a command line; see stockade-completions(1).",
            ),
        ]));
    }
    rows
}

/// What it reads and writes.
pub(super) fn files(command: &Command) -> Vec<Note> {
    let has = |flag: &str| command.get_arguments().any(|argument| argument.get_long() == Some(flag));
    let all = command.get_name() == "stockade";
    let mut rows = if all || has("config") { of_the_configuration() } else { Vec::new() };
    if all || has("path.procfs") {
        rows.extend(notes(&[
            ("/sys/fs/cgroup", "Control groups, wherever /proc/self/mountinfo says that they are mounted."),
            ("/proc", "Processes, namespaces, and the host's memory and pressure."),
        ]));
    }
    rows
}

/// What belongs to a configuration file.
pub(super) fn of_the_configuration() -> Vec<Note> {
    notes(&[
        (
            "policies.d/*.yaml",
            "Beside the configuration file: more limits and policies, read in the order of their names.",
        ),
        (
            "/var/lib/stockade/journal/",
            "What was changed and is to be undone, where safety.journal says; for this program alone (mode 0700).",
        ),
        (
            "/var/lib/stockade/journal/control.sock",
            "The socket through which commands ask the daemon; for root alone.",
        ),
        (
            "/var/lib/stockade/audit.jsonl",
            "What was decided and why, and who else wrote limits, where safety.audit says.",
        ),
    ])
}

/// What it does when it gets one.
pub(super) fn signals(command: &str) -> Vec<Note> {
    match command {
        "serve" | "stockade" => notes(&[
            (
                "SIGHUP",
                "stockade serve reads the configuration again. One with errors is refused, and the old one stays in force.",
            ),
            ("SIGTERM, SIGINT", "stockade serve undoes what is in force, lets requests finish, and ends."),
        ]),
        "set" | "freeze" => notes(&[(
            "SIGINT, SIGTERM, SIGHUP",
            "Where no daemon runs and the command waits until the time is over: it undoes what it did, and ends.",
        )]),
        _ => Vec::new(),
    }
}
