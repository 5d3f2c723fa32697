//! Journals through the real command: runs that are killed and gone on with, and everything that is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::{Ended, Wasmpool, bash, is_soak, run, wasmpool};

/// A folder that several commands share.
struct Shared(TempDir);

impl Shared {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is a place for temporary files"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the folder is ours");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn lines(&self, name: &str) -> Vec<String> {
        String::from_utf8(self.read(name)).expect("it is text").lines().map(str::to_owned).collect()
    }

    /// `@` stands for the folder.
    fn line(&self, line: &str) -> String {
        line.replace('@', &format!("{}/", self.0.path().display()))
    }

    fn run(&self, line: &str) -> Wasmpool {
        run(&self.line(line))
    }

    fn wasmpool(&self, line: &str) -> Wasmpool {
        wasmpool(&self.line(line))
    }

    /// Runs it to its end; it goes on with so many items.
    #[track_caller]
    fn resumed(&self, line: &str, items: u64) -> Ended {
        let plural = if items == 1 { "" } else { "s" };
        let note = format!("resumed: {items} item{plural} from the journal\n");
        self.run(line).stdout_is(|_| true).stderr(note).check()
    }
}

/// Numerical Recipes' generator; its upper bits are the random ones.
struct Random(u32);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) % limit
    }
}

/// Starts the job again and again, and kills its host each time, at any moment of it.
fn kill_again_and_again(shared: &Shared, job: &str, kills: u32, seed: u32) {
    let mut random = Random(seed);
    for _ in 0..kills {
        let running = shared
            .run(job)
            .args("--resume")
            .any_code()
            .stdout_is(|_| true)
            .stderr_is(|stderr| !stderr.contains("error"))
            .start();
        if !running.ends_within(Duration::from_millis(random.below(600).into())) {
            running.signal(Signal::KILL);
        }
        running.check();
    }
}

/// How often each item is in the joblog.
fn ends(shared: &Shared) -> BTreeMap<u64, u32> {
    let mut ends = BTreeMap::new();
    for line in shared.lines("joblog").iter().skip(1) {
        // The last line of a run that was killed may be cut short, and the next one stand behind it.
        let first = line.split('\t').next().and_then(|seq| seq.parse().ok());
        *ends.entry(first.expect("a line starts with a number")).or_default() += 1;
    }
    ends
}

/// A job that is killed at random points and gone on with writes the same as one that is left alone.
#[track_caller]
fn check_killed(job: &str, seed: u32, in_order: bool) {
    // Seven kills leave the end for the run that is not killed.
    let rounds = if is_soak() { 24 } else { 1 };
    for round in 0..rounds {
        check_killed_seven_times(job, seed + 10 * round, in_order);
    }
}

#[track_caller]
fn check_killed_seven_times(job: &str, seed: u32, in_order: bool) {
    let shared = Shared::new();
    let numbers: String = (0..1200).map(|n| format!("{}\n", n * 7 % 256)).collect();
    shared.write("numbers", numbers);
    let wanted = |shared: &Shared, name| {
        let mut lines = shared.lines(name);
        if !in_order {
            lines.sort_unstable();
        }
        lines
    };
    shared.run(job).args(&shared.line("-o @undisturbed")).check();
    let killed = format!("{job} --journal @journal --joblog @joblog -o @output");
    kill_again_and_again(&shared, &killed, 7, seed);
    let whole = shared.run(&format!("{killed} --resume"));
    whole.stderr_is(|stderr| !stderr.contains("error")).check();
    assert_eq!(wanted(&shared, "output"), wanted(&shared, "undisturbed"));
    // Whatever is in the joblog is in the journal, and was not run again.
    assert_eq!(ends(&shared).into_iter().find(|(_, times)| *times > 1), None);
}

#[test]
fn j3_lines_in_order_are_the_same_after_any_number_of_kills() {
    check_killed("hostile.wasm busy --jsonl @numbers -j 2", 1, true);
}

#[test]
fn j3_an_unordered_range_has_the_same_records_after_any_number_of_kills() {
    check_killed("hostile.wasm busy --range 0..1200 -j 2 --unordered", 2, false);
}

#[test]
fn j3_a_merged_range_has_the_same_value_after_any_number_of_kills() {
    check_killed("primes.wasm --range 1..8000000 --step 5000 -j 2", 3, true);
}

