//! From a guest's bytes to a description, and on to compiled code.
//!
//! Runs in a process of its own, because compiling hostile bytes can take any time and any memory. Nothing here
//! runs guest code.

use std::fmt;
use std::num::NonZeroUsize;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW1, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wasmparser::{Parser, Payload, WasmFeatures};
use wasmtime::Engine;
use wit_component::ComponentEncoder;

use super::engine::{Purpose, engine};
use super::validate::{self, Outline};
use super::{Refusal, describe, wasi};
use crate::guest::{Description, GuestKind};
use crate::limits::CodeOptions;

/// A guest that has been described and can be compiled.
pub struct Prepared {
    engine: Engine,
    kind: GuestKind,
    /// What to compile; for a module that has become a component, the component.
    wasm: Vec<u8>,
    /// Why it cannot run here, although it can be described.
    obstacle: Option<Refusal>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Starts the threads that compile, and waits until each of them has run. A jailed process can start none, and one that
/// is still starting would die of it.
///
/// # Errors
/// If the machine cannot have them.
pub fn start_threads(count: NonZeroUsize) -> Result<(), Refusal> {
    // The runtime compiles on this pool.
    rayon::ThreadPoolBuilder::new().num_threads(count.get()).build_global().map_err(|error| {
        let hint =
            "each takes one of `ulimit -u`, and memory of `ulimit -v` and `ulimit -d`: raise what is low";
        let message = format!("the threads that compile cannot be started: {error}");
        Refusal::machine(message, Some(hint.to_owned()))
    })?;
    rayon::broadcast(|_| ());
    Ok(())
}

/// Reads what a guest offers from its raw bytes, without compiling it, which would be done as `code` says.
///
/// A core module that carries a component type becomes a component first.
///
/// # Errors
/// If the bytes are not a guest of a kind that wasmpool knows, or need a proposal that is off.
pub fn describe(bytes: &[u8], code: CodeOptions) -> Result<(Description, Prepared), Refusal> {
    let engine = engine(Purpose::Compile, code).map_err(cannot_compile_here)?;
    let features = engine.get_wasm_features();
    check_magic(bytes)?;
    let mut wasm = bytes.to_vec();
    let mut outline = validate::outline(&wasm, features)?;
    if !Parser::is_component(bytes) && has_component_type(bytes) {
        check_importable(&outline)?;
        wasm = to_component(bytes, features)?;
        outline = validate::outline(&wasm, features)?;
    }
    let (description, missing) = if Parser::is_component(&wasm) {
        (describe::component(&outline), missing_interfaces(&outline))
    } else {
        let missing = missing_functions(&engine, &outline)?;
        (describe::module(&outline), missing)
    };
    let obstacle = refuse_missing(missing);
    let kind = description.kind;
    Ok((description, Prepared { engine, kind, wasm, obstacle }))
}

/// Compiles a guest, on all cores.
///
/// # Errors
/// If its imports cannot be met, or a function body is invalid.
pub fn compile(prepared: Prepared) -> Result<Vec<u8>, Refusal> {
    let Prepared { engine, kind, wasm, obstacle } = prepared;
    if let Some(refusal) = obstacle {
        return Err(refusal);
    }
    let compiled = match kind {
        GuestKind::Component => engine.precompile_component(&wasm),
        GuestKind::Module => engine.precompile_module(&wasm),
    };
    compiled.map_err(|error| {
        // The runtime wraps a validation error in words of its own; asked again, the validator is precise.
        validate::fault(&wasm, engine.get_wasm_features()).unwrap_or_else(|| {
            Refusal::new(format!("cannot be compiled: {}", validate::one_line(&format!("{error:#}"))))
        })
    })
}

fn cannot_compile_here(error: wasmtime::Error) -> Refusal {
    let error = validate::one_line(&format!("{error:#}"));
    Refusal::machine(format!("guests cannot be compiled on this machine: {error}"), None)
}

fn check_magic(bytes: &[u8]) -> Result<(), Refusal> {
    const HEADER: usize = 8;
    if bytes.is_empty() {
        return Err(Refusal::new("is empty"));
    }
    let start = bytes.trim_ascii_start();
    if start.starts_with(b"(module") || start.starts_with(b"(component") {
        return Err(Refusal::with_hint(
            "is WebAssembly text, not a compiled guest",
            "turn it into a binary with `wasm-tools parse`",
        ));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Refusal::new("is not WebAssembly"));
    }
    if bytes.len() < HEADER {
        return Err(Refusal::new(format!("is not valid WebAssembly: it ends after {} bytes", bytes.len())));
    }
    if !Parser::is_component(bytes) && !Parser::is_core_wasm(bytes) {
        return Err(Refusal::new("is WebAssembly of an unknown version"));
    }
    Ok(())
}

fn has_component_type(module: &[u8]) -> bool {
    Parser::new(0).parse_all(module).any(|payload| match payload {
        Ok(Payload::CustomSection(section)) => section.name().starts_with("component-type"),
        _ => false,
    })
}

fn to_component(module: &[u8], features: WasmFeatures) -> Result<Vec<u8>, Refusal> {
    // A body's fault must be told by its place in the file, not in the component.
    if let Some(refusal) = validate::fault(module, features) {
        return Err(refusal);
    }
    let encode = || ComponentEncoder::default().module(module)?.adapter(PREVIEW1, ADAPTER)?.encode();
    encode().map_err(|error| {
        let error = validate::one_line(&format!("{error:#}"));
        Refusal::new(format!("cannot be made a component: {error}"))
    })
}

/// A component is built from a module whose imports are functions of its component type and of preview 1. Any
/// other is named here; the encoder would stop at the first.
fn check_importable(outline: &Outline) -> Result<(), Refusal> {
    let described = |module: &str| {
        module == PREVIEW1
            || module.contains(':')
            || ["$root", "[", "cm32p2", "__main_module__"].iter().any(|known| module.starts_with(known))
    };
    let imports = outline.types.as_ref().core_imports().into_iter().flatten();
    let foreign = imports.filter(|(module, ..)| !described(module));
    match refuse_missing(foreign.map(|(module, name, _)| format!("{module}.{name}")).collect()) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

fn missing_interfaces(outline: &Outline) -> Vec<String> {
    let needed = |name: &&String| {
        outline.import(name).is_some_and(|entity| wasi::needs_provider(&outline.types, entity))
            && !wasi::provides_interface(name)
    };
    outline.imports.iter().filter(needed).cloned().collect()
}

fn missing_functions(engine: &Engine, outline: &Outline) -> Result<Vec<String>, Refusal> {
    let mut provided = wasi::Preview1::new(engine).map_err(cannot_compile_here)?;
    let imports = outline.types.as_ref().core_imports().into_iter().flatten();
    let missing = imports.filter(|(module, name, _)| !provided.has(module, name));
    Ok(missing.map(|(module, name, _)| format!("{module}.{name}")).collect())
}

fn refuse_missing(mut missing: Vec<String>) -> Option<Refusal> {
    missing.sort_unstable();
    missing.dedup();
    let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    (!missing.is_empty()).then(|| Refusal::new(format!("needs {names}, which wasmpool does not provide")))
}
