//! Numbers that everybody sees, and locks.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use crate::errors::{OpenError, TimedOut};
use crate::number::{self, Numeric};
use crate::pool::wasmpool::pool::values;

/// A wait that ends with the item at the latest ends with what was waited for.
const NO_END: &str = "a wait without a deadline does not time out";

/// A number that all guests and the host see: Python's `Value`.
///
/// It changes by [`add`](Value::add), or under its lock: what is made of the number that was there cannot overwrite what
/// somebody else has made of it meanwhile.
/// ```no_run
/// use wasmpool_guest::Value;
///
/// #[wasmpool_guest::task]
/// fn count(words: &[String]) -> Result<i64, String> {
///     let total = Value::<i64>::open("total").map_err(|error| error.to_string())?;
///     Ok(total.add(words.len() as i64))
/// }
/// # fn main() {}
/// ```
pub struct Value<T> {
    handle: values::Value,
    number: PhantomData<T>,
}

/// Numbers that all guests and the host see: Python's `Array`.
///
/// They change under their lock, all at once: who is killed meanwhile has changed none of them.
/// ```no_run
/// use wasmpool_guest::Array;
///
/// #[wasmpool_guest::task]
/// fn scale(factor: f64) -> Result<Vec<f64>, String> {
///     let weights = Array::<f64>::open("weights").map_err(|error| error.to_string())?;
///     weights.with_lock(|weights| weights.iter_mut().for_each(|weight| *weight *= factor));
///     Ok(weights.to_vec())
/// }
/// # fn main() {}
/// ```
pub struct Array<T> {
    handle: values::Array,
    number: PhantomData<T>,
}

/// A lock for what has none of its own, such as a segment that several guests write to: Python's `Lock`.
/// ```no_run
/// use wasmpool_guest::Lock;
///
/// #[wasmpool_guest::task]
/// fn alone() -> Result<bool, String> {
///     let lock = Lock::open("lock").map_err(|error| error.to_string())?;
///     let guard = lock.lock();
///     // Nobody else is here until the guard is dropped.
///     Ok(guard.recovered())
/// }
/// # fn main() {}
/// ```
pub struct Lock(values::Lock);

/// A lock that is held until this is dropped.
///
/// ```no_run
/// let lock = wasmpool_guest::Lock::open("lock")?;
/// {
///     let _guard = lock.lock();
///     // Nobody else is here.
/// }
/// # Ok::<(), wasmpool_guest::OpenError>(())
/// ```
#[must_use = "the lock is given back when this is dropped"]
pub struct LockGuard(values::LockGuard);

impl<T: Numeric> Value<T> {
    /// Opens the number that the pool shares under this name.
    ///
    /// ```no_run
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or it is of another type.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let handle = values::Value::open(name, T::NUMBER).map_err(|error| OpenError::new(error, name))?;
        Ok(Self { handle, number: PhantomData })
    }

    /// The number as it is now.
    ///
    /// ```no_run
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// println!("{} so far", total.get());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn get(&self) -> T {
        T::of_bits(self.handle.get())
    }

    /// Adds to it, and returns what it was before. An integer wraps around. Waits for who has it locked.
    ///
    /// ```no_run
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// let before = total.add(1);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn add(&self, delta: T) -> T {
        T::of_bits(self.handle.add(delta.bits(), None).expect(NO_END))
    }

    /// As [`Value::add`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// total.add_timeout(1, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has it locked until the time is over.
    pub fn add_timeout(&self, delta: T, timeout: Duration) -> Result<T, TimedOut> {
        Ok(T::of_bits(self.handle.add(delta.bits(), Some(nanoseconds(timeout)))?))
    }

    /// Makes of it what `change` makes of it, while nobody else can change it.
    ///
    /// ```no_run
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// let is_enough = total.with_lock(|total| {
    ///     *total = (*total).min(100);
    ///     *total == 100
    /// });
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn with_lock<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        Self::changed(&self.handle.lock(None).expect(NO_END), change)
    }

    /// As [`Value::with_lock`], waiting for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let total = wasmpool_guest::Value::<i64>::open("total")?;
    /// total.with_lock_timeout(Duration::from_secs(1), |total| *total = 0)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has it locked until the time is over.
    pub fn with_lock_timeout<R>(
        &self,
        timeout: Duration,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, TimedOut> {
        Ok(Self::changed(&self.handle.lock(Some(nanoseconds(timeout)))?, change))
    }

    fn changed<R>(guard: &values::ValueGuard, change: impl FnOnce(&mut T) -> R) -> R {
        let mut number = T::of_bits(guard.get());
        let returned = change(&mut number);
        guard.set(number.bits());
        returned
    }
}

