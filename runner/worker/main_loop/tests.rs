use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::chunk::{Chunk, Inputs};
use crate::guest::{GuestKind, Integers};
use crate::item::{ItemIndex, MERGE_BIT};
use crate::limits::{CodeOptions, GuestLimits, Isolation};
use crate::sandbox::{Layer, LayerState};
use crate::shm::segment::testing::{Life, Memory};
use crate::wire::msg::{Batch, CallEnd};
use crate::wire::{Reports, encode_request};

/// Runs texts: `ms N` takes so long, `long N` returns so many bytes, `trap` traps, `refuse`
/// is refused; everything else comes back.
struct Fake {
    now_ns: Rc<Cell<u64>>,
    value: Vec<u8>,
    memory: Memory,
    /// What the segment said while each item ran.
    seen: Rc<RefCell<Vec<String>>>,
    refusal: Option<Refusal>,
}

impl Loader for Fake {
    /// Why it cannot be compiled.
    type Prepared = Option<Refusal>;
    type Engine = Self;

    fn describe(self, code: CodeOptions) -> Result<(Description, Option<Refusal>), Refusal> {
        match self.refusal {
            // It is the code that it cannot have.
            Some(refusal) if !code.fuel => Err(refusal),
            obstacle => {
                let kind = GuestKind::Module;
                let description =
                    Description { kind, exports: Vec::new(), imports: Vec::new(), initial_memory: 0 };
                Ok((description, obstacle))
            }
        }
    }

    fn compile(obstacle: Option<Refusal>) -> Result<Vec<u8>, Refusal> {
        obstacle.map_or(Ok(vec![0xc0; FRAME_CAP + 1]), Err)
    }

    fn load(mut self, _serve: &Serve) -> Result<(Self, Enforced), Refusal> {
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => Ok((
                self,
                Enforced { layers: vec![LayerState::holds(Layer::Seccomp)], ..Enforced::default() },
            )),
        }
    }

    fn probe(self) -> Result<Enforced, Refusal> {
        Ok(Enforced { layers: vec![LayerState::absent(Layer::Landlock, "it is old")], ..Enforced::default() })
    }
}

impl Engine for Fake {
    fn allow(&mut self, allowance: Allowance) {
        self.seen.borrow_mut().push(format!("{allowance:?}"));
    }

