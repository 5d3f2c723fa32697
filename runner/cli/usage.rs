//! Wrong usage in our own words: what the parser of the arguments found out, as a message and a hint.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::error::Error;

/// What is wrong with the arguments and what to do about it; nothing where the parser's own words will do.
pub(super) fn explain(answer: &clap::Error) -> Option<(String, String)> {
    match answer.kind() {
        ErrorKind::UnknownArgument => {
            let argument = text(answer, ContextKind::InvalidArg)?;
            let message = match argument.starts_with('-') {
                true => format!("there is no flag `{argument}` here"),
                false => format!("`{argument}` is one argument too many"),
            };
            let hint = similar(answer, ContextKind::SuggestedArg).unwrap_or_else(|| TRY_HELP.to_owned());
            Some((message, hint))
        }
        ErrorKind::InvalidSubcommand => {
            let command = text(answer, ContextKind::InvalidSubcommand)?;
            let hint = similar(answer, ContextKind::SuggestedSubcommand).or_else(|| swapped(command));
            Some((format!("there is no command `{command}`"), hint.unwrap_or_else(|| TRY_HELP.to_owned())))
        }
        ErrorKind::InvalidValue => {
            let flag = text(answer, ContextKind::InvalidArg)?;
            let value = text(answer, ContextKind::InvalidValue)?;
            let taken = listed(texts(answer, ContextKind::ValidValue)?, "or");
            if value.is_empty() && taken.is_empty() {
                return Some((format!("`{}` has no value", bare(flag)), format!("write `{flag}`")));
            }
            if value.is_empty() {
                return Some((format!("`{}` has no value", bare(flag)), format!("it takes {taken}")));
            }
            let hint = similar(answer, ContextKind::SuggestedValue);
            let message = format!("`{}` takes no `{value}`", bare(flag));
            Some((message, hint.unwrap_or_else(|| format!("it takes {taken}"))))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(answer, ContextKind::InvalidArg)?;
            let verb = if missing.len() == 1 { "is" } else { "are" };
            let names = missing.iter().map(|name| bare(name).to_owned()).collect::<Vec<_>>();
            Some((format!("{} {verb} missing", listed(&names, "and")), format!("write `{}`", usage(answer)?)))
        }
        ErrorKind::ArgumentConflict => {
            let first = bare(text(answer, ContextKind::InvalidArg)?).to_owned();
            match bare(text(answer, ContextKind::PriorArg)?) {
                second if second == first => {
                    Some((format!("`{first}` is given twice"), "give it once".into()))
                }
                second => {
                    Some((format!("`{first}` does not go with `{second}`"), "leave one of them out".into()))
                }
            }
        }
        ErrorKind::InvalidUtf8 => Some((
            "an argument is no UTF-8".to_owned(),
            "texts of any bytes can be given with `--lines` and `--files`".to_owned(),
        )),
        _ => None,
    }
}

/// A number behind a flag that takes one only with `=`, since it may be left out: it would be taken for something else.
pub(super) fn stray_number(arguments: &[OsString]) -> Option<Error> {
    let words: Vec<_> =
        arguments.iter().map_while(|word| word.to_str().filter(|word| *word != "--")).collect();
    let number = words.windows(2).find_map(|pair| (pair[0] == FAIL_FAST).then_some(pair[1]))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let message = || format!("`{FAIL_FAST}` takes its number behind `=`");
    is_number.then(|| Error::usage(message(), format!("write `{FAIL_FAST}={number}`")))
}

const FAIL_FAST: &str = "--fail-fast";

const TRY_HELP: &str = "`wasmpool -h` and `wasmpool run -h` show what there is";

/// The command that is meant if two neighbouring letters have changed places, which the parser does not see.
fn swapped(typed: &str) -> Option<String> {
    let program = Cli::command();
    let mut names = program.get_subcommands().map(clap::Command::get_name);
    names.find(|name| strsim::osa_distance(name, typed) == 1).map(|name| format!("did you mean `{name}`?"))
}

/// The first of what is alike.
fn similar(answer: &clap::Error, kind: ContextKind) -> Option<String> {
    let similar = texts(answer, kind).and_then(|texts| texts.first().map(String::as_str));
    similar.or_else(|| text(answer, kind)).map(|similar| format!("did you mean `{similar}`?"))
}

