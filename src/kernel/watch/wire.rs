//! PURE: the bytes that fanotify(7) and inotify(7) give, cut into events.
//!
//! Nothing here trusts a length: every field is read through a bounds check, and what does not fit is
//! [`Malformed`], never a panic. Numbers are in the byte order of the machine, as the kernel writes them.

/// A buffer that does not hold what the kernel's format says, with the rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed event from the kernel: {0}")]
pub struct Malformed(pub &'static str);

/// One fanotify event (`struct fanotify_event_metadata` and its directory record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanotifyEvent<'a> {
    /// `FAN_*` bits. Several, when the kernel merged events.
    pub mask: u64,
    /// The process that did it, in the reader's pid namespace; 0 when it is not visible there.
    pub pid: i32,
    /// Where it happened; none on a queue overflow.
    pub place: Option<Place<'a>>,
}

/// The directory and the name that an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The directory's kernfs id, which is its `st_ino`.
    pub dir: u64,
    /// The name in it, without the closing NUL.
    pub name: &'a [u8],
}

/// One inotify event (`struct inotify_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InotifyEvent<'a> {
    /// The watch descriptor; -1 on a queue overflow.
    pub wd: i32,
    /// `IN_*` bits.
    pub mask: u32,
    /// The name in the watched directory; empty when the event is about the directory itself.
    pub name: &'a [u8],
}

/// `sizeof(struct fanotify_event_metadata)`.
const METADATA: usize = 24;
/// `FANOTIFY_METADATA_VERSION`.
const METADATA_VERSION: u8 = 3;
/// `sizeof(struct fanotify_event_info_header)`: type, padding, length.
const INFO_HEADER: usize = 4;
/// `FAN_EVENT_INFO_TYPE_DFID_NAME`.
const INFO_DFID_NAME: u8 = 2;
/// `sizeof(__kernel_fsid_t)`.
const FSID: usize = 8;
/// `FILEID_KERNFS` of linux/exportfs.h: the handle is the 64-bit kernfs id.
const FILEID_KERNFS: i32 = 0xfe;
/// `sizeof(struct inotify_event)` without the name.
const INOTIFY_HEADER: usize = 16;

/// Cuts the first event off `rest`. None when nothing is left; after an error `rest` is of no more use.
///
/// # Errors
/// [`Malformed`] when the buffer is not what linux/fanotify.h describes.
pub fn next_fanotify<'a>(rest: &mut &'a [u8]) -> Option<Result<FanotifyEvent<'a>, Malformed>> {
    if rest.is_empty() {
        return None;
    }
    Some(cut_fanotify(rest))
}

/// Cuts the first event off `rest`. None when nothing is left; after an error `rest` is of no more use.
///
/// # Errors
/// [`Malformed`] when the buffer is not what linux/inotify.h describes.
pub fn next_inotify<'a>(rest: &mut &'a [u8]) -> Option<Result<InotifyEvent<'a>, Malformed>> {
    if rest.is_empty() {
        return None;
    }
    Some(cut_inotify(rest))
}

fn cut_fanotify<'a>(rest: &mut &'a [u8]) -> Result<FanotifyEvent<'a>, Malformed> {
    let length = u32_at(rest, 0).and_then(to_usize).ok_or(Malformed("event shorter than its header"))?;
    if length < METADATA {
        return Err(Malformed("event_len smaller than the header"));
    }
    let (event, after) = rest.split_at_checked(length).ok_or(Malformed("event_len beyond the buffer"))?;
    *rest = after;
    if event.get(4) != Some(&METADATA_VERSION) {
        return Err(Malformed("unknown metadata version"));
    }
    let header = u16_at(event, 6).map(usize::from).ok_or(Malformed("event shorter than its header"))?;
    let mask =
        array_at(event, 8).map(u64::from_ne_bytes).ok_or(Malformed("event shorter than its header"))?;
    let pid = i32_at(event, 20).ok_or(Malformed("event shorter than its header"))?;
    if header < METADATA {
        return Err(Malformed("metadata_len smaller than the header"));
    }
    let infos = event.get(header..).ok_or(Malformed("metadata_len beyond the event"))?;
    Ok(FanotifyEvent { mask, pid, place: place(infos)? })
}

/// The directory record among an event's information records; records of other types are passed over.
fn place(mut infos: &[u8]) -> Result<Option<Place<'_>>, Malformed> {
    while !infos.is_empty() {
        let length = u16_at(infos, 2).map(usize::from).ok_or(Malformed("record shorter than its header"))?;
        if length < INFO_HEADER {
            return Err(Malformed("record length smaller than its header"));
        }
        let (info, after) = infos.split_at_checked(length).ok_or(Malformed("record beyond the event"))?;
        if info.first() == Some(&INFO_DFID_NAME) {
            return dfid_name(info).map(Some);
        }
        infos = after;
    }
    Ok(None)
}

/// `struct fanotify_event_info_fid`: header, fsid, `struct file_handle`, name, padding.
fn dfid_name(info: &[u8]) -> Result<Place<'_>, Malformed> {
    const HANDLE: usize = INFO_HEADER + FSID;
    let bytes = u32_at(info, HANDLE).and_then(to_usize).ok_or(Malformed("record without a file handle"))?;
    let kind = i32_at(info, HANDLE + 4).ok_or(Malformed("record without a file handle"))?;
    if kind != FILEID_KERNFS || bytes != 8 {
        return Err(Malformed("the directory's file handle is no kernfs id"));
    }
    let dir = array_at(info, HANDLE + 8).map(u64::from_ne_bytes).ok_or(Malformed("file handle cut short"))?;
    let name = info.get(HANDLE + 16..).ok_or(Malformed("file handle cut short"))?;
    let end = name.iter().position(|&byte| byte == 0).ok_or(Malformed("name without its closing NUL"))?;
    Ok(Place { dir, name: &name[..end] })
}