    fn call(&mut self, _item: ItemIndex, export: usize, input: Input<'_>) -> Report<'_> {
        let status = self.memory.status().expect("an item is running");
        self.seen.borrow_mut().push(format!(
            "{} attempt {} at {}",
            shown(status.item),
            status.attempt,
            status.started_ns
        ));
        self.value = match input {
            Input::Text(text) | Input::File { content: text, .. } => text.to_vec(),
            Input::Span { start, end } => format!("{export}:{start}..{end}").into_bytes(),
            Input::Number(number) => format!("{export}:{number}").into_bytes(),
            Input::Arguments(json) | Input::Json { text: json, .. } | Input::Fold(json) => {
                [format!("{export}:").as_bytes(), json].concat()
            }
        };
        let text = str::from_utf8(&self.value).expect("the tests send UTF-8").to_owned();
        let mut end = CallEnd::Ok(&[]);
        match text.split_once(' ') {
            Some(("ms", number)) => {
                let ms: u64 = number.parse().expect("a number");
                self.now_ns.set(self.now_ns.get() + 1_000_000 * ms);
            }
            Some(("long", number)) => self.value = vec![b'x'; number.parse().expect("a number")],
            _ if text == "trap" => {
                end = CallEnd::Trap { kind: crate::outcome::TrapKind::Unreachable, error: "unreachable" };
            }
            _ if text.ends_with("refuse") => end = CallEnd::Input { error: "expected u8" },
            _ => {}
        }
        if end == CallEnd::Ok(&[]) {
            end = CallEnd::Ok(&self.value);
        }
        Report { end, stdout: b"", stderr: b"", wall_ns: 0, cpu_ns: 0, peak_memory: 0, backtrace: "" }
    }
}

/// What became of a worker that was sent some requests.
struct Conversation {
    end: Result<End, Failure>,
    said: Vec<String>,
    /// What the segment said while each item ran, and at the end.
    seen: Vec<String>,
}

fn converse_with(requests: &[u8], refusal: Option<Refusal>) -> Conversation {
    let now_ns = Rc::new(Cell::new(5));
    let memory = Memory::new(&Life::of(usize::MAX));
    let seen = Rc::default();
    let fake = Fake {
        now_ns: Rc::clone(&now_ns),
        value: Vec::new(),
        memory: memory.clone(),
        seen: Rc::clone(&seen),
        refusal,
    };
    let mut results = Vec::new();
    let end = run(requests, &mut results, Segment::new(memory.clone()), || now_ns.get(), fake);
    let seen = seen.take();
    assert_eq!(memory.status(), None, "no item is running at the end");
    assert_eq!(memory.outbox(), None, "nothing is left in the outbox at the end");
    Conversation { end, said: responses(&results), seen }
}

fn shown(item: ItemIndex) -> String {
    if item & MERGE_BIT == 0 { format!("item {item}") } else { format!("merge {}", item & !MERGE_BIT) }
}

/// One line for each response.
fn responses(bytes: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new(1 << 30);
    decoder.push(bytes);
    let mut lines = Vec::new();
    while let Some(message) = decoder.next_message().expect("frames") {
        lines.push(match Response::parse(message).expect("responses") {
            Response::Hello(hello) => format!("hello {}", hello.protocol),
            Response::Ready(ready) => {
                let names: Vec<_> = ready.layers.iter().map(|state| state.layer.name()).collect();
                format!("ready {names:?}")
            }
            Response::Refused(refused) => format!("refused: {}", refused.message),
            Response::Description(bytes) => format!("description of {} bytes", bytes.len()),
            Response::Code(bytes) => format!("code of {} bytes", bytes.len()),
            Response::Result(batch) => format!("result {}", reports(&batch)),
            Response::Merge(batch) => format!("merge {}", reports(&batch)),
            Response::Back(back) => format!("back {} from {}", back.count, back.first),
            Response::Drain => "drain".to_owned(),
            Response::Bye => "bye".to_owned(),
            other @ (Response::Log(_) | Response::Progress { .. }) => format!("{other:?}"),
        });
    }
    lines
}

fn reports(batch: &Batch<'_>) -> String {
    let ends = Reports::new(batch).map(|report| match report.expect("a batch holds whole reports").end {
        CallEnd::Ok(value) if value.len() > 20 => format!("{} bytes", value.len()),
        CallEnd::Ok(value) => String::from_utf8_lossy(value).into_owned(),
        CallEnd::Trap { kind, .. } => format!("trap {}", kind.name()),
        CallEnd::Input { error } => format!("refused: {error}"),
        other => format!("{other:?}"),
    });
    format!("{} attempt {}: {}", shown(batch.first), batch.attempt, ends.collect::<Vec<_>>().join(", "))
}

fn hello() -> Request<'static> {
    Request::Hello(version::hello())
}

fn serve() -> Request<'static> {
    let exports = vec!["f".to_owned(), "merge-f".to_owned()];
    Request::Load(Load::Serve(Serve {
        exports,
        meta: false,
        limits: GuestLimits { output: 1 << 20, ..GuestLimits::default() },
        isolation: Isolation::Item,
        seed: None,
        integers: Integers::Signed,
        dirs: Vec::new(),
        env: Vec::new(),
        init: None,
        bound: Vec::new(),
        shared: Vec::new(),
    }))
}

fn compile(describe_only: bool) -> Request<'static> {
    Request::Load(Load::Compile { describe_only, code: CodeOptions::default() })
}

fn texts(first: ItemIndex, texts: &[&str]) -> Request<'static> {
    let packed = texts.iter().map(|text| text.as_bytes()).collect();
    Request::Call(Call { group: 0, export: 0, attempt: 1, chunk: Chunk::new(first, Inputs::Texts(packed)) })
}

fn encoded(requests: &[Request<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        encode_request(request, &mut bytes);
    }
    bytes
}

