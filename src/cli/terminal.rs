//! How wide a line may be.

use std::io::IsTerminal as _;

/// The width where a terminal does not tell its own.
const DEFAULT: usize = 120;

/// The columns of the terminal on the standard output; none where it is a pipe or a file, so that no name is cut there.
#[must_use]
pub fn width() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let told =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&width| width > 0);
    let seen = || terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0));
    told.or_else(seen).or(Some(DEFAULT))
}
