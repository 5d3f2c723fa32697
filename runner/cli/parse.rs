//! What was typed for a flag, as what it means.

use std::fmt::Display;
use std::num::{IntErrorKind, NonZero};
use std::str::FromStr;
use std::time::Duration;

use crate::error::Error;
use crate::source::MAX_LINE;

/// More workers than any machine has processors; each takes a thread and some descriptors of the host.
const MAX_WORKERS: usize = 1024;

/// The longest time limit: what is more is a slip, and the clock need not reckon with it.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const RANGE_HINT: &str = "write `A..B`, such as `1..800000`; `A..=B` includes `B`";

pub(super) use crate::limits::MAX_MEMORY;

/// The most output an item may be allowed. It is held in memory, more than once.
pub(super) const MAX_OUTPUT: u64 = GIB;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const TIMEOUT_HINT: &str = "write a time such as `500ms`, `2s` or `1m30s`, or `none`";

/// `A..B` or `A..=B`: the first number and the one after the last.
pub(super) fn range(text: &str) -> Result<(i128, i128), Error> {
    let wrong = |what: String| Error::usage(format!("`--range {text}` {what}"), RANGE_HINT);
    let (start, rest) = text.split_once("..").ok_or_else(|| wrong("is no range".to_owned()))?;
    let (last, is_inclusive) = rest.strip_prefix('=').map_or((rest, false), |last| (last, true));
    let start = whole_number(start).map_err(wrong)?;
    let last = whole_number(last).map_err(wrong)?;
    if last < start {
        let dots = if is_inclusive { "..=" } else { ".." };
        return Err(Error::usage(
            format!("`--range {text}` ends before it starts"),
            format!("write `--range {last}{dots}{start}`"),
        ));
    }
    let end = last.checked_add(is_inclusive.into()).ok_or_else(|| wrong(too_large(last)))?;
    Ok((start, end))
}

fn whole_number(text: &str) -> Result<i128, String> {
    digits(text).parse::<i128>().map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => too_large(text),
        _ => format!("is no range: `{text}` is no whole number"),
    })
}

fn too_large(number: impl Display) -> String {
    format!("goes too far: no integer type holds `{number}`")
}

/// `800_000` as `800000`; an underscore that is not inside a number stays, and is refused with it.
fn digits(text: &str) -> String {
    if text.starts_with('_') || text.ends_with('_') { text.to_owned() } else { text.replace('_', "") }
}

/// A whole number from 1, for `flag`.
pub(super) fn count(flag: &str, text: &str) -> Result<NonZero<u64>, Error> {
    digits(text).parse().map_err(|_| Error::Usage {
        message: format!("`{flag}` takes a whole number from 1, not `{text}`"),
        hint: None,
    })
}

/// A whole number from 1, or nothing for `auto`.
pub(super) fn count_or_auto(flag: &str, text: &str) -> Result<Option<NonZero<u64>>, Error> {
    if text == "auto" { Ok(None) } else { count(flag, text).map(Some) }
}

/// A whole number from 0, for `flag`.
pub(super) fn number<N: FromStr>(flag: &str, text: &str) -> Result<N, Error> {
    digits(text).parse().map_err(|_| Error::Usage {
        message: format!("`{flag}` takes a whole number from 0, not `{text}`"),
        hint: None,
    })
}

/// A number of bytes for `flag`, such as `65536`, `64KiB` or `1GiB`; no more than `most`.
pub(super) fn size(flag: &str, text: &str, most: u64) -> Result<NonZero<u64>, Error> {
    let wrong = || {
        let (most, unit) = if most % GIB == 0 { (most / GIB, "GiB") } else { (most / MIB, "MiB") };
        Error::usage(
            format!("`{flag}` takes a size from 1 byte to {most} {unit}, not `{text}`"),
            "write a number of bytes, or of `KiB`, `MiB` or `GiB`, such as `64KiB`",
        )
    };
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len()));
    let unit = match unit {
        "" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => MIB,
        "G" | "GiB" => GIB,
        _ => return Err(wrong()),
    };
    let bytes = digits(number).parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes <= most).and_then(NonZero::new).ok_or_else(wrong)
}

