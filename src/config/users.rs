//! Users by name: cgroups know them by number.

use std::fs;

/// Where a host lists its users (passwd(5)). It is read as a file, because the C library's look-up loads code from the
/// host, which takes a program that is linked statically down.
const USERS: &str = "/etc/passwd";

/// How the names of users are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// As this host's users, those of `/etc/passwd`: a name that is not there is an error.
    Host,
    /// As those of another host, which cannot be asked: any name is taken, and stands for nobody here.
    Elsewhere,
}

impl Users {
    /// The number of the user of that name.
    ///
    /// # Errors
    /// When this host lists no such user, or the list cannot be read.
    pub(super) fn number(self, name: &str) -> Result<String, String> {
        match self {
            Self::Elsewhere => Ok(name.to_owned()),
            Self::Host => {
                let list = fs::read(USERS)
                    .map_err(|error| format!("the user `{name}` cannot be looked up: {USERS}: {error}"))?;
                find(&String::from_utf8_lossy(&list), name)
                    .ok_or_else(|| format!("{USERS} has no user `{name}`"))
            }
        }
    }
}

/// The number of a user in the text of passwd(5): `name:password:number:…`.
fn find(list: &str, name: &str) -> Option<String> {
    let fields = list.lines().map(|line| line.split(':'));
    let number = fields.filter_map(|mut line| (line.next()? == name).then(|| line.nth(1))?).next()?;
    number.parse::<u32>().ok().map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let list =
            "root:x:0:0:root:/root:/bin/sh\n# a comment\nbackup:x:34:34::/var/backups:/bin/false\nbroken:x\n";
        for (name, number) in [
            ("root", Some("0")),
            ("backup", Some("34")),
            ("back", None),
            ("broken", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(find(list, name).as_deref(), number, "{name}");
        }
    }
}
