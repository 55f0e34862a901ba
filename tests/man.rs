//! The manual pages say what the program takes, and two formatters read them without complaint.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::{CommandFactory as _, Parser as _};
use stockade::cli::Cli;

/// Every page, by file name.
fn pages() -> Vec<(String, String)> {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("made/if/need/be");
    let output =
        Command::new(env!("CARGO_BIN_EXE_stockade")).arg("man").arg("--dir").arg(&directory).output();
    let output = output.expect("cargo has built the program");
    assert!(output.status.success(), "{output:?}");
    let mut pages: Vec<(String, String)> = fs::read_dir(&directory)
        .expect("it was made")
        .map(|entry| entry.expect("it is read").path())
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("UTF-8"))
        })
        .collect();
    pages.sort();
    pages
}

/// A page as a terminal shows it, without bold and underlining.
fn shown(page: &str) -> String {
    let mut text = run("mandoc", &["-Tutf8", "-Owidth=200"], page);
    while let Some(at) = text.find('\u{8}') {
        let before = text[..at].chars().next_back().map_or(0, char::len_utf8);
        text.replace_range(at - before..=at, "");
    }
    text
}

/// What a program prints, on both outputs, about what it is given.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), input).expect("it is written");
    let output = Command::new(program)
        .args(arguments)
        .arg(file.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|error| panic!("{program}, which tests/run installs: {error}"));
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8(both).expect("UTF-8").replace(&*file.path().to_string_lossy(), "")
}

#[test]
fn there_is_a_page_for_each_command_and_it_names_every_flag() {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let pages = pages();
    let mut expected = vec!["stockade.1".to_owned(), "stockade.yaml.5".to_owned()];
    expected.extend(program.get_subcommands().map(|command| format!("stockade-{}.1", command.get_name())));
    expected.sort();
    assert_eq!(pages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
    for command in program.get_subcommands().chain([&program]) {
        let name = match command.get_name() {
            "stockade" => "stockade.1".to_owned(),
            name => format!("stockade-{name}.1"),
        };
        let (_, page) = pages.iter().find(|(file, _)| *file == name).expect("the page is there");
        let text = shown(page);
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let named = match argument.get_long() {
                Some(long) => text.contains(&format!("--{long}")),
                None => argument.get_value_names().is_some_and(|names| text.contains(names[0].as_str())),
            };
            assert!(named, "{name} does not name {argument}");
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            assert!(
                page.contains(&format!("\n.SH {}\n", quoted(section))),
                "{name} has no section {section}"
            );
        }
    }
    let serve = &pages.iter().find(|(name, _)| name == "stockade-serve.1").expect("it is there").1;
    let program = &pages.iter().find(|(name, _)| name == "stockade.1").expect("it is there").1;
    for section in ["ENVIRONMENT", "FILES", "SIGNALS"] {
        for page in [serve, program] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "no section {section}");
        }
    }
}

fn quoted(section: &str) -> String {
    if section.contains(' ') { format!("\"{section}\"") } else { section.to_owned() }
}

#[test]
fn two_formatters_read_every_page() {
    for (name, page) in pages() {
        let complaints = run("mandoc", &["-Tlint", "-Wwarning"], &page);
        let complaints: Vec<&str> =
            complaints.lines().filter(|line| !line.contains("missing date, using \"\"")).collect();
        assert!(complaints.is_empty(), "{name}: {complaints:#?}");
        let complaints =
            run("groff", &["-man", "-wmac", "-wreg", "-wescape", "-wfont", "-wel", "-z", "-Tutf8"], &page);
        assert_eq!(complaints, "", "{name}");
    }
}

/// stockade.yaml(5) is the manual of the configuration: all its words in the same order, its examples untouched.
#[test]
fn the_page_of_the_configuration_is_the_manual() {
    let pages = pages();
    let (_, page) = pages.iter().find(|(name, _)| name == "stockade.yaml.5").expect("it is there");
    let page = shown(page);
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/README.md")).unwrap();
    for title in manual.lines().filter_map(|line| line.strip_prefix("## ")) {
        let title = title.replace('`', "").to_uppercase();
        assert!(page.lines().any(|line| line == title), "no section {title}");
    }
    for row in manual.lines().filter_map(|line| line.strip_prefix("| `")) {
        let term = row.split('`').next().unwrap_or_default();
        assert!(page.contains(term), "no row {term}");
    }
    for block in manual.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines().filter(|line| !line.is_empty()) {
            assert!(page.lines().any(|shown| shown.trim() == line.trim()), "no line {line}");
        }
    }
    for mark in ["<!--", "](", "- **", "| "] {
        assert!(!page.contains(mark), "{mark} of Markdown's is left");
    }
}

#[test]
fn every_example_is_taken() {
    let mut program = Cli::command();
    program.build();
    let mut taken = 0;
    for command in program.get_subcommands().chain([&program]) {
        let Some(help) = command.get_after_help() else { continue };
        let help = help.to_string();
        let (_, examples) =
            help.split_once("Examples:\n").unwrap_or_else(|| panic!("{}", command.get_name()));
        for line in examples.lines() {
            let words = line.trim().split("  ").next().unwrap_or_default();
            let words = words.split(['|', '>']).next().unwrap_or_default();
            // The shell's own process id.
            let words = words.replace("$$", "41");
            let words = shlex::split(&words).unwrap_or_else(|| panic!("{line}"));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
            taken += 1;
        }
    }
    assert!(taken > 20, "only {taken} examples");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = tempfile::NamedTempFile::new().expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_stockade"))
        .arg("man")
        .arg("--dir")
        .arg(place.path().join("x"))
        .output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&*place.path().to_string_lossy()), "{message}");
}
