//! JSON to component values, guided by the type: no tree of JSON is built in between, so integers stay exact, fields
//! given twice are seen, and nesting is bounded by the type.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::Shape;
use super::problem::{Found, Quoted, Step, Trace, unknown};

/// Reads one value of `shape`.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) shape: &'a Shape,
    pub(super) trace: &'a Trace,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        match self.shape {
            Shape::Bool
            | Shape::S8
            | Shape::U8
            | Shape::S16
            | Shape::U16
            | Shape::S32
            | Shape::U32
            | Shape::S64
            | Shape::U64
            | Shape::F32
            | Shape::F64
            | Shape::Char => {
                // The digits themselves: nothing has been rounded yet, and an error can quote them.
                let raw = <&RawValue>::deserialize(deserializer)?.get();
                scalar(self.shape, raw).ok_or_else(|| self.trace.mismatch(self.shape, Found(raw)))
            }
            Shape::Option(inner) if !matches!(**inner, Shape::Option(_)) => {
                deserializer.deserialize_option(self)
            }
            Shape::String
            | Shape::Bytes
            | Shape::List(_)
            | Shape::Tuple(_)
            | Shape::Record(_)
            | Shape::Variant(_)
            | Shape::Enum(_)
            | Shape::Flags(_)
            | Shape::Option(_)
            | Shape::Result { .. } => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shape)
    }

    fn visit_bool<E: Error>(self, found: bool) -> Result<Val, E> {
        Err(self.trace.mismatch(self.shape, found))
    }

    fn visit_i64<E: Error>(self, found: i64) -> Result<Val, E> {
        Err(self.trace.mismatch(self.shape, found))
    }

    fn visit_u64<E: Error>(self, found: u64) -> Result<Val, E> {
        Err(self.trace.mismatch(self.shape, found))
    }

    fn visit_f64<E: Error>(self, found: f64) -> Result<Val, E> {
        Err(self.trace.mismatch(self.shape, format_args!("{found:?}")))
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        match self.shape {
            Shape::Option(_) => Ok(Val::Option(None)),
            _ => Err(self.trace.mismatch(self.shape, "null")),
        }
    }

    fn visit_none<E: Error>(self) -> Result<Val, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        let Shape::Option(shape) = self.shape else { unreachable!("only options ask for an option") };
        let val = Reader { shape, trace: self.trace }.deserialize(deserializer)?;
        Ok(Val::Option(Some(Box::new(val))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Val, E> {
        match self.shape {
            Shape::String => Ok(Val::String(text.to_owned())),
            Shape::Bytes => STANDARD
                .decode(text)
                .map(|bytes| Val::List(bytes.into_iter().map(Val::U8).collect()))
                .map_err(|_| self.trace.mismatch("base64", Quoted(text))),
            Shape::Enum(names) if names.iter().any(|name| name == text) => Ok(Val::Enum(text.to_owned())),
            Shape::Enum(names) => Err(self.trace.fail(unknown(text, names.iter().map(String::as_str)))),
            Shape::Variant(cases) => match cases.iter().find(|(case, _)| case == text) {
                Some((_, None)) => Ok(Val::Variant(text.to_owned(), None)),
                Some((_, Some(_))) => {
                    Err(self.trace.fail(format!("case \"{text}\" needs a payload: {{\"{text}\": …}}")))
                }
                None => Err(self.trace.fail(unknown(text, cases.iter().map(|(case, _)| case.as_str())))),
            },
            _ => Err(self.trace.mismatch(self.shape, Quoted(text))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Val, A::Error> {
        match self.shape {
            Shape::Bytes => self.list(&Shape::U8, elements),
            Shape::List(element) => self.list(element, elements),
            Shape::Tuple(shapes) => self.tuple(shapes, elements),
            Shape::Flags(names) => self.flags(names, elements),
            _ => Err(self.trace.mismatch(self.shape, "an array")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Val, A::Error> {
        match self.shape {
            Shape::Record(fields) => self.record(fields, entries),
            Shape::Variant(cases) => {
                let cases = cases.iter().map(|(name, shape)| (name.as_str(), shape.as_ref()));
                let (name, payload) = self.only_entry(cases, entries)?;
                Ok(Val::Variant(name.to_owned(), payload))
            }
            Shape::Result { ok, err } => {
                let cases = [("ok", ok.as_deref()), ("err", err.as_deref())];
                let (name, payload) = self.only_entry(cases.into_iter(), entries)?;
                Ok(Val::Result(if name == "ok" { Ok(payload) } else { Err(payload) }))
            }
            Shape::Option(inner) => {
                let (_, payload) = self.only_entry([("some", Some(&**inner))].into_iter(), entries)?;
                Ok(Val::Option(payload))
            }
            _ => Err(self.trace.mismatch(self.shape, "an object")),
        }
    }
}

impl<'a> Reader<'a> {
    fn list<'de, A: SeqAccess<'de>>(self, shape: &Shape, mut elements: A) -> Result<Val, A::Error> {
        let mut vals = Vec::new();
        loop {
            let element = elements.next_element_seed(Reader { shape, trace: self.trace });
            match self.trace.inside(element, || Step::Index(vals.len()))? {
                Some(val) => vals.push(val),
                None => return Ok(Val::List(vals)),
            }
        }
    }

    fn tuple<'de, A: SeqAccess<'de>>(self, shapes: &[Shape], mut elements: A) -> Result<Val, A::Error> {
        let expected = format_args!("{} elements", shapes.len());
        let mut vals = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let element = elements.next_element_seed(Reader { shape, trace: self.trace });
            match self.trace.inside(element, || Step::Index(vals.len()))? {
                Some(val) => vals.push(val),
                None => return Err(self.trace.mismatch(expected, vals.len())),
            }
        }
        match elements.next_element::<IgnoredAny>()? {
            None => Ok(Val::Tuple(vals)),
            Some(_) => Err(self.trace.mismatch(expected, "more")),
        }
    }

    fn flags<'de, A: SeqAccess<'de>>(self, names: &[String], mut elements: A) -> Result<Val, A::Error> {
        let mut set: Vec<String> = Vec::new();
        let known = Shape::Enum(names.to_vec());
        loop {
            let element = elements.next_element_seed(Reader { shape: &known, trace: self.trace });
            match self.trace.inside(element, || Step::Index(set.len()))? {
                Some(Val::Enum(name)) if set.contains(&name) => {
                    return Err(self.trace.fail(format!("flag \"{name}\" is given twice")));
                }
                Some(Val::Enum(name)) => set.push(name),
                Some(_) | None => return Ok(Val::Flags(set)),
            }
        }
    }

    fn record<'de, A: MapAccess<'de>>(
        self,
        fields: &[(String, Shape)],
        mut entries: A,
    ) -> Result<Val, A::Error> {
        let mut vals: Vec<Option<Val>> = Vec::new();
        vals.resize_with(fields.len(), || None);
        let mut guess = 0;
        let position = |name: &str, guess: usize| match fields.get(guess) {
            // Fields mostly come in declared order.
            Some((next, _)) if next == name => Some(guess),
            _ => fields.iter().position(|(field, _)| field == name),
        };
        let known = |name: &str, guess| {
            position(name, guess).ok_or_else(|| format!("there is no field {}", Quoted(name)))
        };
        while let Some(at) = entries.next_key_seed(self.key(|name| known(name, guess)))? {
            let (name, shape) = &fields[at];
            if vals[at].is_some() {
                return Err(self.trace.fail(format!("field \"{name}\" is given twice")));
            }
            let val = entries.next_value_seed(Reader { shape, trace: self.trace });
            vals[at] = Some(self.trace.inside(val, || Step::Name(name.clone()))?);
            guess = at + 1;
        }
        let complete = fields.iter().zip(vals).map(|((name, _), val)| match val {
            Some(val) => Ok((name.clone(), val)),
            None => Err(self.trace.fail(format!("field \"{name}\" is missing"))),
        });
        complete.collect::<Result<_, _>>().map(Val::Record)
    }

    /// The one entry of an object that stands for a case and its payload; `null` where the case has none.
    fn only_entry<'de, 'c, A: MapAccess<'de>>(
        self,
        cases: impl Iterator<Item = (&'c str, Option<&'c Shape>)> + Clone,
        mut entries: A,
    ) -> Result<(&'c str, Option<Box<Val>>), A::Error> {
        let find = |name: &str| {
            let found = cases.clone().find(|(case, _)| *case == name);
            found.ok_or_else(|| unknown(name, cases.clone().map(|(case, _)| case)))
        };
        let Some((name, shape)) = entries.next_key_seed(self.key(find))? else {
            return Err(self.trace.mismatch(self.shape, "an empty object"));
        };
        let payload = match shape {
            Some(shape) => {
                entries.next_value_seed(Reader { shape, trace: self.trace }).map(|val| Some(Box::new(val)))
            }
            None => entries.next_value_seed(Nothing(self.trace)).map(|()| None),
        };
        let payload = self.trace.inside(payload, || Step::Name(name.to_owned()))?;
        match entries.next_key::<IgnoredAny>()? {
            None => Ok((name, payload)),
            Some(_) => Err(self.trace.mismatch(self.shape, "an object of more than one case")),
        }
    }

    fn key<T, F: FnOnce(&str) -> Result<T, String>>(self, find: F) -> Key<'a, F> {
        Key { find, trace: self.trace }
    }
}

/// Reads an object's key by looking it up, without copying it.
pub(super) struct Key<'a, F> {
    pub(super) find: F,
    pub(super) trace: &'a Trace,
}

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> DeserializeSeed<'de> for Key<'_, F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, T, F: FnOnce(&str) -> Result<T, String>> Visitor<'de> for Key<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        (self.find)(name).map_err(|problem| self.trace.fail(problem))
    }
}

/// Reads the `null` that stands for no payload.
struct Nothing<'a>(&'a Trace);

