//! JSON, as values of every type.

use crate::Target;
use crate::item::Input;
use crate::worker::value::{Shape, arguments, fold_values, write_json};

/// Arguments and values to merge. The first byte chooses their type.
pub const VALUES: Target =
    Target { name: "values", corpus: values, mend: None, run: read_values, memory: 1 << 16 };

/// Makes a type, and JSON of it.
type Example = (fn() -> Shape, &'static str);

const EXAMPLES: [Example; 15] = [
    (|| Shape::Bool, "true"),
    (|| Shape::U8, "255"),
    (|| Shape::S64, "-9223372036854775808"),
    (|| Shape::U64, "18446744073709551615"),
    (|| Shape::F32, "1.5e-3"),
    (|| Shape::F64, "\"-Infinity\""),
    (|| Shape::Char, "\"\\ud83d\\ude00\""),
    (|| Shape::String, "\"a\\u0000\\n\\\"é\""),
    (|| Shape::Bytes, "\"AAH/\""),
    (|| list(list(Shape::U32)), "[[1,2],[],[4294967295]]"),
    (|| Shape::Tuple(vec![Shape::S8, option(option(Shape::Bool))]), "[-128,{\"some\":null}]"),
    (
        || Shape::Record(vec![("x".into(), Shape::F64), ("y-z".into(), Shape::String)]),
        "{\"y-z\":\"\",\"x\":0}",
    ),
    (|| Shape::Variant(vec![("none".into(), None), ("some".into(), Some(Shape::U16))]), "{\"some\":7}"),
    (|| Shape::Flags(vec!["read".into(), "write".into()]), "[\"write\",\"read\"]"),
    (|| Shape::Result { ok: Some(Box::new(Shape::Enum(vec!["red".into()]))), err: None }, "{\"ok\":\"red\"}"),
];

fn list(shape: Shape) -> Shape {
    Shape::List(Box::new(shape))
}

fn option(shape: Shape) -> Shape {
    Shape::Option(Box::new(shape))
}

fn read_values(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else { return };
    let shape = EXAMPLES[usize::from(*kind) % EXAMPLES.len()].0();
    let one = [("p".to_owned(), shape.clone())];
    let two = [("p".to_owned(), shape.clone()), ("q".to_owned(), Shape::String)];
    for input in [Input::Json { line: 3, text }, Input::Arguments(text), Input::Text(text)] {
        for params in [&one[..], &two[..]] {
            read(params, input);
        }
    }
    let _ = fold_values(&shape, text);
}

/// What can be read can be written, and is then read as the same.
fn read(params: &[(String, Shape)], input: Input<'_>) {
    let mut vals = Vec::new();
    match arguments(params, input, &mut vals) {
        Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "an error is one line"),
        Ok(()) => {
            assert_eq!(vals.len(), params.len());
            for ((name, shape), val) in params.iter().zip(&vals) {
                let (mut json, mut again) = (Vec::new(), Vec::new());
                write_json(shape, val, &mut json).expect("what was read has a JSON form");
                let only = [(name.clone(), shape.clone())];
                let whole = [b"[", &*json, b"]"].concat();
                arguments(&only, Input::Arguments(&whole), &mut again).expect("what was written can be read");
                // A NaN is no other NaN's equal, so texts are compared.
                let mut written = Vec::new();
                write_json(shape, &again[0], &mut written).expect("it was written before");
                assert_eq!(written, json, "it is the same again");
            }
        }
    }
}

fn values() -> Vec<Vec<u8>> {
    let forms = |(kind, (_, json)): (u8, &Example)| {
        let [value, array, object] =
            [(*json).to_owned(), format!("[{json},\"q\"]"), format!("{{\"q\":\"\",\"p\":{json}}}")];
        [value, array, object].map(|text| [&[kind], text.as_bytes()].concat())
    };
    (0..).zip(&EXAMPLES).flat_map(forms).collect()
}
