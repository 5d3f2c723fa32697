//! The parameters of a function, of which some have the same value in every call.

use wasmtime::component::Val;

use super::Refusal;
use super::value::{self, Shape};
use crate::item::Input;
use crate::wire::msg::BoundArgument;

/// What a function takes.
pub(super) struct Params {
    /// What inputs give.
    free: Vec<(String, Shape)>,
    /// What every call has, by its place among all, in order.
    bound: Vec<(usize, Val)>,
}

impl Params {
    /// All are given by inputs.
    pub(super) fn new(free: Vec<(String, Shape)>) -> Self {
        Self { free, bound: Vec::new() }
    }

    /// What inputs give.
    pub(super) fn free(&self) -> &[(String, Shape)] {
        &self.free
    }

    /// Gives some their values, in their order.
    pub(super) fn bind(&mut self, bound: &[BoundArgument]) -> Result<(), Refusal> {
        for (already, BoundArgument { place, value }) in bound.iter().enumerate() {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            let at = place.checked_sub(already).filter(|at| *at < self.free.len());
            let at = at.ok_or_else(|| Refusal::new("is bound to a parameter that it does not have"))?;
            let (name, shape) = self.free.remove(at);
            let val = value::bound(&shape, value)
                .map_err(|error| Refusal::new(format!("cannot have `{name}` bound: {error}")))?;
            self.bound.push((place, val));
        }
        Ok(())
    }

    /// Makes the arguments of one call: `vals` is cleared and gets one for each parameter.
    pub(super) fn arguments(&self, input: Input<'_>, vals: &mut Vec<Val>) -> Result<(), String> {
        value::arguments(&self.free, input, vals)?;
        self.bound.iter().for_each(|(place, val)| vals.insert(*place, val.clone()));
        Ok(())
    }
}
