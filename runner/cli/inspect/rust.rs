//! What a guest offers, as Rust: types and functions for a program that uses the library.
//!
//! A guest has chosen all names. One that is no name in Rust, or that would be another one in WIT, is not written as one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::api::kebab;
use crate::guest::{Description, Export, ValueType};
use crate::plan;
use crate::record::escaped;

/// What stands for a type that has no other form.
const ANY: &str = "serde_json::Value";

/// The most parameters that a tuple of arguments can have, and elements that a tuple can.
const MOST: usize = 8;

/// Names of Rust that are its own.
const KEYWORDS: [&str; 46] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where",
];

/// More of them, which cannot be written with `r#` either.
const RESERVED: [&str; 5] = ["self", "Self", "super", "crate", "_"];

/// A module with a type for each record, enum and variant, and a function for each export that can be called.
pub(super) fn module(name: &Path, guest: &Description) -> String {
    let mut module = Module::default();
    let functions: String = guest
        .exports
        .iter()
        .filter(|export| guest.service_of(export).is_none())
        .map(|export| module.function(guest, export))
        .collect();
    let mut text = format!(
        "//! What `{0}` offers, as Rust: written by `wasmpool inspect --rust {0}`.\n\n",
        escaped(&name.to_string_lossy())
    );
    let macros = if module.declarations.is_empty() { "" } else { ", wit_type" };
    text.push_str(&format!("use wasmpool::{{Error, Future, Pool{macros}}};\n"));
    if !module.declarations.is_empty() {
        text.push_str(&format!("\nwit_type! {{\n{}}}\n", module.declarations.join("\n")));
    }
    text + &functions
}

