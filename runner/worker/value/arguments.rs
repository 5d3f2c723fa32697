//! The arguments of a call, from JSON in each of its forms: an array of them, an object with them by name, or the value
//! itself where there is one parameter.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::problem::{Found, Quoted, Step, Trace, not_utf8};
use super::read::{Key, Reader};
use super::{Shape, wrong_count};

/// The parser of one text.
type Json<'de> = serde_json::Deserializer<serde_json::de::StrRead<'de>>;

/// Reads an array with one element for each parameter; appends the values.
pub(super) fn array(params: &[(String, Shape)], json: &[u8], vals: &mut Vec<Val>) -> Result<(), String> {
    read(json, 0, |json, trace| in_order(params, json, vals, trace))
}

/// Reads the one argument of a function of one parameter, or an array or an object of them for any other; appends the
/// values. The text stands on `line`, if that is not 0.
pub(super) fn any_form(
    params: &[(String, Shape)],
    text: &[u8],
    line: u64,
    vals: &mut Vec<Val>,
) -> Result<(), String> {
    read(text, line, |json, trace| match params {
        [(name, shape)] => {
            let val = Reader { shape, trace }.deserialize(json);
            vals.push(trace.inside(val, || argument(name))?);
            Ok(())
        }
        _ => match first(text) {
            Some(b'[') => in_order(params, json, vals, trace),
            Some(b'{') => json.deserialize_map(ByName { params, vals, trace }),
            _ => {
                let found = <&RawValue>::deserialize(json)?.get();
                Err(trace.mismatch(Forms(params.len()), Found(found)))
            }
        },
    })
}

/// Reads one value.
pub(super) fn value(shape: &Shape, json: &[u8]) -> Result<Val, String> {
    let mut val = None;
    read(json, 0, |json, trace| {
        val = Some(Reader { shape, trace }.deserialize(json)?);
        Ok(())
    })?;
    Ok(val.expect("it was read"))
}

/// Reads an array of values of one type.
pub(super) fn values(shape: &Shape, json: &[u8]) -> Result<Vec<Val>, String> {
    let mut vals = Vec::new();
    read(json, 0, |json, trace| {
        let shape_at = |_| Some(shape);
        let step = |position| Step::Argument(format!("value {position}"));
        json.deserialize_seq(Row { shape_at, step, vals: &mut vals, trace }).map(drop)
    })?;
    Ok(vals)
}

/// Reads the whole of a text.
fn read(
    text: &[u8],
    line: u64,
    value: impl FnOnce(&mut Json<'_>, &Trace) -> Result<(), serde_json::Error>,
) -> Result<(), String> {
    let text = std::str::from_utf8(text).map_err(|error| not_utf8(error, text, line))?;
    let trace = Trace::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = value(&mut json, &trace).and_then(|()| json.end());
    read.map_err(|error| trace.describe(&error, text, line))
}

/// The first byte of JSON text that is no white space.
fn first(text: &[u8]) -> Option<u8> {
    text.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

fn argument(name: &str) -> Step {
    Step::Argument(format!("parameter \"{name}\""))
}

fn in_order(
    params: &[(String, Shape)],
    json: &mut Json<'_>,
    vals: &mut Vec<Val>,
    trace: &Trace,
) -> Result<(), serde_json::Error> {
    let shape_at = |position: usize| params.get(position).map(|(_, shape)| shape);
    let step = |position: usize| argument(&params[position].0);
    let count = json.deserialize_seq(Row { shape_at, step, vals, trace })?;
    if count == params.len() { Ok(()) } else { Err(trace.fail(wrong_count(params.len(), count))) }
}

/// What there may be in the place of arguments that are neither an array nor an object.
struct Forms(usize);

impl fmt::Display for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("`[]` or `{}`"),
            count => write!(f, "an array of {count} arguments, or an object of them by name"),
        }
    }
}

/// The outermost array.
struct Row<'a, F, S> {
    shape_at: F,
    step: S,
    vals: &'a mut Vec<Val>,
    trace: &'a Trace,
}

impl<'de, 'a, F, S> Visitor<'de> for Row<'a, F, S>
where
    F: Fn(usize) -> Option<&'a Shape>,
    S: Fn(usize) -> Step,
{
    /// How many elements there are; all with a shape have been appended.
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(shape) = (self.shape_at)(count) {
            let element = elements.next_element_seed(Reader { shape, trace: self.trace });
            let Some(val) = self.trace.inside(element, || (self.step)(count))? else { return Ok(count) };
            self.vals.push(val);
            count += 1;
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// The outermost object: arguments by name, in any order.
struct ByName<'a> {
    params: &'a [(String, Shape)],
    vals: &'a mut Vec<Val>,
    trace: &'a Trace,
}

impl<'de> Visitor<'de> for ByName<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { params, vals, trace } = self;
        let mut found: Vec<Option<Val>> = params.iter().map(|_| None).collect();
        let find = |name: &str| {
            let position = params.iter().position(|(param, _)| param == name);
            position.ok_or_else(|| format!("there is no parameter {}", Quoted(name)))
        };
        while let Some(position) = members.next_key_seed(Key { find, trace })? {
            let (name, shape) = &params[position];
            if found[position].is_some() {
                return Err(trace.fail(format!("parameter \"{name}\" is given twice")));
            }
            let val = members.next_value_seed(Reader { shape, trace });
            found[position] = Some(trace.inside(val, || argument(name))?);
        }
        for ((name, _), val) in params.iter().zip(found) {
            vals.push(val.ok_or_else(|| trace.fail::<A::Error>(format!("parameter \"{name}\" is missing")))?);
        }
        Ok(())
    }
}
