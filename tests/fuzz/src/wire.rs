//! The buffers of fanotify and inotify.

use stockade::kernel::watch::wire::{next_fanotify, next_inotify};

/// Checks that any buffer ends in events or one error, and that names lie inside it.
pub fn check(buffer: &[u8]) {
    let mut rest = buffer;
    let mut events = 0;
    while let Some(event) = next_fanotify(&mut rest) {
        let Ok(event) = event else { break };
        events += 1;
        if let Some(place) = event.place {
            assert!(place.name.len() < buffer.len() && !place.name.contains(&0));
        }
    }
    assert!(events <= buffer.len() / 24);
    let mut rest = buffer;
    let mut events = 0;
    while let Some(event) = next_inotify(&mut rest) {
        let Ok(event) = event else { break };
        events += 1;
        assert!(event.name.len() + 16 <= buffer.len() && !event.name.contains(&0));
    }
    assert!(events <= buffer.len() / 16);
}
