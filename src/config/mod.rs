//! The configuration file: YAML to a checked [`Config`], with every error located.
//!
//! A good document is read by serde into the structs of `raw`, and `compile` checks what the values mean. When
//! anything is wrong, `diagnose` reads the same structs again from a tree that knows the line and column of each
//! value, leaving out what it found bad, until it has found everything. So there is one schema, and a file is mended
//! in one go. The keys are documented in `config/stockade.yaml`.

mod compile;
mod decode;
mod diagnose;
mod problem;
mod raw;
mod tree;
mod units;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

pub use compile::{Collect, Config};
pub use diagnose::parse;
pub use problem::{Problem, Problems};
pub use units::duration;

/// How large a configuration file may be, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the configuration from a file; without one, the defaults.
///
/// # Errors
/// Everything that is wrong: with the file itself, or with what it says.
pub fn load(file: Option<&Path>) -> Result<Config, Problems> {
    let Some(file) = file else { return Ok(Config::default()) };
    let whole = |problem| Problems::new(file, "", vec![problem]);
    let bytes = read(file).map_err(whole)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(file, text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(err) => {
            let line = 1 + bytes[..err.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            let message = format!("byte {} on line {line} is not UTF-8", err.valid_up_to() + 1);
            Err(whole(Problem::whole(message, "expected a YAML file, saved as UTF-8")))
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |err: std::io::Error| {
        Problem::whole(
            format!("the file cannot be read: {err}"),
            "expected a YAML file that this user may read",
        )
    };
    let open = File::open(file).map_err(failed)?;
    if open.metadata().map_err(failed)?.is_dir() {
        return Err(Problem::whole("this is a directory", "expected a YAML file"));
    }
    let mut bytes = Vec::new();
    open.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::whole("the file is too large", format!("expected at most {LARGEST} bytes")));
    }
    Ok(bytes)
}
