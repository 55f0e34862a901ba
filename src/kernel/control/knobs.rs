//! Limits and weights: read, written, saved as they are and put back exactly so.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Control, ControlError, Target, no_controller};
use crate::kernel::v1::write as v1;
use crate::kernel::v2::write as v2;
use crate::model::{Knob, Value, Version};

/// What must be written to bring something back to what it was, for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The files and their texts.
    pub files: Vec<SavedFile>,
}

/// One file of a [`Saved`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// The controller in whose hierarchy it is, by its v2 name; empty for a file that v2 has without one.
    pub controller: Box<str>,
    /// The kernel's name of it.
    pub name: Box<str>,
    /// What is written back. Of a file with lines by device it is the device's own part.
    pub text: Box<str>,
}

impl SavedFile {
    /// A file and what is written back to it.
    #[must_use]
    pub fn new(controller: &str, name: &str, text: impl Into<Box<str>>) -> Self {
        Self { controller: controller.into(), name: name.into(), text: text.into() }
    }
}

impl Target {
    /// What a knob is set to, in the knob's own unit. The kernel rounds: after a write this tells what came of it.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn read(&self, knob: &Knob) -> Result<Value, ControlError> {
        let place = self.place(v2::knob_controller(knob))?;
        let device = self.device(knob)?;
        match place.version {
            Version::V2 => v2::read(place, knob, &device),
            Version::V1 => v1::read(place, knob, &device),
        }
    }

    /// Sets a knob. It may block for long: below what is in use the kernel takes memory back first.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn write(&self, knob: &Knob, value: &Value) -> Result<(), ControlError> {
        let place = self.place(v2::knob_controller(knob))?;
        let device = self.device(knob)?;
        let wants_list = matches!(knob, Knob::CpusetCpus | Knob::CpusetMems);
        let is_list = matches!(value, Value::List(_));
        if wants_list != is_list {
            let expected = if wants_list { "a list such as 0-3,8" } else { "a number or max" };
            return Err(ControlError::Unsupported(format!("{knob}: expected {expected}, not `{value}`")));
        }
        let weight = matches!(knob, Knob::CpuWeight | Knob::IoWeight);
        let nothing = matches!(knob, Knob::IoMax { .. } if value.number() == Some(0));
        if weight && value.number().is_none_or(|number| !(1..=10_000).contains(&number)) || nothing {
            let expected = if weight { "a weight from 1 to 10000" } else { "at least 1 a second" };
            return Err(ControlError::Unsupported(format!("{knob}: expected {expected}, not `{value}`")));
        }
        match place.version {
            Version::V2 => v2::write(place, knob, value, &device),
            Version::V1 => v1::write(place, knob, value, &device),
        }
    }

    /// What brings a knob back to exactly what it is set to now.
    ///
    /// On v1 `memory.max` brings the sum of memory and swap back too: while `memory.swap.max` is still claimed, that is to
    /// be written again afterwards.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn save(&self, knob: &Knob) -> Result<Saved, ControlError> {
        let place = self.place(v2::knob_controller(knob))?;
        let device = self.device(knob)?;
        let files = match place.version {
            Version::V2 => v2::save(place, knob, &device)?,
            Version::V1 => v1::save(place, knob, &device)?,
        };
        Ok(Saved { files })
    }

    /// Writes back what [`Target::save`] or [`Target::save_freezers`] told.
    ///
    /// # Errors
    /// See [`ControlError`]. What can be put back is put back all the same; the first error is told.
    pub fn restore(&self, saved: &Saved) -> Result<(), ControlError> {
        let mut result = Ok(());
        for files in saved.files.chunk_by(|a, b| a.controller == b.controller) {
            let Some(controller) = files.first().map(|file| &*file.controller) else { continue };
            let restored = if controller.is_empty() {
                let place = self.v2().ok_or_else(|| {
                    ControlError::Unsupported(format!(
                        "{} has no directory in cgroup2",
                        self.identity.display
                    ))
                });
                place.and_then(|place| files.iter().try_for_each(|file| place.write(&file.name, &file.text)))
            } else {
                self.place(controller).and_then(|place| match place.version {
                    Version::V2 => files.iter().try_for_each(|file| place.write(&file.name, &file.text)),
                    Version::V1 => v1::restore(place, &files.iter().collect::<Vec<_>>()),
                })
            };
            result = result.and(restored);
        }
        result
    }

    /// What is in use now, in the knob's unit: below it a limit would hurt at once. `None` for a knob that limits nothing
    /// that is held, and where the kernel does not tell.
    #[must_use]
    pub fn usage(&self, knob: &Knob) -> Option<u64> {
        let place = self.place(v2::knob_controller(knob)).ok()?;
        let number = |file: &str| place.read(file).ok()?.trim().parse::<u64>().ok();
        match (knob, place.version) {
            (Knob::MemoryHigh | Knob::MemoryMax, Version::V2) => number("memory.current"),
            (Knob::MemoryHigh | Knob::MemoryMax, Version::V1) => number("memory.usage_in_bytes"),
            (Knob::MemorySwapMax, Version::V2) => number("memory.swap.current"),
            (Knob::MemorySwapMax, Version::V1) => {
                let memory = number("memory.usage_in_bytes")?;
                number("memory.memsw.usage_in_bytes").map(|sum| sum.saturating_sub(memory))
            }
            (Knob::PidsMax, _) => number("pids.current"),
            _ => None,
        }
    }

    /// The numbers of the device of an I/O limit; empty for other knobs.
    fn device(&self, knob: &Knob) -> Result<String, ControlError> {
        match knob {
            Knob::IoMax { device, .. } => {
                device_numbers(&self.host.sysfs, device).map_err(ControlError::Unsupported)
            }
            _ => Ok(String::new()),
        }
    }
}