fn cut_inotify<'a>(rest: &mut &'a [u8]) -> Result<InotifyEvent<'a>, Malformed> {
    const SHORT: Malformed = Malformed("event shorter than its header");
    let wd = i32_at(rest, 0).ok_or(SHORT)?;
    let mask = u32_at(rest, 4).ok_or(SHORT)?;
    let length = u32_at(rest, 12).and_then(to_usize).ok_or(SHORT)?;
    let (_, body) = rest.split_at_checked(INOTIFY_HEADER).ok_or(SHORT)?;
    let (name, after) = body.split_at_checked(length).ok_or(Malformed("name beyond the buffer"))?;
    *rest = after;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Ok(InotifyEvent { wd, mask, name: &name[..end] })
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    array_at(bytes, at).map(i32::from_ne_bytes)
}

fn to_usize(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Captured on 6.18, little-endian, from the cgroup2 mount: `echo 5 > cgroup.max.depth` in the group of inode 44.
    const WRITE: &str = "48000000030018000200000000000000ffffffff94280000\
        020030009df1c260cec2a04508000000fe0000002c000000000000006367726f75702e6d61782e646570746800000000";
    /// Captured on 6.18 from the v1 pids mount: the first half of a rename of `c` in the group of inode 8.
    const MOVED_FROM: &str = "38000000030018004000004000000000ffffffff6b280000\
        02002000057a4ae6db9ba41308000000fe000000080000000000000063000000";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn all_fanotify(mut rest: &[u8]) -> Vec<Result<FanotifyEvent<'_>, Malformed>> {
        let mut events = Vec::new();
        while let Some(event) = next_fanotify(&mut rest) {
            events.push(event);
            if event.is_err() {
                break;
            }
        }
        events
    }

    #[test]
    fn captured_fanotify_events_are_cut_one_by_one() {
        let buffer = bytes(&[WRITE, MOVED_FROM].concat());
        let write = Place { dir: 44, name: b"cgroup.max.depth" };
        let moved = Place { dir: 8, name: b"c" };
        assert_eq!(
            all_fanotify(&buffer),
            [
                Ok(FanotifyEvent { mask: 2, pid: 10388, place: Some(write) }),
                Ok(FanotifyEvent { mask: 0x4000_0040, pid: 10347, place: Some(moved) }),
            ]
        );
    }

    #[test]
    fn an_overflow_has_no_place() {
        let mut buffer = bytes(WRITE)[..METADATA].to_vec();
        buffer[0] = 24;
        buffer[8..16].copy_from_slice(&0x4000_u64.to_ne_bytes());
        buffer[20..24].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(all_fanotify(&buffer), [Ok(FanotifyEvent { mask: 0x4000, pid: 0, place: None })]);
    }

    #[test]
    fn what_breaks_the_format_is_an_error_that_says_which_rule() {
        let check = |at: usize, value: u8, rule: &'static str| {
            let mut buffer = bytes(WRITE);
            buffer[at] = value;
            assert_eq!(all_fanotify(&buffer), [Err(Malformed(rule))], "byte {at} set to {value}");
        };
        check(0, 0, "event_len smaller than the header");
        check(0, 0xff, "event_len beyond the buffer");
        check(4, 9, "unknown metadata version");
        check(6, 3, "metadata_len smaller than the header");
        check(6, 0xff, "metadata_len beyond the event");
        check(26, 0, "record length smaller than its header");
        check(26, 0xff, "record beyond the event");
        check(36, 12, "the directory's file handle is no kernfs id");
        check(40, 1, "the directory's file handle is no kernfs id");
    }

    #[test]
    fn inotify_events_are_cut_at_their_padding() {
        let mut buffer = Vec::new();
        for word in [2_i32, 0x4000_0100, 0, 16] {
            buffer.extend(word.to_ne_bytes());
        }
        buffer.extend(b"child\0\0\0\0\0\0\0\0\0\0\0");
        for word in [-1_i32, 0x4000, 0, 0] {
            buffer.extend(word.to_ne_bytes());
        }
        let mut rest = &buffer[..];
        let child = InotifyEvent { wd: 2, mask: 0x4000_0100, name: b"child" };
        assert_eq!(next_inotify(&mut rest), Some(Ok(child)));
        assert_eq!(next_inotify(&mut rest), Some(Ok(InotifyEvent { wd: -1, mask: 0x4000, name: b"" })));
        assert_eq!(next_inotify(&mut rest), None);
        assert_eq!(next_inotify(&mut &buffer[..20]), Some(Err(Malformed("name beyond the buffer"))));
        assert_eq!(next_inotify(&mut &buffer[..5]), Some(Err(Malformed("event shorter than its header"))));
    }

    proptest! {
        /// Any bytes, and captured events with any of their bytes changed or cut, end in events or one error.
        #[test]
        fn no_input_panics_or_loops(noise in prop::collection::vec(any::<u8>(), 0..200),
                                    flips in prop::collection::vec((0_usize..128, any::<u8>()), 0..6),
                                    keep in 0_usize..=128) {
            let mut captured = bytes(&[WRITE, MOVED_FROM].concat());
            for (at, value) in flips {
                captured[at] = value;
            }
            for buffer in [&noise[..], &captured[..keep]] {
                prop_assert!(all_fanotify(buffer).len() <= buffer.len() / METADATA + 1);
                let mut rest = buffer;
                while let Some(Ok(event)) = next_inotify(&mut rest) {
                    prop_assert!(event.name.len() <= buffer.len());
                }
            }
        }
    }
}
