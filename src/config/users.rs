//! Users by name: cgroups know them by number.

use nix::unistd::User;

/// How the names of users are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// As this host's users: a name that it does not know is an error.
    Host,
    /// As those of another host, which cannot be asked: any name is taken, and stands for nobody here.
    Elsewhere,
}

impl Users {
    /// The number of the user of that name.
    ///
    /// # Errors
    /// When this host has no such user, or cannot tell.
    pub(super) fn number(self, name: &str) -> Result<String, String> {
        match self {
            Self::Elsewhere => Ok(name.to_owned()),
            Self::Host => match User::from_name(name) {
                Ok(Some(user)) => Ok(user.uid.to_string()),
                Ok(None) => Err(format!("this host has no user `{name}`")),
                Err(error) => Err(format!("the user `{name}` cannot be looked up: {error}")),
            },
        }
    }
}
