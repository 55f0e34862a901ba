//! The parsers of single texts, each against a slow and simple reading of the same text.

use stockade::kernel::parse::{self, Malformed};
use stockade::model::{Limit, TaskState};

/// Checks every parser of [`stockade::kernel::parse`] on one text.
pub fn check(text: &[u8]) {
    single(text);
    lists(text);
    lines(text);
    pressure(text);
    task(text);
}

/// An error quotes little, and nothing that could garble a log.
pub fn quotes_little<T>(result: &Result<T, Malformed>) {
    if let Err(malformed) = result {
        assert!(malformed.found.chars().count() <= 40, "{malformed}");
        assert!(!malformed.found.chars().any(char::is_control), "{malformed:?}");
    }
}

/// Digits alone, as the standard library reads them.
fn digits(text: &str) -> Option<u64> {
    (text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn single(text: &[u8]) {
    let trimmed = std::str::from_utf8(text.trim_ascii()).unwrap_or("no number");
    let number = digits(trimmed);
    for result in [parse::value(text), parse::centi_percent(text), parse::list_count(text)] {
        quotes_little(&result);
    }
    assert_eq!(parse::value(text).ok(), number);

    let limit = if trimmed == "max" { Some(Limit::Max) } else { number.map(Limit::Value) };
    quotes_little(&parse::limit(text));
    assert_eq!(parse::limit(text).ok(), limit);

    let v1 =
        number.map(|bytes| if bytes > (1 << 63) - (16 << 30) - 1 { Limit::Max } else { Limit::Value(bytes) });
    quotes_little(&parse::v1_limit(text));
    assert_eq!(parse::v1_limit(text).ok(), v1);

    let negative = trimmed.strip_prefix('-').and_then(digits).map(|_| Limit::Max);
    quotes_little(&parse::signed_limit(text));
    assert_eq!(parse::signed_limit(text).ok(), negative.or(number.map(Limit::Value)));

    let percent = match trimmed.split_once('.') {
        _ if trimmed == "max" => Some(10_000),
        None => number.and_then(|whole| whole.checked_mul(100)),
        Some((whole, decimals)) if (1..=2).contains(&decimals.len()) => digits(whole)
            .zip(digits(&format!("{decimals:0<2}")))
            .and_then(|(whole, hundredths)| whole.checked_mul(100)?.checked_add(hundredths)),
        Some(_) => None,
    };
    assert_eq!(parse::centi_percent(text).ok(), percent);
}

fn lists(text: &[u8]) {
    let trimmed = std::str::from_utf8(text.trim_ascii()).unwrap_or("no list");
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        digits(last)?.checked_sub(digits(first)?)?.checked_add(1)
    };
    let counted = if trimmed.is_empty() {
        Some(0)
    } else {
        trimmed.split(',').try_fold(0u64, |sum, part| sum.checked_add(count(part)?))
    };
    assert_eq!(parse::list_count(text).ok(), counted);
    assert_eq!(parse::count_lines(text), text.split(|&byte| byte == b'\n').count() as u64 - 1);
}

fn lines(text: &[u8]) {
    let all: Vec<_> = parse::flat(text).collect();
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(all.len(), lines.len(), "one item a line");
    for (item, line) in all.iter().zip(lines) {
        quotes_little(item);
        if let Ok((key, value)) = item {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let (name, number) = line.split_at(key.len());
            assert_eq!(name, *key);
            assert_eq!(std::str::from_utf8(&number[1..]).ok().and_then(digits), Some(*value));
        }
    }
    for (outer, key, value) in parse::nested(text).chain(parse::triples(text)) {
        for word in [outer, key, value] {
            assert!(!word.iter().any(|byte| b" \n".contains(byte)), "{word:?} is no word");
        }
    }
    assert!(parse::nested(text).count() <= text.len());
    assert!(parse::triples(text).count() <= text.len() / 5 + 1);
}

fn pressure(text: &[u8]) {
    let result = parse::pressure(text);
    quotes_little(&result);
    let Ok(pressure) = result else { return };
    let line = |name: &str| text.split(|&byte| byte == b'\n').any(|line| line.starts_with(name.as_bytes()));
    assert_eq!(pressure.some.is_some(), line("some "));
    assert_eq!(pressure.full.is_some(), line("full "));
    for stall in [pressure.some, pressure.full].into_iter().flatten() {
        assert_eq!(stall.total % 1000, 0, "whole microseconds");
    }
}

/// `/proc/PID/stat` by words, which is how the fields are numbered.
fn task(text: &[u8]) {
    let result = parse::task_stat(text);
    quotes_little(&result);
    let whole = String::from_utf8_lossy(text);
    let words: Vec<&str> =
        whole.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_ascii_whitespace().collect());
    let letter = words.first().filter(|word| word.len() == 1).and_then(|word| word.bytes().next());
    let field = |number: usize| words.get(number - 3).and_then(|word| digits(word));
    let expected = letter.and_then(TaskState::from_letter).zip(field(20)).zip(field(22));
    let found = result.ok().map(|stat| ((stat.state, stat.threads), stat.start));
    assert_eq!(found, expected);
    if let Some(path) = parse::unified_path(text) {
        assert!(!path.contains(&b'\n') && text.len() >= path.len() + 3);
    }
}
