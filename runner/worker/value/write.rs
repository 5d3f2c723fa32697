//! Component values to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use wasmtime::component::Val;

use super::Shape;

/// How many bytes become base64 at a time: a multiple of 3, whose text has no padding, so that pieces can be put
/// behind one another.
const PIECE: usize = 768;

/// Appends the value's JSON to `out`: one line, no spaces, no control characters.
///
/// # Errors
/// If the value is not of this shape; `out` then ends in a part of it.
pub fn write_json(shape: &Shape, val: &Val, out: &mut Vec<u8>) -> Result<(), String> {
    match (shape, val) {
        (Shape::Bool, Val::Bool(value)) => plain(value, out),
        (Shape::S8, Val::S8(value)) => plain(value, out),
        (Shape::U8, Val::U8(value)) => plain(value, out),
        (Shape::S16, Val::S16(value)) => plain(value, out),
        (Shape::U16, Val::U16(value)) => plain(value, out),
        (Shape::S32, Val::S32(value)) => plain(value, out),
        (Shape::U32, Val::U32(value)) => plain(value, out),
        (Shape::S64, Val::S64(value)) => plain(value, out),
        (Shape::U64, Val::U64(value)) => plain(value, out),
        (Shape::F32, Val::Float32(value)) if value.is_finite() => plain(value, out),
        (Shape::F64, Val::Float64(value)) if value.is_finite() => plain(value, out),
        (Shape::F32, Val::Float32(value)) => not_finite(f64::from(*value), out),
        (Shape::F64, Val::Float64(value)) => not_finite(*value, out),
        (Shape::Char, Val::Char(value)) => plain(value, out),
        (Shape::String, Val::String(value)) => plain(value, out),
        (Shape::Bytes, Val::List(elements)) => base64_string(elements, out)?,
        (Shape::List(element), Val::List(vals)) => {
            array(vals.iter().map(|val| (element.as_ref(), val)), out)?;
        }
        (Shape::Tuple(shapes), Val::Tuple(vals)) if shapes.len() == vals.len() => {
            array(shapes.iter().zip(vals), out)?;
        }
        (Shape::Record(fields), Val::Record(vals)) if fields.len() == vals.len() => {
            record(fields, vals, out)?
        }
        (Shape::Variant(cases), Val::Variant(name, payload)) => {
            let (_, shape) = cases.iter().find(|(case, _)| case == name).ok_or_else(|| foreign(shape))?;
            match (shape, payload) {
                (None, None) => plain(name, out),
                _ => tagged(name, shape.as_ref(), payload.as_deref(), out)?,
            }
        }
        (Shape::Enum(_), Val::Enum(name)) => plain(name, out),
        (Shape::Flags(_), Val::Flags(names)) => plain(names, out),
        (Shape::Option(_), Val::Option(None)) => out.extend_from_slice(b"null"),
        // `some(none)` as a plain `null` would read as `none`.
        (Shape::Option(inner), Val::Option(Some(val))) if matches!(**inner, Shape::Option(_)) => {
            tagged("some", Some(inner), Some(val), out)?;
        }
        (Shape::Option(inner), Val::Option(Some(val))) => write_json(inner, val, out)?,
        (Shape::Result { ok, .. }, Val::Result(Ok(val))) => tagged("ok", ok.as_deref(), val.as_deref(), out)?,
        (Shape::Result { err, .. }, Val::Result(Err(val))) => {
            tagged("err", err.as_deref(), val.as_deref(), out)?;
        }
        _ => return Err(foreign(shape)),
    }
    Ok(())
}

/// Appends the JSON of a `list<u8>`.
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    bytes.chunks(PIECE).for_each(|piece| encode(piece, out));
    out.push(b'"');
}

fn foreign(shape: &Shape) -> String {
    format!("expected {shape}, found a value of another type")
}

fn plain<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a Vec takes every byte, and numbers and strings have JSON");
}

fn not_finite(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

fn base64_string(elements: &[Val], out: &mut Vec<u8>) -> Result<(), String> {
    let mut bytes = [0; PIECE];
    out.push(b'"');
    for piece in elements.chunks(PIECE) {
        for (byte, element) in bytes.iter_mut().zip(piece) {
            let Val::U8(value) = element else { return Err(foreign(&Shape::Bytes)) };
            *byte = *value;
        }
        encode(&bytes[..piece.len()], out);
    }
    out.push(b'"');
    Ok(())
}

/// Appends the base64 of at most [`PIECE`] bytes.
fn encode(piece: &[u8], out: &mut Vec<u8>) {
    let mut text = [0; PIECE / 3 * 4];
    let len = STANDARD.encode_slice(piece, &mut text).expect("3 bytes are 4 characters of base64");
    out.extend_from_slice(&text[..len]);
}

fn array<'a>(elements: impl Iterator<Item = (&'a Shape, &'a Val)>, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'[');
    for (position, (shape, val)) in elements.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_json(shape, val, out)?;
    }
    out.push(b']');
    Ok(())
}

fn record(fields: &[(String, Shape)], vals: &[(String, Val)], out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'{');
    for (position, ((name, shape), (_, val))) in fields.iter().zip(vals).enumerate() {
        if position > 0 {
            out.push(b',');
        }
        plain(name, out);
        out.push(b':');
        write_json(shape, val, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn tagged(tag: &str, shape: Option<&Shape>, val: Option<&Val>, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'{');
    plain(tag, out);
    out.push(b':');
    match (shape, val) {
        (Some(shape), Some(val)) => write_json(shape, val, out)?,
        (None, None) => out.extend_from_slice(b"null"),
        (Some(_), None) | (None, Some(_)) => {
            return Err(format!("expected the payload that `{tag}` declares"));
        }
    }
    out.push(b'}');
    Ok(())
}
