//! The attribute behind `wasmpool_guest::task`.
//!
//! It writes down the function's type in WIT and lets wit-bindgen do the rest. It refuses what has no WIT
//! counterpart, with one line that names the alternative.

mod signature;

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{ItemFn, parse_macro_input};

use crate::signature::Signature;

/// Exports a function of the guest under its own name: `count_words` is `count-words` to whoever calls it.
///
/// The names of its parameters are part of its type, `wasmpool inspect` shows them. These types are understood:
///
/// | Rust | WIT |
/// |---|---|
/// | `bool`, `char`, `f32`, `f64` | the same |
/// | `u8` … `u64`, `i8` … `i64` | `u8` … `u64`, `s8` … `s64` |
/// | `String`, as a parameter also `&str` | `string` |
/// | `Vec<T>`, as a parameter also `&[T]` | `list<T>` |
/// | `Option<T>`, `(T, …)` | `option<T>`, `tuple<T, …>` |
/// | `Result<T, E>`, with `()` for a side without a value | `result<T, E>`, `result<T>`, `result<_, E>`, `result` |
///
/// The function stays as it is: other code, and tests, call it as any other.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = proc_macro2::TokenStream::from(arguments);
    let function = parse_macro_input!(item as ItemFn);
    let signature = match Signature::of(&function, &arguments) {
        Ok(signature) => signature,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#function #error).into();
        }
    };
    let name = &function.sig.ident;
    let module = format_ident!("wasmpool_task_{name}");
    let world = signature.world();
    let Signature { params, result, .. } = &signature;
    let names = params.iter().map(|param| &param.name);
    let owned = params.iter().map(|param| &param.owned);
    let passed = params.iter().map(|param| {
        let name = &param.name;
        if param.borrowed { quote!(&#name) } else { quote!(#name) }
    });
    quote! {
        #function

        #[allow(unsafe_code, missing_docs, reason = "written by wit-bindgen")]
        mod #module {
            ::wasmpool_guest::wit_bindgen::generate!({
                inline: #world,
                runtime_path: "::wasmpool_guest::wit_bindgen::rt",
            });

            struct Task;

            impl Guest for Task {
                fn #name(#(#names: #owned),*) #result {
                    super::#name(#(#passed),*)
                }
            }

            export!(Task);
        }
    }
    .into()
}
