//! Numbers that the host and its guests share.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::declared::{Holder, Shape};
use super::number::{Numeric, from_bytes, to_bytes};
use super::object::{Object, after};
use super::protocol::lock::TimedOut;
use super::raw::RawArray;
use super::shared::{Share, Shared};
use super::value::{Unlock, never};

/// Numbers that the host [shares](crate::PoolBuilder::share) with the guests of its pools: the counterpart of
/// `multiprocessing.Array`. `T` is as in [`Value`](crate::Value).
///
/// They change all at once. Whoever reads sees them as they were at one moment, and whoever is killed or panics while
/// it has the lock has changed none. A clone is the same array.
///
/// ```
/// use wasmpool::Array;
///
/// let array = Array::<f64>::from([1.0, 2.0, 3.0])?;
/// array.with_lock(|numbers| numbers.iter_mut().for_each(|number| *number += 10.0));
/// assert_eq!(array.to_vec(), [11.0, 12.0, 13.0]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Array<T> {
    object: Object<RawArray>,
    numbers: PhantomData<fn() -> T>,
}

impl<T: Numeric> Array<T> {
    /// An array of its own with these numbers. How many there are never changes.
    ///
    /// ```
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// assert_eq!(sums.len(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are 2³² or more, or the system is out of descriptors or memory.
    pub fn from(numbers: impl AsRef<[T]>) -> io::Result<Self> {
        let numbers = numbers.as_ref();
        let length = u32::try_from(numbers.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "an array has fewer than 2³² numbers")
        })?;
        let shape = Shape::Array { number: T::NUMBER, length };
        let object = Object::new(shape, |fd| RawArray::map(fd.as_fd(), T::NUMBER, length))?;
        object.raw.write(&to_bytes(numbers))?;
        Ok(Self { object, numbers: PhantomData })
    }

    /// How many numbers there are.
    ///
    /// ```
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// assert_eq!(sums.len(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.object.raw.length()).expect("they are in memory")
    }

    /// Whether there are none.
    ///
    /// ```
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// assert!(!sums.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, as they were at one moment. That waits for nobody, unless they change all the time.
    ///
    /// ```
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// assert_eq!(sums.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        from_bytes(&never(self.object.raw.read(Holder::HOST, None)))
    }

    /// As [`to_vec`](Self::to_vec), for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// assert_eq!(sums.to_vec_timeout(Duration::from_secs(1))?, [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If they change all the time, and somebody has them locked all the time.
    pub fn to_vec_timeout(&self, timeout: Duration) -> Result<Vec<T>, TimedOut> {
        self.object.raw.read(Holder::HOST, after(timeout)).map(|bytes| from_bytes(&bytes))
    }

    /// Changes them while nobody else can. What `change` leaves counts when it returns, all at once; if it panics,
    /// nothing has changed. In it, this array must not be locked again: that would wait for itself.
    ///
    /// ```
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// sums.with_lock(|sums| sums[1] += 0.5);
    /// assert_eq!(sums.to_vec(), [1.0, 2.5]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_lock<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> R {
        never(self.with_lock_until(None, change))
    }

    /// As [`with_lock`](Self::with_lock), waiting for the lock for at most so long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let sums = wasmpool::Array::<f64>::from([1.0, 2.0])?;
    /// let last = sums.with_lock_timeout(Duration::from_secs(1), |sums| sums[1])?;
    /// assert_eq!(last, 2.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has them locked all the time; then `change` was not called.
    pub fn with_lock_timeout<R>(
        &self,
        timeout: Duration,
        change: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, TimedOut> {
        self.with_lock_until(after(timeout), change)
    }

    fn with_lock_until<R>(
        &self,
        until: Option<Instant>,
        change: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, TimedOut> {
        let raw = &*self.object.raw;
        let _held = raw.lock(Holder::HOST, until)?;
        let _unlock = Unlock(|| raw.unlock(Holder::HOST));
        let mut numbers = from_bytes(&raw.read_locked());
        let returned = change(&mut numbers);
        raw.write(&to_bytes(&numbers)).expect("a slice has as many numbers as before");
        Ok(returned)
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), numbers: PhantomData }
    }
}

impl<T: Numeric> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("number", &T::NUMBER).field("len", &self.len()).finish()
    }
}

impl<T: Numeric> Share for Array<T> {
    fn shared(&self) -> Shared {
        self.object.share()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn an_array_may_have_an_odd_number_of_bytes_or_none() {
        assert_eq!(Array::<i32>::from([1, -2, 3]).unwrap().to_vec(), [1, -2, 3]);
        assert!(Array::<u64>::from([]).unwrap().is_empty());
    }

    #[test]
    fn changes_of_threads_all_count() {
        let array = Array::<f64>::from([1.0, 2.0, 3.0]).unwrap();
        std::thread::scope(|scope| {
            for number in 1..=4 {
                let add =
                    move |numbers: &mut [f64]| numbers.iter_mut().for_each(|old| *old += f64::from(number));
                let array = &array;
                scope.spawn(move || (0..1000).for_each(|_| array.with_lock(add)));
            }
        });
        assert_eq!(array.to_vec(), [10001.0, 10002.0, 10003.0]);
    }

    #[test]
    fn who_reads_without_a_lock_sees_one_moment() {
        let array = Array::<u64>::from([0; 300]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=2000).for_each(|round| array.with_lock(|numbers| numbers.fill(round))));
            for _ in 0..2000 {
                let numbers = array.to_vec();
                assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
            }
        });
    }

    #[test]
    fn a_panic_changes_nothing_and_gives_the_lock_back() {
        let array = Array::<i64>::from([1, 2]).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            array.with_lock(|numbers| {
                numbers[0] = 5;
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(array.with_lock(|numbers| numbers.to_vec()), [1, 2]);
    }

    #[test]
    fn reading_waits_for_nobody_who_has_the_lock() {
        let array = Array::<i64>::from([1, 2]).unwrap();
        array.with_lock(|numbers| {
            numbers[0] = 5;
            assert_eq!(array.to_vec(), [1, 2]);
            assert!(array.with_lock_timeout(Duration::from_millis(1), |_| ()).is_err());
        });
        assert_eq!(array.to_vec(), [5, 2]);
    }
}
