//! WASI as guests get it: clocks, randomness, output that is captured, the folders and the environment that they are
//! given; no arguments, an empty standard input, no network.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::runtime::{EnterGuard, Runtime};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::Types;
use wasmtime::{Engine, Store, component};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::denied;
use super::fixed::Chance;
use super::grants::Grants;
use super::limits::Limiter;
use super::shared::{self, Hands, Herald};
use super::stdio::{Capture, Stream};
use crate::item::ItemIndex;

/// What a store holds, for one item or for one after the other.
pub(super) struct State {
    /// Made when the guest first asks: most items of a computing guest never do.
    wasi: Option<WasiP1Ctx>,
    captured: Arc<Capture>,
    grants: Arc<Grants>,
    /// Where clocks and random numbers come from, if not from the machine.
    chance: Option<Chance>,
    pub(super) limiter: Limiter,
    /// What was denied to the item.
    pub(super) denied: Option<String>,
    /// What it holds of what is shared.
    pub(super) hands: Hands,
    pub(super) herald: Herald,
    /// The guest in this store, once there is one.
    pub(super) instance: Option<Instance>,
}

/// An instance of either kind of guest.
#[derive(Clone, Copy)]
pub(super) enum Instance {
    Component(component::Instance),
    Module(wasmtime::Instance),
}

impl State {
    pub(super) fn new(
        captured: Arc<Capture>,
        grants: Arc<Grants>,
        limiter: Limiter,
        hands: Hands,
        herald: Herald,
    ) -> Self {
        Self {
            wasi: None,
            captured,
            grants,
            chance: None,
            limiter,
            denied: None,
            hands,
            herald,
            instance: None,
        }
    }

    /// Another item begins.
    pub(super) fn restart(&mut self, item: ItemIndex, chance: Option<Chance>) {
        self.limiter.restart();
        self.herald.restart(item);
        self.denied = None;
        self.chance = chance;
        if let (Some(wasi), Some(chance)) = (&mut self.wasi, chance) {
            // The rest of it stays: an instance that is kept holds streams of it.
            let mut fresh = WasiCtx::builder();
            chance.fix(&mut fresh);
            std::mem::swap(wasi.ctx().ctx.random(), fresh.build().random());
        }
    }

    pub(super) fn wasi(&mut self) -> &mut WasiP1Ctx {
        self.wasi.get_or_insert_with(|| self.grants.build(builder(&self.captured, self.chance)))
    }
}

fn builder(captured: &Arc<Capture>, chance: Option<Chance>) -> WasiCtxBuilder {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(Stream::stdout(captured))
        .stderr(Stream::stderr(captured))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .allow_blocking_current_thread(true);
    if let Some(chance) = chance {
        chance.fix(&mut builder);
    }
    builder
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().ctx()
    }
}

/// Whether a guest has any folders. It asks for no file without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    None,
    Some,
}

/// A linker for components.
pub(super) fn component_linker(engine: &Engine, files: Files) -> wasmtime::Result<component::Linker<State>> {
    let mut linker = component::Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    shared::add_to_linker(&mut linker)?;
    denied::watch_network(&mut linker)?;
    if files == Files::Some {
        denied::watch_files(&mut linker)?;
    }
    Ok(linker)
}

/// A linker for core modules.
pub(super) fn module_linker(engine: &Engine, files: Files) -> wasmtime::Result<wasmtime::Linker<State>> {
    let mut linker = wasmtime::Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut linker, State::wasi)?;
    if files == Files::Some {
        denied::watch_module_files(&mut linker)?;
    }
    Ok(linker)
}

/// The functions that [`module_linker`] provides.
pub(super) struct Preview1 {
    linker: wasmtime::Linker<State>,
    store: Store<State>,
}

impl Preview1 {
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let state = State::new(
            Arc::new(Capture::new(0)),
            Arc::default(),
            Limiter::new(0),
            Hands::new(Arc::default()),
            Herald::default(),
        );
        Ok(Self { linker: module_linker(engine, Files::None)?, store: Store::new(engine, state) })
    }

    pub(super) fn has(&mut self, module: &str, name: &str) -> bool {
        self.linker.get(&mut self.store, module, name).is_ok()
    }
}

/// The interfaces that [`component_linker`] provides, in any version 0.2.
const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Whether [`component_linker`] provides the interface of this name.
pub(super) fn provides_interface(name: &str) -> bool {
    if shared::provides(name) {
        return true;
    }
    let Some((interface, version)) = name.split_once('@') else { return false };
    let is_patch = |patch: &str| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    INTERFACES.contains(&interface) && version.strip_prefix("0.2.").is_some_and(is_patch)
}

/// Whether an import has to be given anything: an interface of types alone has not.
pub(super) fn needs_provider(types: &Types, entity: &ComponentEntityType) -> bool {
    match entity {
        ComponentEntityType::Type { created, .. } => matches!(created, ComponentAnyTypeId::Resource(_)),
        ComponentEntityType::Instance(id) => {
            types[*id].exports.values().any(|item| needs_provider(types, &item.ty))
        }
        ComponentEntityType::Func(_)
        | ComponentEntityType::Module(_)
        | ComponentEntityType::Component(_)
        | ComponentEntityType::Value(_) => true,
    }
}

/// How long a thread of the runtime waits for work before it ends: no worker gets that old.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What host functions that may wait run on. Its threads are started with it and not by the first guest that waits: a
/// jailed process can start none.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_keep_alive(FOR_EVER)
        .enable_time()
        .build()
        .expect("a worker can start a thread before it is locked down");
    // When a task has run on it, the thread has made its last system call of the kinds that the jail forbids.
    runtime.block_on(async { tokio::spawn(async {}).await }).expect("an empty task ends");
    runtime
});

/// The worker's runtime, for guests that import anything.
#[derive(Clone, Copy)]
pub(super) struct Waiting(Option<&'static Runtime>);

impl Waiting {
    /// Starts the runtime's thread if the guest `imports` anything, and one more if it has files: it may read a file
    /// without waiting for it, so somebody else has to.
    pub(super) fn start(imports: bool, files: Files) -> Self {
        let runtime = imports.then(|| &*RUNTIME);
        if let (Some(runtime), Files::Some) = (runtime, files) {
            runtime.block_on(runtime.spawn_blocking(|| ())).expect("it does nothing");
        }
        Self(runtime)
    }

    /// Lets host functions wait while the guard lives.
    pub(super) fn enter(self) -> Option<EnterGuard<'static>> {
        self.0.map(Runtime::enter)
    }
}
