use std::time::Duration;

use super::*;
use crate::chunk::Packed;
use crate::outcome::Meta;

fn ranges() -> Option<Inputs> {
    Some(Inputs::Spans { start: 0, end: 200_000, step: 100_000 })
}

#[track_caller]
fn check(options: SinkOptions, completions: Vec<Completion>, expected: &str) {
    assert_eq!(printed(options, completions), expected);
}

#[test]
fn items_are_rows_on_a_terminal() {
    check(
        SinkOptions { terminal: true, inputs: ranges(), ..EACH },
        vec![ok("9592"), trapped()],
        concat!(
            "range           value\n",
            "0..100000       9592\n",
            "100000..200000  trap: wasm `unreachable` instruction executed\n"
        ),
    );
}

#[test]
fn items_are_records_in_a_pipe() {
    check(
        SinkOptions { inputs: ranges(), ..EACH },
        vec![ok("9592"), ok("8392")],
        concat!(
            r#"{"v":1,"index":0,"input":[0,100000],"status":"ok","value":9592}"#,
            "\n",
            r#"{"v":1,"index":1,"input":[100000,200000],"status":"ok","value":8392}"#,
            "\n"
        ),
    );
}

#[test]
fn rows_of_lines_are_just_values_when_their_place_tells_the_line() {
    check(SinkOptions { format: Format::Text, ..EACH }, vec![ok("\"a\"")], "a\n");
    check(
        SinkOptions { format: Format::Text, ordered: false, ..EACH },
        vec![ok("\"a\"")],
        "index  value\n    0  a\n",
    );
}

