//! `io.*`, v1 `blkio.*`: what went to and from each device, and the limits on it.

use crate::metrics::family::{Family, From};
use crate::metrics::text::Scale;
use crate::model::{Collector, Column, Control, RowKind};

const DEVICE: &[&str] = &["device"];
const BYTES: &[RowKind] = &[RowKind::IoStat, RowKind::BlkioBytes];
const OPERATIONS: &[RowKind] = &[RowKind::IoStat, RowKind::BlkioOps];

const fn counter(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::counter(Collector::Io, name, source, from, help).labels(DEVICE)
}

const fn gauge(name: &'static str, source: &'static str, from: From, help: &'static str) -> Family {
    Family::gauge(Collector::Io, name, source, from, help)
}

pub(super) const FAMILIES: &[Family] = &[
    counter(
        "cgroup_io_read_bytes_total",
        "io.stat rbytes, v1 blkio.throttle.io_service_bytes_recursive",
        From::Column(Column::IoReadBytes, BYTES),
        "Bytes read from the device.",
    )
    .essential(),
    counter(
        "cgroup_io_write_bytes_total",
        "io.stat wbytes, v1 blkio.throttle.io_service_bytes_recursive",
        From::Column(Column::IoWriteBytes, BYTES),
        "Bytes written to the device.",
    )
    .essential(),
    counter(
        "cgroup_io_discard_bytes_total",
        "io.stat dbytes, v1 blkio.throttle.io_service_bytes_recursive",
        From::Column(Column::IoDiscardBytes, BYTES),
        "Bytes discarded on the device.",
    ),
    counter(
        "cgroup_io_reads_total",
        "io.stat rios, v1 blkio.throttle.io_serviced_recursive",
        From::Column(Column::IoReads, OPERATIONS),
        "Reads issued to the device.",
    ),
    counter(
        "cgroup_io_writes_total",
        "io.stat wios, v1 blkio.throttle.io_serviced_recursive",
        From::Column(Column::IoWrites, OPERATIONS),
        "Writes issued to the device.",
    ),
    counter(
        "cgroup_io_discards_total",
        "io.stat dios, v1 blkio.throttle.io_serviced_recursive",
        From::Column(Column::IoDiscards, OPERATIONS),
        "Discards issued to the device.",
    ),
    counter(
        "cgroup_io_cost_usage_seconds_total",
        "io.stat cost.usage",
        From::Column(Column::IoCostUsage, &[RowKind::IoStat]),
        "Device time used, as the I/O cost controller counts it.",
    ),
    counter(
        "cgroup_io_cost_wait_seconds_total",
        "io.stat cost.wait",
        From::Column(Column::IoCostWait, &[RowKind::IoStat]),
        "Time that I/O waited for the cgroup's budget of device time.",
    ),
    counter(
        "cgroup_io_cost_indebt_seconds_total",
        "io.stat cost.indebt",
        From::Column(Column::IoCostIndebt, &[RowKind::IoStat]),
        "Time the cgroup owed device time.",
    ),
    counter(
        "cgroup_io_cost_indelay_seconds_total",
        "io.stat cost.indelay",
        From::Column(Column::IoCostIndelay, &[RowKind::IoStat]),
        "Time the cgroup was delayed to pay its debts of device time.",
    ),
    counter(
        "cgroup_io_bfq_read_bytes_total",
        "v1 blkio.bfq.io_service_bytes_recursive",
        From::Column(Column::BfqReadBytes, &[RowKind::BfqBytes]),
        "Bytes that the BFQ scheduler read from the device.",
    ),
    counter(
        "cgroup_io_bfq_write_bytes_total",
        "v1 blkio.bfq.io_service_bytes_recursive",
        From::Column(Column::BfqWriteBytes, &[RowKind::BfqBytes]),
        "Bytes that the BFQ scheduler wrote to the device.",
    ),
    counter(
        "cgroup_io_bfq_discard_bytes_total",
        "v1 blkio.bfq.io_service_bytes_recursive",
        From::Column(Column::BfqDiscardBytes, &[RowKind::BfqBytes]),
        "Bytes that the BFQ scheduler discarded on the device.",
    ),
    counter(
        "cgroup_io_bfq_reads_total",
        "v1 blkio.bfq.io_serviced_recursive",
        From::Column(Column::BfqReads, &[RowKind::BfqOps]),
        "Reads that the BFQ scheduler served.",
    ),
    counter(
        "cgroup_io_bfq_writes_total",
        "v1 blkio.bfq.io_serviced_recursive",
        From::Column(Column::BfqWrites, &[RowKind::BfqOps]),
        "Writes that the BFQ scheduler served.",
    ),
    counter(
        "cgroup_io_bfq_discards_total",
        "v1 blkio.bfq.io_serviced_recursive",
        From::Column(Column::BfqDiscards, &[RowKind::BfqOps]),
        "Discards that the BFQ scheduler served.",
    ),
    gauge(
        "cgroup_io_read_limit_bytes_per_second",
        "io.max rbps, v1 blkio.throttle.read_bps_device",
        From::IoLimits(Scale::One, |limit| limit.read_bytes),
        "Most bytes a second that may be read from the device.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_write_limit_bytes_per_second",
        "io.max wbps, v1 blkio.throttle.write_bps_device",
        From::IoLimits(Scale::One, |limit| limit.write_bytes),
        "Most bytes a second that may be written to the device.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_read_limit_operations_per_second",
        "io.max riops, v1 blkio.throttle.read_iops_device",
        From::IoLimits(Scale::One, |limit| limit.reads),
        "Most reads a second that may go to the device.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_write_limit_operations_per_second",
        "io.max wiops, v1 blkio.throttle.write_iops_device",
        From::IoLimits(Scale::One, |limit| limit.writes),
        "Most writes a second that may go to the device.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_latency_target_seconds",
        "io.latency",
        From::IoLimits(Scale::Micro, |limit| limit.latency_target),
        "The latency on the device that the kernel protects for the cgroup.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_device_weight",
        "io.weight",
        From::IoLimits(Scale::One, |limit| limit.weight),
        "Share of the device among siblings, where it is not the cgroup's usual one.",
    )
    .labels(DEVICE),
    gauge(
        "cgroup_io_weight",
        "io.weight default",
        From::Controls(&[("", Control::IoWeight)]),
        "Share of every device among siblings, 1 to 10000.",
    ),
    gauge(
        "cgroup_io_bfq_weight",
        "io.bfq.weight default, v1 blkio.bfq.weight",
        From::Controls(&[("", Control::IoBfqWeight)]),
        "Share of devices under the BFQ scheduler among siblings, 1 to 1000.",
    ),
];
