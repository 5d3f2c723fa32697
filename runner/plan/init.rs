//! The call that prepares instances, held against the function's types.

use super::{Plan, arguments, choose, typed};
use crate::error::Error;
use crate::guest::{Description, Export};

/// What each instance runs before its first item, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitCall {
    /// The export.
    pub export: String,
    /// Its arguments, as one item has them; none: it takes none.
    pub arguments: Option<String>,
}

/// The function, and its arguments as a JSON array.
pub(super) fn find<'a>(
    plan: &Plan,
    guest: &'a Description,
    init: &InitCall,
) -> Result<(&'a Export, String), Error> {
    let export = choose::named(&plan.guest, guest, &init.export)?;
    let mut types = export.params.iter().map(|(_, param)| param).chain(&export.result);
    if let Some(unpassable) = types.find(|value| !value.is_passable()) {
        let message = format!("cannot be prepared by `{export}`: `{unpassable}` cannot be passed");
        return Err(Error::guest(&plan.guest, message, None));
    }
    let arguments = match &init.arguments {
        None => missing(plan, export)?,
        Some(text) => typed(plan, export, text)?,
    };
    Ok((export, arguments))
}

/// No arguments, if none are missing.
fn missing(plan: &Plan, export: &Export) -> Result<String, Error> {
    if export.params.is_empty() {
        return Ok("[]".to_owned());
    }
    let expected = crate::report::counted(export.params.len() as u64, "argument");
    let message = format!("cannot be prepared like this: `{export}` takes {expected}, none is given");
    let hint = match export.params.as_slice() {
        [(name, _)] => format!("write `--init {}=JSON`, with a value for `{name}`", export.function),
        _ => format!("write `--init {}=JSON`, with an array or an object of all arguments", export.function),
    };
    Err(Error::guest(&plan.guest, message, Some(hint)))
}

fn typed(plan: &Plan, export: &Export, text: &String) -> Result<String, Error> {
    let json = arguments::items(export, std::slice::from_ref(text))?.concat();
    typed::all(&export.params, &json).map_err(|error| {
        let message =
            format!("cannot take `--init {}={text}`: it does not fit `{export}`: {error}", export.function);
        Error::guest(&plan.guest, message, None)
    })
}