impl Control {
    /// Whether this host has the controller of a knob, enabled for its cgroups or not yet.
    ///
    /// # Errors
    /// Why not, and what would help.
    pub fn serves(&self, knob: &Knob) -> Result<(), String> {
        let controller = v2::knob_controller(knob);
        let serving = self.0.serving(controller);
        serving.map(|_| ()).ok_or_else(|| no_controller(&self.0.layout, controller))
    }

    /// Whether this host has a knob, and its cgroups may be given it.
    ///
    /// # Errors
    /// Why not, and what would help.
    pub fn supports(&self, knob: &Knob) -> Result<(), String> {
        let controller = v2::knob_controller(knob);
        let Some((_, hierarchy)) = self.0.serving(controller) else {
            return Err(no_controller(&self.0.layout, controller));
        };
        if let Knob::IoMax { device, .. } = knob {
            device_numbers(&self.0.sysfs, device)?;
        }
        let (files, help): (Vec<&str>, _) = match hierarchy.version {
            Version::V1 => {
                if let Some(why) = v1::lacks(knob) {
                    return Err(why.to_owned());
                }
                (v1::telling_file(knob).into_iter().collect(), "")
            }
            Version::V2 => {
                let handed = hierarchy.mount.join("cgroup.subtree_control");
                let text = std::fs::read_to_string(&handed).unwrap_or_default();
                if !text.split_whitespace().any(|name| name == controller) {
                    return Err(format!(
                        "the {controller} controller is not enabled below the root; \
                         `echo +{controller} > {}` enables it",
                        handed.display()
                    ));
                }
                match knob {
                    Knob::IoWeight => (vec!["io.weight", "io.bfq.weight"], ""),
                    knob => (vec![knob.file()], ""),
                }
            }
        };
        let help = match (knob, hierarchy.version) {
            (Knob::MemorySwapMax, _) => "; swap is not accounted: boot with swapaccount=1",
            (Knob::IoWeight, Version::V1) => "; the bfq scheduler is not loaded",
            _ => help,
        };
        match below_the_root(&hierarchy.mount, &files) {
            Some(false) => {
                Err(format!("no cgroup in {} has {}{help}", hierarchy.mount.display(), files.join(" or ")))
            }
            Some(true) | None => Ok(()),
        }
    }