#[test]
fn p2_an_item_that_may_run_once_is_not_run_again_after_a_kill() {
    let job = "hostile.wasm busy --range 0..1200 -j 2 --at-most-once --meta";
    let shared = Shared::new();
    let killed = format!("{job} --journal @journal --joblog @joblog -o @output");
    kill_again_and_again(&shared, &killed, if is_soak() { 50 } else { 4 }, 4);
    let whole = || shared.run(&format!("{killed} --resume")).any_code().stderr_is(|_| true).check();
    let code = whole().code;
    let records = shared.lines("output");
    assert_eq!(records.len(), 1200);
    let cancelled = |record: &&String| record.contains(r#""status":"cancelled""#);
    assert_eq!(code, i32::from(records.iter().any(|record| cancelled(&record))));
    assert!(
        records.iter().filter(|record| !cancelled(record)).all(|record| record.contains(r#""attempts":1,"#))
    );
    assert_eq!(ends(&shared).into_iter().find(|(_, times)| *times > 1), None);
    // It stays as it is, to the byte.
    let before = shared.read("output");
    assert_eq!(whole().code, code);
    assert_eq!(shared.read("output"), before);
}

/// Its host is killed in the middle of an item that never ends by itself.
#[test]
fn p2_an_item_that_was_running_when_its_host_was_killed_is_not_started_again() {
    let shared = Shared::new();
    let job = "hostile.wasm spin --range 0..2 -j 1 --chunk 1 --at-most-once --timeout 20s --journal @journal";
    let mut first = shared.run(job).stdout_is(|_| true).any_code().start();
    first.line();
    first.worker_at_work();
    first.signal(Signal::KILL);
    first.check();
    let records = "{\"v\":1,\"index\":0,\"input\":0,\"status\":\"ok\",\"value\":0}\n\
                   {\"v\":1,\"index\":1,\"input\":1,\"status\":\"cancelled\"}\n";
    let whole = shared.run(&format!("{job} --resume"));
    whole.stdout(records).stderr("resumed: 1 item from the journal\n").code(1).check();
}

#[test]
fn a_whole_journal_gives_the_whole_output_again() {
    let shared = Shared::new();
    let job = "hostile.wasm trap-odd --range 0..100 --meta --journal @journal";
    let first = shared.run(job).stdout_is(|_| true).code(1).check();
    let again = shared.run(&format!("{job} --resume"));
    let stderr = "resumed: 100 items from the journal\n";
    again.stdout(first.stdout).stderr(stderr).code(1).check();
}

#[test]
fn a_journal_is_not_overwritten() {
    let shared = Shared::new();
    let job = "primes.wasm --range 0..10 --journal @journal";
    shared.run(job).stdout("4\n").check();
    shared.run(job).refused(
        2,
        &shared.line(
            "error: the journal `@journal` is there already\n\n\
             hint: `--resume` goes on with it; to start anew, delete it or name another\n",
        ),
    );
}

#[test]
fn flags_that_go_on_need_a_journal() {
    for flag in ["--resume", "--retry-failed"] {
        run("primes.wasm --range 0..10")
            .args(flag)
            .stderr_is(|stderr| stderr.contains("--journal"))
            .code(2)
            .check();
    }
}

/// A journal of `first` is refused by `second`, for this reason.
#[track_caller]
fn check_other_job(first: &str, second: &str, difference: &str) {
    let shared = Shared::new();
    shared.run(first).args(&shared.line("--journal @journal")).stdout_is(|_| true).check();
    shared.run(second).args(&shared.line("--journal @journal --resume")).refused(
        2,
        &shared.line(&format!(
            "error: the journal `@journal` is of another job: {difference}\n\n\
             hint: a journal goes on with the same command only; name another for another job\n"
        )),
    );
}

#[test]
fn j5_a_journal_of_another_function_is_refused() {
    check_other_job(
        "hostile.wasm busy --range 0..3",
        "hostile.wasm count-calls --range 0..3",
        "the function was `wasmpool:tests/hostile#busy`, now it is `wasmpool:tests/hostile#count-calls`",
    );
}

#[test]
fn j5_a_journal_of_another_input_is_refused() {
    check_other_job(
        "primes.wasm --range 0..30",
        "primes.wasm --range 0..40 --step 2",
        "the input was `--range 0..30`, now it is `--range 0..40`; `--step` was `1`, now it is `2`",
    );
}

#[test]
fn j5_a_journal_of_other_limits_is_refused() {
    check_other_job(
        "primes.wasm --range 0..30",
        "primes.wasm --range 0..30 --timeout 7s",
        "`--timeout` was `60s`, now it is `7s`",
    );
}

#[test]
fn j5_a_journal_of_another_guest_is_refused() {
    let shared = Shared::new();
    let guest =
        |value| format!(r#"(module (func (export "f") (param i64) (result i64) (i64.const {value})))"#);
    let job = shared.line("g.wasm --range 0..3 --journal @journal --resume");
    run(&job).wat("g.wasm", &guest(1)).stdout_is(|_| true).check();
    run(&job)
        .wat("g.wasm", &guest(2))
        .stderr_is(|stderr| stderr.contains("is of another job: the BLAKE3 of the guest was `"))
        .code(2)
        .check();
}

#[test]
fn what_changes_no_item_may_change() {
    let shared = Shared::new();
    shared.run("primes.wasm --range 0..30 --journal @journal -j 1").stdout("10\n").check();
    let ended =
        shared.resumed("primes.wasm --range 0..30 --journal @journal --resume --each -j 2 --window 1", 30);
    assert_eq!(ended.stdout.lines().count(), 30);
}

#[test]
fn j7_a_second_run_on_a_journal_is_told_whose_it_is() {
    let shared = Shared::new();
    let job = "text.wasm analyze --lines - --journal @journal --resume";
    let mut first = shared.run(job).stdin_open().stdout_is(|_| true).start();
    first.write("some words\n");
    first.line();
    let pid = first.pid();
    shared.run(job).refused(
        2,
        &shared.line(&format!(
            "error: the journal `@journal` is in use by the process {pid}\n\n\
             hint: wait until that run has ended, or end it\n"
        )),
    );
    first.close_stdin();
    first.check();
}

#[test]
fn j8_a_journal_that_cannot_be_written_ends_the_run_before_the_output_has_it() {
    let shared = Shared::new();
    // A value of a megabyte for each item, and eight for each file.
    let job = "run hostile.wasm big-result --range 1000000..1000020 --progress none --journal @journal";
    let ended = bash(&shared.line(&format!("ulimit -f 8192; exec wasmpool {job}")))
        .stdout_is(|_| true)
        .stderr(shared.line("error: cannot write the journal `@journal`: File too large (os error 27)\n"))
        .code(7)
        .check();
    let (_, _, mut past) = wasmpool::journal::read(&shared.path("journal")).expect("it can be read");
    let printed = ended.stdout.matches("\"index\"").count() as u64;
    for item in 0..printed {
        assert_ne!(past.fate(item).expect("it can be read"), wasmpool::journal::Fate::New, "item {item}");
    }
    let whole = shared.wasmpool(&format!("{job} --resume"));
    let ended = whole.stdout_is(|_| true).stderr_is(|stderr| stderr.contains("resumed: ")).check();
    assert_eq!(ended.stdout.lines().count(), 20);
}

/// Something is done to the journal while the run that writes it waits for its input.
#[track_caller]
fn check_journal_that_goes(done: impl FnOnce(&Shared)) {
    let shared = Shared::new();
    let error = shared.line("error: cannot write the journal `@journal`: it was moved or removed\n");
    let mut running = shared
        .run("text.wasm analyze --lines - --journal @journal")
        .stdin_open()
        .stdout_is(|stdout| stdout.lines().count() == 2)
        .stderr_is(move |stderr| stderr.ends_with(&error))
        .code(7)
        .start();
    running.write("some words\n");
    running.line();
    done(&shared);
    running.write("and more\n");
    running.close_stdin();
    running.check();
}

#[test]
fn j8_a_journal_that_is_gone_at_the_end_is_told_and_the_output_is_whole() {
    check_journal_that_goes(|shared| fs::remove_file(shared.path("journal")).expect("it is there"));
    check_journal_that_goes(|shared| {
        fs::rename(shared.path("journal"), shared.path("elsewhere")).expect("it is there");
        shared.write("journal", "another one");
    });
}

#[test]
fn j8_a_device_is_no_journal() {
    run("primes.wasm --range 0..3 --journal /dev/full").refused(
        2,
        "error: the journal `/dev/full` is no regular file\n\n\
         hint: give a file on a disk: it is read again to go on\n",
    );
}

#[test]
fn j6_an_input_that_has_grown_goes_on() {
    let shared = Shared::new();
    let job = "text.wasm analyze --lines @notes --journal @journal --resume";
    shared.write("notes", "one\ntwo words\n");
    shared.run(job).stdout_is(|_| true).check();
    shared.write("notes", "one\ntwo words\nand three words\n");
    assert_eq!(shared.resumed(job, 2).stdout.lines().count(), 3);
}

#[test]
fn i15_an_input_that_has_changed_is_refused_at_the_item() {
    let shared = Shared::new();
    let job = "text.wasm analyze --lines @notes --journal @journal --resume";
    shared.write("notes", "one\ntwo words\n");
    shared.run(job).stdout_is(|_| true).check();
    shared.write("notes", "one\nother words\n");
    let refused = |how: &str| {
        format!(
            "resumed: 2 items from the journal\n\
             error: the input has changed since the journal was written: {how}\n\n\
             hint: bring it back as it was, or start anew with another journal\n"
        )
    };
    let again = || shared.run(job).stdout_is(|stdout| stdout.lines().count() == 1).code(2);
    again().stderr(refused("item 1 is another")).check();
    shared.write("notes", "one\n");
    again().stderr(refused("it has 1 item, and there is a record of item 1")).check();
}

#[test]
fn what_failed_is_run_again_if_asked() {
    let shared = Shared::new();
    let job = "text.wasm analyze --files @a @b @c --journal @journal -o @output";
    shared.write("a", "one");
    shared.write("c", "three");
    shared.run(job).code(1).check();
    shared.write("b", "two");
    shared.resumed(&format!("{job} --retry-failed"), 2);
    assert!(shared.lines("output").iter().all(|record| record.contains(r#""status":"ok""#)));
    // From then on the journal is that of a run without failures.
    shared.resumed(&format!("{job} --resume"), 3);
}

#[test]
fn p11_an_item_that_was_to_be_run_again_when_the_run_ended_has_not_ended_for_the_journal() {
    let shared = Shared::new();
    let job =
        "hostile.wasm trap-odd --range 0..2 -j 1 --retries 1000000000 --run-timeout 4s --joblog @joblog";
    let run = shared.run(job).args(&shared.line("--journal @journal"));
    let run = run.stdout_is(|stdout| stdout.contains(r#""index":1,"input":1,"status":"trap""#));
    run.stderr("error: the run was ended after 4 s\n").code(124).check();
    let (_, _, mut past) = wasmpool::journal::read(&shared.path("journal")).expect("it can be read");
    assert_ne!(past.fate(0).expect("it can be read"), wasmpool::journal::Fate::New);
    assert_eq!(past.fate(1).expect("it can be read"), wasmpool::journal::Fate::New);
    assert_eq!(ends(&shared), BTreeMap::from([(1, 1)]));
}

#[test]
fn h5_an_interrupted_run_can_be_gone_on_with() {
    let shared = Shared::new();
    let job = "text.wasm analyze --lines - --journal @journal --resume";
    let mut first = shared
        .run(job)
        .stdin_open()
        .stdout_is(|_| true)
        .stderr("error: interrupted by SIGTERM\n")
        .code(143)
        .start();
    first.write("some words\n");
    first.line();
    first.signal(Signal::TERM);
    first.check();
    let again = shared.run(job).stdin("some words\nand more\n");
    let ended = again.stdout_is(|_| true).stderr("resumed: 1 item from the journal\n").check();
    assert_eq!(ended.stdout.lines().count(), 2);
}

#[test]
fn a_joblog_has_a_line_for_each_item() {
    let shared = Shared::new();
    shared.run("hostile.wasm trap-odd --range 0..2 --joblog @joblog").stdout_is(|_| true).code(1).check();
    let mut lines = shared.lines("joblog");
    assert_eq!(lines.remove(0), "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand");
    lines.sort_unstable();
    let columns: Vec<Vec<_>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let function = "wasmpool:tests/hostile#trap-odd";
    for (index, (columns, rest)) in
        columns.iter().zip([["0", "1", "0", "0"], ["0", "0", "1", "0"]]).enumerate()
    {
        let command = format!("wasmpool call hostile.wasm {function} {index}");
        assert_eq!((columns[0], columns[1]), (&*(index + 1).to_string(), ":"));
        assert!(columns[2].parse::<f64>().is_ok_and(|time| time > 1e9), "{columns:?}");
        assert!(columns[3].parse::<f64>().is_ok_and(|time| time < 60.0), "{columns:?}");
        assert_eq!(columns[4..8], rest);
        assert_eq!(columns[8], command);
    }
}

#[test]
fn an_item_can_be_replayed() {
    let shared = Shared::new();
    shared.run("hostile.wasm trap-odd --range 10..20 --journal @journal").stdout_is(|_| true).code(1).check();
    let replay = |index| shared.wasmpool(&format!("replay @journal {index}"));
    // The guest is found in the folder that the run was in, which is gone.
    replay(3).stderr_is(|stderr| stderr.contains("where the run was")).code(4).check();
}

#[test]
fn a_replay_is_one_item_with_what_varies() {
    let script = "wasmpool run guests/hostile.wasm trap-odd --range 10..20 --journal j --progress none > out; \
                  mkdir elsewhere; cd elsewhere; wasmpool replay ../j 3";
    bash(script)
        .stdout_is(|stdout| {
            stdout.starts_with(r#"{"v":1,"index":3,"input":13,"status":"trap","kind":"unreachable""#)
                && stdout.lines().count() == 1
                && stdout.contains(r#""attempts":1"#)
        })
        .stderr("journal: item 3 ended as `trap`: wasm trap: wasm `unreachable` instruction executed\n")
        .code(1)
        .check();
}

#[test]
fn a_replay_of_an_item_of_a_file_reads_it_there() {
    let script = "printf 'one\\ntwo words\\n' > notes; \
                  wasmpool run guests/text.wasm analyze --lines notes --journal j --progress none > out; \
                  wasmpool replay j 1; wasmpool replay j 2";
    bash(script)
        .stdout_is(|stdout| stdout.contains(r#""index":1,"#) && stdout.contains(r#""word-count":2"#))
        .stderr(
            "journal: item 1 ended as `ok`\n\
             journal: there is no record of item 2\n\
             error: there is no item 2\n\nhint: the input has the items 0 to 1\n",
        )
        .code(2)
        .check();
}

#[test]
fn what_is_no_journal_is_not_replayed() {
    let shared = Shared::new();
    shared.write("notes", "some words\n");
    let hint = "hint: give the file that `--journal` of a run has written\n";
    let refused = |message: &str| shared.line(&format!("error: the journal {message}\n\n{hint}"));
    shared.wasmpool("replay @notes 0").refused(2, &refused("`@notes` is no journal"));
    // It would wait for somebody to write into it.
    mknodat(CWD, shared.path("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("the folder is ours");
    shared.wasmpool("replay @pipe 0").refused(2, &refused("`@pipe` is no regular file"));
}

#[test]
fn standard_input_cannot_be_replayed() {
    let shared = Shared::new();
    let job = "text.wasm analyze --lines - --journal @journal";
    shared.run(job).stdin("some words\n").stdout_is(|_| true).check();
    shared.wasmpool("replay @journal 0").refused(
        2,
        &shared.line(
            "error: the input of `@journal` was standard input, which is gone\n\n\
             hint: runs over files can be replayed: `--lines FILE`\n",
        ),
    );
}

/// A recorded run over a file; then something changes, and its item 0 is replayed.
fn check_replay_after(change: &str, code: i32, message: &str) {
    let script = format!(
        "cp guests/text.wasm g.wasm; printf 'one two\n' > a; \
         wasmpool run g.wasm analyze --files a --journal j --progress none > out; \
         {change}; wasmpool replay j 0"
    );
    let message = message.to_owned();
    bash(&script).stderr_is(move |stderr| stderr.contains(&message)).code(code).check();
}

#[test]
fn an_item_whose_input_is_another_is_not_replayed() {
    let message = "the input has changed since the journal was written: item 0 is another";
    check_replay_after("printf 'three\n' > a", 2, message);
    check_replay_after("rm a", 2, message);
}

#[test]
fn an_item_of_a_guest_that_is_another_is_not_replayed() {
    let message = "`g.wasm` is not the file that it was when the journal was written";
    check_replay_after("cp guests/hello.wasm g.wasm", 3, message);
}

#[test]
fn a_journal_is_for_nobody_but_who_wrote_it() {
    bash("wasmpool run guests/primes.wasm --range 0..10 --journal j --progress none; stat -c %a j")
        .stdout("4\n600\n")
        .check();
}

#[test]
fn the_command_in_a_journal_of_another_user_is_not_run() {
    // Only root can give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let script = "wasmpool run guests/primes.wasm --range 0..10 --journal j --progress none; chown 65534 j; \
                  wasmpool replay j 0";
    let message = "error: the journal `j` belongs to another user, and its command would be run as yours\n\n\
                   hint: copy the journal, if you trust who wrote it\n";
    bash(script).stdout("4\n").stderr(message).code(2).check();
}
