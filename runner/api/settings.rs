//! How a pool is set up: what a builder gathers.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Cache;
use crate::error::Error;
use crate::guest::{Description, Export, Integers};
use crate::limits::{CodeOptions, DEFAULT_COMPILE, GuestLimits, Isolation, Limits, Policy};
use crate::plan::HostDir;
use crate::plan::folders;
use crate::pool::{self, Pauser, Sharing};
use crate::sandbox::SandboxMode;
use crate::wire::msg::{Init, Serve};

/// What holds for all groups of a pool.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) workers: NonZero<usize>,
    pub(super) limits: Limits,
    pub(super) guest_limits: GuestLimits,
    pub(super) policy: Policy,
    /// How often a call that took its worker with it is made again; none: as often as what it may write to allows.
    pub(super) crash_retries: Option<u32>,
    pub(super) isolation: Isolation,
    pub(super) initializer: Option<Initializer>,
    pub(super) seed: Option<u64>,
    pub(super) dirs: Vec<HostDir>,
    pub(super) env: Vec<(String, String)>,
    pub(super) sharing: Sharing,
    pub(super) sandbox: SandboxMode,
    pub(super) cache: Option<Cache>,
    pub(super) compile_timeout: Option<Duration>,
    pub(super) worker_executable: Option<PathBuf>,
}

/// What each new instance is prepared with.
#[derive(Clone, Debug)]
pub(super) struct Initializer {
    pub(super) export: String,
    /// A JSON array.
    pub(super) arguments: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            limits: Limits::default(),
            guest_limits: GuestLimits::default(),
            policy: Policy::default(),
            crash_retries: None,
            isolation: Isolation::Item,
            initializer: None,
            seed: None,
            dirs: Vec::new(),
            env: Vec::new(),
            sharing: Sharing::default(),
            sandbox: SandboxMode::Auto,
            cache: Cache::of_environment().ok(),
            compile_timeout: Some(DEFAULT_COMPILE),
            worker_executable: None,
        }
    }
}

impl Settings {
    /// Checks what can be wrong before there is a guest.
    pub(super) fn check(&self) -> Result<(), Error> {
        for HostDir { host, guest, access: _ } in &self.dirs {
            let wrong = |what: &str| {
                Error::usage(format!("the folder `{}` {what}", host.display()), "give it another name: `dir`")
            };
            if guest.is_empty() {
                return Err(wrong("has no name for the guest"));
            }
            if guest.contains('\0') {
                return Err(wrong("has a name for the guest with a NUL in it"));
            }
        }
        folders::check(&self.dirs, &self.env, self.seed)
    }

    /// What becomes of calls that fail.
    pub(super) fn policy(&self) -> Policy {
        let crash_retries = self.crash_retries.unwrap_or_else(|| folders::crash_retries(&self.dirs));
        Policy { crash_retries, ..self.policy }
    }

    /// The pool that they ask for.
    pub(super) fn options(&self) -> Result<pool::Options, Error> {
        Ok(pool::Options {
            workers: self.workers.get(),
            spare: true,
            worker_executable: self.worker_executable.clone(),
            compile_timeout: self.compile_timeout,
            code: CodeOptions {
                fuel: self.guest_limits.fuel.is_some(),
                deterministic: self.seed.is_some(),
                // As what is shared says.
                segments: false,
            },
            cache: self.cache.clone(),
            run_timeout: None,
            pauser: Pauser::default(),
            sandbox: self.sandbox,
            dirs: self.dirs.iter().map(folders::open).collect::<Result<_, _>>()?,
            sharing: self.sharing.clone(),
        })
    }

    /// What the workers of a guest are told that has these functions to be called.
    pub(super) fn serve<'a>(
        &self,
        description: &Description,
        guest: &Path,
        callable: impl Iterator<Item = &'a Export>,
    ) -> Result<Serve, Error> {
        let exports: Vec<_> = callable.map(Export::full_name).collect();
        let init = self
            .initializer
            .as_ref()
            .map(|init| self.init(init, description, guest, &exports))
            .transpose()?;
        Ok(Serve {
            exports,
            meta: false,
            limits: self.guest_limits,
            isolation: self.isolation,
            seed: self.seed,
            integers: Integers::Signed,
            dirs: self.dirs.iter().map(HostDir::guest_dir).collect(),
            env: self.env.clone(),
            init,
            bound: Vec::new(),
            // The pool says what there is.
            shared: Vec::new(),
        })
    }

    fn init(
        &self,
        Initializer { export, arguments }: &Initializer,
        description: &Description,
        guest: &Path,
        exports: &[String],
    ) -> Result<Init, Error> {
        let name = crate::plan::by_name(guest, description, export)?.full_name();
        let place = exports.iter().position(|export| *export == name).ok_or_else(|| {
            Error::guest(guest, format!("exports `{export}`, which cannot be called with values"), None)
        })?;
        let export = u32::try_from(place).expect("a description lists far fewer functions");
        Ok(Init { export, arguments: arguments.clone() })
    }
}
