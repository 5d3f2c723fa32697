//! The library: pools whose calls are made one by one, as with Python's `concurrent.futures` and `multiprocessing`.
//!
//! A [`Pool`] is one run of the engine in [`crate::pool`] for each guest, whose items are calls: `calls.rs` is its source
//! and its sink. Nothing here reads guests or talks to workers.

mod arguments;
mod builder;
mod call_error;
mod calls;
mod declare;
mod function;
mod future;
mod group;
mod imap;
mod map;
mod process;
mod settings;
mod wait;
mod wit_type;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use serde_json::value::RawValue;

pub use self::arguments::{Argument, Arguments, Parameters};
pub use self::builder::PoolBuilder;
pub use self::call_error::{CallError, Failure};
#[doc(hidden)]
pub use self::declare::cases;
pub use self::function::Function;
pub use self::future::Future;
pub use self::imap::Imap;
pub use self::process::Process;
pub use self::wait::{AsCompleted, ReturnWhen, Waited, as_completed, wait};
pub use self::wit_type::{Mismatch, WitType, any};
#[doc(hidden)]
pub use self::wit_type::{case, kebab, members, write_case, write_plain};

use self::calls::Pending;
use self::group::Group;
use self::settings::Settings;
use crate::error::Error;
use crate::guest::Description;

/// Worker processes that run a guest's functions: the counterpart of `ProcessPoolExecutor` and `multiprocessing.Pool`.
///
/// Each call runs in a fresh instance of the guest, in a process that is locked in. A call that fails, crashes or takes
/// too long costs nothing but itself.
///
/// A pool that is dropped waits for the calls that were made, as a `with` block does; [`terminate`](Pool::terminate) does
/// not. What was made of it, functions and iterators, makes no calls any more then.
///
/// ```no_run
/// use wasmpool::Pool;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     wasmpool::worker::init();
///     let pool = Pool::new("primes.wasm")?;
///     let primes = pool.submit::<u64>("count-primes", (0_u64, 800_000_u64))?;
///     let divisors: Vec<u64> = pool.map("count-divisors", 5_000_000..=5_000_007_u64)?;
///     println!("{} {divisors:?}", primes.result()?);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Pool {
    groups: Vec<Arc<Group>>,
    /// How many calls there were.
    made: Arc<AtomicU64>,
}

