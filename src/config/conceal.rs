//! A document with its secrets taken out, to be shown.

use super::problem::Mark;

/// What stands for what is not shown.
const CONCEALED: char = '…';

/// The lines as far as they hold no secret: what follows one on its line is cut off, too. Where it is not known which
/// values are secret, because the document cannot be read, every value is taken for one.
pub(super) fn conceal(text: &str, secrets: Option<&[Mark]>) -> String {
    let mut shown = String::with_capacity(text.len());
    for (line, number) in text.lines().zip(1..) {
        let kept = match secrets {
            Some(secrets) => {
                let first = secrets.iter().filter(|mark| mark.line == number).map(|mark| mark.column).min();
                first.and_then(|column| line.char_indices().nth(column - 1)).map(|(at, _)| &line[..at])
            }
            None => Some(line.split_once(": ").map_or("", |(key, _)| &line[..key.len() + 2])),
        };
        match kept {
            Some(kept) => {
                shown.push_str(kept);
                shown.push(CONCEALED);
            }
            None => shown.push_str(line),
        }
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_up_to_its_first_secret() {
        let text = "users:\n  alice: one\n  {b: two, c: three}\n\n";
        let mark = |line, column| Mark { line, column, width: 3 };
        let secrets = [mark(2, 10), mark(3, 15), mark(3, 7), mark(9, 1), mark(4, 1)];
        assert_eq!(conceal(text, Some(&secrets)), "users:\n  alice: …\n  {b: …\n\n");
        assert_eq!(conceal(text, Some(&[])), text);
        assert_eq!(conceal(text, None), "…\n  alice: …\n  {b: …\n…\n");
    }
}
