//! What plain modules are denied.

use wasmtime::{AsContextMut, Caller, Extern, Linker};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Fd, Filetype, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as preview1, WasiSnapshotPreview1};
use wasmtime_wasi::runtime::in_tokio;
use wiggle::{GuestMemory, GuestPtr};

use super::{LONGEST_PATH, opening, shown, writing};
use crate::worker::wasi::State;

const MODULE: &str = "wasi_snapshot_preview1";

/// Of the flags of `path_open`: that the file is made, or cut off, by opening it.
const WRITING: i32 = 1 | 8;

/// One function that takes a path or two, where they lie in memory, and how to call it if it is denied.
macro_rules! watch {
    ($linker:ident, $function:ident($($argument:ident: $ty:ty),*),
     $($path:ident = $at:ident + $length:ident),+ => $asked:literal) => {
        $linker.func_wrap(
            MODULE,
            stringify!($function),
            |mut caller: Caller<'_, State>, $($argument: $ty),*| -> wasmtime::Result<i32> {
                let errno = with_memory(&mut caller, |wasi, memory| {
                    in_tokio(preview1::$function(wasi, memory, $($argument),*))
                })?;
                if is_denial(errno) {
                    $(let $path = shown(&text(&mut caller, $at, $length));)+
                    caller.data_mut().deny(&format!($asked));
                }
                Ok(errno)
            },
        )?;
    };
}

/// Puts the functions that take paths in the place of the runtime's.
pub(in crate::worker) fn watch_files(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap(MODULE, "path_open", open)?;
    watch!(linker, path_filestat_get(folder: i32, follow: i32, at: i32, length: i32, stat: i32),
        path = at + length => "looking at `{path}`");
    watch!(linker, path_readlink(folder: i32, at: i32, length: i32, to: i32, room: i32, written: i32),
        path = at + length => "reading the link `{path}`");
    watch!(linker, path_create_directory(folder: i32, at: i32, length: i32),
        path = at + length => "making the folder `{path}`");
    watch!(linker, path_remove_directory(folder: i32, at: i32, length: i32),
        path = at + length => "removing the folder `{path}`");
    watch!(linker, path_unlink_file(folder: i32, at: i32, length: i32),
        path = at + length => "removing `{path}`");
    watch!(linker, path_filestat_set_times(
            folder: i32, follow: i32, at: i32, length: i32, accessed: i64, changed: i64, which: i32),
        path = at + length => "setting the times of `{path}`");
    watch!(linker, path_symlink(at: i32, length: i32, folder: i32, new_at: i32, new_length: i32),
        old = at + length, new = new_at + new_length => "linking `{old}` as `{new}`");
    watch!(linker, path_link(
            folder: i32, follow: i32, at: i32, length: i32, other: i32, new_at: i32, new_length: i32),
        old = at + length, new = new_at + new_length => "linking `{old}` as `{new}`");
    watch!(linker, path_rename(folder: i32, at: i32, length: i32, other: i32, new_at: i32, new_length: i32),
        old = at + length, new = new_at + new_length => "renaming `{old}` to `{new}`");
    linker.allow_shadowing(false);
    Ok(())
}

/// As for components: nothing but files and folders.
#[expect(clippy::too_many_arguments, reason = "preview 1 has them")]
fn open(
    mut caller: Caller<'_, State>,
    folder: i32,
    follow: i32,
    at: i32,
    length: i32,
    how: i32,
    rights: i64,
    inherited: i64,
    flags: i32,
    to: i32,
) -> wasmtime::Result<i32> {
    let errno = with_memory(&mut caller, |wasi, memory| {
        let opened =
            preview1::path_open(wasi, memory, folder, follow, at, length, how, rights, inherited, flags, to);
        let errno = in_tokio(opened)?;
        if errno != number(Errno::Success) {
            return Ok(errno);
        }
        let fd = memory.read(GuestPtr::<u32>::new(to.cast_unsigned()))?.into();
        in_tokio(refuse_special(wasi, memory, fd))
    })?;
    if is_denial(errno) {
        let writes = Rights::from_bits_truncate(rights.cast_unsigned()).contains(Rights::FD_WRITE)
            || how & WRITING != 0;
        let path = text(&mut caller, at, length);
        caller.data_mut().deny(&if writes { writing(&path) } else { opening(&path) });
    }
    Ok(errno)
}

/// Closes what was opened unless it is a file or a folder.
async fn refuse_special(wasi: &mut WasiP1Ctx, memory: &mut GuestMemory<'_>, fd: Fd) -> wasmtime::Result<i32> {
    let kind = wasi.fd_fdstat_get(memory, fd).await.map(|stat| stat.fs_filetype);
    if matches!(kind, Ok(Filetype::RegularFile | Filetype::Directory)) {
        return Ok(number(Errno::Success));
    }
    wasi.fd_close(memory, fd)
        .await
        .map_err(|_| wasmtime::format_err!("a file that was opened cannot be closed"))?;
    Ok(number(Errno::Perm))
}

/// Calls with the context of WASI and with the guest's memory, as the runtime's own functions are.
fn with_memory(
    caller: &mut Caller<'_, State>,
    call: impl FnOnce(&mut WasiP1Ctx, &mut GuestMemory<'_>) -> wasmtime::Result<i32>,
) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::format_err!("missing required memory export"));
    };
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (bytes, state) = memory.data_and_store_mut(caller);
    let wasi = state.wasi();
    wasi.set_hostcall_fuel(fuel);
    call(wasi, &mut GuestMemory::Unshared(bytes))
}

/// A path in the guest's memory, or its beginning if it is longer than what is told of it.
fn text(caller: &mut Caller<'_, State>, at: i32, length: i32) -> String {
    // No character takes more.
    const MOST: usize = 4 * (LONGEST_PATH + 1);
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return String::new() };
    let start = at.cast_unsigned() as usize;
    let length = (length.cast_unsigned() as usize).min(MOST);
    let bytes = memory.data(&*caller).get(start..).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length.min(bytes.len())]).into_owned()
}

fn number(errno: Errno) -> i32 {
    u16::from(errno).into()
}

fn is_denial(errno: i32) -> bool {
    [Errno::Acces, Errno::Perm, Errno::Rofs].map(number).contains(&errno)
}
