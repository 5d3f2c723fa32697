//! Whether what one function returns is what another takes, and as how many items: by their types alone.
//!
//! A value goes from one stage to the next as the JSON that the first wrote, so types fit whose every value is written
//! as the other's are: the same ones, and integers that hold all that the others do.

use std::path::Path;

use super::{Bound, Plan, choose};
use crate::error::Error;
use crate::guest::{Description, Export, ValueType};
use crate::source::Source;

/// How the value of a stage becomes items of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// What of the value goes on.
    pub(crate) taken: Taken,
    /// As how many items.
    pub(crate) made: Made,
}

/// What of a stage's value goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// All of it.
    All,
    /// The `ok` of a `result`; an `err` is where its item ends.
    Ok,
}

/// What is made of a stage's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// One item.
    Item,
    /// An item of each element of a list.
    Items,
}

/// The stage that another follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    /// What the user calls it.
    pub(crate) label: &'a str,
    /// Its function.
    pub(crate) export: &'a Export,
}

impl Plan {
    /// As [`Plan::bind`], for a function that is called with what another returns, and how that becomes its items;
    /// `source` hands them out.
    ///
    /// # Errors
    /// If no export or more than one is meant, or if what the other returns does not fit.
    pub(crate) fn bind_after(
        &self,
        guest: &Description,
        before: Before<'_>,
        source: impl FnOnce(Passage) -> Box<dyn Source>,
    ) -> Result<(Bound, Passage), Error> {
        let guest = &*self.with_integers(guest)?;
        let name = self.export.as_deref().unwrap_or_default();
        let export = choose::named(&self.guest, guest, name)?;
        let passage = passage(before.export, export).ok_or_else(|| misfit(&self.guest, export, before))?;
        let bound = self.bound(guest, export, |_, _| Ok((source(passage), None)))?;
        Ok((bound, passage))
    }
}

/// How what `before` returns becomes items of `next`, if it can.
fn passage(before: &Export, next: &Export) -> Option<Passage> {
    let returned = before.result.as_ref()?;
    let types = next.params.iter().map(|(_, param)| param).chain(&next.result);
    if !types.chain([returned]).all(ValueType::is_passable) {
        return None;
    }
    let ok = match returned {
        ValueType::Result { ok: Some(ok), .. } => Some((Taken::Ok, &**ok)),
        _ => None,
    };
    [(Taken::All, returned)].into_iter().chain(ok).find_map(|(taken, value)| {
        let made = match value {
            whole if is_item(whole, next) => Made::Item,
            // Bytes are written as one text.
            ValueType::List(element) if !value.is_bytes() && is_item(element, next) => Made::Items,
            _ => return None,
        };
        Some(Passage { taken, made })
    })
}

/// Whether the function can be called with any value of this type: it has one parameter for it, or one for each of
/// its elements, or for each of its fields one of that name.
fn is_item(value: &ValueType, next: &Export) -> bool {
    match (next.params.as_slice(), value) {
        ([], _) => false,
        ([(_, param)], value) => fits(value, param),
        (params, ValueType::Tuple(elements)) => {
            elements.len() == params.len()
                && elements.iter().zip(params).all(|(element, (_, param))| fits(element, param))
        }
        (params, ValueType::Record(fields)) => fields_fit(fields, params),
        _ => false,
    }
}

