//! The sampler's thread: passes on the clock, notices in between, orders from outside.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Settings;
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

/// Samples until told to stop. A pass that comes too late is not made up for: the next one keeps to the clock.
pub fn run(mut sampler: Sampler, remote: &Remote, mut publish: impl FnMut(Arc<Snapshot>)) {
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
            publish(sampler.pass());
            let interval = sampler.interval();
            let missed = now().saturating_sub(next).as_nanos() / interval.as_nanos().max(1);
            next += interval * u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        }
        if !more {
            wait(&sampler, remote, next.saturating_sub(now()));
        }
        more = sampler.attend(next.min(now() + Sampler::LONGEST_ATTENTION));
    }
}

fn wait(sampler: &Sampler, remote: &Remote, longest: Duration) {
    // Rounded up, so that the clock has struck when the time is over.
    let milliseconds = longest.as_micros().div_ceil(1000);
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    let mut descriptors = vec![PollFd::new(remote.as_fd(), PollFlags::POLLIN)];
    descriptors.extend(sampler.watched().into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        // Nothing can be waited for: the clock still goes, at its own pace.
        Err(_) => std::thread::sleep(longest),
    }
}