    /// What a knob means less here than under cgroup2.
    #[must_use]
    pub fn degrades(&self, knob: &Knob) -> Option<&'static str> {
        let (_, hierarchy) = self.0.serving(v2::knob_controller(knob))?;
        match hierarchy.version {
            Version::V1 => v1::degrades(knob),
            Version::V2 => None,
        }
    }
}

/// Whether some cgroup directly below a root has one of these files, most of which the root itself lacks; `None` where
/// there is no such cgroup to ask.
fn below_the_root(mount: &Path, files: &[&str]) -> Option<bool> {
    let entries = std::fs::read_dir(mount).ok()?;
    let children: Vec<_> =
        entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).collect();
    if children.is_empty() {
        return None;
    }
    Some(children.iter().any(|child| files.iter().any(|file| child.path().join(file).exists())))
}

/// The `MAJ:MIN` of a whole disk, given by its name or by its numbers.
fn device_numbers(sysfs: &Path, device: &str) -> Result<String, String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if device.split_once(':').is_some_and(|(major, minor)| digits(major) && digits(minor)) {
        return Ok(device.to_owned());
    }
    // A name with a slash would become another path; the kernel writes such a device's with an exclamation mark.
    let name = device.strip_prefix("/dev/").unwrap_or(device).replace('/', "!");
    let directory = sysfs.join("class/block").join(&name);
    let numbers = match name.as_str() {
        "" | "." | ".." => None,
        _ => std::fs::read_to_string(directory.join("dev")).ok(),
    };
    let Some(numbers) = numbers else {
        return Err(format!(
            "no block device {device:?} in {}; `ls /sys/block` lists the disks",
            sysfs.join("class/block").display()
        ));
    };
    if directory.join("partition").exists() {
        let link = std::fs::read_link(&directory).unwrap_or_default();
        let disk = link.parent().and_then(Path::file_name).map(|disk| disk.to_string_lossy().into_owned());
        return Err(format!(
            "{device} is a partition, and limits are of whole disks: name {}",
            disk.as_deref().unwrap_or("its disk")
        ));
    }
    Ok(numbers.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_by_name_or_number_and_partitions_are_not_taken() {
        let sys = tempfile::tempdir().expect("tempdir");
        let block = sys.path().join("class/block");
        let disk = sys.path().join("devices/vda");
        std::fs::create_dir_all(disk.join("vda1")).expect("directories");
        std::fs::create_dir_all(&block).expect("directory");
        std::fs::write(disk.join("dev"), "254:0\n").expect("numbers");
        std::fs::write(disk.join("vda1/dev"), "254:1\n").expect("numbers");
        std::fs::write(disk.join("vda1/partition"), "1\n").expect("partition");
        std::os::unix::fs::symlink("../../devices/vda", block.join("vda")).expect("link");
        std::os::unix::fs::symlink("../../devices/vda/vda1", block.join("vda1")).expect("link");
        assert_eq!(device_numbers(sys.path(), "vda").as_deref(), Ok("254:0"));
        assert_eq!(device_numbers(sys.path(), "/dev/vda").as_deref(), Ok("254:0"));
        assert_eq!(device_numbers(sys.path(), "8:16").as_deref(), Ok("8:16"));
        let error = device_numbers(sys.path(), "vda1").expect_err("a partition");
        assert!(error.contains("name vda"), "{error}");
        for wrong in ["sdz", "..", "", "../vda"] {
            assert!(device_numbers(sys.path(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_saved_survives_the_journal() {
        let saved = Saved { files: vec![SavedFile::new("cpu", "cpu.max", "max 100000")] };
        let text = serde_json::to_string(&saved).expect("JSON");
        assert_eq!(serde_json::from_str::<Saved>(&text).expect("read back"), saved);
    }
}
