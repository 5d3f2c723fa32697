//! `wasmpool call`: one call in one worker.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;

use super::bindings::BindingArgs;
use super::grants::{GrantArgs, Grants};
use super::input::integers;
use super::limits::LimitArgs;
use super::protection::ProtectionArgs;
use crate::error::Error;
use crate::limits::{Isolation, Policy};
use crate::plan::{InputKind, Kept, Merging, Plan};
use crate::report::Progress;
use crate::sink::Format;

/// Call a function once and print its result
#[derive(Debug, Args)]
#[command(override_usage = "wasmpool call [OPTIONS] GUEST EXPORT [ARG]...")]
pub(super) struct CallArgs {
    /// The guest: a component, or a module
    guest: PathBuf,
    /// Its function
    export: String,
    /// A JSON value for each parameter; bare text will do for a string
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    arguments: Vec<String>,

    #[command(flatten)]
    bindings: BindingArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    protection: ProtectionArgs,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "auto")]
    format: Format,
    /// The integers of a plain module have no sign
    #[arg(long)]
    unsigned: bool,
}

impl CallArgs {
    /// What these arguments mean.
    pub(super) fn plan(self) -> Result<Plan, Error> {
        let seed = self.limits.seed()?;
        let grants = self.grants.grants(seed)?;
        let policy = Policy { crash_retries: grants.crash_retries(), ..Policy::default() };
        let Grants { dirs, env, shares } = grants;
        Ok(Plan {
            guest: self.guest,
            export: Some(self.export),
            input: InputKind::Arguments(self.arguments),
            bindings: self.bindings.bindings()?,
            init: self.bindings.init()?,
            integers: integers(self.unsigned),
            workers: NonZero::<usize>::MIN,
            chunk: None,
            window: NonZero::<u64>::MIN,
            ordered: true,
            merging: Merging::Never,
            limits: self.limits.limits()?,
            guest_limits: self.limits.guest_limits()?,
            policy,
            isolation: Isolation::Item,
            seed,
            sandbox: self.protection.mode(),
            dirs,
            env,
            shares,
            compile_timeout: self.limits.compile_timeout()?,
            run_timeout: None,
            format: self.format,
            output: None,
            meta: false,
            progress: Progress::None,
            stats: false,
            kept: Kept::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: CallArgs,
    }

    #[track_caller]
    fn check(arguments: &[&str], expected: &[&str]) {
        let arguments = ["call", "g.wasm", "f"].iter().chain(arguments);
        let Only { args } = Only::try_parse_from(arguments).expect("arguments clap takes");
        let texts = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(args.plan().unwrap().input, InputKind::Arguments(texts));
    }

    #[test]
    fn arguments_are_kept_as_typed() {
        check(
            &["1", "[2, 3]", "{\"a\": 1}", "some text", ""],
            &["1", "[2, 3]", "{\"a\": 1}", "some text", ""],
        );
        check(&[], &[]);
    }

    #[test]
    fn negative_numbers_are_arguments() {
        check(&["-5", "-1.5"], &["-5", "-1.5"]);
    }

    #[test]
    fn i16_text_that_looks_like_a_flag_is_an_argument_behind_two_dashes() {
        check(&["--", "--timeout", "$(x)"], &["--timeout", "$(x)"]);
    }

    #[test]
    fn flags_may_stand_among_the_arguments() {
        let Only { args } =
            Only::try_parse_from(["call", "g.wasm", "f", "1", "--timeout", "2s", "2"]).unwrap();
        assert_eq!(args.plan().unwrap().limits.wall, Some(Duration::from_secs(2)));
    }
}
