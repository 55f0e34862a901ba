//! Values with units, as people write them.

mod duration;
mod size;

pub use duration::duration;
pub(super) use duration::{DURATION, show};
pub(super) use size::{CORES, COUNT, RATE, SHARE, SIZE, cores, count, per_second, rate, share, size};

/// A decimal number times a scale; digits beyond the scale's resolution are cut.
fn decimal(number: &str, scale: u64) -> Option<u64> {
    /// Further digits of a fraction change nothing that is measured, and would not fit.
    const DIGITS: usize = 18;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(DIGITS)];
    let mut place = 1u128;
    let mut part = 0u128;
    for digit in fraction.bytes() {
        place *= 10;
        part = part * 10 + u128::from(digit - b'0');
    }
    let part = u64::try_from(part * u128::from(scale) / place).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)
}
