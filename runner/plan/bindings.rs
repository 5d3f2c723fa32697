//! Parameters that are bound by name: the rest of the function, which is what inputs are for, and the values.

use super::{Plan, arguments, choose, typed};
use crate::error::Error;
use crate::guest::{Export, ValueType};
use crate::wire::msg::BoundArgument;

/// A parameter's value in every call, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The parameter.
    pub parameter: String,
    /// Its value: JSON, or bare text for a string.
    pub value: String,
}

/// The function as it is for inputs: without the parameters that are bound.
pub(super) fn free(bindings: &[Binding], export: &Export) -> Export {
    let is_free =
        |(name, _): &&(String, ValueType)| bindings.iter().all(|binding| binding.parameter != *name);
    let params = export.params.iter().filter(is_free).cloned().collect();
    Export { params, ..export.clone() }
}

/// Whether the function has all parameters that are bound.
pub(super) fn has_all(bindings: &[Binding], export: &Export) -> bool {
    bindings.iter().all(|binding| place(export, binding).is_some())
}

/// Checks that the function has the parameters that are bound, and one left where inputs need one.
pub(super) fn check_names(plan: &Plan, export: &Export) -> Result<(), Error> {
    if let Some(unknown) = plan.bindings.iter().find(|binding| place(export, binding).is_none()) {
        let names: Vec<_> = export.params.iter().map(|(name, _)| format!("`{name}`")).collect();
        let hint = match names.as_slice() {
            [] => "it takes nothing: leave `--bind` out".to_owned(),
            names => format!("its parameters are {}", choose::join(names, "and")),
        };
        let message = format!("has no parameter `{}` in `{export}`", unknown.parameter);
        return Err(Error::guest(&plan.guest, message, Some(hint)));
    }
    let is_whole = !plan.bindings.is_empty() && plan.bindings.len() == export.params.len();
    if is_whole && !plan.input.is_one_call() {
        return Err(Error::usage(
            format!("`--bind` leaves no parameter of `{export}` for the input"),
            "leave one out, or call it once: `wasmpool call`",
        ));
    }
    Ok(())
}

/// The values, in the order of the parameters; the function has all of them.
pub(super) fn values(plan: &Plan, export: &Export) -> Result<Vec<BoundArgument>, Error> {
    let mut values = Vec::new();
    for (place, (name, param)) in (0..).zip(&export.params) {
        let binding = plan.bindings.iter().find(|binding| binding.parameter == *name);
        if let Some(Binding { parameter, value: text }) = binding {
            let json = arguments::one(name, param, text)?;
            let value = typed::one(param, &json).map_err(|error| {
                let flag = format!("--bind {parameter}={text}");
                let message =
                    format!("cannot take `{flag}`: it does not fit `{name}: {param}` of `{export}`: {error}");
                Error::guest(&plan.guest, message, None)
            })?;
            values.push(BoundArgument { place, value });
        }
    }
    Ok(values)
}

fn place(export: &Export, binding: &Binding) -> Option<usize> {
    export.params.iter().position(|(name, _)| *name == binding.parameter)
}
