//! x
pub use wasmpool_guest_macros::task;
#[doc(hidden)]
pub use wit_bindgen;

/// x
#[macro_export]
macro_rules! world {
    ($path:literal, $world:literal, $guest:ident) => {
        #[doc(hidden)]
        #[allow(unsafe_code, missing_docs, reason = "written by wit-bindgen")]
        mod bindings {
            $crate::wit_bindgen::generate!({
                path: $path,
                world: $world,
                runtime_path: "::wasmpool_guest::wit_bindgen::rt",
            });
            use super::$guest;
            export!($guest);
        }
    };
}
