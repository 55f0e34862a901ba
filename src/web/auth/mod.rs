//! Who may ask at all: users with passwords (RFC 7617).
//!
//! A password is checked by bcrypt, which is slow on purpose. It runs off the async threads, one password at a time,
//! so that no flood of guesses takes more than one CPU; and what came of it is remembered, so that a scrape costs it
//! once. A user that does not exist costs as much as one that does: the password is held against the hash of another
//! user, and what comes of that is thrown away.

mod verdicts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::error::Unspecified;
use tokio::sync::Semaphore;
use verdicts::{Asked, Verdicts};

/// Users by name, with the hashes of their passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(Arc<BTreeMap<Box<str>, PasswordHash>>);

/// A bcrypt hash, checked for its form.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Box<str>,
    cost: u32,
}

/// Why a text is no hash that passwords can be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// It does not begin as one: most likely a password as it is.
    #[error("it is no bcrypt hash")]
    NoHash,
    /// It begins as one, and is not.
    #[error("it begins as a bcrypt hash, and is cut off or damaged")]
    Damaged,
    /// Checking a password would take too long, or is worth nothing.
    #[error("its cost is {0}")]
    Cost(u32),
}

impl PasswordHash {
    /// The least cost: bcrypt knows none below.
    pub const LEAST_COST: u32 = 4;
    /// The greatest cost: a check takes about four seconds, and each step more doubles that.
    pub const GREATEST_COST: u32 = 16;

    /// Takes a hash as `htpasswd -B` and its like print it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, BadHash> {
        if !["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| text.starts_with(start)) {
            return Err(BadHash::NoHash);
        }
        let parts: bcrypt::HashParts = text.parse().map_err(|_| BadHash::Damaged)?;
        match parts.get_cost() {
            cost @ Self::LEAST_COST..=Self::GREATEST_COST => Ok(Self { text: text.into(), cost }),
            cost => Err(BadHash::Cost(cost)),
        }
    }

    fn holds(&self, password: &[u8]) -> bool {
        // The hash was parsed before: there is no other error.
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

impl FromIterator<(Box<str>, PasswordHash)> for Users {
    fn from_iter<I: IntoIterator<Item = (Box<str>, PasswordHash)>>(users: I) -> Self {
        Self(Arc::new(users.into_iter().collect()))
    }
}

impl Users {
    /// Whether there are none, and everybody may ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The user's hash, and whether there is such a user. For one that there is not it is the hash of another, the same
    /// one each time, so that costs are spread as those of the users are.
    fn find(&self, name: &[u8], stand_in: usize) -> Option<(&PasswordHash, bool)> {
        let known = std::str::from_utf8(name).ok().and_then(|name| self.0.get(name));
        known.map(|hash| (hash, true)).or_else(|| {
            let at = stand_in.checked_rem(self.0.len())?;
            self.0.values().nth(at).map(|hash| (hash, false))
        })
    }
}

/// Names only: what is logged or printed holds no hash.
impl fmt::Debug for Users {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PasswordHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// Why a request was not let in. Whether there is such a user is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthFailure {
    /// It names no user.
    Missing,
    /// What it names cannot be read, or is not of the scheme Basic.
    Malformed,
    /// There is no such user, or the password is another one.
    Wrong,
}

impl AuthFailure {
    /// Every reason, in order.
    pub const ALL: &'static [Self] = &[Self::Missing, Self::Malformed, Self::Wrong];

    /// A short, fixed word: the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Wrong => "wrong",
        }
    }
}

/// Checks passwords, and remembers what came of it.
#[derive(Debug)]
pub(super) struct Checker {
    verdicts: Verdicts,
    /// One password is checked at a time.
    turn: Arc<Semaphore>,
}

impl Checker {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub(super) fn new() -> Result<Self, Unspecified> {
        Ok(Self { verdicts: Verdicts::new()?, turn: Arc::new(Semaphore::new(1)) })
    }

    /// Forgets what was remembered.
    pub(super) fn forget(&self) {
        self.verdicts.forget();
    }