#[test]
fn a_value_alone_goes_into_a_pipe_as_it_is_but_for_line_breaks() {
    let options = |terminal| SinkOptions { terminal, format: Format::Text, ..EACH };
    let value = || vec![ok(r#""a\tb\\\n\u001b""#)];
    check(options(false), value(), "a\tb\\\\n\u{1b}\n");
    check(options(true), value(), "a\\tb\\\\n\\u{1b}\n");
}

#[test]
fn one_merged_value_is_plain_but_in_jsonl() {
    check(MERGED, vec![ok("63951")], "63951\n");
    check(SinkOptions { terminal: true, ..MERGED }, vec![ok("63951")], "63951\n");
    check(
        SinkOptions { format: Format::Jsonl, ..MERGED },
        vec![ok("63951")],
        "{\"v\":1,\"status\":\"ok\",\"items\":1,\"value\":63951}\n",
    );
}

#[test]
fn a_merged_string_goes_into_a_pipe_as_it_is_and_to_a_terminal_escaped() {
    let value = || vec![ok(r#""a\n\u001b[2J""#)];
    check(MERGED, value(), "a\n\u{1b}[2J\n");
    check(SinkOptions { terminal: true, ..MERGED }, value(), "a\\n\\u{1b}[2J\n");
}

#[test]
fn a_merged_record_is_json() {
    check(MERGED, vec![ok(r#"{"words":9}"#)], "{\"words\":9}\n");
}

#[test]
fn what_guests_printed_is_calm_in_records_on_a_terminal_too() {
    let completion = Completion { stderr: "\u{9b}2J".as_bytes().into(), ..ok("1") };
    let options = SinkOptions { terminal: true, format: Format::Jsonl, ..EACH };
    check(
        options,
        vec![completion],
        "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":1,\"stderr\":\"\\u009b2J\"}\n",
    );
}

#[test]
fn records_on_a_terminal_have_no_control_characters_either() {
    let options = |terminal| SinkOptions { terminal, format: Format::Jsonl, ..EACH };
    let value = || vec![ok("\"\u{9b}2J\"")];
    check(options(true), value(), "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":\"\\u009b2J\"}\n");
    check(options(false), value(), "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":\"\u{9b}2J\"}\n");
}

#[test]
fn where_an_item_failed_there_is_its_record_and_no_merged_value() {
    let completions = || vec![ok("1"), trapped(), ok("3")];
    check(
        MERGED,
        completions(),
        concat!(
            r#"{"v":1,"index":1,"status":"trap","kind":"unreachable","error":"wasm trap: wasm `unreachable` instruction executed"}"#,
            "\n"
        ),
    );
    check(
        SinkOptions { terminal: true, ..MERGED },
        completions(),
        "index  value\n    1  trap: wasm `unreachable` instruction executed\n",
    );
}

#[test]
fn no_items_print_nothing() {
    check(MERGED, vec![], "");
    check(EACH, vec![], "");
}

fn text_of(options: SinkOptions) -> SinkOptions {
    SinkOptions { format: Format::Text, ..options }
}

/// What the function returns: `record { words: u64, text: string }`.
fn record() -> Option<ValueType> {
    let fields = [("words", ValueType::U64), ("text", ValueType::String)];
    Some(ValueType::Record(fields.map(|(name, field)| (name.to_owned(), field)).into()))
}

fn of_file(name: &[u8], completion: Completion) -> Completion {
    Completion { file: Some(name.into()), ..completion }
}

fn with_meta(completion: Completion) -> Completion {
    let meta = Meta {
        wall: Duration::from_micros(12_340),
        cpu: Duration::from_millis(9),
        peak_memory: 65_536,
        attempts: 1,
        worker: 3,
        pid: 4242,
        backtrace: vec!["primes!count".to_owned()],
    };
    Completion { meta: Box::new(meta), ..completion }
}

mod tables {
    use super::*;

    #[test]
    fn a_record_has_a_column_for_each_field() {
        check(
            SinkOptions { result: record(), ..text_of(EACH) },
            vec![ok(r#"{"words":7,"text":"a b"}"#), ok(r#"{"words":123456,"text":"c"}"#)],
            concat!("index  words  text\n", "    0      7  a b\n", "    1  123456  c\n"),
        );
    }

    #[test]
    fn a_column_grows_with_what_stands_in_it_and_never_shrinks() {
        let value = |text: &str| ok(&format!(r#"{{"text":"{text}","n":1}}"#));
        let fields = vec![("text".to_owned(), ValueType::String), ("n".to_owned(), ValueType::U8)];
        check(
            SinkOptions { result: Some(ValueType::Record(fields)), ..text_of(EACH) },
            vec![value("a"), value("seven.."), value("c")],
            concat!("index  text  n\n", "    0  a     1\n", "    1  seven..  1\n", "    2  c        1\n"),
        );
    }

    #[test]
    fn a_text_longer_than_people_read_stands_out_alone() {
        let long = "x".repeat(1000);
        let value = |text: &str| ok(&format!(r#"{{"text":"{text}","n":1}}"#));
        let fields = vec![("text".to_owned(), ValueType::String), ("n".to_owned(), ValueType::U8)];
        let printed = printed(
            SinkOptions { result: Some(ValueType::Record(fields)), ..text_of(EACH) },
            vec![value("a"), value(&long), value("b")],
        );
        let lengths: Vec<_> = printed.lines().map(str::len).collect();
        assert_eq!(lengths, [14, 14, 1010, 70]);
    }

    #[test]
    fn wide_characters_take_up_two_places() {
        let completions = vec![of_file("日本".as_bytes(), ok("1")), of_file(b"abcde", ok("2"))];
        let expected = "file  value\n日本  1\nabcde  2\n";
        check(SinkOptions { files: true, ..text_of(EACH) }, completions, expected);
    }

    #[test]
    fn a_failure_stands_in_the_place_of_all_columns_of_the_value_and_what_was_cancelled_is_left_out() {
        check(
            SinkOptions { result: record(), meta: true, ..text_of(EACH) },
            vec![
                with_meta(ok(r#"{"words":7,"text":"fifteen letters"}"#)),
                with_meta(ended(Outcome::Exit { code: 3 })),
                with_meta(ended(Outcome::Cancelled)),
                with_meta(ended(Outcome::Input { error: "no".to_owned() })),
            ],
            concat!(
                "index  words  text                 ms  cpu_ms  peak_memory  attempts  worker   pid\n",
                "    0      7  fifteen letters  12.340       9        65536         1       3  4242\n",
                "    at primes!count\n",
                "    1  exit: the guest exited with code 3  12.340       9        65536         1       3  4242\n",
                "    at primes!count\n",
                "    3  input: no               12.340       9        65536         1       3  4242\n",
                "    at primes!count\n",
            ),
        );
    }

    #[test]
    fn what_the_guest_printed_stands_below_without_its_control_characters() {
        let completion = Completion { stdout: b"hi\x1b[2J\n".as_slice().into(), ..ok("1") };
        check(text_of(EACH), vec![completion], "1\n    stdout: hi\\u{1b}[2J\n");
    }

    #[test]
    fn an_err_is_a_value() {
        check(text_of(EACH), vec![ok(r#"{"err":"no such word"}"#)], "{\"err\":\"no such word\"}\n");
    }

    #[test]
    fn a_value_that_is_not_of_its_type_is_shown_as_it_is() {
        let expected = "index  words  text\n    0  [1]\n";
        check(SinkOptions { result: record(), ..text_of(EACH) }, vec![ok("[1]")], expected);
    }

    #[test]
    fn numbers_are_right_aligned_below_their_input() {
        check(
            SinkOptions {
                inputs: Some(Inputs::Numbers { start: 8, count: 3 }),
                result: Some(ValueType::F64),
                ..text_of(EACH)
            },
            vec![ok("0.5"), ok("12.25"), ok("\"NaN\"")],
            concat!("input  value\n", "    8    0.5\n", "    9  12.25\n", "   10    NaN\n"),
        );
    }

    #[test]
    fn colours_underline_names_and_failures() {
        let printed = printed(
            SinkOptions { color: Color::On, ordered: false, ..text_of(EACH) },
            vec![ok("1"), trapped()],
        );
        assert_eq!(
            printed,
            concat!(
                "\u{1b}[1mindex  value\u{1b}[0m\n",
                "    0  1\n",
                "    1  \u{1b}[31mtrap\u{1b}[0m: wasm `unreachable` instruction executed\n"
            )
        );
    }

    #[test]
    fn names_that_a_guest_gives_its_fields_do_not_control_the_terminal() {
        let fields = vec![("a\u{1b}[2J".to_owned(), ValueType::U8)];
        check(
            SinkOptions { result: Some(ValueType::Record(fields)), ..text_of(EACH) },
            vec![ok(r#"{"a\u001b[2J":1}"#)],
            "index  a\\u{1b}[2J\n    0           1\n",
        );
    }
}

mod arrays {
    use super::*;

    fn json(options: SinkOptions) -> SinkOptions {
        SinkOptions { format: Format::Json, ..options }
    }

    #[test]
    fn an_array_holds_the_records() {
        check(
            json(EACH),
            vec![ok("1"), ok("2")],
            concat!(
                "[\n",
                r#"{"v":1,"index":0,"status":"ok","value":1}"#,
                ",\n",
                r#"{"v":1,"index":1,"status":"ok","value":2}"#,
                "\n]\n"
            ),
        );
        check(json(MERGED), vec![ok("5")], "[\n{\"v\":1,\"status\":\"ok\",\"items\":1,\"value\":5}\n]\n");
    }

    #[test]
    fn an_array_of_nothing_is_an_array() {
        for options in [EACH, SinkOptions { ordered: false, ..EACH }, MERGED] {
            check(json(options), vec![], "[\n]\n");
        }
    }

    #[test]
    fn it_is_closed_when_the_last_item_ends_after_the_input() {
        for ordered in [true, false] {
            let mut output = Vec::new();
            let mut sink = for_run(json(SinkOptions { ordered, ..EACH }), &mut output);
            sink.input_ended(InputEnd::Whole { total: 2 }).unwrap();
            sink.accept(0, ok("1")).unwrap();
            sink.accept(1, ok("2")).unwrap();
            sink.flush().unwrap();
            drop(sink);
            assert!(serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&output).is_ok());
        }
    }

    #[test]
    fn it_stays_open_when_the_input_was_cut_short() {
        for ordered in [true, false] {
            let mut output = Vec::new();
            let mut sink = for_run(json(SinkOptions { ordered, ..EACH }), &mut output);
            sink.accept(0, ok("1")).unwrap();
            sink.input_ended(InputEnd::CutShort { total: 1 }).unwrap();
            sink.flush().unwrap();
            drop(sink);
            assert!(serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(&output).is_err());
        }
    }

    /// What has been written when one of two items has ended.
    fn written_half_way(terminal: bool) -> String {
        let mut output = Vec::new();
        let mut sink = for_run(json(SinkOptions { terminal, ..EACH }), &mut output);
        sink.accept(0, ok("1")).unwrap();
        sink.flush().unwrap();
        drop(sink);
        text(output)
    }

    #[test]
    fn a_record_goes_out_when_it_is_there_and_the_array_stays_open() {
        assert_eq!(written_half_way(false), "[\n{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":1}");
    }

    #[test]
    fn a_terminal_is_given_whole_lines() {
        assert_eq!(written_half_way(true), "[\n");
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        let printed = printed(json(SinkOptions { terminal: true, ..EACH }), vec![ok("\"\u{9b}2J\"")]);
        assert!(printed.contains(r#""value":"\u009b2J""#), "{printed}");
    }
}

mod spreadsheets {
    use super::*;

    fn csv(options: SinkOptions) -> SinkOptions {
        SinkOptions { format: Format::Csv, ..options }
    }

    #[test]
    fn a_range_has_two_columns_and_a_failure_its_reason() {
        check(
            csv(SinkOptions { inputs: ranges(), ..EACH }),
            vec![ok("9592"), trapped()],
            "index,start,end,status,value,error\n\
             0,0,100000,ok,9592,\n\
             1,100000,200000,trap,,wasm `unreachable` instruction executed\n",
        );
    }

    #[test]
    fn strings_are_quoted_only_where_they_must_be() {
        check(
            csv(SinkOptions { result: record(), ..EACH }),
            vec![ok(r#"{"words":2,"text":"a \"b\",\nc"}"#), ok(r#"{"words":0,"text":""}"#)],
            "index,status,words,text,error\n0,ok,2,\"a \"\"b\"\",\nc\",\n1,ok,0,,\n",
        );
    }

    #[test]
    fn a_long_text_is_quoted_as_a_whole() {
        let text = format!("{},{}", "x".repeat(1000), "y".repeat(1000));
        let expected = format!("index,status,value,error\n0,ok,\"{text}\",\n");
        check(csv(EACH), vec![ok(&format!("\"{text}\""))], &expected);
    }

    #[test]
    fn what_is_no_string_is_json() {
        let expected = "index,status,value,error\n0,ok,\"[1,\"\"a\"\"]\",\n1,ok,null,\n";
        check(csv(EACH), vec![ok(r#"[1,"a"]"#), ok("null")], expected);
    }

    #[test]
    fn a_file_is_known_by_its_name_to_the_byte() {
        let mut output = Vec::new();
        let mut sink = for_run(csv(SinkOptions { files: true, ..EACH }), &mut output);
        sink.accept(0, of_file(b"a\xff,b", ok("1"))).unwrap();
        sink.flush().unwrap();
        drop(sink);
        assert_eq!(output, b"index,file,status,value,error\n0,\"a\xff,b\",ok,1,\n");
    }

    #[test]
    fn an_input_that_is_a_string_has_no_quotes() {
        let mut texts = Packed::default();
        for json in [r#""two words""#, "[1,2]"] {
            texts.push(json.as_bytes()).unwrap();
        }
        check(
            csv(SinkOptions { inputs: Some(Inputs::Json { line: 0, texts }), ..EACH }),
            vec![ok("1"), ok("2")],
            "index,input,status,value,error\n0,two words,ok,1,\n1,\"[1,2]\",ok,2,\n",
        );
    }

    #[test]
    fn what_varies_comes_last() {
        check(
            csv(SinkOptions { meta: true, ..EACH }),
            vec![with_meta(ok("1"))],
            "index,status,value,error,ms,cpu_ms,peak_memory,attempts,worker,pid\n\
             0,ok,1,,12.340,9,65536,1,3,4242\n",
        );
    }

    #[test]
    fn a_merged_value_is_one_row() {
        let result = record();
        let value = vec![ok(r#"{"words":9,"text":"x"}"#)];
        check(csv(SinkOptions { result, ..MERGED }), value, "items,words,text\n1,9,x\n");
    }

    #[test]
    fn failures_of_a_merged_run_are_rows_of_items() {
        let expected = "index,status,value,error\n1,trap,,wasm `unreachable` instruction executed\n";
        check(csv(MERGED), vec![ok("1"), trapped()], expected);
    }

    #[test]
    fn a_failed_merge_is_a_row_without_an_index() {
        let mut output = Vec::new();
        let mut sink = for_run(csv(MERGED), &mut output);
        (0..2).for_each(|index| drop(sink.accept(index, ok("1")).unwrap()));
        sink.input_ended(InputEnd::Whole { total: 2 }).unwrap();
        sink.accept(MERGE_BIT, ended(Outcome::Exit { code: 1 })).unwrap();
        sink.flush().unwrap();
        drop(sink);
        let expected = "index,status,value,error\n,exit,,merge of items 0..2: the guest exited with code 1\n";
        assert_eq!(text(output), expected);
    }

    #[test]
    fn a_field_with_the_name_of_another_column_is_told_apart() {
        let fields = ["status", "index", "ms", "word"].map(|name| (name.to_owned(), ValueType::U64));
        let result = Some(ValueType::Record(fields.into()));
        check(
            csv(SinkOptions { result, ..EACH }),
            vec![ok(r#"{"status":1,"index":2,"ms":3,"word":4}"#)],
            "index,status,value.status,value.index,value.ms,word,error\n0,ok,1,2,3,4,\n",
        );
    }

    #[test]
    fn no_items_are_a_line_of_names() {
        check(csv(EACH), vec![], "index,status,value,error\n");
        check(csv(MERGED), vec![], "items,value\n");
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        check(
            csv(SinkOptions { terminal: true, ..EACH }),
            vec![ok(r#""a\n\u001b[2J""#)],
            "index,status,value,error\n0,ok,a\\n\\u{1b}[2J,\n",
        );
    }

    #[test]
    fn a_value_that_is_not_of_its_type_stands_in_the_first_column() {
        let expected = "index,status,words,text,error\n0,ok,[1],,\n";
        check(csv(SinkOptions { result: record(), ..EACH }), vec![ok("[1]")], expected);
    }
}
