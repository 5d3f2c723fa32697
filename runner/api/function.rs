//! One function of a guest, ready to be called.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::arguments::{Argument, Arguments, Only, Parameters};
use super::call_error::CallError;
use super::calls::{Batch, Calls, Refused, Ticket};
use super::future::Future;
use super::group::Group;
use super::imap::{Imap, Order};
use super::map::Gathered;
use super::wit_type::{WitType, fits};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;
use crate::guest::{Export, ValueType};
use crate::limits::Terms;

mod merge;

/// Calls that travel together where many are made at once.
pub(super) const BATCH_ITEMS: u64 = 256;

/// Bytes of input after which a batch is sent off.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// One function of a pool's guest, with what holds for calls through it: its limits, and parameters that are bound.
///
/// [`Pool::function`](crate::Pool::function) finds it by name. Its methods are those of the pool, without the name:
///
/// ```no_run
/// use std::time::Duration;
///
/// # let pool = wasmpool::Pool::new("math.wasm")?;
/// let square = pool.function("power")?.bind("exp", &2_u32)?.timeout(Duration::from_secs(1));
/// let squares: Vec<u64> = square.map(0..10_u64)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Function {
    group: Arc<Group>,
    export: Export,
    terms: Terms,
    /// The JSON of the parameters that are bound, each in its place.
    bound: Vec<Option<String>>,
    /// How many calls of the pool there were.
    made: Arc<AtomicU64>,
}

impl Function {
    pub(super) fn new(group: Arc<Group>, export: Export, place: u32, made: Arc<AtomicU64>) -> Self {
        let bound = vec![None; export.params.len()];
        Self { group, export, terms: Terms { export: place, ..Terms::default() }, bound, made }
    }