impl Pool {
    /// A pool for the guest in this file, a component or a module, with a worker for each usable CPU.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::new("primes.wasm")?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn new(guest: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder(guest).build()
    }

    /// A pool for the guest in this file, to be set up.
    ///
    /// ```no_run
    /// let pool = wasmpool::Pool::builder("primes.wasm").workers(2).build()?;
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn builder(guest: impl AsRef<Path>) -> PoolBuilder {
        PoolBuilder::new(guest.as_ref())
    }

    pub(self) fn open(guests: &[PathBuf], settings: &Settings) -> Result<Self, Error> {
        let groups = guests.iter().map(|guest| Group::open(guest, settings).map(Arc::new));
        Ok(Self { groups: groups.collect::<Result<_, _>>()?, made: Arc::default() })
    }

    /// What each guest offers, in the order in which they were given.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// for (name, guest) in pool.guests() {
    ///     println!("{} has {} functions", name.display(), guest.exports.len());
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn guests(&self) -> impl Iterator<Item = (&Path, &Description)> {
        self.groups.iter().map(|group| (group.name(), group.description()))
    }

    /// The process ids of the workers that have been ready so far, each as it was last; one that was lost a moment ago may
    /// be among them, and a spare is not.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// println!("{:?}", pool.pids());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.groups.iter().flat_map(|group| group.pids()).collect()
    }

    /// The function of this name: its own, or any ending of its full name that only it has; `text.wasm#analyze` where
    /// several guests have one.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let count = pool.function("count-primes")?;
    /// let primes: u64 = count.call((0_u64, 100_u64))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn function(&self, name: &str) -> Result<Function, Error> {
        let (group, name) = self.meant(name)?;
        let export = crate::plan::by_name(group.name(), group.description(), name)?;
        let place = group.place(export).ok_or_else(|| {
            Error::guest(
                group.name(),
                format!("exports `{export}`, which cannot be called with values"),
                None,
            )
        })?;
        Ok(Function::new(Arc::clone(group), export.clone(), place, Arc::clone(&self.made)))
    }

    /// The guest that has a function of this name, and the name without the guest's.
    fn meant<'a>(&self, name: &'a str) -> Result<(&Arc<Group>, &'a str), Error> {
        let [only] = self.groups.as_slice() else { return self.meant_of_several(name) };
        Ok((only, without_guest(only.name(), name).unwrap_or(name)))
    }

    fn meant_of_several<'a>(&self, name: &'a str) -> Result<(&Arc<Group>, &'a str), Error> {
        let named = self.groups.iter().find_map(|group| Some((group, without_guest(group.name(), name)?)));
        if let Some(named) = named {
            return Ok(named);
        }
        let has = |group: &&Arc<Group>| crate::plan::by_name(group.name(), group.description(), name).is_ok();
        let having: Vec<_> = self.groups.iter().filter(has).collect();
        match having.as_slice() {
            [group] => Ok((group, name)),
            // Said of the first as of a pool of one.
            [] => Ok((&self.groups[0], name)),
            several => {
                let names: Vec<_> =
                    several.iter().map(|group| format!("`{}#{name}`", group.name().display())).collect();
                Err(Error::usage(
                    format!("{} guests of the pool have a function `{name}`", several.len()),
                    format!("write {}", names.join(" or ")),
                ))
            }
        }
    }

    /// A function with a parameter that is bound: see [`Function::bind`].
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("math.wasm")?;
    /// let squares: Vec<u64> = pool.bind("power", "exp", &2_u32)?.map(0..10_u64)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::function`] and [`Function::bind`].
    pub fn bind(&self, export: &str, parameter: &str, value: &impl Argument) -> Result<Function, Error> {
        self.function(export)?.bind(parameter, value)
    }

    /// Makes a call and returns at once. `R` is what the function returns; the arguments are a tuple.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let primes = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// assert_eq!(primes.result()?, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::function`] and [`Function::submit`].
    pub fn submit<R: WitType>(&self, export: &str, arguments: impl Arguments) -> Result<Future<R>, Error> {
        self.function(export)?.submit(arguments)
    }

    /// Calls a function of one parameter with each of these, and waits for all values, which are in the order of the
    /// arguments.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let divisors: Vec<u64> = pool.map("count-divisors", 1..=6_u64)?;
    /// assert_eq!(divisors, [1, 2, 2, 3, 2, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::function`], as [`CallError::Pool`], and [`Function::map`].
    pub fn map<R: WitType, T: Argument>(
        &self,
        export: &str,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<R>, CallError> {
        self.function(export).map_err(pool_error)?.map(items)
    }

    /// Calls a function of several parameters with each of these tuples, and waits for all values.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let primes: Vec<u64> = pool.starmap("count-primes", [(0_u64, 10_u64), (10, 100)])?;
    /// assert_eq!(primes, [4, 21]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::map`].
    pub fn starmap<R: WitType, A: Arguments>(
        &self,
        export: &str,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, CallError> {
        self.function(export).map_err(pool_error)?.starmap(items)
    }

    /// Calls a function of one parameter with each of these as values are taken; the values in the order of the
    /// arguments.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let even = pool.imap::<u64, _>("count-divisors", 1_u64..)?.filter(|n| matches!(n, Ok(n) if n % 2 == 0));
    /// println!("{}", even.take(10).count());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::function`] and [`Function::imap`].
    pub fn imap<R: WitType, I: IntoIterator<Item: Argument>>(
        &self,
        export: &str,
        items: I,
    ) -> Result<Imap<R, I::IntoIter>, Error> {
        self.function(export)?.imap(items)
    }

    /// As [`Pool::imap`], with the values in the order in which calls end.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// for divisors in pool.imap_unordered::<u64, _>("count-divisors", 1..100_u64)? {
    ///     println!("{}", divisors?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Pool::imap`].
    pub fn imap_unordered<R: WitType, I: IntoIterator<Item: Argument>>(
        &self,
        export: &str,
        items: I,
    ) -> Result<Imap<R, I::IntoIter>, Error> {
        self.function(export)?.imap_unordered(items)
    }

    /// Takes no more calls. With `cancel`, those that no worker has been given yet are cancelled. With `wait`, returns
    /// when all have ended and the workers are gone.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// // Without waiting, and what has not begun is cancelled.
    /// pool.shutdown(false, true);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn shutdown(&self, wait: bool, cancel: bool) {
        let pending = if cancel { Pending::Cancel } else { Pending::Run };
        self.groups.iter().for_each(|group| group.calls().close(pending));
        if wait {
            self.groups.iter().for_each(|group| group.join());
        }
    }

    /// Ends everything at once: workers are killed, and all calls that have not ended are cancelled.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
    /// pool.terminate();
    /// if let Some(error) = call.exception() {
    ///     eprintln!("{error}");
    /// }
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    pub fn terminate(&self) {
        let signal = nix::sys::signal::Signal::SIGTERM as i32;
        self.groups.iter().for_each(|group| group.calls().terminate(signal));
        self.groups.iter().for_each(|group| group.join());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shutdown(true, false);
    }
}

/// The name of a function after that of its guest, as it was given or its file's alone.
fn without_guest<'a>(guest: &Path, name: &'a str) -> Option<&'a str> {
    let file = guest.file_name().map(|file| file.to_string_lossy());
    let names = [Some(guest.to_string_lossy()), file].into_iter().flatten();
    let mut rests = names.filter_map(|guest| name.strip_prefix(&*guest)?.strip_prefix('#'));
    rests.next()
}

fn pool_error(error: Error) -> CallError {
    CallError::Pool(Arc::new(error))
}