/// What the worker says to these requests, after which the host closes the pipe.
#[track_caller]
fn check(requests: &[Request<'_>], said: &[&str], end: End) {
    let conversation = converse_with(&encoded(requests), None);
    assert_eq!(conversation.said, said);
    assert_eq!(conversation.end.unwrap(), end);
}

/// What a ready worker says to these requests after it has said that it is ready.
#[track_caller]
fn check_ready(requests: Vec<Request<'_>>, said: &[&str], end: End) {
    let requests: Vec<_> = [hello(), serve()].into_iter().chain(requests).collect();
    let said: Vec<_> = ["hello 1", "ready [\"seccomp\"]"].iter().chain(said).copied().collect();
    check(&requests, &said, end);
}

#[track_caller]
fn check_failure(requests: &[u8], line: &str) {
    let failure = converse_with(requests, None).end.unwrap_err();
    assert_eq!(failure.to_string(), line);
}

#[test]
fn a_whole_conversation() {
    let spans = Inputs::Spans { start: 0, end: 25, step: 10 };
    let folds = Inputs::Folds([b"[1,2]".as_slice()].into_iter().collect());
    check_ready(
        vec![
            Request::Call(Call { group: 0, export: 0, attempt: 1, chunk: Chunk::new(0, spans) }),
            texts(7, &["a", "trap", "b"]),
            Request::Merge(Call { group: 0, export: 1, attempt: 2, chunk: Chunk::new(MERGE_BIT | 3, folds) }),
            Request::Drain,
            Request::Bye,
        ],
        &[
            "result item 0 attempt 1: 0:0..10, 0:10..20, 0:20..25",
            "result item 7 attempt 1: a, trap unreachable, b",
            "merge merge 3 attempt 2: 1:[1,2]",
            "drain",
            "bye",
        ],
        End::Bye,
    );
}

#[test]
fn a_batch_is_sent_when_the_last_was_a_millisecond_ago() {
    check_ready(
        vec![texts(0, &["a", "ms 1", "b", "c"])],
        &["result item 0 attempt 1: a, ms 1", "result item 2 attempt 1: b, c"],
        End::Closed,
    );
}

#[test]
fn a_batch_is_sent_when_it_is_long() {
    check_ready(
        vec![texts(0, &["long 40000", "long 40000", "b"])],
        &["result item 0 attempt 1: 40000 bytes, 40000 bytes", "result item 2 attempt 1: b"],
        End::Closed,
    );
}

#[test]
fn h15_the_rest_of_a_chunk_is_given_back_when_its_results_are_long() {
    check_ready(
        vec![texts(0, &["long 3000000", "long 3000000", "b", "c"]), texts(4, &["d"])],
        &[
            "result item 0 attempt 1: 3000000 bytes",
            "result item 1 attempt 1: 3000000 bytes",
            "back 2 from 2",
            "result item 4 attempt 1: d",
        ],
        End::Closed,
    );
}

#[test]
fn the_last_item_of_a_chunk_leaves_nothing_to_be_given_back() {
    check_ready(vec![texts(0, &["long 5000000"])], &["result item 0 attempt 1: 5000000 bytes"], End::Closed);
}

#[test]
fn a_report_of_several_frames_arrives_whole() {
    check_ready(
        vec![texts(0, &["a", "long 1000000", "b"])],
        &[
            "result item 0 attempt 1: a",
            "result item 1 attempt 1: 1000000 bytes",
            "result item 2 attempt 1: b",
        ],
        End::Closed,
    );
}

#[test]
fn an_item_that_is_refused_is_named() {
    check_ready(
        vec![texts(16, &["a", "refuse"])],
        &["result item 16 attempt 1: a, refused: item 17, expected u8"],
        End::Closed,
    );
}

#[test]
fn arguments_that_are_refused_have_no_number() {
    let arguments = Inputs::Arguments([b"refuse".as_slice()].into_iter().collect());
    let call = Call { group: 0, export: 0, attempt: 1, chunk: Chunk::new(0, arguments) };
    check_ready(vec![Request::Call(call)], &["result item 0 attempt 1: refused: expected u8"], End::Closed);
}

#[test]
fn the_segment_says_which_item_is_running_since_when() {
    let requests = encoded(&[hello(), serve(), texts(3, &["ms 2", "a"]), texts(9, &["b"])]);
    let conversation = converse_with(&requests, None);
    assert_eq!(
        conversation.seen,
        ["item 3 attempt 1 at 5", "item 4 attempt 1 at 2000005", "item 9 attempt 1 at 2000005"]
    );
}

#[test]
fn a_compile_worker_describes_then_sends_code_in_pieces() {
    check(
        &[hello(), compile(false)],
        &["hello 1", "description of 4 bytes", "code of 262144 bytes", "code of 1 bytes", "bye"],
        End::Bye,
    );
}

#[test]
fn a_compile_worker_that_only_describes_sends_no_code() {
    check(&[hello(), compile(true)], &["hello 1", "description of 4 bytes", "bye"], End::Bye);
}

#[track_caller]
fn check_refused(load: Request<'_>) {
    let refusal = Refusal::new("is empty");
    let conversation = converse_with(&encoded(&[hello(), load]), Some(refusal));
    assert_eq!(conversation.said, ["hello 1", "refused: is empty"]);
    assert_eq!(conversation.end.unwrap(), End::Refused);
}

#[test]
fn a_guest_that_cannot_be_loaded_is_refused() {
    check_refused(serve());
}

#[test]
fn a_guest_that_cannot_be_described_is_refused() {
    check_refused(compile(false));
}

/// Whoever reads what comes next is still there when the host looks for it.
#[test]
fn a_compile_worker_that_has_described_its_guest_stays_until_the_host_has_looked() {
    let fuel = CodeOptions { fuel: true, ..CodeOptions::default() };
    for (refusal, said) in [(None, "bye"), (Some(Refusal::new("needs `f`")), "refused: needs `f`")] {
        let load = Request::Load(Load::Compile { describe_only: false, code: fuel });
        let requests = [encoded(&[hello(), load]), vec![0; 40]].concat();
        let conversation = converse_with(&requests, refusal);
        assert_eq!(conversation.said.last().map(String::as_str), Some(said));
        let end = conversation.end.unwrap_err().to_string();
        assert_eq!(end, "the host broke the protocol: bytes that are no frame");
    }
}

#[test]
fn a_host_of_another_build_is_refused() {
    check(
        &[Request::Hello(Hello { protocol: 999, build: "9" })],
        &["hello 1", "refused: cannot run in this worker: the other side speaks protocol 999, this one 1"],
        End::Refused,
    );
}

#[test]
fn a_host_that_says_nothing_ends_the_worker_quietly() {
    check(&[], &[], End::Closed);
}

#[test]
fn a_host_that_stops_reading_ends_the_worker_quietly() {
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let memory = Memory::new(&Life::of(usize::MAX));
    let fake = Fake {
        now_ns: Rc::default(),
        value: Vec::new(),
        memory: memory.clone(),
        seen: Rc::default(),
        refusal: None,
    };
    let requests = encoded(&[hello()]);
    let end = run(requests.as_slice(), Closed, Segment::new(memory), || 0, fake);
    assert_eq!(end.unwrap(), End::Closed);
}

#[test]
fn a_request_before_the_handshake_breaks_the_protocol() {
    check_failure(&encoded(&[serve()]), "the host broke the protocol: load where hello was expected");
}

#[test]
fn a_call_before_the_guest_is_loaded_breaks_the_protocol() {
    let requests = encoded(&[hello(), texts(0, &["a"])]);
    check_failure(&requests, "the host broke the protocol: a call where load was expected");
}

#[test]
fn loading_twice_breaks_the_protocol() {
    let requests = encoded(&[hello(), serve(), serve()]);
    check_failure(&requests, "the host broke the protocol: load where a call was expected");
}

#[test]
fn an_allowance_is_for_the_items_behind_it() {
    let allow = Request::Allow(Allowance { memory: Some(9) });
    let requests = encoded(&[hello(), serve(), texts(3, &["a"]), allow, texts(4, &["b"])]);
    let seen = ["item 3 attempt 1 at 5", "Allowance { memory: Some(9) }", "item 4 attempt 1 at 5"];
    assert_eq!(converse_with(&requests, None).seen, seen);
}

#[test]
fn an_allowance_before_there_is_a_guest_breaks_the_protocol() {
    let requests = encoded(&[hello(), Request::Allow(Allowance::default())]);
    check_failure(&requests, "the host broke the protocol: an allowance where load was expected");
}

#[test]
fn a_call_of_an_export_that_was_not_loaded_breaks_the_protocol() {
    let chunk = Chunk::new(0, Inputs::Numbers { start: 0, count: 1 });
    let call = Request::Call(Call { group: 0, export: 2, attempt: 1, chunk });
    let requests = encoded(&[hello(), serve(), call]);
    check_failure(&requests, "the host broke the protocol: a call of export 2 of 2");
}

#[test]
fn bytes_that_are_no_frame_break_the_protocol() {
    check_failure(&[0; 40], "the host broke the protocol: bytes that are no frame");
}

#[test]
fn a_stream_that_ends_inside_a_request_breaks_the_protocol() {
    let requests = encoded(&[hello()]);
    let cut = &requests[..requests.len() - 1];
    check_failure(cut, "the host broke the protocol: the stream ended inside a message");
}
