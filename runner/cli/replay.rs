//! `wasmpool replay`: one item of a recorded run, once more.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;

use super::journal::{GUEST, digest_of};
use super::{job, parse, run::RunArgs};
use crate::error::{Error, ExitCode};
use crate::item::ItemIndex;
use crate::journal::{self, Fate, Invocation, Only};
use crate::limits::Policy;
use crate::plan::{InputKind, Kept, Merging, Plan, SharedFile};
use crate::report::Progress;
use crate::sink::Format;

/// Run one item of a recorded run again
///
/// The command that wrote the journal is taken from there, and the folder that it ran in. The item is run with one
/// worker and printed with what varies; the journal, the output of the run and what is shared stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  wasmpool run primes.wasm --range 1..99 --journal j && wasmpool replay j 3")]
pub(super) struct ReplayArgs {
    /// The journal of the run
    journal: PathBuf,
    /// The item's index, as its record has it
    #[arg(allow_negative_numbers = true)]
    index: String,
}

impl ReplayArgs {
    pub(super) fn execute(
        self,
        usable_cpus: NonZero<usize>,
        parse_run: impl FnOnce(&Invocation) -> Option<RunArgs>,
    ) -> anyhow::Result<ExitCode> {
        let plan = self.plan(usable_cpus, parse_run)?;
        job::supervise(plan)
    }

    fn plan(
        self,
        usable_cpus: NonZero<usize>,
        parse_run: impl FnOnce(&Invocation) -> Option<RunArgs>,
    ) -> Result<Plan, Error> {
        let index: ItemIndex = parse::number("INDEX", &self.index)?;
        let (key, command, mut past) = journal::read(&self.journal)?;
        let fate = past.fate(index)?;
        let args = parse_run(&command).ok_or_else(|| unknown_command(&self.journal))?;
        let plan = args.plan(usable_cpus)?;
        if reads_standard_input(&plan.input) {
            return Err(Error::usage(
                format!("the input of `{}` was standard input, which is gone", self.journal.display()),
                "runs over files can be replayed: `--lines FILE`",
            ));
        }
        // Names in the command are those of that folder.
        std::env::set_current_dir(command.folder()).map_err(|source| Error::Input {
            name: format!("`{}`, where the run was", command.folder().display()),
            hint: None,
            source,
        })?;
        let only = Only {
            item: index,
            input: match fate {
                Fate::Ended { input, .. } => Some(input),
                Fate::New | Fate::Started => None,
            },
            guest: key.get(GUEST).map(str::to_owned),
        };
        let was = |share: SharedFile| SharedFile {
            digest: key.get(&digest_of(&share.name)).map(str::to_owned),
            ..share
        };
        Ok(Plan {
            shares: plan.shares.into_iter().map(was).collect(),
            workers: NonZero::<usize>::MIN,
            window: NonZero::<u64>::MIN,
            ordered: false,
            merging: Merging::Never,
            run_timeout: None,
            policy: Policy { fail_fast: None, ..plan.policy },
            format: Format::Jsonl,
            output: None,
            meta: true,
            progress: Progress::None,
            stats: false,
            kept: Kept { only: Some(only), notes: vec![note(index, &fate)], ..Kept::default() },
            ..plan
        })
    }
}

fn reads_standard_input(input: &InputKind) -> bool {
    let is_stdin = |path: &PathBuf| path == Path::new("-");
    match input {
        InputKind::Lines { path, .. } | InputKind::Jsonl(path) | InputKind::Blocks { path, .. } => {
            is_stdin(path)
        }
        InputKind::Files { paths, .. } => paths.iter().any(is_stdin),
        InputKind::Range { .. } | InputKind::Items(_) | InputKind::Arguments(_) => false,
    }
}

fn note(index: ItemIndex, fate: &Fate) -> String {
    match fate {
        Fate::New => format!("journal: there is no record of item {index}"),
        Fate::Started => format!("journal: item {index} was started, and did not end"),
        Fate::Ended { completion, .. } => {
            let status = completion.outcome.status();
            match completion.outcome.error() {
                Some(error) => format!("journal: item {index} ended as `{status}`: {error}"),
                None => format!("journal: item {index} ended as `{status}`"),
            }
        }
    }
}

fn unknown_command(journal: &Path) -> Error {
    Error::usage(
        format!("the journal `{}` was written by a command that is not known here", journal.display()),
        "replay it with the version of wasmpool that wrote it",
    )
}
