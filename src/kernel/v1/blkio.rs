//! v1 `blkio.*`. The throttle layer counts every device whatever its scheduler; bfq counts its own devices beside it.

use crate::kernel::catalog::{FileSpec, Read};
use crate::kernel::devices::Devices;
use crate::kernel::parse::{Malformed, limit, trim};
use crate::kernel::shapes::{Classify, Format, Table};
use crate::kernel::v2::{device, device_key};
use crate::model::{Collector, Column, Control, Controls, IoLimit, Key, Limit, RowKind};

const fn file(name: &'static str, read: Read) -> FileSpec {
    FileSpec::new(name, Collector::Io, read)
}

pub(super) const FILES: &[FileSpec] = &[
    file("blkio.throttle.io_service_bytes_recursive", Read::Table(&THROTTLE_BYTES)),
    file("blkio.throttle.io_serviced_recursive", Read::Table(&THROTTLE_OPS)),
    file("blkio.bfq.io_service_bytes_recursive", Read::Table(&BFQ_BYTES)),
    file("blkio.bfq.io_serviced_recursive", Read::Table(&BFQ_OPS)),
    file(
        "blkio.throttle.read_bps_device",
        Read::Controls(|t, c, d| rates(t, c, d, |entry| &mut entry.read_bytes)),
    ),
    file(
        "blkio.throttle.write_bps_device",
        Read::Controls(|t, c, d| rates(t, c, d, |entry| &mut entry.write_bytes)),
    ),
    file(
        "blkio.throttle.read_iops_device",
        Read::Controls(|t, c, d| rates(t, c, d, |entry| &mut entry.reads)),
    ),
    file(
        "blkio.throttle.write_iops_device",
        Read::Controls(|t, c, d| rates(t, c, d, |entry| &mut entry.writes)),
    ),
    file("blkio.bfq.weight", Read::Limit(Control::IoBfqWeight, weight)),
];

const THROTTLE_BYTES: Table = table(RowKind::BlkioBytes, |device, operation, devices| {
    row(device, operation, devices, [Column::IoReadBytes, Column::IoWriteBytes, Column::IoDiscardBytes])
});
const THROTTLE_OPS: Table = table(RowKind::BlkioOps, |device, operation, devices| {
    row(device, operation, devices, [Column::IoReads, Column::IoWrites, Column::IoDiscards])
});
const BFQ_BYTES: Table = table(RowKind::BfqBytes, |device, operation, devices| {
    row(device, operation, devices, [Column::BfqReadBytes, Column::BfqWriteBytes, Column::BfqDiscardBytes])
});
const BFQ_OPS: Table = table(RowKind::BfqOps, |device, operation, devices| {
    row(device, operation, devices, [Column::BfqReads, Column::BfqWrites, Column::BfqDiscards])
});

const fn table(kind: RowKind, classify: Classify) -> Table {
    Table { kind, format: Format::Triples, classify }
}

fn row(device: &[u8], operation: &[u8], devices: &mut Devices, columns: [Column; 3]) -> Option<(Key, u64)> {
    let column = match operation {
        b"Read" => columns[0],
        b"Write" => columns[1],
        b"Discard" => columns[2],
        // Sync, Async and Total count the same requests again.
        _ => return None,
    };
    Some((device_key(column, device, devices), 1))
}

/// `MAJ:MIN NUMBER` lines of the devices that have a limit.
fn rates(
    text: Option<&[u8]>,
    controls: &mut Controls,
    devices: &mut Devices,
    slot: fn(&mut IoLimit) -> &mut Option<Limit>,
) -> Result<(), Malformed> {
    controls.io.iter_mut().for_each(|entry| *slot(entry) = None);
    for line in text.unwrap_or_default().split(|&byte| byte == b'\n').filter(|line| !trim(line).is_empty()) {
        let space = line
            .iter()
            .position(|&byte| byte == b' ')
            .ok_or_else(|| Malformed::new("`MAJ:MIN NUMBER`", line))?;
        let value = limit(&line[space + 1..])?;
        *slot(device(&line[..space], controls, devices)) = Some(value);
    }
    Ok(())
}

/// A number, on newer kernels behind `default`.
fn weight(text: &[u8]) -> Result<Limit, Malformed> {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    limit(first.strip_prefix(b"default ").unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_by_device() {
        let mut controls = Controls::default();
        let mut devices = Devices::new(std::path::Path::new("/nonexistent"));
        rates(Some(b"8:0 1048576\n"), &mut controls, &mut devices, |entry| &mut entry.write_bytes)
            .expect("a limit");
        assert_eq!(controls.io[0].write_bytes, Some(Limit::Value(1_048_576)));
        rates(Some(b""), &mut controls, &mut devices, |entry| &mut entry.write_bytes).expect("none");
        assert_eq!(controls.io[0].write_bytes, None);
        assert!(rates(Some(b"8:0\n"), &mut controls, &mut devices, |entry| &mut entry.reads).is_err());
        assert_eq!(weight(b"default 300\n8:0 10\n"), Ok(Limit::Value(300)));
        assert_eq!(weight(b"100\n"), Ok(Limit::Value(100)));
    }
}
