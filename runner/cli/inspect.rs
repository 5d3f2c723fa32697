//! `wasmpool inspect`: what a guest exports and imports, with a command line for each export.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::protection::ProtectionArgs;
use super::{exit, job, surroundings};
use crate::error::{Error, ExitCode};
use crate::guest::{Description, Export, GuestKind, Service, ValueType};
use crate::guest_file::GuestFile;
use crate::plan;
use crate::record::escaped;

mod rust;

/// List what a guest exports and imports, with a command line for each export
#[derive(Debug, Args)]
#[command(override_usage = "wasmpool inspect [OPTIONS] GUEST")]
pub(super) struct InspectArgs {
    /// The guest: a component, or a module
    guest: PathBuf,
    /// Print Rust instead: a type for each record, enum and variant, and a function for each export
    #[arg(long)]
    rust: bool,

    #[command(flatten)]
    protection: ProtectionArgs,
}

impl InspectArgs {
    pub(super) fn execute(self) -> Result<ExitCode, Error> {
        let file = GuestFile::open(&self.guest)?;
        let guest = job::describe(&file, self.protection.mode())?;
        let text =
            if self.rust { rust::module(file.name(), &guest) } else { text(file.name(), file.len(), &guest) };
        surroundings::standard_output()?.write_all(text.as_bytes()).map_err(exit::cannot_write)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Everything that is printed about a guest.
fn text(name: &Path, len: u64, guest: &Description) -> String {
    let kind = match guest.kind {
        GuestKind::Component => "component",
        GuestKind::Module => "module",
    };
    let mut page = Page::default();
    page.line(0, &format!("{}: {kind}, {}", name.display(), size(len)));
    page.line(0, "");
    if guest.exports.is_empty() {
        page.line(0, "exports no function");
    } else {
        page.line(0, "exports");
        exports(&mut page, name, guest);
    }
    page.line(0, "");
    if guest.imports.is_empty() {
        page.line(0, "imports nothing");
    } else {
        page.line(0, "imports");
        guest.imports.iter().for_each(|import| page.line(1, import));
    }
    page.text
}

/// Lines of text. A guest has chosen its names, so what would control a terminal is escaped.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:indent$}{}", "", escaped(line), indent = 2 * depth);
    }
}

/// Each export with what to type for it, by interface; the functions of the world itself come first.
fn exports(page: &mut Page, name: &Path, guest: &Description) {
    let mut interfaces: Vec<_> = guest.exports.iter().map(|export| export.interface.as_deref()).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    for interface in interfaces {
        if let Some(interface) = interface {
            page.line(1, interface);
        }
        let depth = if interface.is_some() { 2 } else { 1 };
        for export in guest.exports.iter().filter(|export| export.interface.as_deref() == interface) {
            page.line(depth, &export.to_string());
            if let Some(note) = misfit(guest, export) {
                page.line(depth + 2, &note);
            }
            page.line(depth + 2, &usage(name, guest, export));
        }
    }
}

/// What a function would have to be to do what its name says for another, if it is not.
fn misfit(guest: &Description, export: &Export) -> Option<String> {
    let named = |prefix: &str| {
        let function = export.function.strip_prefix(prefix)?;
        let is_served =
            |served: &&Export| served.function == function && served.interface == export.interface;
        guest.exports.iter().find(is_served)?.result.clone().map(|value| (function, value))
    };
    if guest.service_of(export).is_some() {
        return None;
    }
    if let Some((function, value)) = named("merge-") {
        return Some(format!(
            "does not merge the values of `{function}`: that takes two `{value}` and returns one"
        ));
    }
    let (function, value) = named("finish-")?;
    Some(format!(
        "does not finish the merged value of `{function}`: that takes one `{value}`, and something that merges"
    ))
}

/// The command line for an export, or why there is none.
fn usage(name: &Path, guest: &Description, export: &Export) -> String {
    match guest.service_of(export) {
        Some((Service::Merge, served)) => return format!("merges the values of `{}`", served.function),
        Some((Service::Finish, served)) => {
            return format!("finishes the merged value of `{}`", served.function);
        }
        None => {}
    }
    let types = export.params.iter().map(|(_, param)| param).chain(&export.result);
    if let Some(unpassable) = types.into_iter().find(|value| !value.is_passable()) {
        return format!("cannot be called: `{unpassable}` cannot be passed");
    }
    let command = |verb: &str, arguments: &str| {
        let export = shell_word(&plan::short_name(guest, export));
        format!("wasmpool {verb} {} {export}{arguments}", shell_word(&name.to_string_lossy()))
    };
    let params: Vec<_> = export.params.iter().map(|(_, param)| param).collect();
    match params.as_slice() {
        [ValueType::String] if guest.merge_of(export).is_some() => command("run", " --blocks FILE"),
        [ValueType::String] => command("run", " --lines FILE"),
        [bytes] if bytes.is_bytes() => command("run", " --files FILE"),
        [number] if number.integer_bounds().is_some() => command("run", " --range 1..100"),
        [first, last]
            if is_span(guest, export)
                && let Some(end) = largest_end(first, last) =>
        {
            command("run", &format!(" --range 1..{end}"))
        }
        params => {
            command("call", &params.iter().map(|param| format!(" {}", example(param))).collect::<String>())
        }
    }
}