/// A number of bytes for `--block-size`: no more than a line may have.
pub(super) fn block_size(text: &str) -> Result<NonZero<usize>, Error> {
    let bytes = size("--block-size", text, MAX_LINE as u64)?;
    Ok(NonZero::try_from(bytes).expect("a line fits into memory"))
}

/// How many workers `N`, `N%` of the usable CPUs, or `auto`, which is all of them, stands for.
pub(super) fn workers(text: &str, usable_cpus: NonZero<usize>) -> Result<NonZero<usize>, Error> {
    let wrong = || {
        Error::usage(
            format!("`--workers` takes a number from 1 to {MAX_WORKERS}, not `{text}`"),
            "write a number, a part of the usable CPUs such as `50%`, or `auto` for all of them",
        )
    };
    let number = |text: &str| text.parse::<NonZero<usize>>().map_err(|_| wrong());
    let workers = match text.strip_suffix('%') {
        _ if text == "auto" => usable_cpus.min(NonZero::new(MAX_WORKERS).expect("not zero")),
        None => number(text)?,
        Some(percent) => {
            let part = usable_cpus.get().saturating_mul(number(percent)?.get()) / 100;
            NonZero::new(part).unwrap_or(NonZero::<usize>::MIN)
        }
    };
    if workers.get() > MAX_WORKERS { Err(wrong()) } else { Ok(workers) }
}

/// A time for `flag`, such as `500ms`, `2s` or `1m30s`; nothing for `none`.
pub(super) fn time(flag: &str, text: &str) -> Result<Option<Duration>, Error> {
    if text == "none" {
        return Ok(None);
    }
    let wrong = |what| Error::usage(format!("`{flag} {text}` {what}"), TIMEOUT_HINT);
    let time = duration(text).ok_or_else(|| wrong("is no time"))?;
    if time.is_zero() {
        return Err(wrong("leaves no time at all"));
    }
    if time > MAX_TIMEOUT { Err(wrong("is more than a year")) } else { Ok(Some(time)) }
}

