//! Whole sinks, as the dispatcher sees them: what they print, free, hold and ask for.

use std::io;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::item::Input;
use crate::item::{FINISH, MERGE_BIT};
use crate::outcome::{Outcome, Output, TrapKind};

const EACH: SinkOptions = SinkOptions {
    shown: Shown::Each,
    ordered: true,
    format: Format::Auto,
    meta: false,
    terminal: false,
    color: Color::Off,
    output: Cow::Borrowed("standard output"),
    result: None,
    files: false,
    inputs: None,
    stages: None,
};
const MERGED: SinkOptions = SinkOptions { shown: Shown::Merged, ..EACH };

fn ended(outcome: Outcome) -> Completion {
    Completion::new(outcome)
}

fn ok(json: &str) -> Completion {
    ended(Outcome::Ok(Output::from_untrusted(json.as_bytes()).unwrap()))
}

fn trapped() -> Completion {
    ended(Outcome::Trap {
        kind: TrapKind::Unreachable,
        error: "wasm trap: wasm `unreachable` instruction executed".to_owned(),
    })
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).expect("records and rows are UTF-8")
}

/// What a sink prints for these completions of consecutive items.
fn printed(options: SinkOptions, completions: Vec<Completion>) -> String {
    let mut output = Vec::new();
    let mut sink = for_run(options, &mut output);
    let total = completions.len() as u64;
    for (index, completion) in (0..).zip(completions) {
        assert!(sink.accept(index, completion).unwrap().work.is_empty());
    }
    assert!(sink.input_ended(InputEnd::Whole { total }).unwrap().work.is_empty());
    sink.flush().unwrap();
    drop(sink);
    text(output)
}

mod documented;
mod formats;

mod items {
    use super::*;

    proptest! {
        #[test]
        fn any_order_of_ends_is_printed_in_input_order(order in Just((0..200_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut output = Vec::new();
            let mut sink = for_run(EACH, &mut output);
            let mut emitted = 0;
            for index in order {
                emitted += sink.accept(index, ok(&index.to_string())).unwrap().emitted;
            }
            sink.flush().unwrap();
            drop(sink);
            prop_assert_eq!(emitted, 200);
            let expected: String = (0..200)
                .map(|index| format!("{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":{index}}}\n"))
                .collect();
            prop_assert_eq!(text(output), expected);
        }
    }

    #[test]
    fn an_item_ahead_of_its_turn_frees_nothing_and_is_charged() {
        let mut sink = for_run(EACH, io::sink());
        let accepted = sink.accept(1, ok("\"four\"")).unwrap();
        assert_eq!((accepted.emitted, accepted.held_bytes), (0, 6));
        let accepted = sink.accept(0, ok("1")).unwrap();
        assert_eq!((accepted.emitted, accepted.held_bytes), (2, 0));
    }

    #[test]
    fn unordered_items_are_printed_as_they_end() {
        let mut output = Vec::new();
        let mut sink = for_run(SinkOptions { ordered: false, format: Format::Text, ..EACH }, &mut output);
        assert_eq!(sink.accept(5, ok("55")).unwrap().emitted, 1);
        assert_eq!(sink.accept(2, ok("22")).unwrap().emitted, 1);
        sink.flush().unwrap();
        drop(sink);
        assert_eq!(text(output), "index  value\n    5  55\n    2  22\n");
    }
}

mod output {
    use super::*;

    /// Fails every write in the same way.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn failure(kind: io::ErrorKind) -> Error {
        let options = SinkOptions { output: "`results.jsonl`".into(), ..EACH };
        let mut sink = for_run(options, Broken(kind));
        sink.accept(0, ok("1")).expect("one record is less than a batch");
        sink.flush().expect_err("the writer fails")
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        assert!(matches!(failure(io::ErrorKind::BrokenPipe), Error::OutputClosed));
    }

    #[test]
    fn a_full_disk_is_an_output_error() {
        let error = failure(io::ErrorKind::StorageFull);
        assert!(matches!(&error, Error::Output { name, .. } if name == "`results.jsonl`"), "{error:?}");
    }

    #[test]
    fn what_was_not_flushed_is_written_once_there_is_a_batch_of_it() {
        let mut output = Vec::new();
        let mut sink = for_run(EACH, &mut output);
        let value = format!("\"{}\"", "x".repeat(40_000));
        sink.accept(0, ok(&value)).unwrap();
        sink.accept(1, ok(&value)).unwrap();
        drop(sink);
        assert!(output.len() > 80_000);
    }
}

mod merging {
    use super::*;

