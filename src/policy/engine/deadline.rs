//! When the engine wants to be asked again, if nothing happens before.

use std::time::Duration;

use super::Engine;
use super::state::{State, relief_time};

impl Engine {
    /// The first moment past `after` (monotonic) at which a step is due or something is to be undone.
    ///
    /// A wait for relief of a second would last until the next pass otherwise, five seconds with the default clock. What
    /// is overdue waits for something that is not known yet, and is not asked for again and again.
    #[must_use]
    pub fn next_deadline(&self, after: Duration) -> Option<Duration> {
        let entries = self.watched.iter().filter(|watched| watched.decides()).flat_map(|watched| {
            watched.entries.iter().flat_map(|entry| match &entry.state {
                State::Acting(episode) => {
                    let relief = episode.taken.saturating_add(relief_time(&watched.policy, episode));
                    [Some(relief), episode.ends]
                }
                State::Exhausted(episode) | State::Relieved(episode) => [None, episode.ends],
                State::Watching | State::Cooldown { .. } => [None, None],
            })
        });
        entries.flatten().filter(|&deadline| deadline > after).min()
    }
}
