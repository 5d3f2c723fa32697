//! The flag that says which layers of protection must hold.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::sandbox::SandboxMode;

/// What must hold around workers.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct ProtectionArgs {
    /// Layers of protection: what the machine has, all of them or exit 5, or none
    #[arg(long, value_name = "MODE", value_enum, default_value = "auto", hide_short_help = true)]
    sandbox: SandboxMode,
}

impl ProtectionArgs {
    /// Which layers have to hold.
    pub(super) fn mode(&self) -> SandboxMode {
        self.sandbox
    }
}

impl ValueEnum for SandboxMode {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Strict, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => "those that are required, and the others where the kernel has them",
            Self::Strict => "all of them",
            Self::Off => "none: only for guests that are trusted",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}
