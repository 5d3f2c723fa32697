//! Everything decided from the arguments, then checked against what the guest exports.
//!
//! A [`Plan`] is what was asked for, understood and complete: every default is filled in. [`Plan::bind`] brings it
//! together with a guest's [`Description`] and refuses, before any item runs, what cannot work: no such export,
//! types that do not fit, ends of a range that a parameter cannot hold.

use std::borrow::Cow;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, iter};

use crate::chunk::Inputs;
use crate::error::Error;
use crate::guest::{Description, Export, GuestKind, Integers, ValueType};
use crate::journal::{Mode, Only};
use crate::limits::{CodeOptions, GuestLimits, Isolation, Limits, MAX_MEMORY, Policy};
use crate::report::{Progress, counted};
use crate::sandbox::{self, Access};
use crate::sink::Format;
use crate::source::{
    Arguments, Blocks, Files, Items, Jsonl, LineEnd, Lines, NameEnd, Range, Source, TooManyItems,
};
use crate::wire::msg::{Init, Serve};

mod arguments;
mod bindings;
mod choose;
pub(crate) mod folders;
mod init;
mod stage;
mod typed;
mod types;

pub use bindings::Binding;
pub use folders::HostDir;
pub use init::InitCall;

pub(crate) use choose::{named as by_name, short_name};
pub(crate) use stage::{Before, Made, Passage, Taken};

/// Of items, unless `--window` says otherwise: deep enough to hide one slow item among quick ones.
pub const DEFAULT_WINDOW: NonZero<u64> = NonZero::new(16_384).expect("not zero");

/// What the inputs, and the results that wait for their turn, of all the items in the window may take in memory.
pub const WINDOW_BYTES: u64 = 32 << 20;

/// A range is cut into at most this many items, unless `--step` says otherwise: enough to keep any number of
/// workers busy to the end, few enough for each to outweigh its own start.
const DEFAULT_PARTS: u128 = 1_000;

/// What a run will do, as far as the arguments tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The guest's file.
    pub guest: PathBuf,
    /// The export, by its full name or an unambiguous ending of it; none: the only one that fits.
    pub export: Option<String>,
    /// Where items come from.
    pub input: InputKind,
    /// Parameters that have the same value in every call, each once.
    pub bindings: Vec<Binding>,
    /// What each instance runs before its first item.
    pub init: Option<InitCall>,
    /// How a plain module's integers are read.
    pub integers: Integers,
    /// How many workers to use: never more than there can be items.
    pub workers: NonZero<usize>,
    /// How many items travel together; none: found out while running.
    pub chunk: Option<NonZero<u64>>,
    /// How many items may be admitted and not yet emitted.
    pub window: NonZero<u64>,
    /// Results are emitted in the order of the input; otherwise in that in which items end.
    pub ordered: bool,
    /// Whether values are merged into one.
    pub merging: Merging,
    /// How long each item may take.
    pub limits: Limits,
    /// What else it may use.
    pub guest_limits: GuestLimits,
    /// What becomes of items that fail and of workers that have worked.
    pub policy: Policy,
    /// How far apart items are kept.
    pub isolation: Isolation,
    /// Where random numbers and clocks come from if every run is to be the same.
    pub seed: Option<u64>,
    /// Which layers of protection have to hold.
    pub sandbox: sandbox::SandboxMode,
    /// The folders that the guest may use.
    pub dirs: Vec<HostDir>,
    /// The guest's environment: names and values.
    pub env: Vec<(String, String)>,
    /// The files that guests have in their memory.
    pub shares: Vec<SharedFile>,
    /// How long the guest may take to compile; none: as long as it takes.
    pub compile_timeout: Option<Duration>,
    /// How long the whole run may take; none: as long as it takes.
    pub run_timeout: Option<Duration>,
    /// How results are printed.
    pub format: Format,
    /// The file that results go to; none: standard output.
    pub output: Option<PathBuf>,
    /// Measure and print what varies from run to run.
    pub meta: bool,
    /// How progress is shown.
    pub progress: Progress,
    /// Tell at the end what varies: times, workers, kinds of failure.
    pub stats: bool,
    /// What is kept of the run beside its output.
    pub kept: Kept,
}

/// What is kept of a run beside its output, and what of earlier runs it goes on with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Where the end of each item is recorded.
    pub journal: Option<JournalFile>,
    /// Where a line is written for each item that ends.
    pub joblog: Option<PathBuf>,
    /// The only item to run, instead of all.
    pub only: Option<Only>,
    /// What the user is to be told first.
    pub notes: Vec<String>,
}

