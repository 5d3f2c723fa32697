//! A number that the host and its guests share.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::declared::{Holder, Shape};
use super::number::Numeric;
use super::object::{Object, after};
use super::protocol::lock::TimedOut;
use super::raw::RawValue;
use super::shared::{Share, Shared};

/// A number that the host [shares](crate::PoolBuilder::share) with the guests of its pools: the counterpart of
/// `multiprocessing.Value`. `T` is `i32`, `u32`, `i64`, `u64`, `f32` or `f64`.
///
/// It is read at any time, and changed under its lock alone: there is no way to read, compute and write so that
/// somebody else's change gets lost. Whoever is killed while it has the lock has changed nothing, and the lock is
/// taken back. A clone is the same number.
///
/// ```
/// use wasmpool::Value;
///
/// let counter = Value::<i64>::new(40)?;
/// assert_eq!(counter.add(1), 40);
/// counter.with_lock(|number| *number *= 2);
/// assert_eq!(counter.get(), 82);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Value<T> {
    object: Object<RawValue>,
    number: PhantomData<fn() -> T>,
}

impl<T: Numeric> Value<T> {
    /// A number of its own.
    ///
    /// ```
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// assert_eq!(counter.get(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the system is out of descriptors or memory.
    pub fn new(number: T) -> io::Result<Self> {
        let object = Object::new(Shape::Value(T::NUMBER), |fd| RawValue::map(fd.as_fd(), T::NUMBER))?;
        object.raw.set(number.to_bits());
        Ok(Self { object, number: PhantomData })
    }

    /// The number now.
    ///
    /// ```
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// assert_eq!(counter.get(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self) -> T {
        T::from_bits(self.object.raw.get())
    }

    /// Adds, wrapping around where it is an integer, and returns what the number was before. Waits for who has it
    /// locked.
    ///
    /// ```
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// assert_eq!(counter.add(2), 1);
    /// assert_eq!(counter.get(), 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add(&self, delta: T) -> T {
        never(self.add_until(delta, None))
    }

    /// As [`add`](Self::add), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// counter.add_timeout(2, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has it locked all the time; then nothing was added.
    pub fn add_timeout(&self, delta: T, timeout: Duration) -> Result<T, TimedOut> {
        self.add_until(delta, after(timeout))
    }

    fn add_until(&self, delta: T, until: Option<Instant>) -> Result<T, TimedOut> {
        self.object.raw.add(Holder::HOST, delta.to_bits(), until).map(T::from_bits)
    }

    /// Changes it while nobody else can. What `change` leaves counts when it returns; if it panics, nothing has
    /// changed. In it, this number must not be changed in any other way: that would wait for itself.
    ///
    /// ```
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// let doubled = counter.with_lock(|number| {
    ///     *number *= 2;
    ///     *number
    /// });
    /// assert_eq!(doubled, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_lock<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        never(self.with_lock_until(None, change))
    }

    /// As [`with_lock`](Self::with_lock), waiting for the lock for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let counter = wasmpool::Value::<i64>::new(1)?;
    /// counter.with_lock_timeout(Duration::from_secs(1), |number| *number = 7)?;
    /// assert_eq!(counter.get(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has it locked all the time; then `change` was not called.
    pub fn with_lock_timeout<R>(
        &self,
        timeout: Duration,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TimedOut> {
        self.with_lock_until(after(timeout), change)
    }

    fn with_lock_until<R>(
        &self,
        until: Option<Instant>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TimedOut> {
        let raw = &*self.object.raw;
        let _held = raw.lock(Holder::HOST, until)?;
        let _unlock = Unlock(|| raw.unlock(Holder::HOST));
        let mut number = self.get();
        let returned = change(&mut number);
        raw.set(number.to_bits());
        Ok(returned)
    }
}

/// Does something when a block is left, by a panic too.
pub(super) struct Unlock<F: Fn()>(pub(super) F);

impl<F: Fn()> Drop for Unlock<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What came of a wait without an end.
pub(super) fn never<T>(waited: Result<T, TimedOut>) -> T {
    waited.expect("no time was set")
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), number: PhantomData }
    }
}

impl<T: Numeric + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

impl<T: Numeric> Share for Value<T> {
    fn shared(&self) -> Shared {
        self.object.share()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn additions_of_threads_all_count() {
        let value = Value::<u64>::new(0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).map(|_| value.add(1)).max());
            }
        });
        assert_eq!(value.get(), 40_000);
    }

    #[test]
    fn negative_numbers_and_fractions_are_what_they_were() {
        assert_eq!(Value::<i32>::new(-5).unwrap().get(), -5);
        assert_eq!(Value::<f32>::new(-0.25).unwrap().add(0.5), -0.25);
    }

    #[test]
    fn integers_wrap_around() {
        let value = Value::<i32>::new(i32::MAX).unwrap();
        assert_eq!(value.add(1), i32::MAX);
        assert_eq!(value.get(), i32::MIN);
    }

    #[test]
    fn a_panic_changes_nothing_and_gives_the_lock_back() {
        let value = Value::<i64>::new(1).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            value.with_lock(|number| {
                *number = 2;
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(value.add(1), 1);
    }

    #[test]
    fn who_waits_too_long_is_told_who_has_it() {
        let value = Value::<i64>::new(1).unwrap();
        value.with_lock(|_| {
            let timed_out = TimedOut { holder: Some(Holder::HOST) };
            assert_eq!(value.add_timeout(1, Duration::from_millis(1)), Err(timed_out));
            assert_eq!(value.with_lock_timeout(Duration::ZERO, |_| ()), Err(timed_out));
        });
        assert_eq!(value.get(), 1);
    }

    #[test]
    fn a_clone_is_the_same_number() {
        let value = Value::<u32>::new(1).unwrap();
        value.clone().add(1);
        assert_eq!(value.get(), 2);
    }
}