#[derive(Default)]
struct Module {
    /// Types that have been declared, with their names.
    named: Vec<(ValueType, String)>,
    declarations: Vec<String>,
    types: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Module {
    fn function(&mut self, guest: &Description, export: &Export) -> String {
        let signature = escaped(&export.to_string()).into_owned();
        let mut types = export.params.iter().map(|(_, param)| param).chain(&export.result);
        if !types.all(ValueType::is_passable) {
            return format!("\n// `{signature}` cannot be called: a type of it cannot be passed.\n");
        }
        if export.params.len() > MOST {
            return format!("\n// `{signature}` takes more than {MOST} arguments: see `Arguments`.\n");
        }
        let base = camel(&export.function).unwrap_or_else(|| "Function".to_owned());
        let mut params = String::new();
        let mut arguments = String::new();
        for (place, (name, param)) in export.params.iter().enumerate() {
            let ident =
                snake(name).filter(|ident| ident != "pool").unwrap_or_else(|| format!("argument_{place}"));
            let hint = format!("{base}{}", camel(name).unwrap_or_else(|| format!("Argument{place}")));
            // Writing to a string cannot fail.
            let _ = write!(params, ", {ident}: {}", self.borrowed(param, &hint));
            let _ = write!(arguments, "{}{ident}", if place > 0 { ", " } else { "" });
        }
        if export.params.len() == 1 {
            arguments.push(',');
        }
        let result = export
            .result
            .as_ref()
            .map_or_else(|| "()".to_owned(), |ty| self.owned(ty, &format!("{base}Result")));
        let name = self.function_name(export);
        let called = plan::short_name(guest, export);
        format!(
            "\n/// `{signature}`\n\
             pub fn {name}(pool: &Pool{params}) -> Result<Future<{result}>, Error> {{\n    \
             pool.submit({called:?}, ({arguments}))\n}}\n"
        )
    }

    /// A name that no other function has.
    fn function_name(&mut self, export: &Export) -> String {
        let own = snake(&export.function).unwrap_or_else(|| "function".to_owned());
        let interface = export.interface.as_deref().unwrap_or_default();
        let interface = interface.split('@').next().unwrap_or_default().rsplit(['/', ':']).next();
        let longer =
            interface.and_then(snake).map(|interface| format!("{}_{}", bare(&interface), bare(&own)));
        let candidates = [own.clone()].into_iter().chain(longer);
        let candidates = candidates.chain((2_u32..).map(|n| format!("{}_{n}", bare(&own))));
        free(&mut self.functions, candidates)
    }

    /// The type of a parameter: borrowed where it can be.
    fn borrowed(&mut self, ty: &ValueType, hint: &str) -> String {
        match ty {
            ValueType::String => "&str".to_owned(),
            ValueType::List(element) => format!("&[{}]", self.owned(element, hint)),
            _ => self.owned(ty, hint),
        }
    }

    fn owned(&mut self, ty: &ValueType, hint: &str) -> String {
        let plain = match ty {
            ValueType::Bool => "bool",
            ValueType::S8 => "i8",
            ValueType::U8 => "u8",
            ValueType::S16 => "i16",
            ValueType::U16 => "u16",
            ValueType::S32 => "i32",
            ValueType::U32 => "u32",
            ValueType::S64 => "i64",
            ValueType::U64 => "u64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::Char => "char",
            ValueType::String => "String",
            ValueType::Flags(_) | ValueType::Other(_) => ANY,
            ValueType::List(element) => return format!("Vec<{}>", self.owned(element, hint)),
            ValueType::Option(value) => return format!("Option<{}>", self.owned(value, hint)),
            ValueType::Result { ok, err } => {
                let payload = |module: &mut Self, ty: &Option<Box<ValueType>>, case: &str| {
                    ty.as_ref()
                        .map_or_else(|| "()".to_owned(), |ty| module.owned(ty, &format!("{hint}{case}")))
                };
                return format!("Result<{}, {}>", payload(self, ok, "Ok"), payload(self, err, "Err"));
            }
            ValueType::Tuple(types) => return self.tuple(types, hint),
            ValueType::Record(_) | ValueType::Variant(_) | ValueType::Enum(_) => return self.named(ty, hint),
        };
        plain.to_owned()
    }

    fn tuple(&mut self, types: &[ValueType], hint: &str) -> String {
        if types.is_empty() || types.len() > MOST {
            return ANY.to_owned();
        }
        let types: Vec<_> = types.iter().map(|ty| self.owned(ty, hint)).collect();
        match types.as_slice() {
            [only] => format!("({only},)"),
            types => format!("({})", types.join(", ")),
        }
    }

    /// The name of a type that has been declared, or is now.
    fn named(&mut self, ty: &ValueType, hint: &str) -> String {
        if let Some((_, name)) = self.named.iter().find(|(declared, _)| declared == ty) {
            return name.clone();
        }
        let body = match ty {
            ValueType::Record(fields) => self.fields(fields, hint),
            ValueType::Variant(cases) => self.cases(cases, hint),
            ValueType::Enum(names) => {
                self.cases(&names.iter().map(|name| (name.clone(), None)).collect::<Vec<_>>(), hint)
            }
            _ => None,
        };
        let Some(body) = body else { return ANY.to_owned() };
        let candidates = [hint.to_owned()].into_iter().chain((2_u32..).map(|n| format!("{hint}{n}")));
        let name = free(&mut self.types, candidates);
        let kind = if matches!(ty, ValueType::Record(_)) { "struct" } else { "enum" };
        self.declarations.push(format!(
            "    /// `{}`\n    #[derive(Clone, Debug, PartialEq)]\n    pub {kind} {name} {{\n{body}    }}\n",
            escaped(&ty.to_string())
        ));
        self.named.push((ty.clone(), name.clone()));
        name
    }

    /// The lines of a struct's fields; none if one of them has no name in Rust.
    fn fields(&mut self, fields: &[(String, ValueType)], hint: &str) -> Option<String> {
        let mut lines = String::new();
        for (name, ty) in fields {
            let ident = snake(name).filter(|ident| kebab(ident) == *name)?;
            let ty = self.owned(ty, &format!("{hint}{}", camel(name)?));
            lines.push_str(&format!("        pub {ident}: {ty},\n"));
        }
        (!lines.is_empty()).then_some(lines)
    }

    /// The lines of an enum's cases.
    fn cases(&mut self, cases: &[(String, Option<ValueType>)], hint: &str) -> Option<String> {
        let mut lines = String::new();
        for (name, payload) in cases {
            let ident = camel(name).filter(|ident| kebab(ident) == *name)?;
            let payload =
                payload.as_ref().map(|ty| format!("({})", self.owned(ty, &format!("{hint}{ident}"))));
            lines.push_str(&format!("        {ident}{},\n", payload.unwrap_or_default()));
        }
        (!lines.is_empty()).then_some(lines)
    }
}

/// The first of these names that is not taken, which it is then.
fn free(taken: &mut BTreeSet<String>, mut candidates: impl Iterator<Item = String>) -> String {
    candidates.find(|name| taken.insert(name.clone())).expect("there is no end of them")
}

/// The name of a variable, a field or a function.
fn snake(name: &str) -> Option<String> {
    let snake = name.to_ascii_lowercase().replace('-', "_");
    let is_name = snake.starts_with(|first: char| first.is_ascii_lowercase())
        && snake.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&snake.as_str());
    let is_own = KEYWORDS.contains(&snake.as_str());
    is_name.then(|| if is_own { format!("r#{snake}") } else { snake })
}

/// The name of a type or a case.
fn camel(name: &str) -> Option<String> {
    let capital = |word: &str| {
        let (first, rest) = word.split_at_checked(1)?;
        Some(first.to_ascii_uppercase() + rest)
    };
    let camel: String = bare(&snake(name)?).split('_').map(capital).collect::<Option<_>>()?;
    (!RESERVED.contains(&camel.as_str())).then_some(camel)
}