/// A journal, and what is to be done if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFile {
    /// The file.
    pub path: PathBuf,
    /// What is to be done.
    pub mode: Mode,
}

/// Whether the values of items are merged into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    /// Where the input is one thing cut in pieces, and the guest can.
    Auto,
    /// Always, or the plan is refused.
    Always,
    /// Never.
    Never,
}

/// A file of the host that guests have in their memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    /// What they call it.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Whether what one writes there the others find.
    pub access: Access,
    /// What the BLAKE3 of its content has to be, in hexadecimal digits.
    pub digest: Option<String>,
}

/// Where items come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// The integers from `start` to the one before `end`; `end` is not below `start`.
    Range {
        /// The first number.
        start: i128,
        /// One past the last number.
        end: i128,
        /// How many numbers go into one item, for a function of two integers.
        step: Option<NonZero<u64>>,
    },
    /// The lines of a file, `-` for standard input.
    Lines {
        /// The file.
        path: PathBuf,
        /// What ends a line.
        ends: LineEnd,
    },
    /// The lines of a file, `-` for standard input, each of them JSON.
    Jsonl(PathBuf),
    /// A file, `-` for standard input, cut in pieces after the end of a line.
    Blocks {
        /// The file.
        path: PathBuf,
        /// How many bytes a piece has at most, unless a single line is longer.
        size: NonZero<usize>,
    },
    /// Each file: those named, those below folders that are named, and those whose names `-`, standard input, lists.
    Files {
        /// Files, folders, `-`.
        paths: Vec<PathBuf>,
        /// What ends a name in the list.
        ends: NameEnd,
    },
    /// One item each, as it was typed.
    Items(Vec<String>),
    /// One item: each argument as it was typed.
    Arguments(Vec<String>),
}

/// A plan that is known to fit its guest.
pub struct Bound {
    /// The function to call.
    pub export: Export,
    /// What merges two of its values, if the values are to be merged.
    pub merge: Option<Export>,
    /// What finishes the merged value, if the guest has a function for that.
    pub finish: Option<Export>,
    /// Where items come from.
    pub source: Box<dyn Source>,
    /// The inputs of all items, where records show them.
    pub inputs: Option<Inputs>,
    /// What workers are told.
    pub serve: Serve,
}

/// Where items come from, and the inputs of all of them, where records show them.
type Opened = (Box<dyn Source>, Option<Inputs>);

impl Plan {
    /// Checks the plan against what the guest exports, and opens the input.
    ///
    /// # Errors
    /// If no export or more than one is meant, if the input does not fit its types, or if the input cannot be
    /// opened.
    pub fn bind(&self, guest: &Description) -> Result<Bound, Error> {
        let guest = &*self.with_integers(guest)?;
        let export = choose::export(self, guest)?;
        self.bound(guest, export, Self::open_input)
    }

    /// The plan with this function, which takes what `input` opens.
    fn bound(
        &self,
        guest: &Description,
        export: &Export,
        input: impl FnOnce(&Self, &Export) -> Result<Opened, Error>,
    ) -> Result<Bound, Error> {
        let merge = self.merge(guest, export)?;
        let finish = merge.and_then(|_| guest.finish_of(export));
        self.check_memory(guest)?;
        let bound = bindings::values(self, export)?;
        let init = self.init.as_ref().map(|init| init::find(self, guest, init)).transpose()?;
        let (source, inputs) = input(self, &bindings::free(&self.bindings, export))?;
        let mut exports: Vec<_> =
            iter::once(export).chain(merge).chain(finish).map(Export::full_name).collect();
        // Behind the others even if it is one of them, of which the first has parameters bound.
        let init = init.map(|(export, arguments)| {
            exports.push(export.full_name());
            Init { export: u32::try_from(exports.len() - 1).expect("they are four"), arguments }
        });
        let serve = Serve {
            exports,
            meta: self.meta,
            limits: self.guest_limits,
            isolation: self.isolation,
            seed: self.seed,
            integers: self.integers,
            dirs: self.dirs.iter().map(HostDir::guest_dir).collect(),
            env: self.env.clone(),
            init,
            bound,
            // The pool says what there is.
            shared: Vec::new(),
        };
        Ok(Bound {
            export: export.clone(),
            merge: merge.cloned(),
            finish: finish.cloned(),
            source,
            inputs,
            serve,
        })
    }

    /// What the guest is compiled with.
    #[must_use]
    pub fn code(&self) -> CodeOptions {
        // Whether there are segments the pool sees to.
        let (fuel, deterministic) = (self.guest_limits.fuel.is_some(), self.seed.is_some());
        CodeOptions { fuel, deterministic, segments: false }
    }

