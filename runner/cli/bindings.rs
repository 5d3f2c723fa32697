//! The flags that say what calls have beside their input: parameters that are bound, and what prepares an instance.

use clap::Args;

use crate::error::Error;
use crate::plan::{Binding, InitCall};

const BIND_HINT: &str = "write `--bind NAME=JSON`; for a string, bare text will do";

/// What calls have beside their input.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guest")]
pub(super) struct BindingArgs {
    /// The value of a parameter in every call, as JSON; the input gives the others; may be repeated
    #[arg(long, value_name = "NAME=JSON", hide_short_help = true)]
    bind: Vec<String>,
    /// A function that each instance runs before its first item; instances are kept from then on
    #[arg(long, value_name = "EXPORT[=JSON]", hide_short_help = true)]
    init: Option<String>,
}

impl BindingArgs {
    /// The parameters that are bound, each once.
    pub(super) fn bindings(&self) -> Result<Vec<Binding>, Error> {
        let mut bindings = Vec::<Binding>::new();
        for text in &self.bind {
            let binding = binding(text)?;
            if bindings.iter().any(|other| other.parameter == binding.parameter) {
                return Err(Error::usage(
                    format!("`--bind {}=…` is given twice", binding.parameter),
                    "give it once",
                ));
            }
            bindings.push(binding);
        }
        Ok(bindings)
    }

    /// What each instance runs first.
    pub(super) fn init(&self) -> Result<Option<InitCall>, Error> {
        self.init.as_deref().map(init).transpose()
    }
}

fn binding(text: &str) -> Result<Binding, Error> {
    let wrong = |what: &str| Error::usage(format!("`--bind {text}` has no {what}"), BIND_HINT);
    let (parameter, value) = text.split_once('=').ok_or_else(|| wrong("`=`"))?;
    if parameter.is_empty() {
        return Err(wrong("name before the `=`"));
    }
    Ok(Binding { parameter: parameter.to_owned(), value: value.to_owned() })
}

fn init(text: &str) -> Result<InitCall, Error> {
    let (export, arguments) = match text.split_once('=') {
        Some((export, arguments)) => (export, Some(arguments.to_owned())),
        None => (text, None),
    };
    if export.is_empty() {
        return Err(Error::usage(
            format!("`--init {text}` names no function"),
            "write `--init EXPORT[=JSON]`",
        ));
    }
    Ok(InitCall { export: export.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: BindingArgs,
    }

    fn args(arguments: &[&str]) -> BindingArgs {
        Only::try_parse_from([&["run"], arguments].concat()).expect("arguments clap takes").args
    }

    #[track_caller]
    fn check_refused<T: std::fmt::Debug>(refused: Result<T, Error>, message: &str, hint: &str) {
        let error = refused.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[test]
    fn a_binding_is_a_name_and_a_value_which_may_have_anything_in_it() {
        let bindings = args(&["--bind", "exp=2", "--bind", "text=a=b", "--bind", "n="]).bindings().unwrap();
        let pairs: Vec<_> = bindings.iter().map(|b| (b.parameter.as_str(), b.value.as_str())).collect();
        assert_eq!(pairs, [("exp", "2"), ("text", "a=b"), ("n", "")]);
    }

    #[test]
    fn what_is_no_binding_is_refused() {
        let bindings = |text| args(&["--bind", text]).bindings();
        check_refused(bindings("exp"), "`--bind exp` has no `=`", BIND_HINT);
        check_refused(bindings("=2"), "`--bind =2` has no name before the `=`", BIND_HINT);
    }

    #[test]
    fn a_parameter_is_bound_once() {
        let bindings = args(&["--bind", "exp=2", "--bind", "exp=3"]).bindings();
        check_refused(bindings, "`--bind exp=…` is given twice", "give it once");
    }

    #[test]
    fn an_initializer_has_arguments_behind_the_first_equals_sign() {
        let init = |text| args(&["--init", text]).init().unwrap().unwrap();
        let call = |export: &str, arguments: Option<&str>| InitCall {
            export: export.to_owned(),
            arguments: arguments.map(str::to_owned),
        };
        assert_eq!(init("a:b/c@1.0.0#load"), call("a:b/c@1.0.0#load", None));
        assert_eq!(init("load={\"a\":\"=\"}"), call("load", Some("{\"a\":\"=\"}")));
        check_refused(
            args(&["--init", "=1"]).init(),
            "`--init =1` names no function",
            "write `--init EXPORT[=JSON]`",
        );
    }
}
