//! One number that may be absent.

/// A measured number, or nothing.
///
/// Absent means that the kernel gave no number: the file is missing, the controller is off, the line is not
/// there, or reading failed. Zero is a measurement. The absent value takes the place of `u64::MAX`, which no
/// kernel counter reaches, so a reading is eight bytes and a table of them is a plain array.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reading(u64);

impl Reading {
    /// No measurement.
    pub const ABSENT: Self = Self(u64::MAX);

    /// A measurement; `u64::MAX` itself counts as absent.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number, if there is one.
    #[must_use]
    pub const fn get(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl From<Option<u64>> for Reading {
    fn from(value: Option<u64>) -> Self {
        value.map_or(Self::ABSENT, Self)
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.get() {
            Some(value) => write!(f, "{value}"),
            None => f.write_str("absent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn zero_is_a_measurement_and_absent_is_not() {
        assert_eq!(Reading::new(0).get(), Some(0));
        assert_eq!(Reading::default().get(), None);
        assert_eq!(Reading::from(None), Reading::ABSENT);
        assert_eq!(Reading::from(Some(7)).get(), Some(7));
    }
}