    /// Checks that the guest can start at all.
    fn check_memory(&self, guest: &Description) -> Result<(), Error> {
        let limit = self.guest_limits.memory;
        if guest.initial_memory <= limit {
            return Ok(());
        }
        // The unit in which the limit is a whole number.
        let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = units.into_iter().find(|(bytes, _)| limit.is_multiple_of(*bytes));
        let size = |bytes: u64| match unit {
            Some((one, unit)) => format!("{} {unit}", bytes.div_ceil(one)),
            None => counted(bytes, "byte"),
        };
        Err(Error::guest(
            &self.guest,
            format!("starts with {} of memory; the limit is {}", size(guest.initial_memory), size(limit)),
            (guest.initial_memory <= MAX_MEMORY).then(|| "a higher `--memory` lets it start".to_owned()),
        ))
    }

    /// Whether one value is wanted, as far as that follows from what was typed.
    fn wants_merged(&self) -> bool {
        match (self.merging, &self.input) {
            (Merging::Always, _) => true,
            (Merging::Never, _) => false,
            // One thing cut in pieces, whose results belong together.
            (Merging::Auto, InputKind::Range { .. } | InputKind::Blocks { .. }) => true,
            (
                Merging::Auto,
                InputKind::Lines { .. }
                | InputKind::Jsonl(_)
                | InputKind::Files { .. }
                | InputKind::Items(_)
                | InputKind::Arguments(_),
            ) => false,
        }
    }

    /// What merges the values of `export`, if they are to be merged.
    fn merge<'a>(&self, guest: &'a Description, export: &Export) -> Result<Option<&'a Export>, Error> {
        let merge = guest.merge_of(export);
        match self.merging {
            Merging::Always if merge.is_none() => Err(self.no_merge(export)),
            Merging::Always | Merging::Auto | Merging::Never => Ok(merge.filter(|_| self.wants_merged())),
        }
    }

    fn no_merge(&self, export: &Export) -> Error {
        let function = &export.function;
        let hint = export.result.as_ref().map(|value| {
            format!(
                "`--merge` needs `merge-{function}(a: {value}, b: {value}) -> {value}` beside `{function}`"
            )
        });
        Error::guest(&self.guest, format!("has nothing that merges the values of `{function}`"), hint)
    }

    /// The guest, its integers read as the plan says.
    fn with_integers<'a>(&self, guest: &'a Description) -> Result<Cow<'a, Description>, Error> {
        match (self.integers, guest.kind) {
            (Integers::Signed, _) => Ok(Cow::Borrowed(guest)),
            (Integers::Unsigned, GuestKind::Module) => Ok(Cow::Owned(guest.clone().unsigned())),
            (Integers::Unsigned, GuestKind::Component) => Err(Error::usage(
                format!("`--unsigned` does not go with `{}`: it is a component", self.guest.display()),
                "leave it out: a component says which of its integers have a sign",
            )),
        }
    }

    fn open_input(&self, export: &Export) -> Result<Opened, Error> {
        match &self.input {
            InputKind::Range { start, end, step } => {
                let range = self.range(export, *start, *end, *step)?;
                let inputs = range.inputs().clone();
                Ok((Box::new(range), Some(inputs)))
            }
            InputKind::Lines { path, ends } => Ok((Box::new(Lines::open(path, *ends)?), None)),
            InputKind::Jsonl(path) => Ok((Box::new(Jsonl::open(path)?), None)),
            InputKind::Blocks { path, size } => Ok((Box::new(Blocks::open(path, *size)?), None)),
            InputKind::Files { paths, ends } => Ok((Box::new(Files::open(paths.clone(), *ends)?), None)),
            InputKind::Items(texts) => {
                let items = Items::new(arguments::items(export, texts)?);
                let inputs = items.inputs().clone();
                Ok((Box::new(items), Some(inputs)))
            }
            InputKind::Arguments(texts) => {
                let arguments = Arguments::new(&arguments::to_json(&self.guest, export, texts)?);
                let inputs = arguments.inputs().cloned();
                Ok((Box::new(arguments), inputs))
            }
        }
    }

    /// The items of a range for `export`, which is known to take one or two integers.
    fn range(
        &self,
        export: &Export,
        start: i128,
        end: i128,
        step: Option<NonZero<u64>>,
    ) -> Result<Range, Error> {
        let range = match (export.params.as_slice(), step) {
            ([_], Some(_)) => return Err(step_without_parts(export)),
            ([number], None) => {
                if start < end {
                    self.check_holds(export, number, [start, end - 1])?;
                }
                Range::numbers(start, end)
            }
            ([first, last], step) => {
                let step = step.unwrap_or_else(|| default_step(start, end));
                if start < end {
                    self.check_holds(export, first, [start])?;
                    self.check_holds(export, last, [end])?;
                    let size = i128::from(step.get());
                    self.check_holds(export, first, [start + (end - 1 - start) / size * size])?;
                    self.check_holds(export, last, [end.min(start + size)])?;
                }
                Range::spans(start, end, step)
            }
            _ => unreachable!("only a function of one or two integers is chosen for a range"),
        };
        range.map_err(|error| too_many_items(&self.input, export, error))
    }

    /// Checks that the parameter can hold these numbers, and so everything between them.
    fn check_holds<const N: usize>(
        &self,
        export: &Export,
        (name, param): &(String, ValueType),
        numbers: [i128; N],
    ) -> Result<(), Error> {
        let Some((min, max)) = param.integer_bounds() else { return Ok(()) };
        let Some(number) = numbers.into_iter().find(|number| !(min..=max).contains(number)) else {
            return Ok(());
        };
        let message =
            format!("cannot take `{}`: {number} does not fit `{name}: {param}` of `{export}`", self.input);
        Err(Error::guest(&self.guest, message, Some(format!("`{param}` holds {min} to {max}"))))
    }
}

