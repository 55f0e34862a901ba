//! The traffic of the network namespaces that a cgroup has for itself.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    given: HashSet<NodeId>,
    shapes: Vec<Arc<Schema>>,
}

impl Networks {
    /// Reads each namespace once, by one of its processes. A cgroup with several has the sums of devices of one name.
    pub fn read(&mut self, procfs: &Path, census: &Census, tree: &mut Tree, reader: &mut Reader) {
        let mut found: HashMap<NodeId, Traffic> = HashMap::new();
        for network in &census.networks {
            reader.collectors[Collector::Network as usize].reads += 1;
            let Some(devices) = read_one(procfs, census, network) else { continue };
            let traffic = found.entry(network.home).or_default();
            for device in devices {
                let sums = traffic.entry(device.name).or_default();
                sums.iter_mut().zip(device.numbers).for_each(|(sum, one)| *sum = sum.saturating_add(one));
            }
        }
        self.given.retain(|id| {
            let Some(node) = tree.get_mut(*id) else { return false };
            // Who has lost its last process keeps its last numbers until it ends or is lived in again.
            if found.contains_key(id) || node.cgroup.readings.get(Field::Populated) == Some(0) {
                return true;
            }
            node.cgroup.readings.rows_mut(RowKind::Network).clear();
            false
        });
        for (id, traffic) in found {
            let Some(node) = tree.get_mut(id) else { continue };
            let shape = self.shape(&traffic);
            let rows = node.cgroup.readings.rows_mut(RowKind::Network);
            rows.reshape(shape);
            for (value, number) in rows.values_mut().iter_mut().zip(traffic.values().flatten()) {
                *value = Reading::new(*number);
            }
            self.given.insert(id);
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

/// The devices of a namespace. None where neither of two of its processes lives and is still in it.
fn read_one(procfs: &Path, census: &Census, network: &OwnNetwork) -> Option<Vec<Device>> {
    let by = |pid| {
        let devices = devices(procfs, pid).ok()?;
        // Its number may be another process's by now, and it may have gone elsewhere.
        census.is_in_network(pid, network.inode).then_some(devices)
    };
    by(network.pid).or_else(|| by(census.other_in_network(network.inode, network.pid)?))
}