    /// Takes the place of scheduler and workers: ends items and merges in an order of the test's choice, never
    /// more than `WINDOW` items ahead of the first that has not ended.
    struct Job<'a> {
        values: &'a dyn Fn(u64) -> Completion,
        merge: &'a dyn Fn(ItemIndex, Vec<&RawValue>) -> Completion,
        total: u64,
        /// Which of what is outstanding ends next.
        picks: Vec<usize>,
        /// The end of input is told when this many items have ended.
        told_at: u64,
        options: SinkOptions,
    }

    const WINDOW: u64 = 100;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Ran {
        printed: String,
        /// Each merge and how many values it folded, by index.
        merges: std::collections::BTreeMap<ItemIndex, usize>,
        most_held: u64,
    }

    impl Job<'_> {
        fn run(&self) -> Ran {
            let mut ran = Ran::default();
            let mut output = Vec::new();
            let mut sink = for_run(self.options.clone(), &mut output);
            let mut picks = self.picks.iter().cycle();
            let mut outstanding: Vec<Chunk> = Vec::new();
            let (mut admitted, mut emitted, mut ended, mut told) = (0, 0, 0, false);
            let mut held = 0;
            loop {
                while admitted < self.total.min(emitted + WINDOW) {
                    let inputs = Inputs::Numbers { start: admitted.into(), count: 1 };
                    outstanding.push(Chunk::new(admitted, inputs));
                    admitted += 1;
                }
                if !told && ended >= self.told_at.min(self.total) {
                    told = true;
                    let accepted = sink.input_ended(InputEnd::Whole { total: self.total }).unwrap();
                    held = accepted.held_bytes;
                    outstanding.extend(accepted.work);
                }
                if outstanding.is_empty() {
                    break;
                }
                let chunk = outstanding.swap_remove(picks.next().unwrap() % outstanding.len());
                let completion = self.end(&chunk, &mut ran);
                ended += u64::from(chunk.first() < MERGE_BIT);
                let accepted = sink.accept(chunk.first(), completion).unwrap();
                emitted += accepted.emitted;
                held = accepted.held_bytes;
                ran.most_held = ran.most_held.max(held);
                outstanding.extend(accepted.work);
            }
            assert_eq!((emitted, held), (self.total, 0), "each item is emitted, and nothing is kept");
            sink.flush().unwrap();
            drop(sink);
            ran.printed = text(output);
            ran
        }

