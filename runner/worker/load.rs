//! Mapping compiled code: the one unsafe thing a worker does with a guest.
#![expect(unsafe_code, reason = "the runtime cannot prove that bytes are code it compiled itself")]

use std::fs::File;
use std::os::fd::AsRawFd;

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

/// Code ready to be linked.
pub(super) enum Code {
    Component(Component),
    Module(Module),
}

/// Maps the code in `file`, which must not change while any process has it mapped: it is a sealed memfd.
pub(super) fn load(engine: &Engine, file: &File) -> wasmtime::Result<Code> {
    // The runtime maps components by path only. This one works under a jail that lets nothing else be opened.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match Engine::detect_precompiled_file(&path)? {
        Some(Precompiled::Component) => {
            // SAFETY: the callee wants a file made by `Engine::precompile_component` that does not change. Our
            // compile worker made it with the same configuration, which the callee compares, and the host has
            // sealed it. Were it forged by a compile worker that a hostile guest took over, its code would run
            // in this process, which is jailed as if all its code were hostile.
            let component = unsafe { Component::deserialize_file(engine, path) }?;
            Ok(Code::Component(component))
        }
        Some(Precompiled::Module) => {
            // SAFETY: as above, with `Engine::precompile_module`.
            let module = unsafe { Module::deserialize_file(engine, path) }?;
            Ok(Code::Module(module))
        }
        None => Err(wasmtime::Error::msg("not compiled code")),
    }
}