/// A name without what tells it from a word of Rust's own.
fn bare(name: &str) -> &str {
    name.trim_start_matches("r#")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::GuestKind;

    fn export(function: &str, params: &[(&str, ValueType)], result: Option<ValueType>) -> Export {
        Export {
            interface: Some("a:b/c@1.0.0".to_owned()),
            function: function.to_owned(),
            params: params.iter().map(|(name, param)| ((*name).to_owned(), param.clone())).collect(),
            result,
        }
    }

    fn guest(exports: Vec<Export>) -> Description {
        Description { kind: GuestKind::Component, exports, imports: Vec::new(), initial_memory: 0 }
    }

    fn named<T>(members: Vec<(&str, T)>) -> Vec<(String, T)> {
        members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect()
    }

    #[track_caller]
    fn check(exports: Vec<Export>, expected: &str) {
        let text = module(Path::new("g.wasm"), &guest(exports));
        assert_eq!(
            text,
            format!(
                "//! What `g.wasm` offers, as Rust: written by `wasmpool inspect --rust g.wasm`.\n\n{expected}"
            )
        );
    }

    #[test]
    fn a_function_borrows_what_it_can() {
        use ValueType::{List, String, U8};
        check(
            vec![
                export("in", &[("type", String), ("b-c", List(Box::new(U8)))], None),
                export("f", &[], Some(U8)),
            ],
            "use wasmpool::{Error, Future, Pool};\n
/// `in(type: string, b-c: list<u8>)`
pub fn r#in(pool: &Pool, r#type: &str, b_c: &[u8]) -> Result<Future<()>, Error> {
    pool.submit(\"in\", (r#type, b_c))
}

/// `f() -> u8`
pub fn f(pool: &Pool) -> Result<Future<u8>, Error> {
    pool.submit(\"f\", ())
}
",
        );
    }

    #[test]
    fn the_same_type_is_declared_once() {
        use ValueType::{Enum, F64, Record, Variant};
        let color = Enum(vec!["red".to_owned(), "dark-blue".to_owned()]);
        let shape = Variant(named(vec![("none", None), ("circle", Some(F64))]));
        let item = Record(named(vec![("color", color.clone()), ("shape", shape)]));
        check(
            vec![
                export("paint", &[("item", item.clone())], Some(item)),
                export("mix", &[("a", color)], None),
            ],
            "use wasmpool::{Error, Future, Pool, wit_type};

wit_type! {
    /// `enum { red, dark-blue }`
    #[derive(Clone, Debug, PartialEq)]
    pub enum PaintItemColor {
        Red,
        DarkBlue,
    }

    /// `variant { none, circle(f64) }`
    #[derive(Clone, Debug, PartialEq)]
    pub enum PaintItemShape {
        None,
        Circle(f64),
    }

    /// `record { color: enum { red, dark-blue }, shape: variant { none, circle(f64) } }`
    #[derive(Clone, Debug, PartialEq)]
    pub struct PaintItem {
        pub color: PaintItemColor,
        pub shape: PaintItemShape,
    }
}

/// `paint(item: record { color: enum { red, dark-blue }, shape: variant { none, circle(f64) } }) -> \
record { color: enum { red, dark-blue }, shape: variant { none, circle(f64) } }`
pub fn paint(pool: &Pool, item: PaintItem) -> Result<Future<PaintItem>, Error> {
    pool.submit(\"paint\", (item,))
}

/// `mix(a: enum { red, dark-blue })`
pub fn mix(pool: &Pool, a: PaintItemColor) -> Result<Future<()>, Error> {
    pool.submit(\"mix\", (a,))
}
",
        );
    }

    #[test]
    fn what_has_no_name_in_rust_is_any_value() {
        use ValueType::{Enum, Flags, Record, U8};
        for ty in [
            Enum(vec!["self".to_owned()]),
            Enum(vec!["a-1".to_owned()]),
            Record(named(vec![("URL", U8)])),
            Record(named(vec![("crate", U8)])),
            Flags(vec!["read".to_owned()]),
        ] {
            assert_eq!(Module::default().owned(&ty, "T"), ANY, "{ty}");
        }
    }

    #[test]
    fn functions_of_one_name_are_told_apart() {
        let of = |interface: &str| Export { interface: Some(interface.to_owned()), ..export("f", &[], None) };
        let text = module(Path::new("g"), &guest(vec![of("a:b/c@1.0.0"), of("a:b/d@1.0.0"), of("x:y/d")]));
        for name in ["pub fn f(", "pub fn d_f(", "pub fn f_2("] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn a_guests_names_are_nothing_but_names() {
        let hostile = "f\n} fn main() { panic!(\"\")\u{202e}";
        let exports = vec![Export {
            interface: None,
            ..export(hostile, &[(hostile, ValueType::Record(named(vec![(hostile, ValueType::U8)])))], None)
        }];
        let text = module(Path::new("g\nuse evil;"), &guest(exports));
        let code: Vec<_> = text.lines().filter(|line| !line.starts_with("//")).collect();
        assert_eq!(
            code,
            [
                "",
                "use wasmpool::{Error, Future, Pool};",
                "",
                "pub fn function(pool: &Pool, argument_0: serde_json::Value) -> Result<Future<()>, Error> {",
                "    pool.submit(\"f\\n} fn main() { panic!(\\\"\\\")\\u{202e}\", (argument_0,))",
                "}"
            ]
        );
    }
}
