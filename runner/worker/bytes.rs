//! Calls of functions over bytes: `list<u8>` is the only parameter, and the bytes are at hand.
//!
//! The runtime's general way has a value for each byte, of 40 bytes. With types that are named here it copies the bytes
//! as they are. That is done for the results that are listed here; a function with any other goes the general way.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Func, Lift, Val};

use super::value::Shape;
use super::wasi::State;

/// What a function returned.
pub(super) enum Returned {
    Nothing,
    Val(Val),
    Bytes(Vec<u8>),
}

/// A call of a function, for the type of its result.
pub(super) type Call = fn(Func, &mut Store<State>, &[u8]) -> wasmtime::Result<Returned>;

/// How to call a function of this type with bytes; none for the general way.
pub(super) fn call(params: &[(String, Shape)], result: Option<&Shape>) -> Option<Call> {
    let [(_, Shape::Bytes)] = params else { return None };
    let Some(result) = result else { return Some(without_result) };
    Some(match result {
        Shape::Bool => |callee, store, bytes| with_result(callee, store, bytes, Val::Bool),
        Shape::S8 => |callee, store, bytes| with_result(callee, store, bytes, Val::S8),
        Shape::U8 => |callee, store, bytes| with_result(callee, store, bytes, Val::U8),
        Shape::S16 => |callee, store, bytes| with_result(callee, store, bytes, Val::S16),
        Shape::U16 => |callee, store, bytes| with_result(callee, store, bytes, Val::U16),
        Shape::S32 => |callee, store, bytes| with_result(callee, store, bytes, Val::S32),
        Shape::U32 => |callee, store, bytes| with_result(callee, store, bytes, Val::U32),
        Shape::S64 => |callee, store, bytes| with_result(callee, store, bytes, Val::S64),
        Shape::U64 => |callee, store, bytes| with_result(callee, store, bytes, Val::U64),
        Shape::F32 => |callee, store, bytes| with_result(callee, store, bytes, Val::Float32),
        Shape::F64 => |callee, store, bytes| with_result(callee, store, bytes, Val::Float64),
        Shape::Char => |callee, store, bytes| with_result(callee, store, bytes, Val::Char),
        Shape::String => |callee, store, bytes| with_result(callee, store, bytes, Val::String),
        Shape::Bytes => {
            |callee, store, bytes| typed(callee, store, bytes).map(|(list,)| Returned::Bytes(list))
        }
        Shape::List(_)
        | Shape::Tuple(_)
        | Shape::Record(_)
        | Shape::Variant(_)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::Result { .. } => return None,
    })
}

fn without_result(callee: Func, store: &mut Store<State>, bytes: &[u8]) -> wasmtime::Result<Returned> {
    typed(callee, store, bytes).map(|()| Returned::Nothing)
}

fn with_result<R>(
    callee: Func,
    store: &mut Store<State>,
    bytes: &[u8],
    val: fn(R) -> Val,
) -> wasmtime::Result<Returned>
where
    (R,): ComponentNamedList + Lift + 'static,
{
    typed(callee, store, bytes).map(|(result,)| Returned::Val(val(result)))
}

fn typed<R: ComponentNamedList + Lift + 'static>(
    callee: Func,
    store: &mut Store<State>,
    bytes: &[u8],
) -> wasmtime::Result<R> {
    callee.typed::<(&[u8],), R>(&*store)?.call(store, (bytes,))
}
