//! Block device numbers to names, through `/sys/dev/block/MAJ:MIN`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// More names than this are not remembered: no host has so many devices, but a text may name anything.
const REMEMBERED: usize = 1 << 16;

/// Remembers the names of the devices it was asked for.
#[derive(Debug)]
pub struct Devices {
    directory: PathBuf,
    names: HashMap<Box<[u8]>, Box<str>>,
}

impl Devices {
    /// Looks devices up below this sys file system.
    #[must_use]
    pub fn new(sysfs: &Path) -> Self {
        Self { directory: sysfs.join("dev/block"), names: HashMap::new() }
    }

    /// The name of the device with this `MAJ:MIN`, or the numbers themselves where there is no such device.
    pub fn name(&mut self, numbers: &[u8]) -> &str {
        if !self.names.contains_key(numbers) {
            let name = look_up(&self.directory, numbers);
            if self.names.len() == REMEMBERED {
                self.names.clear();
            }
            self.names.insert(numbers.into(), name);
        }
        self.names.get(numbers).map_or("", |name| name)
    }

    /// Looks every remembered device up again: numbers are reused. Tells whether a name has changed.
    pub fn refresh(&mut self) -> bool {
        let mut changed = false;
        for (numbers, name) in &mut self.names {
            let now = look_up(&self.directory, numbers);
            if now != *name {
                *name = now;
                changed = true;
            }
        }
        changed
    }
}

fn look_up(directory: &Path, numbers: &[u8]) -> Box<str> {
    let numbers = String::from_utf8_lossy(numbers);
    let well_formed = numbers.split_once(':').is_some_and(|(major, minor)| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits(major) && digits(minor)
    });
    // Anything that is no pair of numbers must not become a path.
    let link = if well_formed { std::fs::read_link(directory.join(&*numbers)).ok() } else { None };
    let name = link.and_then(|link| link.file_name().and_then(|name| name.to_str()).map(Box::from));
    name.unwrap_or_else(|| numbers.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_links_and_their_changes() {
        let sys = tempfile::tempdir().expect("tempdir");
        let block = sys.path().join("dev/block");
        std::fs::create_dir_all(&block).expect("directory");
        let link = block.join("254:0");
        std::os::unix::fs::symlink("../../devices/virtio0/block/vda", &link).expect("link");
        let mut devices = Devices::new(sys.path());
        assert_eq!(devices.name(b"254:0"), "vda");
        assert_eq!(devices.name(b"8:0"), "8:0", "no such device");
        assert_eq!(devices.name(b"../254:0"), "../254:0");
        assert!(!devices.refresh());
        std::fs::remove_file(&link).expect("unlink");
        std::os::unix::fs::symlink("../../devices/virtio1/block/vdb", &link).expect("link");
        assert!(devices.refresh());
        assert_eq!(devices.name(b"254:0"), "vdb");
    }
}
