//! A Rust function's signature, and what it is in WIT.

use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, GenericArgument, Ident, ItemFn, Pat, PathArguments, ReturnType, Type};

const TYPES: &str = "a task takes and returns bool, integers up to 64 bits, f32, f64, char, String, Vec, Option, \
                     Result and tuples of them, and takes &str and slices; for other types write WIT and use \
                     `wasmpool_guest::world!`";

/// What has to be known of a function to export it.
pub(crate) struct Signature {
    /// Its name in WIT.
    name: String,
    /// What it takes.
    pub(crate) params: Vec<Param>,
    /// What it returns, as it stands in the source: `-> u64`, or nothing.
    pub(crate) result: TokenStream,
    /// The type of that in WIT.
    wit_result: Option<String>,
}

/// One parameter.
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: Ident,
    /// The type in which wit-bindgen hands it over.
    pub(crate) owned: TokenStream,
    /// Whether the function wants a reference to that.
    pub(crate) borrowed: bool,
    /// Its type in WIT.
    wit: String,
}

impl Signature {
    /// Reads a function's signature; `arguments` are those of the attribute, of which there are none.
    pub(crate) fn of(function: &ItemFn, arguments: &TokenStream) -> Result<Self, Error> {
        let signature = &function.sig;
        if !arguments.is_empty() {
            return Err(Error::new(arguments.span(), "`task` takes no arguments"));
        }
        if let Some(keyword) = &signature.asyncness {
            return Err(Error::new(
                keyword.span(),
                "a task is not `async`: each call runs alone in its instance",
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new(signature.generics.span(), "a task is not generic: its type is exported"));
        }
        let wit_result = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, result) => Some(wit_type(result)?),
        };
        let result = &signature.output;
        Ok(Self {
            name: wit_name(&signature.ident),
            params: signature.inputs.iter().map(Param::of).collect::<Result<_, _>>()?,
            result: quote!(#result),
            wit_result,
        })
    }

    /// A world that exports this function and nothing else.
    pub(crate) fn world(&self) -> String {
        let mut world = format!("package wasmpool:task; world %{0} {{ export %{0}: func(", self.name);
        for (position, param) in self.params.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(world, "{separator}%{}: {}", wit_name(&param.name), param.wit)
                .expect("a String takes everything");
        }
        world.push(')');
        if let Some(result) = &self.wit_result {
            world.push_str(" -> ");
            world.push_str(result);
        }
        world.push_str("; }");
        world
    }
}

impl Param {
    fn of(input: &FnArg) -> Result<Self, Error> {
        let FnArg::Typed(input) = input else {
            return Err(Error::new(input.span(), "a task is a function, not a method"));
        };
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new(
                input.pat.span(),
                "a task's parameters have names: they are part of its type",
            ));
        };
        let (owned, borrowed) = match &*input.ty {
            Type::Reference(reference) if reference.mutability.is_none() => (owner(&reference.elem)?, true),
            owned => (owned.clone(), false),
        };
        let wit = wit_type(&owned)?;
        Ok(Self { name: pattern.ident.clone(), owned: quote!(#owned), borrowed, wit })
    }
}

/// The type that owns what a reference to `target` borrows.
fn owner(target: &Type) -> Result<Type, Error> {
    match target {
        Type::Path(path) if path.path.is_ident("str") => {
            Ok(syn::parse_quote!(::wasmpool_guest::alloc::string::String))
        }
        Type::Slice(slice) => {
            let element = &slice.elem;
            Ok(syn::parse_quote!(::wasmpool_guest::alloc::vec::Vec<#element>))
        }
        _ => Err(Error::new(target.span(), TYPES)),
    }
}

/// A Rust type's name in WIT.
fn wit_type(rust: &Type) -> Result<String, Error> {
    let refused = || Error::new(rust.span(), TYPES);
    match rust {
        Type::Paren(inner) => wit_type(&inner.elem),
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            let elements = tuple.elems.iter().map(wit_type).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("tuple<{}>", elements.join(", ")))
        }
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last().ok_or_else(refused)?;
            let name = last.ident.to_string();
            match (&last.arguments, name.as_str()) {
                (PathArguments::None, name) => scalar(name).map(str::to_owned).ok_or_else(refused),
                (PathArguments::AngleBracketed(arguments), "Vec" | "Option") => {
                    let Some(GenericArgument::Type(element)) = arguments.args.first() else {
                        return Err(refused());
                    };
                    let constructor = if name == "Vec" { "list" } else { "option" };
                    Ok(format!("{constructor}<{}>", wit_type(element)?))
                }
                (PathArguments::AngleBracketed(arguments), "Result") => {
                    let sides: Vec<_> = arguments.args.iter().collect();
                    let [GenericArgument::Type(ok), GenericArgument::Type(err)] = sides[..] else {
                        return Err(refused());
                    };
                    Ok(match (wit_side(ok)?, wit_side(err)?) {
                        (Some(ok), Some(err)) => format!("result<{ok}, {err}>"),
                        (Some(ok), None) => format!("result<{ok}>"),
                        (None, Some(err)) => format!("result<_, {err}>"),
                        (None, None) => "result".to_owned(),
                    })
                }
                (PathArguments::AngleBracketed(_) | PathArguments::Parenthesized(_), _) => Err(refused()),
            }
        }
        _ => Err(refused()),
    }
}

