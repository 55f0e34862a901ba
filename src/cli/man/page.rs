//! The page of a command: clap's sections, and those that clap does not know.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::notes::{self, Note};

/// The commands that have a page of their own.
pub(super) fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set())
}

/// The page of the program or of one of its commands, as roff.
pub(super) fn render(program: &Command, command: &Command) -> io::Result<String> {
    let (command, remarks) = with_plain_headings(command.clone());
    let name = command.get_name().to_owned();
    let man = Man::new(command.clone())
        .date(super::NO_DATE)
        .source(format!("Stockade {}", env!("CARGO_PKG_VERSION")))
        .manual(super::MANUAL);
    let mut text = section(|out| man.render_title(out))?;
    text.insert_str(0, &Roff::new().render());
    text += &section(|out| man.render_name_section(out))?;
    text += &section(|out| man.render_synopsis_section(out))?;
    text += &section(|out| man.render_description_section(out))?;
    text += &paragraphs(&remarks);
    text += &section(|out| man.render_options_section(out))?;
    if command.has_subcommands() {
        text += &section(|out| man.render_subcommands_section(out))?;
    }
    let help = command.get_after_long_help().or_else(|| command.get_after_help());
    let (more, examples) = parted(&help.map(ToString::to_string).unwrap_or_default());
    text += &more;
    text += &list("EXIT STATUS", notes::exit(&name));
    text += &list("ENVIRONMENT", notes::environment(&command));
    text += &list("FILES", notes::files(&command));
    text += &list("SIGNALS", notes::signals(&name));
    text += &examples;
    let others: Vec<String> = if name == program.get_name() {
        commands(program).map(|command| format!("stockade-{}(1)", command.get_name())).collect()
    } else {
        vec!["stockade(1)".to_owned()]
    };
    text += &see_also(others.into_iter().chain(["stockade.yaml(5)", "cgroups(7)"].map(str::to_owned)));
    Ok(text)
}

/// What a section writes, without the preamble that is on the page once.
fn section(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    // clap_mangen's distance before possible values: an empty line between two breaks, where roff has a request for it.
    Ok(plain(&text).replace("\n.br\n\n.br\n", "\n.sp\n"))
}

fn plain(text: &str) -> String {
    text.strip_prefix(&Roff::new().render()).unwrap_or(text).to_owned()
}

/// Headings are set in capitals, in which a flag is another one: what follows a heading's first comma becomes a remark.
fn with_plain_headings(command: Command) -> (Command, Vec<String>) {
    let mut remarks = Vec::new();
    let command = command.mut_args(|argument| {
        let Some(heading) = argument.get_help_heading().map(str::to_owned) else { return argument };
        let Some((title, rest)) = heading.split_once(", ") else { return argument };
        let remark = format!("{title}: {rest}.");
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
        argument.help_heading(title.to_owned())
    });
    (command, remarks)
}

fn paragraphs(texts: &[String]) -> String {
    let mut roff = Roff::new();
    for text in texts {
        roff.control("PP", []).text([roman(text)]);
    }
    plain(&roff.render())
}

/// What a command says at the end of its help: blocks under a title such as `Columns:`, and under `Examples:` a list.
fn parted(help: &str) -> (String, String) {
    let (mut more, mut examples) = (Roff::new(), Roff::new());
    let mut title = "";
    for line in help.lines().filter(|line| !line.trim().is_empty()) {
        let Some(row) = line.strip_prefix("  ") else {
            match line.strip_suffix(':') {
                Some("Examples") => _ = examples.control("SH", ["EXAMPLES"]),
                Some(name) => _ = more.control("SH", [&*name.to_uppercase()]),
                None => _ = more.control("SH", ["NOTES"]).text([roman(line)]),
            }
            title = line;
            continue;
        };
        let roff = if title == "Examples:" { &mut examples } else { &mut more };
        let (what, meaning) = row.split_once("  ").unwrap_or((row, ""));
        roff.control("TP", []).text([bold(what)]).text([roman(meaning.trim_start())]);
    }
    (plain(&more.render()), plain(&examples.render()))
}

/// A section of names and meanings; nothing where there are none.
pub(super) fn list(title: &str, notes: Vec<Note>) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, meaning) in notes {
        roff.control("TP", []).text([bold(name)]).text([roman(meaning)]);
    }
    plain(&roff.render())
}

/// The last section, of pages such as `cgroups(7)`.
pub(super) fn see_also(pages: impl Iterator<Item = String>) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let mut pages = pages.peekable();
    while let Some(page) = pages.next() {
        let (name, section) = page.split_once('(').unwrap_or((&page, ""));
        let after = if pages.peek().is_some() { "," } else { "" };
        roff.control("BR", [name, &*format!("({section}{after}")]);
    }
    plain(&roff.render())
}
