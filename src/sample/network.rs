//! The traffic of the network namespaces that a cgroup has for itself.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::census::{Census, OwnNetwork};
use super::reader::Reader;
use super::tree::{NodeId, Tree};
use crate::kernel::traffic::{COLUMNS, Device, devices};
use crate::model::{Collector, Field, Key, Reading, RowKind, Schema};

/// The numbers of devices, by name.
type Traffic = BTreeMap<String, [u64; COLUMNS.len()]>;

/// Who has been given numbers, and the shapes of their tables.
#[derive(Debug, Default)]
pub struct Networks {
    given: HashMap<NodeId, Account>,
    shapes: Vec<Arc<Schema>>,
}

/// What a cgroup has been given: a counter that only goes up, though namespaces come and go.
#[derive(Debug, Default)]
struct Account {
    /// The cgroup's place in the order of births: another can come to stand at its place.
    rank: u64,
    /// What each of its namespaces told last, by inode.
    last: HashMap<u64, Traffic>,
    /// What went over devices of one name since the cgroup was first seen to have one.
    sums: Traffic,
}

impl Networks {
    /// Reads each namespace once, by one of its processes. A cgroup with several has the sums of devices of one name, to
    /// which one that has ended contributes what it told last, as long as another has such a device.
    pub fn read(&mut self, procfs: &Path, census: &Census, tree: &mut Tree, reader: &mut Reader) {
        let mut found: HashMap<NodeId, HashMap<u64, Traffic>> = HashMap::new();
        for network in &census.networks {
            reader.collectors[Collector::Network as usize].reads += 1;
            let Some(devices) = read_one(procfs, census, network) else { continue };
            let traffic = devices.into_iter().map(|device| (device.name, device.numbers)).collect();
            found.entry(network.home).or_default().insert(network.inode, traffic);
        }
        self.given.retain(|id, account| {
            let Some(node) = tree.get_mut(*id).filter(|node| node.cgroup.rank == account.rank) else {
                return false;
            };
            // Who has lost its last process keeps its last numbers until it ends or is lived in again.
            if found.contains_key(id) || node.cgroup.readings.get(Field::Populated) == Some(0) {
                return true;
            }
            node.cgroup.readings.rows_mut(RowKind::Network).clear();
            false
        });
        for (id, namespaces) in found {
            let Some(node) = tree.get_mut(id) else { continue };
            let mut account = self.given.remove(&id).unwrap_or_default();
            account.rank = node.cgroup.rank;
            account.add(namespaces);
            let shape = self.shape(&account.sums);
            let rows = node.cgroup.readings.rows_mut(RowKind::Network);
            rows.reshape(shape);
            for (value, number) in rows.values_mut().iter_mut().zip(account.sums.values().flatten()) {
                *value = Reading::new(*number);
            }
            self.given.insert(id, account);
        }
    }

    /// The shape of a table with these devices: most containers have the same.
    fn shape(&mut self, traffic: &Traffic) -> Arc<Schema> {
        let keys: Vec<Key> =
            traffic.keys().flat_map(|name| COLUMNS.map(|column| Key::new(column, name))).collect();
        if let Some(known) = self.shapes.iter().find(|shape| shape.keys() == keys) {
            return Arc::clone(known);
        }
        self.shapes.retain(|shape| Arc::strong_count(shape) > 1);
        let shape = Arc::new(Schema::new(keys));
        self.shapes.push(Arc::clone(&shape));
        shape
    }
}

impl Account {
    /// Adds what went over since the last time. Devices that none of the namespaces has any more are forgotten: whoever
    /// made the namespace can make names without end.
    fn add(&mut self, namespaces: HashMap<u64, Traffic>) {
        for (inode, traffic) in &namespaces {
            let last = self.last.get(inode);
            for (name, numbers) in traffic {
                let before = last.and_then(|last| last.get(name)).copied().unwrap_or_default();
                let sums = self.sums.entry(name.clone()).or_default();
                for ((sum, now), before) in sums.iter_mut().zip(numbers).zip(before) {
                    // A device of this name that counts from 0 again is another one.
                    *sum = sum.saturating_add(now.checked_sub(before).unwrap_or(*now));
                }
            }
        }
        self.sums.retain(|name, _| namespaces.values().any(|traffic| traffic.contains_key(name)));
        self.last = namespaces;
    }
}

/// The devices of a namespace. None where neither of two of its processes lives and is still in it.
fn read_one(procfs: &Path, census: &Census, network: &OwnNetwork) -> Option<Vec<Device>> {
    let by = |pid| {
        let devices = devices(procfs, pid).ok()?;
        // Its number may be another process's by now, and it may have gone elsewhere.
        census.is_in_network(pid, network.inode).then_some(devices)
    };
    by(network.pid).or_else(|| by(census.other_in_network(network.inode, network.pid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Received bytes by namespace and device.
    fn told(namespaces: &[(u64, &[(&str, u64)])]) -> HashMap<u64, Traffic> {
        let of = |devices: &[(&str, u64)]| {
            devices.iter().map(|(name, bytes)| ((*name).to_owned(), [*bytes, 0, 0, 0, 0, 0, 0, 0])).collect()
        };
        namespaces.iter().map(|(inode, devices)| (*inode, of(devices))).collect()
    }

    #[test]
    fn a_namespace_that_ends_takes_nothing_back() {
        let mut account = Account::default();
        let mut sums = |namespaces: &[(u64, &[(&str, u64)])]| -> Vec<(String, u64)> {
            account.add(told(namespaces));
            account.sums.iter().map(|(name, numbers)| (name.clone(), numbers[0])).collect()
        };
        let is = |name: &str, bytes: u64| (name.to_owned(), bytes);
        assert_eq!(
            sums(&[(1, &[("eth0", 900)]), (2, &[("eth0", 100), ("lo", 5)])]),
            [is("eth0", 1000), is("lo", 5)]
        );
        assert_eq!(
            sums(&[(1, &[("eth0", 950)]), (2, &[("eth0", 100), ("lo", 5)])]),
            [is("eth0", 1050), is("lo", 5)]
        );
        // The first ends, and a third comes.
        assert_eq!(sums(&[(2, &[("eth0", 110), ("lo", 5)])]), [is("eth0", 1060), is("lo", 5)]);
        assert_eq!(sums(&[(2, &[("eth0", 110)]), (3, &[("eth0", 7)])]), [is("eth0", 1067)]);
        // The device was made anew under its name.
        assert_eq!(sums(&[(3, &[("eth0", 3)])]), [is("eth0", 1070)]);
    }
}