/// The sum of numbers that each have a unit: `h`, `m`, `s` or `ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    let mut rest = text;
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let milliseconds = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        sum = sum.checked_add(Duration::from_millis(part))?;
        if after.is_empty() {
            return Some(sum);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_refused<T: std::fmt::Debug>(result: Result<T, Error>, message: &str, hint: &str) {
        let error = result.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[track_caller]
    fn check_range(text: &str, expected: (i128, i128)) {
        assert_eq!(range(text).unwrap(), expected);
    }

    #[test]
    fn a_range_ends_before_its_end_unless_that_is_included() {
        check_range("1..800000", (1, 800_000));
        check_range("1..=800000", (1, 800_001));
    }

    #[test]
    fn the_numbers_of_a_range_may_be_negative_grouped_and_as_large_as_any_type() {
        check_range("-5..5", (-5, 5));
        check_range("1..800_000", (1, 800_000));
        check_range("0..=18446744073709551615", (0, 18_446_744_073_709_551_616));
    }

    #[test]
    fn an_empty_range_is_a_range() {
        check_range("5..5", (5, 5));
    }

    #[test]
    fn i7_a_reversed_range_is_refused_with_the_right_way_round() {
        check_refused(range("10..5"), "`--range 10..5` ends before it starts", "write `--range 5..10`");
        check_refused(range("5..=4"), "`--range 5..=4` ends before it starts", "write `--range 4..=5`");
    }

    #[test]
    fn i7_what_is_no_range_is_refused() {
        check_refused(range("7"), "`--range 7` is no range", RANGE_HINT);
        for (text, part) in
            [("a..b", "a"), ("1..", ""), ("1..1e400", "1e400"), ("_1..2", "_1"), ("1...2", ".2")]
        {
            check_refused(
                range(text),
                &format!("`--range {text}` is no range: `{part}` is no whole number"),
                RANGE_HINT,
            );
        }
    }

    #[test]
    fn i7_numbers_that_no_type_holds_are_refused() {
        let large = "9".repeat(40);
        check_refused(
            range(&format!("0..{large}")),
            &format!("`--range 0..{large}` goes too far: no integer type holds `{large}`"),
            RANGE_HINT,
        );
        let most = i128::MAX;
        check_refused(
            range(&format!("0..={most}")),
            &format!("`--range 0..={most}` goes too far: no integer type holds `{most}`"),
            RANGE_HINT,
        );
    }

    #[test]
    fn counts_start_at_one() {
        assert_eq!(count("--step", "1_000").unwrap().get(), 1000);
        for text in ["0", "-1", "x", "", "1.5"] {
            check_refused(
                count("--step", text),
                &format!("`--step` takes a whole number from 1, not `{text}`"),
                "",
            );
        }
    }

    #[test]
    fn a_block_size_is_a_number_of_bytes_or_of_a_larger_unit() {
        for (text, bytes) in [
            ("1", 1),
            ("65_536", 65_536),
            ("64KiB", 65_536),
            ("2K", 2048),
            ("16MiB", 16 << 20),
            ("1M", 1 << 20),
        ] {
            assert_eq!(block_size(text).unwrap().get(), bytes);
        }
    }

    #[test]
    fn no_size_and_one_larger_than_a_line_may_be_are_refused() {
        for text in ["", "0", "17MiB", "1GiB", "KiB", "-1", "1.5MiB", "99999999999999999999"] {
            check_refused(
                block_size(text),
                &format!("`--block-size` takes a size from 1 byte to 16 MiB, not `{text}`"),
                "write a number of bytes, or of `KiB`, `MiB` or `GiB`, such as `64KiB`",
            );
        }
    }

    #[test]
    fn auto_leaves_a_count_open() {
        assert_eq!(count_or_auto("--chunk", "auto").unwrap(), None);
        assert_eq!(count_or_auto("--chunk", "7").unwrap(), NonZero::new(7));
    }

    #[track_caller]
    fn check_workers(text: &str, usable_cpus: usize, expected: usize) {
        assert_eq!(workers(text, NonZero::new(usable_cpus).unwrap()).unwrap().get(), expected);
    }

    #[test]
    fn workers_are_a_number_a_part_of_the_cpus_or_all_of_them() {
        check_workers("3", 8, 3);
        check_workers("50%", 8, 4);
        check_workers("auto", 8, 8);
    }

    #[test]
    fn a_part_of_the_cpus_is_at_least_one_and_may_be_more_than_all() {
        check_workers("10%", 2, 1);
        check_workers("50%", 3, 1);
        check_workers("300%", 2, 6);
    }

    #[test]
    fn no_workers_and_absurdly_many_are_refused() {
        for text in ["0", "0%", "1025", "-1", "x", "%", "99999999999999999999", "99999999999999999%"] {
            check_refused(
                workers(text, NonZero::new(2).unwrap()),
                &format!("`--workers` takes a number from 1 to 1024, not `{text}`"),
                "write a number, a part of the usable CPUs such as `50%`, or `auto` for all of them",
            );
        }
    }

    #[track_caller]
    fn check_timeout(text: &str, milliseconds: u64) {
        assert_eq!(time("--timeout", text).unwrap(), Some(Duration::from_millis(milliseconds)));
    }

    #[test]
    fn a_timeout_is_a_sum_of_units() {
        check_timeout("500ms", 500);
        check_timeout("2s", 2_000);
        check_timeout("1m30s", 90_000);
        check_timeout("1h1ms", 3_600_001);
    }

    #[test]
    fn no_timeout_lifts_the_limit() {
        assert_eq!(time("--timeout", "none").unwrap(), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "60", "s", "1s2", "1 s", "-1s", "1.5s", "1d", "99999999999999999999s"] {
            check_refused(time("--timeout", text), &format!("`--timeout {text}` is no time"), TIMEOUT_HINT);
        }
        check_refused(time("--timeout", "0s"), "`--timeout 0s` leaves no time at all", TIMEOUT_HINT);
        check_refused(time("--timeout", "9999h"), "`--timeout 9999h` is more than a year", TIMEOUT_HINT);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_makes_the_parsers_panic(text in "[0-9a-z_.=%-]{0,20}|\\PC{0,9}") {
            let _ = range(&text);
            let _ = time("--timeout", &text);
            let _ = workers(&text, NonZero::<usize>::MIN);
            let _ = count("--step", &text);
        }
    }
}
