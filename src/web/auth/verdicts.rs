//! What is remembered of passwords that were checked.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ring::error::Unspecified;
use ring::hmac;
use ring::rand::SystemRandom;

/// How many right passwords are remembered: more than a program that is scraped has users.
const MOST_RIGHT: usize = 1024;
/// How many wrong ones: a client with an old password costs no hash for each of its requests.
const MOST_WRONG: usize = 256;

/// A user, a hash and a password, as a digest under a key that this process alone has: the memory holds no password,
/// and who reads it cannot try passwords out on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked([u8; 32]);

/// The newest verdicts. Right and wrong ones have room of their own, so that no flood of guesses drives the right
/// ones out.
pub(super) struct Verdicts {
    key: hmac::Key,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    right: Newest,
    wrong: Newest,
}

#[derive(Default)]
struct Newest {
    order: VecDeque<Asked>,
    all: HashSet<Asked>,
}

impl Verdicts {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub(super) fn new() -> Result<Self, Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        Ok(Self { key, known: Mutex::default() })
    }

    /// A number that follows from a name, and that nobody else can tell.
    pub(super) fn number(&self, name: &[u8]) -> usize {
        let digest = hmac::sign(&self.key, name);
        let bytes = digest.as_ref().first_chunk().copied().unwrap_or_default();
        usize::from_le_bytes(bytes)
    }

    /// What is asked.
    pub(super) fn asked(&self, name: &[u8], hash: &str, password: &[u8]) -> Asked {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name, hash.as_bytes(), password] {
            // The length first, so that no two questions are one text.
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        Asked(digest)
    }

    /// What came of it, if it is remembered.
    pub(super) fn of(&self, asked: &Asked) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.right.all.contains(asked) {
            Some(true)
        } else {
            known.wrong.all.contains(asked).then_some(false)
        }
    }

    /// Remembers what came of it.
    pub(super) fn remember(&self, asked: Asked, right: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if right {
            known.right.add(asked, MOST_RIGHT);
        } else {
            known.wrong.add(asked, MOST_WRONG);
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }
}

impl Newest {
    fn add(&mut self, asked: Asked, most: usize) {
        if self.all.insert(asked) {
            self.order.push_back(asked);
        }
        while self.order.len() > most {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.all.remove(&oldest));
        }
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verdicts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_questions_are_one() {
        let verdicts = Verdicts::new().unwrap();
        let all = [("a", "h", "bc"), ("a", "hb", "c"), ("ah", "b", "c"), ("a", "h", "b"), ("", "", "ahb")];
        let asked: HashSet<_> = all
            .iter()
            .map(|(name, hash, password)| verdicts.asked(name.as_bytes(), hash, password.as_bytes()))
            .collect();
        assert_eq!(asked.len(), all.len());
        let other = Verdicts::new().unwrap();
        assert_ne!(
            other.asked(b"a", "h", b"bc"),
            verdicts.asked(b"a", "h", b"bc"),
            "each process has its own key"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded_and_guesses_drive_out_no_right_password() {
        let verdicts = Verdicts::new().unwrap();
        let asked = |number: usize| verdicts.asked(b"a", "h", &number.to_le_bytes());
        verdicts.remember(asked(0), true);
        for number in 1..=MOST_WRONG + 1 {
            verdicts.remember(asked(number), false);
        }
        assert_eq!(verdicts.of(&asked(0)), Some(true));
        assert_eq!(verdicts.of(&asked(1)), None, "the oldest guess made room");
        assert_eq!(verdicts.of(&asked(2)), Some(false));
        assert_eq!(verdicts.known.lock().unwrap().wrong.order.len(), MOST_WRONG);
        verdicts.forget();
        assert_eq!(verdicts.of(&asked(0)), None);
    }
}
