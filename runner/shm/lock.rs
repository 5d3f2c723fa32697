//! A lock that the host and its guests share.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::declared::{Holder, Shape};
use super::object::{Object, after};
use super::protocol::lock::{Held, TimedOut};
use super::raw::RawLock;
use super::shared::{Share, Shared};
use super::value::never;

/// A lock that the host [shares](crate::PoolBuilder::share) with the guests of its pools: the counterpart of
/// `multiprocessing.Lock`.
///
/// It says who has it. If that worker is killed, the lock is taken back, and [the next](LockGuard::recovered) to have
/// it is told. A clone is the same lock.
///
/// ```
/// use std::time::Duration;
/// use wasmpool::Lock;
///
/// let lock = Lock::new()?;
/// let guard = lock.lock();
/// assert!(!guard.recovered());
/// assert!(lock.lock_timeout(Duration::from_millis(1)).is_err());
/// drop(guard);
/// assert_eq!(lock.holder(), None);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    object: Object<RawLock>,
}

/// Has a [`Lock`] until it is dropped.
///
/// ```
/// let lock = wasmpool::Lock::new()?;
/// let guard = lock.lock();
/// // What the lock protects is changed here.
/// drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct LockGuard<'a> {
    raw: &'a RawLock,
    held: Held,
}

impl Lock {
    /// A lock of its own, which nobody has.
    ///
    /// ```
    /// let lock = wasmpool::Lock::new()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let object = Object::new(Shape::Lock, |fd| RawLock::map(fd.as_fd()))?;
        Ok(Self { object })
    }

    /// Waits until nobody has it. A thread that has it already waits for itself.
    ///
    /// ```
    /// let lock = wasmpool::Lock::new()?;
    /// let guard = lock.lock();
    /// assert!(lock.holder().is_some());
    /// drop(guard);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lock(&self) -> LockGuard<'_> {
        never(self.lock_until(None))
    }

    /// As [`lock`](Self::lock), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = wasmpool::Lock::new()?;
    /// let guard = lock.lock_timeout(Duration::from_secs(1))?;
    /// println!("{}", lock.lock_timeout(Duration::from_millis(1)).expect_err("it is taken"));
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has it all the time.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>, TimedOut> {
        self.lock_until(after(timeout))
    }

    fn lock_until(&self, until: Option<Instant>) -> Result<LockGuard<'_>, TimedOut> {
        let raw = &*self.object.raw;
        Ok(LockGuard { held: raw.acquire(Holder::HOST, until)?, raw })
    }

    /// Who has it now: a worker, or any thread of the host.
    ///
    /// ```
    /// let lock = wasmpool::Lock::new()?;
    /// assert_eq!(lock.holder(), None);
    /// let guard = lock.lock();
    /// assert_eq!(lock.holder(), Some(wasmpool::Holder::HOST));
    /// # drop(guard);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        self.object.raw.holder()
    }
}

impl LockGuard<'_> {
    /// Whether who had the lock before was killed, so that what it protects may be half changed.
    ///
    /// ```
    /// let lock = wasmpool::Lock::new()?;
    /// let guard = lock.lock();
    /// if guard.recovered() {
    ///     println!("who had it was killed: look at everything");
    /// }
    /// # drop(guard);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.held.recovered
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        self.raw.release(Holder::HOST);
    }
}

impl Share for Lock {
    fn shared(&self) -> Shared {
        self.object.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lock that a worker has.
    fn held_by(holder: Holder) -> Lock {
        let lock = Lock::new().unwrap();
        assert_eq!(lock.object.raw.acquire(holder, None), Ok(Held { recovered: false }));
        lock
    }

    #[test]
    fn it_says_who_has_it() {
        let worker = Holder::fresh();
        let lock = held_by(worker);
        assert_eq!(lock.holder(), Some(worker));
        let error = lock.lock_timeout(Duration::ZERO).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("timed out waiting for a lock that worker {} holds", worker.number())
        );
    }

    #[test]
    fn the_lock_of_a_dead_worker_is_taken_back_and_the_next_is_told() {
        let worker = Holder::fresh();
        let lock = held_by(worker);
        assert!(lock.shared().recover(worker).is_some());
        assert!(lock.lock().recovered());
        assert!(!lock.lock().recovered());
    }

    #[test]
    fn nothing_is_taken_from_the_living() {
        let lock = held_by(Holder::fresh());
        assert_eq!(lock.shared().recover(Holder::fresh()), None);
        assert!(lock.holder().is_some());
    }

    #[test]
    fn who_sleeps_is_woken_when_the_holder_is_dead() {
        let worker = Holder::fresh();
        let lock = held_by(worker);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.lock().recovered());
            // Before or after it sleeps.
            assert!(lock.shared().recover(worker).is_some());
            assert!(waiter.join().unwrap());
        });
    }

    #[test]
    fn only_who_has_it_gives_it_back() {
        let worker = Holder::fresh();
        let lock = held_by(worker);
        lock.object.raw.release(Holder::HOST);
        assert_eq!(lock.holder(), Some(worker));
    }
}
