//! `--interval`: between the two samples that rates are made from.

use std::time::Duration;

use clap::Args;

/// Between the samples.
#[derive(Clone, Copy, Debug, Args)]
pub struct IntervalArgs {
    /// Time between the two samples that rates are made from, such as 500ms or 5s; 0 samples once.
    #[arg(short = 'i', long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Sample once: no rates, and no wait.
    #[arg(long, conflicts_with = "interval")]
    no_rates: bool,
}

impl IntervalArgs {
    /// The time to wait; zero for one sample.
    #[must_use]
    pub fn get(self) -> Duration {
        if self.no_rates { Duration::ZERO } else { self.interval }
    }
}

/// The longest time that makes sense for a person who waits.
const LONGEST: Duration = Duration::from_secs(3600);

fn interval(text: &str) -> Result<Duration, String> {
    // systemd-cgtop and their like take bare seconds.
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let duration = crate::config::duration(&if bare { format!("{text}s") } else { text.to_owned() })?;
    if duration > LONGEST { Err("expected an hour at most".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_need_no_unit() {
        assert_eq!(interval("2"), Ok(Duration::from_secs(2)));
        assert_eq!(interval("0"), Ok(Duration::ZERO));
        assert_eq!(interval("250ms"), Ok(Duration::from_millis(250)));
        assert!(interval("2h").is_err() && interval("").is_err() && interval("soon").is_err());
    }
}