/// Whether two integers are the ends of a range, as far as names and company tell; those of a plain module have no
/// names.
fn is_span(guest: &Description, export: &Export) -> bool {
    const ENDS: [[&str; 2]; 4] = [["start", "end"], ["from", "to"], ["first", "last"], ["low", "high"]];
    let names = || export.params.iter().map(|(name, _)| name.as_str());
    guest.kind == GuestKind::Module
        || guest.merge_of(export).is_some()
        || ENDS.iter().any(|ends| names().eq(ends.iter().copied()))
}

/// Where a range for two integers may end; the example of every prime counter, if it can.
fn largest_end(first: &ValueType, last: &ValueType) -> Option<i128> {
    let ((_, one), (_, other)) = (first.integer_bounds()?, last.integer_bounds()?);
    Some(one.min(other).min(800_000))
}

/// An argument of this type, as a word for a shell.
fn example(param: &ValueType) -> String {
    shell_word(&match param {
        ValueType::Char => "a".to_owned(),
        ValueType::String => "text".to_owned(),
        _ => example_json(param),
    })
}

fn example_json(value: &ValueType) -> String {
    match value {
        ValueType::Bool => "true".to_owned(),
        ValueType::S8
        | ValueType::U8
        | ValueType::S16
        | ValueType::U16
        | ValueType::S32
        | ValueType::U32
        | ValueType::S64
        | ValueType::U64 => "1".to_owned(),
        ValueType::F32 | ValueType::F64 => "0.5".to_owned(),
        ValueType::Char => "\"a\"".to_owned(),
        ValueType::String => "\"text\"".to_owned(),
        _ if value.is_bytes() => "\"AA==\"".to_owned(),
        ValueType::List(element) => format!("[{}]", example_json(element)),
        ValueType::Option(_) | ValueType::Other(_) => "null".to_owned(),
        ValueType::Enum(names) => serde_json::Value::from(names.first().cloned()).to_string(),
        ValueType::Flags(names) => serde_json::Value::from_iter(names.first().cloned()).to_string(),
        ValueType::Variant(cases) => match cases.first() {
            Some((name, Some(payload))) => json_case(name, Some(payload)),
            Some((name, None)) => serde_json::Value::from(name.as_str()).to_string(),
            None => "null".to_owned(),
        },
        ValueType::Result { ok, .. } => json_case("ok", ok.as_deref()),
        ValueType::Tuple(elements) => {
            format!("[{}]", elements.iter().map(example_json).collect::<Vec<_>>().join(","))
        }
        ValueType::Record(fields) => {
            let member = |(name, field): &(String, ValueType)| json_member(name, &example_json(field));
            format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}

fn json_case(name: &str, payload: Option<&ValueType>) -> String {
    format!("{{{}}}", json_member(name, &payload.map_or_else(|| "null".to_owned(), example_json)))
}

fn json_member(name: &str, value: &str) -> String {
    format!("{}:{value}", serde_json::Value::from(name))
}

/// The text as one word of a shell's command line, in quotes where it needs them.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    // A `#` inside a word starts no comment.
    let plain = text.chars().enumerate().all(|(at, c)| is_plain(c) || c == '#' && at > 0);
    if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A number of bytes, to a tenth of the unit.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => {
            let (whole, tenths) = tenths(1 << 10);
            format!("{whole}.{tenths} KiB")
        }
        0x10_0000..0x4000_0000 => {
            let (whole, tenths) = tenths(1 << 20);
            format!("{whole}.{tenths} MiB")
        }
        _ => {
            let (whole, tenths) = tenths(1 << 30);
            format!("{whole}.{tenths} GiB")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(
        interface: Option<&str>,
        function: &str,
        params: &[(&str, ValueType)],
        result: ValueType,
    ) -> Export {
        Export {
            interface: interface.map(str::to_owned),
            function: function.to_owned(),
            params: params.iter().map(|(name, param)| ((*name).to_owned(), param.clone())).collect(),
            result: Some(result),
        }
    }

    fn guest(exports: Vec<Export>, imports: &[&str]) -> Description {
        let imports = imports.iter().map(|import| (*import).to_owned()).collect();
        Description { kind: GuestKind::Component, exports, imports, initial_memory: 0 }
    }

    #[track_caller]
    fn check_usage(params: &[(&str, ValueType)], expected: &str) {
        let export = export(None, "f", params, ValueType::Bool);
        let guest = guest(vec![export.clone()], &[]);
        assert_eq!(usage(Path::new("g.wasm"), &guest, &export), expected);
    }

    #[test]
    fn exports_are_grouped_by_interface_with_a_command_line_each() {
        use ValueType::{String, U64};
        let exports = vec![
            export(Some("acme:text/stats@1.2.0"), "analyze", &[("text", String)], U64),
            export(None, "count-primes", &[("start", U64), ("end", U64)], U64),
            export(None, "merge-count-primes", &[("a", U64), ("b", U64)], U64),
        ];
        let guest = guest(exports, &["wasi:cli/environment@0.2.6", "wasi:io/error@0.2.6"]);
        let expected = "\
g.wasm: component, 66.5 KiB

exports
  count-primes(start: u64, end: u64) -> u64
      wasmpool run g.wasm count-primes --range 1..800000
  merge-count-primes(a: u64, b: u64) -> u64
      merges the values of `count-primes`
  acme:text/stats@1.2.0
    analyze(text: string) -> u64
        wasmpool run g.wasm analyze --lines FILE

imports
  wasi:cli/environment@0.2.6
  wasi:io/error@0.2.6
";
        assert_eq!(text(Path::new("g.wasm"), 68_096, &guest), expected);
    }

    #[test]
    fn a_guest_without_anything_is_told_in_words() {
        let expected = "g.wasm: component, 8 bytes\n\nexports no function\n\nimports nothing\n";
        assert_eq!(text(Path::new("g.wasm"), 8, &guest(Vec::new(), &[])), expected);
    }

    #[test]
    fn a_function_that_only_has_the_name_of_a_merge_is_told() {
        use ValueType::{U8, U64};
        let exports = vec![
            export(None, "f", &[("n", U64)], U64),
            export(None, "merge-f", &[("a", U64), ("b", U8)], U64),
            export(None, "finish-f", &[("merged", U64)], U64),
        ];
        let text = text(Path::new("g.wasm"), 8, &guest(exports, &[]));
        for note in [
            "\n      does not merge the values of `f`: that takes two `u64` and returns one\n",
            "\n      does not finish the merged value of `f`: that takes one `u64`, and something that merges\n",
        ] {
            assert!(text.contains(note), "{text}");
        }
    }

    #[test]
    fn an_example_stays_within_the_types() {
        use ValueType::{S8, U8, U64};
        check_usage(&[("start", U8), ("end", U64)], "wasmpool run g.wasm f --range 1..255");
        check_usage(&[("a", U8), ("b", U64)], "wasmpool call g.wasm f 1 1");
        check_usage(&[("a", S8)], "wasmpool run g.wasm f --range 1..100");
    }

    #[test]
    fn other_functions_are_called_with_a_value_of_each_type() {
        use ValueType::{Bool, F64, List, Option, Record, String, Tuple, U8};
        let record = Record(vec![("a".to_owned(), U8), ("b".to_owned(), List(Box::new(String)))]);
        check_usage(&[("x", F64), ("y", Bool), ("z", String)], "wasmpool call g.wasm f 0.5 true text");
        check_usage(
            &[("x", record), ("y", Tuple(vec![U8, U8])), ("z", Option(Box::new(U8)))],
            r#"wasmpool call g.wasm f '{"a":1,"b":["text"]}' '[1,1]' null"#,
        );
        check_usage(&[], "wasmpool call g.wasm f");
    }

    #[test]
    fn what_cannot_be_passed_is_named() {
        check_usage(
            &[("x", ValueType::Other("borrow<file>".to_owned()))],
            "cannot be called: `borrow<file>` cannot be passed",
        );
    }

    #[test]
    fn a_name_that_two_interfaces_share_is_written_in_full() {
        let of = |interface| export(Some(interface), "f", &[], ValueType::U8);
        let guest = guest(vec![of("a:b/c"), of("a:b/d")], &[]);
        assert_eq!(usage(Path::new("g.wasm"), &guest, &guest.exports[1]), "wasmpool call g.wasm a:b/d#f");
    }

    #[test]
    fn words_that_a_shell_would_take_apart_are_quoted() {
        assert_eq!(shell_word("a/b-c.wasm"), "a/b-c.wasm");
        assert_eq!(shell_word("my guest.wasm"), "'my guest.wasm'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("#f"), "'#f'");
    }

    #[test]
    fn names_do_not_control_the_terminal() {
        let guest = guest(Vec::new(), &["env.\x1b[2J"]);
        assert!(text(Path::new("g.wasm"), 8, &guest).ends_with("env.\\u{1b}[2J\n"));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        let sizes = [1023, 1024, 5 << 20, 3 << 29].map(size);
        assert_eq!(sizes, ["1023 bytes", "1.0 KiB", "5.0 MiB", "1.5 GiB"]);
    }
}