    /// What it takes and returns.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let function = pool.function("count-primes")?;
    /// println!("{}", function.export());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn export(&self) -> &Export {
        &self.export
    }

    /// Gives a parameter its value for all calls, as `functools.partial` does. The calls take the others, in their order.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let upwards = pool.function("count-primes")?.bind("start", &1_000_u64)?;
    /// let primes: u64 = upwards.call((2_000_u64,))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such parameter, or it is of another type.
    pub fn bind(mut self, parameter: &str, value: &impl Argument) -> Result<Self, Error> {
        let place = self.export.params.iter().position(|(name, _)| name == parameter);
        let Some(place) = place else {
            let message = format!("has no parameter `{parameter}` in `{}`", self.export);
            return Err(Error::guest(self.group.name(), message, None));
        };
        let mut json = Vec::new();
        check_type(&self, place, &type_of(value))?;
        value.write_argument(&mut json);
        self.bound[place] = Some(String::from_utf8(json).expect("JSON is text"));
        Ok(self)
    }

    /// Wall time that each call may take, in place of the pool's.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let function = pool.function("count-primes")?.timeout(Duration::from_millis(100));
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.terms.wall = Some(limit);
        self
    }

    /// Bytes of linear memory and tables that each call may have, less than the pool's
    /// [`memory`](crate::PoolBuilder::memory).
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let function = pool.function("count-primes")?.memory(1 << 20);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.terms.memory = Some(bytes);
        self
    }

    /// How often a call that fails by itself is made again, in place of the pool's.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let function = pool.function("count-primes")?.retries(2);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn retries(mut self, times: u32) -> Self {
        self.terms.retries = Some(times);
        self
    }

    /// Makes a call and returns at once.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let call = pool.function("count-primes")?.submit::<u64>((0_u64, 100_u64))?;
    /// assert_eq!(call.result()?, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the arguments or the result are of other types than the function's, or the pool takes no calls any more.
    pub fn submit<R: WitType>(&self, arguments: impl Arguments) -> Result<Future<R>, Error> {
        self.check(&arguments)?;
        self.check_result::<R>()?;
        let future = Future::new(Arc::clone(self.group.calls()), self.next_index(1));
        let mut packed = Packed::default();
        self.write(&arguments, &mut packed)?;
        self.make(packed, future.receiver(), future.ticket())?;
        Ok(future)
    }

    /// Makes a call and waits for its value.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let primes: u64 = pool.function("count-primes")?.call((0_u64, 100_u64))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Function::submit`], as [`CallError::Pool`]; or if the call fails.
    pub fn call<R: WitType>(&self, arguments: impl Arguments) -> Result<R, CallError> {
        self.submit(arguments).map_err(pool_error)?.result()
    }

    /// Calls it with each of these in turn, and waits for all values; they are in the order of the arguments.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let divisors: Vec<u64> = pool.function("count-divisors")?.map(1..=6_u64)?;
    /// assert_eq!(divisors, [1, 2, 2, 3, 2, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If a call fails: the first in that order that did. All the others have run by then.
    pub fn map<R: WitType, T: Argument>(
        &self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<R>, CallError> {
        let written = items
            .into_iter()
            .map(|item| move |function: &Self, to: &mut Packed| function.write(&Only(&item), to));
        self.map_written(Only::<T>::types(), written)
    }

    /// As [`Function::map`], for a function of several parameters: each item is a tuple of its arguments.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let primes: Vec<u64> = pool.function("count-primes")?.starmap([(0_u64, 10_u64), (10, 20)])?;
    /// assert_eq!(primes, [4, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Function::map`].
    pub fn starmap<R: WitType, A: Arguments>(
        &self,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, CallError> {
        let written =
            items.into_iter().map(|item| move |function: &Self, to: &mut Packed| function.write(&item, to));
        self.map_written(A::types(), written)
    }

    /// Calls it with each of these in turn; an iterator over the values, in the order of the arguments. Arguments are
    /// taken as values are, never far ahead.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// for divisors in pool.function("count-divisors")?.imap::<u64, _>(1_u64..)?.take(5) {
    ///     println!("{}", divisors?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the arguments or the result are of other types than the function's.
    pub fn imap<R: WitType, I: IntoIterator<Item: Argument>>(
        &self,
        items: I,
    ) -> Result<Imap<R, I::IntoIter>, Error> {
        self.stream(items, Order::Input)
    }

    /// As [`Function::imap`], with the values in the order in which calls end.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let values = pool.function("count-divisors")?.imap_unordered::<u64, _>(1..100_u64)?;
    /// let primes = values.filter(|divisors| matches!(divisors, Ok(2))).count();
    /// assert_eq!(primes, 25);
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Function::imap`].
    pub fn imap_unordered<R: WitType, I: IntoIterator<Item: Argument>>(
        &self,
        items: I,
    ) -> Result<Imap<R, I::IntoIter>, Error> {
        self.stream(items, Order::Completion)
    }

    fn stream<R: WitType, I: IntoIterator<Item: Argument>>(
        &self,
        items: I,
        order: Order,
    ) -> Result<Imap<R, I::IntoIter>, Error> {
        self.check_types(Some(vec![I::Item::argument_type()]))?;
        self.check_result::<R>()?;
        Ok(Imap::new(self.clone(), items.into_iter(), order))
    }

    fn map_written<R: WitType, W: FnOnce(&Self, &mut Packed) -> Result<(), Error>>(
        &self,
        types: Option<Vec<ValueType>>,
        items: impl Iterator<Item = W>,
    ) -> Result<Vec<R>, CallError> {
        self.check_types(types).map_err(pool_error)?;
        self.check_result::<R>().map_err(pool_error)?;
        self.gather(items)?.wait()
    }

    /// Makes the calls that these write.
    fn gather<W: FnOnce(&Self, &mut Packed) -> Result<(), Error>>(
        &self,
        items: impl Iterator<Item = W>,
    ) -> Result<Arc<Gathered>, CallError> {
        let gathered = Arc::new(Gathered::default());
        let mut packed = Packed::default();
        for write in items {
            write(self, &mut packed).map_err(pool_error)?;
            if packed.count() == BATCH_ITEMS || packed.bytes().len() >= BATCH_BYTES {
                self.make_gathered(std::mem::take(&mut packed), &gathered)?;
            }
        }
        if packed.count() > 0 {
            self.make_gathered(packed, &gathered)?;
        }
        Ok(gathered)
    }

    fn make_gathered(&self, packed: Packed, gathered: &Arc<Gathered>) -> Result<(), CallError> {
        self.next_index(packed.count());
        let receiver = gathered.part(packed.count());
        self.make(packed, receiver, Arc::default()).map_err(pool_error)
    }

    pub(super) fn calls(&self) -> &Arc<Calls> {
        self.group.calls()
    }

    /// Writes the arguments of one more call.
    pub(super) fn write(&self, arguments: &impl Arguments, to: &mut Packed) -> Result<(), Error> {
        let mut json = Vec::new();
        let mut parameters = Parameters::new(&mut json, &self.bound);
        arguments.give(&mut parameters);
        parameters.end();
        self.push(&json, to)
    }

    /// Puts the arguments of one more call to the others.
    fn push(&self, json: &[u8], to: &mut Packed) -> Result<(), Error> {
        to.push(json).map_err(|error| self.usage(format!("cannot be called: {error}")))
    }

    /// Makes the calls whose arguments these are.
    pub(super) fn make(
        &self,
        packed: Packed,
        receiver: Arc<dyn super::calls::Receive>,
        ticket: Arc<Ticket>,
    ) -> Result<(), Error> {
        let most = self.group.memory();
        if let Some(memory) = self.terms.memory.filter(|memory| *memory > most) {
            return Err(Error::usage(
                format!("a call cannot have {memory} bytes of memory: the pool's limit is {most}"),
                "give the pool's builder as much as the largest call needs: `memory`",
            ));
        }
        let batch = Batch { inputs: Inputs::Arguments(packed), terms: self.terms, receiver, ticket };
        self.group.calls().make(batch).map_err(|refused| match refused {
            Refused::Closed => Error::usage(
                "the pool was shut down and takes no calls".to_owned(),
                "make calls before `shutdown`, or a new pool",
            ),
            Refused::Broken(error) => Error::Pool {
                message: format!("it takes no calls any more: {error}"),
                hint: error.hint().map(str::to_owned),
            },
        })
    }

    pub(super) fn next_index(&self, calls: u64) -> u64 {
        self.made.fetch_add(calls, Ordering::Relaxed)
    }

    fn check<A: Arguments>(&self, _arguments: &A) -> Result<(), Error> {
        self.check_types(A::types())
    }

    /// Holds the types of arguments against those of the parameters that are not bound.
    fn check_types(&self, given: Option<Vec<ValueType>>) -> Result<(), Error> {
        let free = || (0..).zip(&self.bound).filter(|(_, bound)| bound.is_none()).map(|(place, _)| place);
        // JSON is counted when it is there, by the worker.
        let Some(given) = given else { return Ok(()) };
        if given.len() != free().count() {
            let expected = crate::report::counted(free().count() as u64, "argument");
            return Err(self.usage(format!("`{}` takes {expected}, not {}", self.export, given.len())));
        }
        free().zip(&given).try_for_each(|(place, given)| check_type(self, place, given))
    }

    fn check_result<R: WitType>(&self) -> Result<(), Error> {
        let (given, is_nothing) = (R::wit_type(), R::payload_type().is_none());
        match &self.export.result {
            Some(result) if fits(result, &given) => Ok(()),
            None if is_nothing || given == super::wit_type::any() => Ok(()),
            Some(result) => {
                let wanted = if is_nothing { "nothing".to_owned() } else { given.to_string() };
                Err(self.usage(format!("`{}` returns {result}, not {wanted}", self.export)))
            }
            None => Err(self.usage(format!("`{}` returns nothing, not {given}", self.export))),
        }
    }

    fn usage(&self, message: String) -> Error {
        Error::guest(self.group.name(), message, None)
    }
}

/// Holds a type against that of a parameter.
fn check_type(function: &Function, place: usize, given: &ValueType) -> Result<(), Error> {
    let (name, declared) = &function.export.params[place];
    if fits(declared, given) {
        return Ok(());
    }
    let export = &function.export;
    Err(function.usage(format!("`{export}` takes {declared} for `{name}`, not {given}")))
}

fn type_of<T: Argument>(_value: &T) -> ValueType {
    T::argument_type()
}

fn pool_error(error: Error) -> CallError {
    CallError::Pool(Arc::new(error))
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { export, terms, bound, .. } = self;
        f.debug_struct("Function")
            .field("export", &export.full_name())
            .field("terms", terms)
            .field("bound", bound)
            .finish_non_exhaustive()
    }
}