impl<'de> DeserializeSeed<'de> for Nothing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match <&RawValue>::deserialize(deserializer)?.get() {
            "null" => Ok(()),
            raw => Err(self.0.mismatch("null", Found(raw))),
        }
    }
}

fn scalar(shape: &Shape, json: &str) -> Option<Val> {
    match shape {
        Shape::Bool => json.parse().ok().map(Val::Bool),
        Shape::S8 => json.parse().ok().map(Val::S8),
        Shape::U8 => json.parse().ok().map(Val::U8),
        Shape::S16 => json.parse().ok().map(Val::S16),
        Shape::U16 => json.parse().ok().map(Val::U16),
        Shape::S32 => json.parse().ok().map(Val::S32),
        Shape::U32 => json.parse().ok().map(Val::U32),
        Shape::S64 => json.parse().ok().map(Val::S64),
        Shape::U64 => json.parse().ok().map(Val::U64),
        Shape::F32 => float(json).map(Val::Float32),
        Shape::F64 => float(json).map(Val::Float64),
        Shape::Char => serde_json::from_str(json).ok().map(Val::Char),
        Shape::String
        | Shape::Bytes
        | Shape::List(_)
        | Shape::Tuple(_)
        | Shape::Record(_)
        | Shape::Variant(_)
        | Shape::Enum(_)
        | Shape::Flags(_)
        | Shape::Option(_)
        | Shape::Result { .. } => None,
    }
}

/// A number too large for the type is refused: it would become infinite.
fn float<T: FromStr + Copy + Into<f64>>(json: &str) -> Option<T> {
    match json {
        "\"NaN\"" | "\"Infinity\"" | "\"-Infinity\"" => json.trim_matches('"').parse().ok(),
        _ => json.parse().ok().filter(|value: &T| (*value).into().is_finite()),
    }
}