/// The WIT name of what comes with one side of a result; none for `()`.
fn wit_side(rust: &Type) -> Result<Option<String>, Error> {
    match rust {
        Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(None),
        _ => wit_type(rust).map(Some),
    }
}

/// The WIT name of a type without parameters.
fn scalar(rust: &str) -> Option<&'static str> {
    Some(match rust {
        "bool" => "bool",
        "u8" => "u8",
        "u16" => "u16",
        "u32" => "u32",
        "u64" => "u64",
        "i8" => "s8",
        "i16" => "s16",
        "i32" => "s32",
        "i64" => "s64",
        "f32" => "f32",
        "f64" => "f64",
        "char" => "char",
        "String" => "string",
        _ => return None,
    })
}

/// `merge_counts` is `merge-counts` in WIT, and `_unused` is `unused`.
fn wit_name(rust: &Ident) -> String {
    let name = rust.to_string();
    name.trim_start_matches("r#").trim_matches('_').replace('_', "-")
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use syn::ItemFn;

    use super::Signature;

    #[track_caller]
    fn check(function: &str, world: &str) {
        let function: ItemFn = syn::parse_str(function).expect("it is a function");
        let signature = Signature::of(&function, &TokenStream::new()).expect("it can be exported");
        assert_eq!(signature.world(), world);
    }

    #[track_caller]
    fn check_refused(function: &str, message: &str) {
        let function: ItemFn = syn::parse_str(function).expect("it is a function");
        let error = Signature::of(&function, &TokenStream::new()).err().expect("it is refused");
        assert!(error.to_string().starts_with(message), "{error}");
    }

    #[test]
    fn a_function_is_the_only_export_of_a_world_of_its_name() {
        check(
            "fn count_primes(start: u64, end: u64) -> u64 {}",
            "package wasmpool:task; world %count-primes \
             { export %count-primes: func(%start: u64, %end: u64) -> u64; }",
        );
    }

    #[test]
    fn a_function_without_a_result_has_none_in_wit() {
        check("fn f() {}", "package wasmpool:task; world %f { export %f: func(); }");
    }

    #[test]
    fn types_nest() {
        check(
            "fn f(a: Vec<Option<(i8, String)>>) -> (bool, char, f64) {}",
            "package wasmpool:task; world %f \
             { export %f: func(%a: list<option<tuple<s8, string>>>) -> tuple<bool, char, f64>; }",
        );
    }

    #[test]
    fn a_result_has_one_type_for_each_side() {
        check(
            "fn f(n: u64) -> Result<Vec<u8>, String> {}",
            "package wasmpool:task; world %f { export %f: func(%n: u64) -> result<list<u8>, string>; }",
        );
    }

    #[test]
    fn a_side_without_a_value_is_left_out() {
        for (rust, wit) in [
            ("Result<u64, ()>", "result<u64>"),
            ("Result<(), u64>", "result<_, u64>"),
            ("Result<(), ()>", "result"),
        ] {
            check(
                &format!("fn f() -> {rust} {{}}"),
                &format!("package wasmpool:task; world %f {{ export %f: func() -> {wit}; }}"),
            );
        }
    }

    #[test]
    fn results_nest() {
        check(
            "fn f() -> Vec<(u8, std::result::Result<Option<char>, Result<(), bool>>)> {}",
            "package wasmpool:task; world %f \
             { export %f: func() -> list<tuple<u8, result<option<char>, result<_, bool>>>>; }",
        );
    }

    #[test]
    fn a_result_whose_error_is_not_written_down_is_refused() {
        for function in
            ["fn f() -> Result<u64> {}", "fn f() -> Result<u64, Box<dyn Error>> {}", "fn f() -> () {}"]
        {
            check_refused(function, "a task takes and returns");
        }
    }

    #[test]
    fn borrowed_texts_and_slices_are_strings_and_lists() {
        check(
            "fn f(text: &str, numbers: &[u32]) {}",
            "package wasmpool:task; world %f { export %f: func(%text: string, %numbers: list<u32>); }",
        );
    }

    #[test]
    fn a_parameter_that_is_not_used_has_a_name_all_the_same() {
        check("fn f(_n: u64) {}", "package wasmpool:task; world %f { export %f: func(%n: u64); }");
    }

    #[test]
    fn a_type_without_a_counterpart_is_refused() {
        for function in ["fn f(n: usize) {}", "fn f(m: HashMap<u8, u8>) {}", "fn f() -> &'static str {}"] {
            check_refused(function, "a task takes and returns");
        }
    }

    #[test]
    fn a_task_cannot_change_its_argument() {
        check_refused("fn f(text: &mut str) {}", "a task takes and returns");
    }

    #[test]
    fn a_generic_function_is_refused() {
        check_refused("fn f<T>(n: u64) {}", "a task is not generic");
    }

    #[test]
    fn an_async_function_is_refused() {
        check_refused("async fn f() {}", "a task is not `async`");
    }

    #[test]
    fn a_parameter_without_a_name_is_refused() {
        check_refused("fn f((a, b): (u8, u8)) {}", "a task's parameters have names");
    }
}