/// The first line of the usage, without its label.
fn usage(answer: &clap::Error) -> Option<String> {
    let Some(ContextValue::StyledStr(usage)) = answer.get(ContextKind::Usage) else { return None };
    let usage = usage.to_string();
    Some(usage.lines().next()?.trim_start_matches("Usage:").trim().to_owned())
}

fn text(answer: &clap::Error, kind: ContextKind) -> Option<&str> {
    match answer.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

fn texts(answer: &clap::Error, kind: ContextKind) -> Option<&[String]> {
    match answer.get(kind) {
        Some(ContextValue::Strings(texts)) => Some(texts),
        _ => None,
    }
}

/// `--format` of `--format <FORMAT>`, `GUEST` of `<GUEST>`.
fn bare(argument: &str) -> &str {
    match argument.strip_prefix('-') {
        Some(_) => argument.split([' ', '=']).next().unwrap_or(argument),
        None => argument.trim_matches(['<', '>', '[', ']']),
    }
}

/// `a`, `b` and `c`, in backticks.
fn listed(texts: &[String], last: &str) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| format!("`{text}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., end] => format!("{} {last} {end}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, message: &str, hint: &str) {
        let arguments = std::iter::once("wasmpool").chain(arguments.split(' '));
        let answer = Cli::command().try_get_matches_from(arguments).expect_err("it is refused");
        let (found, proposed) = explain(&answer).expect("it is explained");
        assert_eq!((found.as_str(), proposed.as_str()), (message, hint));
    }

    #[test]
    fn a_slip_in_a_flag_is_answered_with_the_flag() {
        check("run g.wasm --rnage 1..5", "there is no flag `--rnage` here", "did you mean `--range`?");
        check("bench g.wasm --workes 2", "there is no flag `--workes` here", "did you mean `--workers`?");
    }

    #[test]
    fn a_flag_like_no_other_is_answered_with_the_help() {
        check("run g.wasm --qqq", "there is no flag `--qqq` here", TRY_HELP);
    }

    #[test]
    fn a_slip_in_a_command_is_answered_with_the_command() {
        check("rum g.wasm", "there is no command `rum`", "did you mean `run`?");
        check("rnu g.wasm", "there is no command `rnu`", "did you mean `run`?");
        check("qqq", "there is no command `qqq`", TRY_HELP);
    }

    #[test]
    fn a_slip_in_a_value_is_answered_with_the_value_or_all_of_them() {
        check("run g.wasm --format jsno", "`--format` takes no `jsno`", "did you mean `json`?");
        check("bench g.wasm --format 7", "`--format` takes no `7`", "it takes `text` or `json`");
        check("completions bosh", "`SHELL` takes no `bosh`", "did you mean `bash`?");
    }

    #[test]
    fn a_flag_without_its_value_is_told_what_it_takes() {
        check("bench g.wasm --format", "`--format` has no value", "it takes `text` or `json`");
    }

    #[test]
    fn what_is_missing_is_named_with_the_whole_line() {
        check(
            "call",
            "`GUEST` and `EXPORT` are missing",
            "write `wasmpool call [OPTIONS] GUEST EXPORT [ARG]...`",
        );
        check("inspect", "`GUEST` is missing", "write `wasmpool inspect [OPTIONS] GUEST`");
    }

    #[test]
    fn one_argument_too_many_is_named() {
        check("run g.wasm f x", "`x` is one argument too many", TRY_HELP);
    }

    #[test]
    fn a_flag_that_is_given_twice_is_named() {
        check("run g.wasm --each --each", "`--each` is given twice", "give it once");
    }

    #[track_caller]
    fn check_stray(arguments: &str, hint: Option<&str>) {
        let arguments: Vec<_> = arguments.split(' ').map(OsString::from).collect();
        let error = stray_number(&arguments);
        assert_eq!(error.as_ref().and_then(Error::hint), hint);
    }

    #[test]
    fn a_number_behind_a_flag_that_may_have_none_is_told_its_place() {
        let hint = Some("write `--fail-fast=3`");
        check_stray("wasmpool run g.wasm --fail-fast 3 --range 1..5", hint);
        check_stray("wasmpool run g.wasm f --range 1..5 --fail-fast 3", hint);
        check_stray("wasmpool run g.wasm --fail-fast f --range 1..5", None);
        check_stray("wasmpool run g.wasm --fail-fast=3 f --range 1..5", None);
        check_stray("wasmpool exec g.wasm --range 1..5 -- --fail-fast 3", None);
    }
}
