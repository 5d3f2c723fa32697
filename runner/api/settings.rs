//! How a pool is set up: what a builder gathers.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Cache;
use crate::error::Error;
use crate::guest::{Description, Export, Integers};
use crate::limits::{CodeOptions, DEFAULT_COMPILE, GuestLimits, Isolation, Limits, Policy};
use crate::pool::{self, Pauser, Sharing};
use crate::sandbox::Mode;
use crate::wire::msg::{Init, Serve};

/// What holds for all groups of a pool.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) workers: NonZero<usize>,
    pub(super) limits: Limits,
    pub(super) guest_limits: GuestLimits,
    pub(super) policy: Policy,
    pub(super) isolation: Isolation,
    pub(super) initializer: Option<Initializer>,
    pub(super) seed: Option<u64>,
    pub(super) env: Vec<(String, String)>,
    pub(super) sharing: Sharing,
    pub(super) sandbox: Mode,
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
            isolation: Isolation::Item,
            initializer: None,
            seed: None,
            env: Vec::new(),
            sharing: Sharing::default(),
            sandbox: Mode::Auto,
            cache: Cache::of_environment().ok(),
            compile_timeout: Some(DEFAULT_COMPILE),
            worker_executable: None,
        }
    }
}

impl Settings {
    /// The pool that they ask for.
    pub(super) fn options(&self) -> pool::Options {
        pool::Options {
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
            dirs: Vec::new(),
            sharing: self.sharing.clone(),
        }
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
            dirs: Vec::new(),
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
