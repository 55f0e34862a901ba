//! The sampler's thread: passes on the clock, notices in between, orders from outside.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Settings;
use super::news::News;
use super::sampler::{Sampler, now};
use crate::model::Snapshot;

/// What the sampler's thread is told.
#[derive(Debug)]
enum Order {
    Apply(Box<Settings>),
    Stop,
}

/// Wakes the sampler's thread and tells it what to do.
#[derive(Clone, Debug)]
pub struct Remote {
    orders: Arc<Mutex<Vec<Order>>>,
    wake: Arc<EventFd>,
}

impl Remote {
    /// A remote for one thread.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> Result<Self, Errno> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { orders: Arc::default(), wake: Arc::new(wake) })
    }

    /// Puts other settings in force before the next pass.
    pub fn apply(&self, settings: Settings) {
        self.order(Order::Apply(Box::new(settings)));
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // A counter that is full wakes just as well.
        let _ = self.wake.write(1);
    }

    fn take(&self) -> Vec<Order> {
        let _ = self.wake.read();
        std::mem::take(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// One of an attendant's descriptors that has something to say.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Its place among [`Attendant::descriptors`].
    pub place: usize,
    /// What it says.
    pub events: PollFlags,
}

/// Whoever looks at what the sampler's thread found.
///
/// It is called on that thread, and what it takes is taken from the sampling.
pub trait Attendant {
    /// A pass is over; `news` is what happened since the last call.
    fn passed(&mut self, snapshot: Arc<Snapshot>, news: Vec<News>, sampler: &mut Sampler);

    /// Something happened between two passes: there is news, or one of [`Attendant::descriptors`] is ready.
    fn noticed(&mut self, _news: Vec<News>, _ready: &[Ready], _sampler: &mut Sampler) {}

    /// Descriptors to wait for as well, and for which events: kernel triggers, say.
    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        Vec::new()
    }

    /// When it wants to be called again even if nothing happens (monotonic).
    fn wants(&self) -> Option<Duration> {
        None
    }
}

impl<F: FnMut(Arc<Snapshot>)> Attendant for F {
    fn passed(&mut self, snapshot: Arc<Snapshot>, _: Vec<News>, _: &mut Sampler) {
        self(snapshot);
    }
}

/// Samples until told to stop. A pass that comes too late is not made up for: the next one keeps to the clock.
pub fn run(mut sampler: Sampler, remote: &Remote, attendant: &mut impl Attendant) {
    let mut next = now();
    let mut more = false;
    loop {
        for order in remote.take() {
            match order {
                Order::Stop => return,
                Order::Apply(settings) => {
                    sampler.apply(*settings);
                    next = now();
                }
            }
        }
        let before = now();
        if before >= next {
            let snapshot = sampler.pass();
            let news = sampler.news();
            attendant.passed(snapshot, news, &mut sampler);
            let interval = sampler.interval();
            let missed = now().saturating_sub(next).as_nanos() / interval.as_nanos().max(1);
            next += interval * u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        }
        let mut ready = Vec::new();
        let wanted = attendant.wants();
        if !more {
            let until = wanted.map_or(next, |wanted| wanted.min(next));
            ready = wait(&sampler, attendant, remote, until.saturating_sub(now()));
        }
        more = sampler.attend(next.min(now() + Sampler::LONGEST_ATTENTION));
        let news = sampler.news();
        let moment = now();
        // At the stroke of the clock the pass tells everything.
        if moment < next
            && (!news.is_empty() || !ready.is_empty() || wanted.is_some_and(|wanted| wanted <= moment))
        {
            attendant.noticed(news, &ready, &mut sampler);
        }
    }
}

/// Waits for whatever comes first. Tells which of the attendant's descriptors are ready.
fn wait(sampler: &Sampler, attendant: &impl Attendant, remote: &Remote, longest: Duration) -> Vec<Ready> {
    // Rounded up, so that the clock has struck when the time is over.
    let milliseconds = longest.as_micros().div_ceil(1000);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    let mut descriptors = vec![PollFd::new(remote.as_fd(), PollFlags::POLLIN)];
    descriptors.extend(sampler.watched().into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let own = descriptors.len();
    let more = attendant.descriptors();
    descriptors.extend(more.iter().map(|&(fd, events)| PollFd::new(fd, events)));
    match poll(&mut descriptors, timeout) {
        Ok(0) | Err(Errno::EINTR) => Vec::new(),
        Ok(_) => descriptors[own..]
            .iter()
            .enumerate()
            .filter_map(|(place, fd)| Some(Ready { place, events: fd.revents()? }))
            .filter(|ready| !ready.events.is_empty())
            .collect(),
        // Nothing can be waited for: the clock still goes, at its own pace.
        Err(_) => {
            std::thread::sleep(longest);
            Vec::new()
        }
    }
}
