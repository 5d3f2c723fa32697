//! Values of many calls that become one, in the guest: `merge-f` and `finish-f` beside `f`.

use super::{Arguments, CallError, Error, Function, Packed, Terms, WitType, pool_error};
use crate::api::future::read;
use crate::guest::Export;

/// How many values are folded from the left, one after the other; as [`crate::sink`] has it, so that floats come to the
/// same as with `wasmpool run`.
const GROUP: usize = 8;

/// The JSON of a value.
type Json = Box<str>;

impl Function {
    /// Calls it with each of these tuples of arguments, and merges the values into one: with `merge-f`, which the guest has
    /// beside `f`, in the order of the arguments; and with `finish-f`, if there is one, at the end. The counterpart of
    /// `functools.reduce` over a `starmap`, in the workers. None if there are no arguments.
    ///
    /// `merge-f` need only be associative. Values are merged in groups of 8 neighbours, so that the value is the same each
    /// time, and the one that `wasmpool run` prints; the groups are merged at the same time.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let ranges = (0..8_u64).map(|part| (part * 100_000, (part + 1) * 100_000));
    /// let primes: Option<u64> = pool.function("count-primes")?.merge(ranges)?;
    /// assert_eq!(primes, Some(63951));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such `merge-f`, as [`CallError::Pool`]; or if a call fails: the first of the function in the order of
    /// the arguments, or else of a merge.
    pub fn merge<R: WitType, A: Arguments>(
        &self,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Option<R>, CallError> {
        let (merge, finish) = self.services().map_err(pool_error)?;
        finish.as_ref().unwrap_or(&merge).check_result::<R>().map_err(pool_error)?;
        self.check_types(A::types()).map_err(pool_error)?;
        let calls =
            items.into_iter().map(|item| move |function: &Self, to: &mut Packed| function.write(&item, to));
        let mut values = self.gather(calls)?.values()?;
        while values.len() > 1 {
            values = merge.fold_groups(&values)?;
        }
        let Some(merged) = values.pop() else { return Ok(None) };
        let last = match finish {
            Some(finish) => finish.call_with([format!("[{merged}]")])?.pop().unwrap_or(merged),
            None => merged,
        };
        read(Ok(last)).map(Some)
    }

    /// What merges its values, and what finishes the merged one, on its own terms.
    fn services(&self) -> Result<(Self, Option<Self>), Error> {
        let guest = self.group.description();
        let service = |export: &Export| {
            let place = self.group.place(export)?;
            let terms = Terms { export: place, ..self.terms };
            Some(Self {
                export: export.clone(),
                terms,
                bound: vec![None; export.params.len()],
                ..self.clone()
            })
        };
        let merge = guest.merge_of(&self.export).and_then(service).ok_or_else(|| self.no_merge())?;
        Ok((merge, guest.finish_of(&self.export).and_then(service)))
    }

    fn no_merge(&self) -> Error {
        let function = &self.export.function;
        let hint = self.export.result.as_ref().map(|value| {
            format!("that takes `merge-{function}(a: {value}, b: {value}) -> {value}` beside `{function}`")
        });
        Error::guest(self.group.name(), format!("has nothing that merges the values of `{function}`"), hint)
    }

    /// Folds each group of neighbours.
    fn fold_groups(&self, values: &[Json]) -> Result<Vec<Json>, CallError> {
        let mut merged: Vec<Json> = values.iter().step_by(GROUP).cloned().collect();
        for place in 1..GROUP {
            // Only the last group may have fewer.
            let next = values.iter().skip(place).step_by(GROUP);
            let pairs = merged.iter().zip(next).map(|(merged, value)| format!("[{merged},{value}]"));
            let folded = self.call_with(pairs)?;
            merged.splice(..folded.len(), folded);
        }
        Ok(merged)
    }

    /// Calls it with each of these arrays of arguments.
    fn call_with(&self, arrays: impl IntoIterator<Item = String>) -> Result<Vec<Json>, CallError> {
        let written = arrays
            .into_iter()
            .map(|array| move |function: &Self, to: &mut Packed| function.push(array.as_bytes(), to));
        self.gather(written)?.values()
    }
}