/// So many workers, but never more than there are items, where their number is known; at least one.
#[must_use]
pub fn at_most_one_per_item(workers: NonZero<usize>, items: Option<u128>) -> NonZero<usize> {
    let items = items.and_then(|items| usize::try_from(items.max(1)).ok()).and_then(NonZero::new);
    items.map_or(workers, |items| workers.min(items))
}

impl InputKind {
    /// How many items there are at most, whatever the function, where that is known before reading.
    #[must_use]
    pub fn most_items(&self) -> Option<u128> {
        match self {
            Self::Range { start, end, step } => {
                let step = step.map_or(1, NonZero::get);
                Some(end.saturating_sub(*start).unsigned_abs().div_ceil(step.into()))
            }
            Self::Lines { .. } | Self::Jsonl(_) | Self::Blocks { .. } | Self::Files { .. } => None,
            Self::Items(texts) => Some(texts.len() as u128),
            Self::Arguments(_) => Some(1),
        }
    }

    /// Whether it is a single call.
    #[must_use]
    pub fn is_one_call(&self) -> bool {
        matches!(self, Self::Arguments(_))
    }
}

/// The least of 1, 2, 5, 10, 20, 50, … with which the range has at most [`DEFAULT_PARTS`] parts.
fn default_step(start: i128, end: i128) -> NonZero<u64> {
    let least = end.saturating_sub(start).unsigned_abs().div_ceil(DEFAULT_PARTS);
    (0..38)
        .flat_map(|exponent| [1, 2, 5].map(|digit| digit * 10_u128.pow(exponent)))
        .find(|step| *step >= least)
        .and_then(|step| u64::try_from(step).ok())
        .and_then(NonZero::new)
        .unwrap_or(NonZero::<u64>::MAX)
}

fn step_without_parts(export: &Export) -> Error {
    Error::usage(
        format!("`--step` does not go with `{export}`: each number of the range is an item of its own"),
        "leave `--step` out",
    )
}

fn too_many_items(input: &InputKind, export: &Export, error: TooManyItems) -> Error {
    let hint = match export.params.len() {
        1 => "cut the range into several runs",
        _ => "take a larger `--step`",
    };
    Error::usage(format!("`{input}` is {error}"), hint)
}

/// As it was typed, for messages.
impl fmt::Display for InputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { start, end, .. } => write!(f, "--range {start}..{end}"),
            Self::Lines { path, .. } => write!(f, "--lines {}", path.display()),
            Self::Jsonl(path) => write!(f, "--jsonl {}", path.display()),
            Self::Blocks { path, .. } => write!(f, "--blocks {}", path.display()),
            Self::Files { paths, .. } => {
                f.write_str("--files")?;
                paths.iter().try_for_each(|path| write!(f, " {}", path.display()))
            }
            Self::Items(texts) => {
                let separator = |position| if position == 0 { "" } else { " " };
                let mut texts = texts.iter().enumerate();
                texts.try_for_each(|(position, text)| write!(f, "{}--item {text}", separator(position)))
            }
            Self::Arguments(texts) => f.write_str(&texts.join(" ")),
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { export, merge, finish, source: _, inputs, serve } = self;
        f.debug_struct("Bound")
            .field("export", export)
            .field("merge", merge)
            .field("finish", finish)
            .field("inputs", inputs)
            .field("serve", serve)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
