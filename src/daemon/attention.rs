//! Who is under pressure is looked at again and again for a while.
//!
//! A kernel trigger fires as soon as its window's share was stalled; the averages that a policy compares pass their
//! thresholds a moment later, and between two passes nothing would tell. So whoever's trigger fired is read again every
//! tenth of a second until the pressure has been gone for a window.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Identity;

/// How often they are looked at.
const EVERY: Duration = Duration::from_millis(100);
/// For how long after a trigger fired: it fires again each window (2 s) while the pressure lasts.
const LASTS: Duration = Duration::from_millis(2500);

/// How many are remembered: in a flood the next pass looks at all.
const MOST: usize = 256;

/// Whose trigger fired, and until when they are looked at.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// `None` is the host.
    under_pressure: Vec<(Option<Arc<Identity>>, Duration)>,
    next: Option<Duration>,
    /// Who was born, or had an event, and was not looked at yet.
    heard: Vec<Arc<Identity>>,
    /// Until when events wait.
    rests: Duration,
}

impl Attention {
    /// A trigger fired: that of a cgroup, or of the host.
    pub fn pay(&mut self, whose: Option<Arc<Identity>>, now: Duration) {
        let until = now + LASTS;
        match self.under_pressure.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, known)) => *known = until,
            None => self.under_pressure.push((whose, until)),
        }
        self.next = Some(now);
    }

    /// Something happened to a cgroup. The first to be heard of is looked at at once.
    pub fn hear(&mut self, of: &Arc<Identity>) {
        if self.heard.len() < MOST && !self.heard.contains(of) {
            self.heard.push(Arc::clone(of));
        }
    }

    /// A pass has looked at everybody.
    pub fn passed(&mut self) {
        self.heard.clear();
    }

    /// Looking took so long. A cgroup at its limit has a hundred events a second, and each may mean a look at everything
    /// below it: events wait so long that what they lead to takes a tenth of the time.
    pub fn rest(&mut self, now: Duration, took: Duration) {
        self.rests = now + took * 9;
    }

    /// Adds those to be looked at now, if it is time. Tells whether the host is among them.
    pub fn look(&mut self, now: Duration, paths: &mut Vec<Arc<Identity>>) -> bool {
        if now >= self.rests {
            paths.append(&mut self.heard);
        }
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.under_pressure.retain(|&(_, until)| until > now);
        self.next = (!self.under_pressure.is_empty()).then_some(now + EVERY);
        paths.extend(self.under_pressure.iter().filter_map(|(whose, _)| whose.clone()));
        self.under_pressure.iter().any(|(whose, _)| whose.is_none())
    }

    /// When it is time next (monotonic).
    pub fn next(&self) -> Option<Duration> {
        let heard = (!self.heard.is_empty()).then_some(self.rests);
        [self.next, heard].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Owner;

    #[test]
    fn events_take_a_tenth_of_the_time_at_most() {
        let at = Duration::from_millis;
        let cgroup = Arc::new(Identity {
            path: (*b"/a").into(),
            display: "/a".into(),
            id: 1,
            owner: Owner::default(),
        });
        let mut attention = Attention::default();
        let looks = |attention: &mut Attention, now: u64| {
            let mut paths = Vec::new();
            attention.look(at(now), &mut paths);
            paths.len()
        };
        attention.hear(&cgroup);
        attention.hear(&cgroup);
        assert_eq!(looks(&mut attention, 1000), 1, "at once, and once");
        attention.rest(at(1002), at(2));
        attention.hear(&cgroup);
        assert_eq!(attention.next(), Some(at(1020)));
        assert_eq!(looks(&mut attention, 1010), 0);
        assert_eq!(looks(&mut attention, 1020), 1, "nothing that was heard is lost");
        assert_eq!(attention.next(), None);
    }

    #[test]
    fn attention_lasts_a_window_past_the_last_firing() {
        let at = Duration::from_millis;
        let mut attention = Attention::default();
        let looks = |attention: &mut Attention, now: u64| attention.look(at(now), &mut Vec::new());
        assert_eq!(attention.next(), None);
        attention.pay(None, at(1000));
        assert!(looks(&mut attention, 1000));
        assert!(!looks(&mut attention, 1050), "not more often than ten times a second");
        assert!(looks(&mut attention, 1100));
        attention.pay(None, at(3000));
        assert!(looks(&mut attention, 5400), "it fired again");
        assert!(!looks(&mut attention, 5600));
        assert_eq!(attention.next(), None);
    }
}