/// Whether every value of this type, as JSON, is one of `wanted`.
fn fits(value: &ValueType, wanted: &ValueType) -> bool {
    use ValueType::{List, Option, Record, Result, Tuple};
    let both = |one: &std::option::Option<Box<ValueType>>, other: &std::option::Option<Box<ValueType>>| match (
        one, other,
    ) {
        (Some(one), Some(other)) => fits(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    match (value, wanted) {
        (List(_), List(_)) if value.is_bytes() != wanted.is_bytes() => false,
        (List(one), List(other)) | (Option(one), Option(other)) => fits(one, other),
        (Tuple(ones), Tuple(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| fits(one, other))
        }
        (Record(ones), Record(others)) => fields_fit(ones, others),
        (Result { ok, err }, Result { ok: other_ok, err: other_err }) => {
            both(ok, other_ok) && both(err, other_err)
        }
        (one, other) => match (one.integer_bounds(), other.integer_bounds()) {
            (Some((min, max)), Some((least, most))) => least <= min && max <= most,
            _ => one == other,
        },
    }
}

/// Whether there are the same names, and each type fits that of its name.
fn fields_fit(fields: &[(String, ValueType)], wanted: &[(String, ValueType)]) -> bool {
    let is_wanted = |(name, value): &(String, ValueType)| {
        wanted.iter().any(|(other, wanted)| other == name && fits(value, wanted))
    };
    fields.len() == wanted.len() && fields.iter().all(is_wanted)
}

fn misfit(guest: &Path, export: &Export, Before { label, export: before }: Before<'_>) -> Error {
    let returned = match &before.result {
        Some(value) => format!("returns `{value}`"),
        None => "returns nothing".to_owned(),
    };
    let params: Vec<_> = export.params.iter().map(|(_, param)| param.clone()).collect();
    let wanted = match params.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(ValueType::Tuple(several.to_vec())),
    };
    let taken = wanted.as_ref().map_or_else(|| "nothing".to_owned(), |wanted| format!("`{wanted}`"));
    let hint = wanted.map(|wanted| {
        let list = ValueType::List(Box::new(wanted));
        format!("a `{list}` would do, too: each element is an item")
    });
    let message = format!("cannot follow `{label}`, which {returned}: `{export}` takes {taken}");
    Error::guest(guest, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValueType::{F32, F64, List, Record, S64, String as Text, Tuple, U8, U32, U64};

    fn list(element: ValueType) -> ValueType {
        List(Box::new(element))
    }

    fn result(ok: ValueType) -> ValueType {
        ValueType::Result { ok: Some(Box::new(ok)), err: Some(Box::new(Text)) }
    }

    fn fields(fields: &[(&str, ValueType)]) -> Vec<(String, ValueType)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn export(params: &[(&str, ValueType)], result: Option<ValueType>) -> Export {
        Export { interface: None, function: "f".to_owned(), params: fields(params), result }
    }

    #[track_caller]
    fn check(returned: ValueType, params: &[(&str, ValueType)], expected: Option<(Taken, Made)>) {
        let found = passage(&export(&[], Some(returned)), &export(params, None));
        assert_eq!(found, expected.map(|(taken, made)| Passage { taken, made }));
    }

    const ITEM: Option<(Taken, Made)> = Some((Taken::All, Made::Item));
    const ITEMS: Option<(Taken, Made)> = Some((Taken::All, Made::Items));

    #[test]
    fn a_value_goes_on_to_the_parameter_of_its_type() {
        check(Text, &[("a", Text)], ITEM);
        check(list(U8), &[("a", list(U8))], ITEM);
        check(Text, &[("a", U64)], None);
        check(U64, &[], None);
    }

    #[test]
    fn an_integer_goes_on_to_a_type_that_holds_it() {
        check(U32, &[("a", U64)], ITEM);
        check(U32, &[("a", S64)], ITEM);
        check(U64, &[("a", S64)], None);
        check(U64, &[("a", U32)], None);
        check(list(U32), &[("a", list(U64))], ITEM);
    }

    /// The shortest text of an `f32` is another number as an `f64`.
    #[test]
    fn a_float_goes_on_to_a_float_of_its_size() {
        check(F32, &[("a", F64)], None);
        check(F64, &[("a", F64)], ITEM);
    }

    #[test]
    fn several_parameters_take_a_tuple_in_order_or_a_record_by_name() {
        let params = [("start", U64), ("end", U64)];
        check(Tuple(vec![U64, U32]), &params, ITEM);
        check(Tuple(vec![U64, U64, U64]), &params, None);
        check(Record(fields(&[("end", U64), ("start", U64)])), &params, ITEM);
        check(Record(fields(&[("end", U64), ("begin", U64)])), &params, None);
    }

    #[test]
    fn a_list_is_taken_apart_only_where_it_does_not_fit_as_a_whole() {
        let params = [("start", U64), ("end", U64)];
        check(list(Tuple(vec![U64, U64])), &params, ITEMS);
        check(list(U64), &[("a", U64)], ITEMS);
        check(list(list(U64)), &[("a", list(U64))], ITEMS);
        check(list(U64), &[("a", list(U64))], ITEM);
        check(list(Text), &[("a", U64)], None);
    }

    /// They are written as one text.
    #[test]
    fn bytes_are_not_taken_apart_and_are_no_list_of_other_numbers() {
        check(list(U8), &[("a", U8)], None);
        check(list(U8), &[("a", list(U64))], None);
        check(list(list(U8)), &[("a", list(U8))], ITEMS);
    }

    #[test]
    fn of_a_result_the_ok_goes_on_unless_a_result_is_wanted() {
        check(result(U64), &[("a", U64)], Some((Taken::Ok, Made::Item)));
        check(result(list(U64)), &[("a", U64)], Some((Taken::Ok, Made::Items)));
        check(result(U64), &[("a", result(U64))], ITEM);
        check(result(Text), &[("a", U64)], None);
    }

    #[test]
    fn nothing_and_what_cannot_be_passed_go_nowhere() {
        assert_eq!(passage(&export(&[], None), &export(&[("a", U64)], None)), None);
        let resource = || ValueType::Other("file".to_owned());
        check(resource(), &[("a", resource())], None);
        assert_eq!(passage(&export(&[], Some(U64)), &export(&[("a", U64)], Some(resource()))), None);
    }

    #[test]
    fn a_misfit_is_told_with_what_was_expected_and_what_was_found() {
        let next = export(&[("start", U64), ("end", U64)], Some(U64));
        let before = export(&[("n", U64)], Some(Text));
        let error = misfit(Path::new("b.wasm"), &next, Before { label: "a.wasm#f", export: &before });
        assert_eq!(
            error.to_string(),
            "`b.wasm` cannot follow `a.wasm#f`, which returns `string`: `f(start: u64, end: u64) -> u64` takes \
             `tuple<u64, u64>`"
        );
        assert_eq!(error.hint(), Some("a `list<tuple<u64, u64>>` would do, too: each element is an item"));
        assert_eq!(error.exit_code().code(), 3);
    }
}
