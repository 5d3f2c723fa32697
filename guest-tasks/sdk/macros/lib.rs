//! The attribute behind `wasmpool_guest::task`.
//!
//! It writes down the function's type in WIT and lets wit-bindgen do the rest. It refuses what has no WIT
//! counterpart, with one line that names the alternative.

mod signature;

use proc_macro::TokenStream;
use quote::{format_ident, quote};
use syn::{ItemFn, parse_macro_input};

use crate::signature::Signature;

/// Exports a function of the guest under its own name; see the documentation of `wasmpool-guest`.
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

        #[doc(hidden)]
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