        fn end(&self, chunk: &Chunk, ran: &mut Ran) -> Completion {
            let Some(Input::Fold(json)) = chunk.input(0) else {
                return (self.values)(chunk.first());
            };
            assert_eq!(chunk.len(), 1);
            let values: Vec<&RawValue> = serde_json::from_slice(json).unwrap();
            let before = ran.merges.insert(chunk.first(), values.len());
            assert_eq!(before, None, "a merge is asked for once");
            (self.merge)(chunk.first(), values)
        }
    }

    fn concatenation(_: ItemIndex, values: Vec<&RawValue>) -> Completion {
        let text: String =
            values.iter().map(|value| serde_json::from_str::<String>(value.get()).unwrap()).collect();
        ok(&serde_json::to_string(&text).unwrap())
    }

    fn float_sum(_: ItemIndex, values: Vec<&RawValue>) -> Completion {
        let sum: f64 = values.iter().map(|value| value.get().parse::<f64>().unwrap()).sum();
        ok(&serde_json::to_string(&sum).unwrap())
    }

    fn as_text(index: u64) -> Completion {
        ok(&format!("\"{index} \""))
    }

    /// The sum depends on the order of additions.
    fn as_float(index: u64) -> Completion {
        ok(&(1e16 / (index as f64 + 1.0)).to_string())
    }

    fn in_input_order(job: &Job<'_>) -> Ran {
        Job { picks: vec![0], told_at: u64::MAX, options: job.options.clone(), ..*job }.run()
    }

    const STRINGS: Job<'_> = Job {
        values: &as_text,
        merge: &concatenation,
        total: 0,
        picks: Vec::new(),
        told_at: 0,
        options: MERGED,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn values_are_merged_in_input_order_however_items_and_merges_end(
            total in 0..4_500_u64,
            told_at in 0..4_500_u64,
            picks in proptest::collection::vec(any::<usize>(), 1..300),
        ) {
            let ran = Job { total, picks, told_at, ..STRINGS }.run();
            let mut expected: String = (0..total).map(|index| format!("{index} ")).collect();
            if total > 0 {
                expected.push('\n');
            }
            prop_assert_eq!(ran.printed, expected);
        }

        #[test]
        fn a_sum_of_floats_has_the_same_bytes_however_items_and_merges_end(
            total in 1..4_500_u64,
            told_at in 0..4_500_u64,
            picks in proptest::collection::vec(any::<usize>(), 1..300),
        ) {
            let job = Job { values: &as_float, merge: &float_sum, total, picks, told_at, options: MERGED };
            let (ran, expected) = (job.run(), in_input_order(&job));
            prop_assert_eq!(ran.printed, expected.printed);
            prop_assert_eq!(ran.merges, expected.merges);
        }

        #[test]
        fn the_same_failure_is_printed_however_items_and_merges_end(
            total in 100..4_500_u64,
            told_at in 0..4_500_u64,
            item in 7..10_000_u64,
            group in 0..100_u64,
            picks in proptest::collection::vec(any::<usize>(), 1..300),
        ) {
            let values = |index| if index % item == item - 1 { trapped() } else { as_text(index) };
            let merge = |merge: ItemIndex, values: Vec<&RawValue>| {
                let place = merge & !MERGE_BIT;
                if place >= group { ended(Outcome::Exit { code: 1 }) } else { concatenation(merge, values) }
            };
            let job = Job { values: &values, merge: &merge, total, picks, told_at, options: MERGED };
            let ran = job.run();
            prop_assert_eq!(&ran.printed, &in_input_order(&job).printed);
            prop_assert_eq!(ran.printed.contains("\"status\":\"trap\""), total >= item);
        }
    }

    #[test]
    fn merges_are_aligned_and_full_but_for_the_last_of_a_level() {
        let ran = Job { total: 8 * 8 + 9, picks: vec![3, 1, 4, 1, 5], told_at: u64::MAX, ..STRINGS }.run();
        let level = |level: u64| {
            let first = MERGE_BIT | level << 56;
            ran.merges.range(first..first + (1 << 56)).map(|(_, values)| *values).collect::<Vec<_>>()
        };
        assert_eq!(level(0), vec![8; 9], "the last item is a group of one and needs no merge");
        assert_eq!(level(1), [8, 2]);
        assert_eq!(level(2), [2]);
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_items() {
        let merge = |_, _: Vec<&RawValue>| ok("1");
        let most_held = |total| {
            let values = |_| ok("1");
            let picks = vec![7, 77, 5, 0, 13, 61];
            Job { values: &values, merge: &merge, total, picks, told_at: u64::MAX, options: MERGED }
                .run()
                .most_held
        };
        let value = 1 + 32;
        let levels = 6;
        assert!(most_held(200_000) < 4 * (WINDOW + levels * tree::FAN_IN) * value, "{}", most_held(200_000));
    }

    #[test]
    fn the_end_of_input_starts_the_merge_of_the_last_values() {
        let mut sink = for_run(MERGED, io::sink());
        for index in 0..3 {
            assert!(sink.accept(index, as_text(index)).unwrap().work.is_empty());
        }
        let work = sink.input_ended(InputEnd::Whole { total: 3 }).unwrap().work;
        assert_eq!(work.len(), 1);
        assert_eq!(work[0].first(), MERGE_BIT);
        assert_eq!(work[0].input(0), Some(Input::Fold(br#"["0 ","1 ","2 "]"#)));
    }

    #[test]
    fn no_merge_starts_after_an_item_failed() {
        let mut sink = for_run(MERGED, io::sink());
        sink.accept(0, as_text(0)).unwrap();
        sink.accept(100, trapped()).unwrap();
        for index in 1..64 {
            assert!(sink.accept(index, as_text(index)).unwrap().work.is_empty());
        }
        let accepted = sink.accept(64, as_text(64)).unwrap();
        assert_eq!(accepted.held_bytes, trapped().held_bytes(), "values are dropped");
    }

    #[test]
    fn of_failed_merges_the_first_is_printed() {
        let merge = |_, _: Vec<&RawValue>| ended(Outcome::Exit { code: 9 });
        let job = Job { merge: &merge, total: 200, picks: vec![150, 3], ..STRINGS };
        assert_eq!(job.run().printed, "{\"v\":1,\"merge\":[0,8],\"status\":\"exit\",\"code\":9}\n");
    }

    const FINISHED: SinkOptions = SinkOptions { shown: Shown::Finished, ..MERGED };

    /// Merges are `merge`, and what is finished is put in brackets.
    fn finished(total: u64, merge: &dyn Fn(ItemIndex, Vec<&RawValue>) -> Completion) -> Ran {
        let merge = |index, values: Vec<&RawValue>| match (index, values.as_slice()) {
            (FINISH, [merged]) => ok(&format!("[{merged}]")),
            (FINISH, values) => panic!("one value, not {}", values.len()),
            _ => merge(index, values),
        };
        Job { merge: &merge, total, picks: vec![5, 0, 9], options: FINISHED, ..STRINGS }.run()
    }

    #[test]
    fn the_guest_has_the_last_word_about_the_merged_value() {
        assert_eq!(finished(3, &concatenation).printed, "[\"0 1 2 \"]\n");
        assert_eq!(finished(1, &concatenation).printed, "[\"0 \"]\n", "of a single item, too");
        assert_eq!(finished(0, &concatenation).printed, "");
    }

    #[test]
    fn what_was_not_merged_is_not_finished() {
        let ran = finished(3, &|_, _| ended(Outcome::Exit { code: 9 }));
        assert_eq!(ran.printed, "{\"v\":1,\"merge\":[0,3],\"status\":\"exit\",\"code\":9}\n");
        assert!(!ran.merges.contains_key(&FINISH));
    }

    #[test]
    fn a_value_that_cannot_be_finished_is_told_as_a_failed_merge_of_all() {
        let merge = |index, values: Vec<&RawValue>| {
            if index == FINISH { trapped() } else { concatenation(index, values) }
        };
        let job = Job { merge: &merge, total: 100, picks: vec![7], options: FINISHED, ..STRINGS };
        assert!(job.run().printed.starts_with("{\"v\":1,\"merge\":[0,100],\"status\":\"trap\""));
    }

    #[test]
    fn an_input_that_was_cut_short_has_no_value() {
        for total in [1, 3, 100] {
            let mut output = Vec::new();
            let mut sink = for_run(MERGED, &mut output);
            let mut work = Vec::new();
            (0..total).for_each(|index| work.extend(sink.accept(index, as_text(index)).unwrap().work));
            assert!(sink.input_ended(InputEnd::CutShort { total }).unwrap().work.is_empty());
            for chunk in work {
                assert!(sink.accept(chunk.first(), ok("1")).unwrap().work.is_empty());
            }
            sink.flush().unwrap();
            drop(sink);
            assert_eq!(text(output), "");
        }
    }

    #[test]
    fn a_merge_that_ends_twice_is_a_bug() {
        let result = std::panic::catch_unwind(|| {
            let mut sink = for_run(MERGED, io::sink());
            sink.accept(MERGE_BIT, ok("1"))
        });
        let message = result.expect_err("nothing was asked for");
        let message = message.downcast_ref::<String>().expect("a formatted message");
        assert_eq!(message, "merge 0x8000000000000000 ended and was not running");
    }
}
