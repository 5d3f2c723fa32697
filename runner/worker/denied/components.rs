//! What components are denied.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::Host as _;
use wasmtime_wasi::p2::bindings::sockets::network::{self, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket::Host as _;
use wasmtime_wasi::p2::bindings::sync::filesystem::types::{
    DescriptorFlags, DescriptorType, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::sync::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::{FsError, FsResult, SocketResult};
use wasmtime_wasi::sockets::WasiSocketsView;

use super::{opening, shown, writing};
use crate::worker::wasi::State;

const FILES: &str = "wasi:filesystem/types@0.2.12";

/// One function of a descriptor that takes a path or two, and how to call it if it is denied.
macro_rules! watch {
    ($files:ident, $name:literal, $method:path, ($($argument:ident: $ty:ty),*), $($path:ident),+ => $asked:literal) => {
        $files.func_wrap(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, State>,
             (folder, $($argument),*): (Resource<Descriptor>, $($ty),*)| {
                let paths = ($($path.clone(),)+);
                let state = store.data_mut();
                let ended = $method(&mut state.filesystem(), folder, $($argument),*);
                let asked = || {
                    let ($($path,)+) = paths;
                    $(let $path = shown(&$path);)+
                    format!($asked)
                };
                Ok((state.noted(ended, asked)?,))
            },
        )?;
    };
}

/// Puts the functions that take paths in the place of the runtime's.
pub(in crate::worker) fn watch_files(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Folder<'a> = WasiFilesystemCtxView<'a>;
    linker.allow_shadowing(true);
    let mut files = linker.instance(FILES)?;
    files.func_wrap(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, State>,
         (folder, follow, path, how, flags): (
            Resource<Descriptor>,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            let state = store.data_mut();
            let writes = flags.contains(DescriptorFlags::WRITE)
                || how.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE);
            let opened = open(&mut state.filesystem(), folder, follow, path.clone(), how, flags);
            let asked = || if writes { writing(&path) } else { opening(&path) };
            Ok((state.noted(opened, asked)?,))
        },
    )?;
    watch!(files, "stat-at", Folder::stat_at, (follow: PathFlags, path: String),
        path => "looking at `{path}`");
    watch!(files, "readlink-at", Folder::readlink_at, (path: String),
        path => "reading the link `{path}`");
    watch!(files, "create-directory-at", Folder::create_directory_at, (path: String),
        path => "making the folder `{path}`");
    watch!(files, "remove-directory-at", Folder::remove_directory_at, (path: String),
        path => "removing the folder `{path}`");
    watch!(files, "unlink-file-at", Folder::unlink_file_at, (path: String),
        path => "removing `{path}`");
    watch!(files, "set-times-at", Folder::set_times_at,
        (follow: PathFlags, path: String, accessed: NewTimestamp, changed: NewTimestamp),
        path => "setting the times of `{path}`");
    watch!(files, "symlink-at", Folder::symlink_at, (old: String, new: String),
        old, new => "linking `{old}` as `{new}`");
    watch!(files, "link-at", Folder::link_at,
        (follow: PathFlags, old: String, other: Resource<Descriptor>, new: String),
        old, new => "linking `{old}` as `{new}`");
    watch!(files, "rename-at", Folder::rename_at, (old: String, other: Resource<Descriptor>, new: String),
        old, new => "renaming `{old}` to `{new}`");
    linker.allow_shadowing(false);
    Ok(())
}

/// Opens a file or a folder, and nothing else: what comes out of a pipe or a device may be waited for without end, by a
/// thread that the worker has only one of.
fn open(
    files: &mut WasiFilesystemCtxView<'_>,
    folder: Resource<Descriptor>,
    follow: PathFlags,
    path: String,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> FsResult<Resource<Descriptor>> {
    let opened = files.open_at(folder, follow, path, how, flags)?;
    match files.get_type(Resource::new_borrow(opened.rep()))? {
        DescriptorType::RegularFile | DescriptorType::Directory => Ok(opened),
        _ => {
            HostDescriptor::drop(files, opened).map_err(FsError::trap)?;
            Err(ErrorCode::NotPermitted.into())
        }
    }
}

/// Puts the functions that a use of the network begins with in the place of the runtime's.
pub(in crate::worker) fn watch_network(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?.func_wrap(
        "create-tcp-socket",
        |mut store: StoreContextMut<'_, State>, (family,): (IpAddressFamily,)| {
            let state = store.data_mut();
            let made = state.sockets().create_tcp_socket(family);
            Ok((state.unconnected(made, || "making a TCP socket".to_owned())?,))
        },
    )?;
    linker.instance("wasi:sockets/udp-create-socket@0.2.12")?.func_wrap(
        "create-udp-socket",
        |mut store: StoreContextMut<'_, State>, (family,): (IpAddressFamily,)| {
            let state = store.data_mut();
            let made = state.sockets().create_udp_socket(family);
            Ok((state.unconnected(made, || "making a UDP socket".to_owned())?,))
        },
    )?;
    linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?.func_wrap(
        "resolve-addresses",
        |mut store: StoreContextMut<'_, State>, (network, name): (Resource<Network>, String)| {
            let state = store.data_mut();
            let looked_up = state.sockets().resolve_addresses(network, name.clone());
            Ok((state.unconnected(looked_up, || format!("looking up `{}`", shown(&name)))?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

impl State {
    /// What the guest is told of how a use of files `ended`.
    fn noted<T>(
        &mut self,
        ended: FsResult<T>,
        asked: impl FnOnce() -> String,
    ) -> wasmtime::Result<Result<T, ErrorCode>> {
        let code = match ended {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error.downcast()?,
        };
        if matches!(code, ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly) {
            self.deny(&asked());
        }
        Ok(Err(code))
    }

    /// What the guest is told of how a use of the network `ended`, of which none is allowed.
    fn unconnected<T>(
        &mut self,
        ended: SocketResult<T>,
        asked: impl FnOnce() -> String,
    ) -> wasmtime::Result<Result<T, network::ErrorCode>> {
        let code = match ended {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error.downcast()?,
        };
        self.deny(&asked());
        Ok(Err(code))
    }
}
