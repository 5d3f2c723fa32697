//! What guests should not do, for tests.

use wasmpool_guest::{Array, Lock, PipeEnd, Queue, SharedMemory, Value, task};

use super::told;

/// Opens a name as what it is not, in every way; what is said each time.
#[task]
fn open_as_everything(name: &str) -> Vec<String> {
    let said = [
        SharedMemory::open(name).err().map(told),
        Value::<i64>::open(name).err().map(told),
        Value::<f32>::open(name).err().map(told),
        Array::<f64>::open(name).err().map(told),
        Lock::open(name).err().map(told),
        Queue::<u64>::open(name).err().map(told),
        PipeEnd::<u64>::open(name).err().map(told),
    ];
    said.into_iter().map(|said| said.unwrap_or_else(|| "opened".to_owned())).collect()
}

/// Opens a number so many times, and keeps all handles.
#[task]
fn open_often(value: &str, times: u32) -> Result<u32, String> {
    let handles = (0..times).map(|_| Value::<i64>::open(value)).collect::<Result<Vec<_>, _>>();
    handles.map(|handles| u32::try_from(handles.len()).unwrap_or(u32::MAX)).map_err(told)
}

/// Opens the end of a pipe twice.
#[task]
fn open_end_twice(end: &str) -> Result<bool, String> {
    let _first = PipeEnd::<u64>::open(end).map_err(told)?;
    PipeEnd::<u64>::open(end).map(|_| true).map_err(told)
}

/// Writes to a segment, whatever it is for, and reads back what is there.
#[task]
fn scribble(segment: &str) -> Result<u8, String> {
    let memory = SharedMemory::open(segment).map_err(told)?;
    memory.write(0, &[99]);
    let mut byte = [0];
    memory.read(0, &mut byte);
    Ok(byte[0])
}
