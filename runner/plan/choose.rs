//! Which export is meant: by its name or an ending of it, or by being the only one that takes the input.

use std::path::Path;

use super::{InputKind, Merging, Plan, bindings, types};
use crate::error::Error;
use crate::guest::{Description, Export};

/// How many exports a hint lists at most.
const LISTED: usize = 8;

/// How much alike two names must be, from 0 to 1, for one to be proposed for the other (Jaro-Winkler).
const ALIKE: f64 = 0.8;

/// The export that the plan means; it takes the plan's input.
pub(super) fn export<'a>(plan: &Plan, guest: &'a Description) -> Result<&'a Export, Error> {
    if guest.exports.is_empty() {
        return Err(Error::guest(&plan.guest, "exports no function", None));
    }
    match &plan.export {
        None => only_fitting(plan, guest),
        Some(name) => {
            let export = named(&plan.guest, guest, name)?;
            bindings::check_names(plan, export)?;
            let free = bindings::free(&plan.bindings, export);
            if types::takes(&plan.input, &free) { Ok(export) } else { Err(misfit(plan, guest, &free)) }
        }
    }
}

/// The shortest name that means this export: its function's, or else the full one.
pub(crate) fn short_name(guest: &Description, export: &Export) -> String {
    match meant(guest, &export.function).as_slice() {
        [only] if *only == export => export.function.clone(),
        _ => export.full_name(),
    }
}

/// The export of this full name, or else all that have a name with this ending.
fn meant<'a>(guest: &'a Description, name: &str) -> Vec<&'a Export> {
    match guest.export(name) {
        Some(export) => vec![export],
        None => guest.exports.iter().filter(|export| has_ending(export, name)).collect(),
    }
}

/// The export of this name, or with this ending, of the guest in the file `path`.
pub(crate) fn named<'a>(path: &Path, guest: &'a Description, name: &str) -> Result<&'a Export, Error> {
    match meant(guest, name).as_slice() {
        [] => Err(unknown(path, guest, name)),
        [export] => Ok(export),
        several => Err(ambiguous(path, name, several)),
    }
}

/// Whether the full name, with or without its version, ends with `ending` at the start of a part.
fn has_ending(export: &Export, ending: &str) -> bool {
    let ends = |full: &str| {
        full == ending || full.strip_suffix(ending).is_some_and(|start| start.ends_with([':', '/', '#']))
    };
    !ending.is_empty() && (ends(&export.full_name()) || ends(&name_without_version(export)))
}

fn name_without_version(export: &Export) -> String {
    match &export.interface {
        Some(interface) => {
            let unversioned = interface.split_once('@').map_or(interface.as_str(), |(name, _)| name);
            format!("{unversioned}#{}", export.function)
        }
        None => export.function.clone(),
    }
}

fn unknown(path: &Path, guest: &Description, name: &str) -> Error {
    let listed = format!("it exports {}", list(&guest.exports, "and"));
    let hint = match (guest.exports.as_slice(), alike(guest, name)) {
        ([_, _, ..], Some(function)) => format!("did you mean `{function}`? {listed}"),
        _ => listed,
    };
    Error::guest(path, format!("has no export `{name}`"), Some(hint))
}

/// The function whose name is most like `name`, if any is much alike.
fn alike<'a>(guest: &'a Description, name: &str) -> Option<&'a str> {
    let function = name.rsplit_once('#').map_or(name, |(_, function)| function);
    guest
        .exports
        .iter()
        .map(|export| (strsim::jaro_winkler(function, &export.function), export.function.as_str()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, function)| function)
}

fn ambiguous(path: &Path, name: &str, several: &[&Export]) -> Error {
    let guest = path.display();
    let full: Vec<_> = several.iter().map(|export| format!("`{}`", export.full_name())).collect();
    Error::usage(
        format!("`{name}` names {} exports of `{guest}`", full.len()),
        format!("write {}", join(&full, "or")),
    )
}

