//! The interfaces of `wit/pool/pool.wit`, as they are imported.
//!
//! A guest imports only those of them that it uses.
#![allow(
    unsafe_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "written by wit-bindgen"
)]

wit_bindgen::generate!({
    path: "../../wit/pool/pool.wit",
    world: "shared",
    runtime_path: "::wit_bindgen::rt",
});