impl<T: Numeric> Array<T> {
    /// Opens the numbers that the pool shares under this name.
    ///
    /// ```no_run
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there are none, or they are of another type.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        let handle = values::Array::open(name, T::NUMBER).map_err(|error| OpenError::new(error, name))?;
        Ok(Self { handle, number: PhantomData })
    }

    /// How many there are.
    ///
    /// ```no_run
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// println!("{} sums", sums.len());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.handle.length() as usize
    }

    /// Whether there are none.
    ///
    /// ```no_run
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// assert!(!sums.is_empty());
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, as they were at one moment.
    ///
    /// ```no_run
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// let total: f64 = sums.to_vec().iter().sum();
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn to_vec(&self) -> Vec<T> {
        number::from_bytes(&self.handle.read())
    }

    /// Makes of them what `change` makes of them, while nobody else can change them.
    ///
    /// ```no_run
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// sums.with_lock(|sums| sums[0] += 0.5);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn with_lock<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> R {
        Self::changed(&self.handle.lock(None).expect(NO_END), change)
    }

    /// As [`Array::with_lock`], waiting for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let sums = wasmpool_guest::Array::<f64>::open("sums")?;
    /// sums.with_lock_timeout(Duration::from_secs(1), |sums| sums.fill(0.0))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If somebody has them locked until the time is over.
    pub fn with_lock_timeout<R>(
        &self,
        timeout: Duration,
        change: impl FnOnce(&mut [T]) -> R,
    ) -> Result<R, TimedOut> {
        Ok(Self::changed(&self.handle.lock(Some(nanoseconds(timeout)))?, change))
    }

    fn changed<R>(guard: &values::ArrayGuard, change: impl FnOnce(&mut [T]) -> R) -> R {
        let mut numbers = number::from_bytes(&guard.read());
        let returned = change(&mut numbers);
        guard.write(&number::to_bytes(&numbers));
        returned
    }
}

impl Lock {
    /// Opens the lock that the pool shares under this name.
    ///
    /// ```no_run
    /// let lock = wasmpool_guest::Lock::open("lock")?;
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If there is none.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        values::Lock::open(name).map(Self).map_err(|error| OpenError::new(error, name))
    }

    /// Waits until it is free, and holds it then. Whoever holds it already waits for himself, which traps.
    ///
    /// ```no_run
    /// let lock = wasmpool_guest::Lock::open("lock")?;
    /// let guard = lock.lock();
    /// // What the lock protects is changed here.
    /// drop(guard);
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn lock(&self) -> LockGuard {
        LockGuard(self.0.acquire(None).expect(NO_END))
    }

    /// As [`Lock::lock`], for so long at most.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let lock = wasmpool_guest::Lock::open("lock")?;
    /// if let Err(late) = lock.lock_timeout(Duration::from_millis(100)) {
    ///     println!("{late}");
    /// }
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    ///
    /// # Errors
    /// If somebody else holds it until the time is over.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<LockGuard, TimedOut> {
        Ok(LockGuard(self.0.acquire(Some(nanoseconds(timeout)))?))
    }
}

impl LockGuard {
    /// Whether who held it before was killed, and may have left half done what it did.
    ///
    /// ```no_run
    /// let lock = wasmpool_guest::Lock::open("lock")?;
    /// if lock.lock().recovered() {
    ///     println!("who had it was killed: look at everything");
    /// }
    /// # Ok::<(), wasmpool_guest::OpenError>(())
    /// ```
    pub fn recovered(&self) -> bool {
        self.0.recovered()
    }
}

/// Longer than any item may take is as long as it may.
pub(crate) fn nanoseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)
}

impl<T: Numeric + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

impl<T: Numeric + fmt::Debug> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Array").field(&self.to_vec()).finish()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("recovered", &self.recovered()).finish()
    }
}