fn only_fitting<'a>(plan: &Plan, guest: &'a Description) -> Result<&'a Export, Error> {
    let fitting = best(plan, guest, fitting(plan, guest).collect());
    let (flag, needed) = types::needs(&plan.input);
    match fitting.as_slice() {
        [] => {
            let beside = beside(plan);
            let message = format!("has no function for {flag}, which needs {needed}{beside}");
            let hint = format!("it exports {}", list(&guest.exports, "and"));
            Err(Error::guest(&plan.guest, message, Some(hint)))
        }
        [export] => {
            bindings::check_names(plan, export)?;
            Ok(export)
        }
        several => Err(Error::usage(
            format!("several functions of `{}` take {flag}", plan.guest.display()),
            format!("name one of them: {}", list(several.iter().copied(), "or")),
        )),
    }
}

/// What a function has to take beside its input.
fn beside(plan: &Plan) -> String {
    let names: Vec<_> = plan.bindings.iter().map(|binding| format!("`{}`", binding.parameter)).collect();
    if names.is_empty() { String::new() } else { format!(" beside {}", join(&names, "and")) }
}

/// Those that the input fits best. A range has two ends, so it is for functions of two integers, and for functions of
/// one only where there are none of two. The blocks of one text are for functions whose values can be merged; texts
/// that are many things, for functions whose values need not be. That what is printed is one value (`--merge`) or each
/// (`--each`) chooses no function, but that nothing else would do.
fn best<'a>(plan: &Plan, guest: &Description, mut fitting: Vec<&'a Export>) -> Vec<&'a Export> {
    let can_merge = |export: &Export| guest.merge_of(export).is_some();
    if plan.merging == Merging::Always {
        prefer(&mut fitting, can_merge);
    }
    match plan.input {
        InputKind::Range { .. } => {
            prefer(&mut fitting, |export| bindings::free(&plan.bindings, export).params.len() == 2)
        }
        InputKind::Blocks { .. } => prefer(&mut fitting, can_merge),
        InputKind::Lines { .. } | InputKind::Files { .. } => {
            prefer(&mut fitting, |export| !can_merge(export))
        }
        InputKind::Jsonl(_) | InputKind::Items(_) | InputKind::Arguments(_) => {}
    }
    fitting
}

/// Keeps those that are preferred, if there are any.
fn prefer(exports: &mut Vec<&Export>, is_preferred: impl Fn(&Export) -> bool) {
    if exports.iter().any(|export| is_preferred(export)) {
        exports.retain(|export| is_preferred(export));
    }
}

/// The exports that take such an input, but for those that are there for others.
fn fitting<'a>(plan: &Plan, guest: &'a Description) -> impl Iterator<Item = &'a Export> {
    guest.exports.iter().filter(move |export| {
        bindings::has_all(&plan.bindings, export)
            && types::takes(&plan.input, &bindings::free(&plan.bindings, export))
            && guest.service_of(export).is_none()
    })
}

fn misfit(plan: &Plan, guest: &Description, export: &Export) -> Error {
    let (flag, needed) = types::needs(&plan.input);
    if let Some(result) = export.result.as_ref().filter(|result| !result.is_passable()) {
        let message = format!("cannot be run: `{export}` returns `{result}`, which cannot be passed");
        return Error::guest(&plan.guest, message, None);
    }
    let others: Vec<_> = fitting(plan, guest).collect();
    let hint = (!others.is_empty()).then(|| format!("{flag} fits {}", list(others, "and")));
    let function = if plan.bindings.is_empty() { "the function" } else { "what is left of the function" };
    let message = format!("cannot be run like this: {flag} needs {needed}, but {function} is `{export}`");
    Error::guest(&plan.guest, message, hint)
}

/// Exports with their types, the last one behind `word`; not more of them than a reader takes in.
fn list<'a>(exports: impl IntoIterator<Item = &'a Export>, word: &str) -> String {
    let mut names: Vec<_> = exports.into_iter().map(|export| format!("`{export}`")).collect();
    if names.len() > LISTED {
        let more = format!("{} more", names.len() - LISTED);
        names.truncate(LISTED);
        names.push(more);
    }
    join(&names, word)
}

pub(super) fn join(names: &[String], word: &str) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} {word} {last}", most.join(", ")),
        _ => names.concat(),
    }
}
