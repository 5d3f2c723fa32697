//! What a guest is given beside what every guest has: folders, and an environment.

use std::os::fd::{AsRawFd, OwnedFd};

use wasmtime_wasi::filesystem::{WasiFilesystemCtx, WasiFilesystemView};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::Refusal;
use crate::sandbox::Access;
use crate::wire::msg::GuestDir;

/// The same for every item.
#[derive(Default)]
pub(super) struct Grants {
    /// The folders, opened once: an item gets them without a system call, so nothing can go wrong with them then.
    files: WasiFilesystemCtx,
    env: Vec<(String, String)>,
}

impl Grants {
    /// Opens the folders, which stand in the descriptor table in this order.
    pub(super) fn new(
        dirs: &[GuestDir],
        opened: &[OwnedFd],
        env: &[(String, String)],
    ) -> Result<Self, Refusal> {
        let cannot =
            |why: &dyn std::fmt::Display| Refusal::new(format!("cannot be given its folders: {why}"));
        if dirs.len() != opened.len() {
            return Err(cannot(&format_args!("{} of them are open, not {}", opened.len(), dirs.len())));
        }
        let mut builder = WasiCtx::builder();
        // A jailed process can start no thread for a file.
        builder.allow_blocking_current_thread(true);
        for (GuestDir { path, access }, fd) in dirs.iter().zip(opened) {
            // By the descriptor: the folder's name may mean another one by now, and this process may not be allowed to
            // walk there.
            let place = format!("/proc/self/fd/{}", fd.as_raw_fd());
            builder.preopened_dir(place, path, permissions(*access)).map_err(|error| cannot(&error))?;
        }
        Ok(Self { files: builder.build_p1().filesystem().ctx.clone(), env: env.to_owned() })
    }

    /// Builds a context that has them.
    pub(super) fn build(&self, mut builder: WasiCtxBuilder) -> WasiP1Ctx {
        let mut wasi = builder.envs(&self.env).build_p1();
        wasi.filesystem().ctx.clone_from(&self.files);
        wasi
    }
}

fn permissions(access: Access) -> FsPerms {
    match access {
        Access::Read => FsPerms::ReadOnly,
        Access::Write => FsPerms::ReadWrite,
    }
}