    /// Lets a request in, or says why not. `hashed` is told the cost of each hash that is computed.
    ///
    /// # Errors
    /// Why the request is not let in.
    pub(super) async fn check(
        &self,
        users: &Users,
        headers: &HeaderMap,
        hashed: impl Fn(u32),
    ) -> Result<(), AuthFailure> {
        if users.is_empty() {
            return Ok(());
        }
        let Credentials { name, password } = credentials(headers)?;
        let stand_in = self.verdicts.number(&name);
        let Some((hash, exists)) = users.find(&name, stand_in) else { return Ok(()) };
        let asked = self.verdicts.asked(&name, &hash.text, &password);
        let right = match self.verdicts.of(&asked) {
            Some(right) => right,
            None => self.compute(hash.clone(), password, asked, exists, hashed).await,
        };
        if right && exists { Ok(()) } else { Err(AuthFailure::Wrong) }
    }

    async fn compute(
        &self,
        hash: PasswordHash,
        password: Vec<u8>,
        asked: Asked,
        exists: bool,
        hashed: impl Fn(u32),
    ) -> bool {
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return false };
        // Somebody else may have asked the same and had their turn before.
        if let Some(right) = self.verdicts.of(&asked) {
            return right;
        }
        hashed(hash.cost);
        let computed = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, also when its client has left.
            let _turn = turn;
            hash.holds(&password)
        });
        let right = computed.await.unwrap_or(false) && exists;
        self.verdicts.remember(asked, right);
        right
    }
}

/// What a client says that it is.
struct Credentials {
    name: Vec<u8>,
    password: Vec<u8>,
}

fn credentials(headers: &HeaderMap) -> Result<Credentials, AuthFailure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthFailure::Missing)?;
    let basic = value.to_str().ok().and_then(|value| value.split_once(' '));
    let encoded = match basic {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("Basic") && values.next().is_none() => {
            encoded.trim()
        }
        _ => return Err(AuthFailure::Malformed),
    };
    let mut name = STANDARD.decode(encoded).map_err(|_| AuthFailure::Malformed)?;
    let colon = name.iter().position(|&byte| byte == b':').ok_or(AuthFailure::Malformed)?;
    let password = name.split_off(colon + 1);
    name.pop();
    Ok(Credentials { name, password })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    /// The name and password of a header's value.
    fn read(value: &str) -> Result<(String, String), AuthFailure> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        credentials(&headers).map(|Credentials { name, password }| (text(name), text(password)))
    }

    #[test]
    fn credentials_are_read() {
        let ok = |name: &str, password: &str| Ok((name.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YTpi"), ok("a", "b"));
        assert_eq!(read("bAsIc  YTpi"), ok("a", "b"));
        assert_eq!(read("Basic YTpiOmM="), ok("a", "b:c"), "a password may have colons");
        assert_eq!(read("Basic Og=="), ok("", ""));
        for bad in ["Bearer YTpi", "Basic", "Basic YQ==", "Basic YTpi!", "YTpi", "Basic YTpiOmM"] {
            assert_eq!(read(bad), Err(AuthFailure::Malformed), "{bad}");
        }
        assert_eq!(credentials(&HeaderMap::new()).err(), Some(AuthFailure::Missing));
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        twice.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        assert_eq!(credentials(&twice).err(), Some(AuthFailure::Malformed));
    }

    #[test]
    fn hashes_are_taken_and_what_is_none_is_told_apart() {
        let hash = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
        assert_eq!(PasswordHash::parse(hash).unwrap().cost, 10);
        assert_eq!(PasswordHash::parse("secret"), Err(BadHash::NoHash));
        assert_eq!(PasswordHash::parse("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="), Err(BadHash::NoHash));
        assert_eq!(PasswordHash::parse(&hash[..59]), Err(BadHash::Damaged));
        assert_eq!(PasswordHash::parse(&hash.replace('.', "!")), Err(BadHash::Damaged));
        for cost in ["03", "17", "31"] {
            let parsed = PasswordHash::parse(&hash.replace("$10$", &format!("${cost}$")));
            assert_eq!(parsed, Err(BadHash::Cost(cost.parse().unwrap())));
        }
    }

    #[test]
    fn nothing_printed_holds_a_hash() {
        let hash =
            PasswordHash::parse("$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG").unwrap();
        let users: Users = [("alice".into(), hash.clone())].into_iter().collect();
        assert_eq!(format!("{users:?} {hash:?}"), "{\"alice\"} PasswordHash { cost: 10, .. }");
    }
}
