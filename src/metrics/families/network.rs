//! The network: what went over the devices of a cgroup's own network namespace. Of a cgroup with several, devices of one
//! name are one series: most often they are the same device of one container after the other, or of many alike, and a
//! label for the namespace would be one without a bound.

use crate::metrics::family::{Family, From};
use crate::model::{Collector, Column, RowKind};

const fn counter(name: &'static str, column: Column, help: &'static str) -> Family {
    let from = From::Column(column, &[RowKind::Network]);
    Family::counter(Collector::Network, name, "/proc/PID/net/dev", from, help).labels(&["device"])
}

pub(super) const FAMILIES: &[Family] = &[
    counter(
        "cgroup_network_receive_bytes_total",
        Column::NetworkReceiveBytes,
        "Bytes that the device received, in a network namespace that the cgroup has for itself.",
    ),
    counter(
        "cgroup_network_receive_packets_total",
        Column::NetworkReceivePackets,
        "Packets that the device received.",
    ),
    counter(
        "cgroup_network_receive_errors_total",
        Column::NetworkReceiveErrors,
        "Errors of the device in receiving.",
    ),
    counter(
        "cgroup_network_receive_drops_total",
        Column::NetworkReceiveDrops,
        "Packets that the device received and dropped.",
    ),
    counter(
        "cgroup_network_transmit_bytes_total",
        Column::NetworkTransmitBytes,
        "Bytes that the device sent, in a network namespace that the cgroup has for itself.",
    ),
    counter(
        "cgroup_network_transmit_packets_total",
        Column::NetworkTransmitPackets,
        "Packets that the device sent.",
    ),
    counter(
        "cgroup_network_transmit_errors_total",
        Column::NetworkTransmitErrors,
        "Errors of the device in sending.",
    ),
    counter(
        "cgroup_network_transmit_drops_total",
        Column::NetworkTransmitDrops,
        "Packets that the device was to send and dropped.",
    ),
];
