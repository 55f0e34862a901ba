//! What went over the network devices of one namespace: `/proc/PID/net/dev`.

use std::io::Read as _;
use std::path::Path;

use crate::model::Column;

/// No more of the file is read: whoever made the namespace can make devices without end.
const MOST_BYTES: u64 = 16 * 1024;

/// The numbers that are taken, in the order of [`Device::numbers`].
pub const COLUMNS: [Column; 8] = [
    Column::NetworkReceiveBytes,
    Column::NetworkReceivePackets,
    Column::NetworkReceiveErrors,
    Column::NetworkReceiveDrops,
    Column::NetworkTransmitBytes,
    Column::NetworkTransmitPackets,
    Column::NetworkTransmitErrors,
    Column::NetworkTransmitDrops,
];

/// Their places among the numbers of a line.
const PLACES: [usize; 8] = [0, 1, 2, 3, 8, 9, 10, 11];

/// One network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name inside the namespace.
    pub name: String,
    /// Its numbers, by [`COLUMNS`].
    pub numbers: [u64; 8],
}

/// The devices of the network namespace that a process is in, at most some hundred of them.
///
/// # Errors
/// Where the process has ended, or its file may not be read.
pub fn devices(procfs: &Path, pid: u32) -> Result<Vec<Device>, std::io::Error> {
    let file = std::fs::File::open(procfs.join(format!("{pid}/net/dev")))?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

/// `NAME: RECEIVED… SENT…`, eight numbers each. What is no such line is a heading, or was cut off.
fn parse(text: &str) -> Vec<Device> {
    let line = |line: &str| {
        // A name has neither a space nor a colon.
        let (name, rest) = line.split_once(':')?;
        let all: Vec<u64> = rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        let mut numbers = [0; 8];
        for (number, place) in numbers.iter_mut().zip(PLACES) {
            *number = *all.get(place)?;
        }
        (all.len() == 16).then(|| Device { name: name.trim().to_owned(), numbers })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_headings_and_torn_lines_are_not() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     168       2    1    3    0     0          0         0      170       4    5    6    0     0       0          0
  eth0:7 8 9 10 0 0 0 0 11 12 13 14 0 0 0 0
  eth1:7 8 9 10 0 0 0 0 11 12";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].numbers), ("lo", [168, 2, 1, 3, 170, 4, 5, 6]));
        assert_eq!((found[1].name.as_str(), found[1].numbers), ("eth0", [7, 8, 9, 10, 11, 12, 13, 14]));
    }
}
