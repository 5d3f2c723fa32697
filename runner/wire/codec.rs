//! Messages to frames and back.
//!
//! Writing cannot fail: what is written is ours. Reading believes nothing: a message is either exactly what its
//! kind allows, to the last byte, or refused with the rule it breaks.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::error::WireError;
use super::frame::{Encoding, FrameWriter, Header, Kind, Message};
use super::msg::{Back, Batch, Call, Report, Request, Response};
use crate::chunk::{Chunk, Inputs, Packed};
use crate::guest::Description;
use crate::item::{ItemIndex, MERGE_BIT};

/// A whole of [`Response::Progress`].
const MILLION: u32 = 1_000_000;

/// The longest description a host reads, in bytes. Read, it takes up to some thirty times as much memory.
pub const DESCRIPTION_CAP: usize = 1 << 20;

/// The longest [`Response::Ready`] a host reads, in bytes.
const READY_CAP: usize = 4 << 10;

/// Appends the frames of `request` to `out`.
///
/// # Panics
/// If a chunk has 2³² items or more.
pub fn encode_request(request: &Request<'_>, out: &mut Vec<u8>) {
    match request {
        Request::Hello(hello) => put_value(Kind::Hello, hello, out),
        Request::Load(load) => put_value(Kind::Load, load, out),
        Request::Call(call) => put_call(Kind::Call, call, out),
        Request::Merge(call) => put_call(Kind::Merge, call, out),
        Request::Allow(allowance) => put_value(Kind::Allow, allowance, out),
        Request::Drain => put_empty(Kind::Drain, out),
        Request::Bye => put_empty(Kind::Bye, out),
    }
}

/// Appends the frames of `response` to `out`.
pub fn encode_response(response: &Response<'_>, out: &mut Vec<u8>) {
    match response {
        Response::Hello(hello) => put_value(Kind::Hello, hello, out),
        Response::Ready(ready) => put_value(Kind::Ready, ready, out),
        Response::Refused(refused) => put_value(Kind::Refused, refused, out),
        Response::Description(bytes) => put_raw(Kind::Description, bytes, out),
        Response::Code(bytes) => put_raw(Kind::Code, bytes, out),
        Response::Result(batch) => put_batch(Kind::Result, batch, out),
        Response::Merge(batch) => put_batch(Kind::Merge, batch, out),
        Response::Back(back) => put_back(*back, out),
        Response::Log(line) => put_raw(Kind::Log, line, out),
        Response::Progress { item, millionths } => {
            let header = Header { item: *item, ..Header::new(Kind::Progress, Encoding::Postcard) };
            put_postcard(header, millionths, out);
        }
        Response::Drain => put_empty(Kind::Drain, out),
        Response::Bye => put_empty(Kind::Bye, out),
    }
}

/// Appends one report to those of a [`Batch`] to be.
pub fn encode_report(report: &Report<'_>, out: &mut Vec<u8>) {
    serialize(report, Bytes(out));
}

/// The bytes of a [`Response::Description`].
#[must_use]
pub fn encode_description(description: &Description) -> Vec<u8> {
    let mut bytes = Vec::new();
    serialize(description, Bytes(&mut bytes));
    bytes
}

/// Reads the bytes of a [`Response::Description`].
///
/// # Errors
/// If they are longer than [`DESCRIPTION_CAP`], or not exactly one description whose types are nested no deeper than
/// [`MAX_NESTING`](crate::guest::MAX_NESTING).
pub fn parse_description(bytes: &[u8]) -> Result<Description, WireError> {
    Message { header: Header::new(Kind::Description, Encoding::Raw), payload: bytes }
        .within(DESCRIPTION_CAP)?
        .postcard()
}

/// The reports of a [`Batch`], one by one: exactly as many as it says, then not a byte more. Ends after an error.
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
    missing: u32,
    kind: Kind,
}

impl<'a> Request<'a> {
    /// Reads a message from the host.
    ///
    /// # Errors
    /// If it breaks a rule of its kind, or is of a kind that only workers send.
    pub fn parse(message: Message<'a>) -> Result<Self, WireError> {
        let kind = message.header.kind;
        match kind {
            Kind::Hello => Ok(Self::Hello(message.value()?)),
            Kind::Load => Ok(Self::Load(message.value()?)),
            Kind::Call => Ok(Self::Call(message.call()?)),
            Kind::Merge => Ok(Self::Merge(message.call()?)),
            Kind::Allow => Ok(Self::Allow(message.value()?)),
            Kind::Drain => message.empty().map(|()| Self::Drain),
            Kind::Bye => message.empty().map(|()| Self::Bye),
            Kind::Ready
            | Kind::Result
            | Kind::Log
            | Kind::Progress
            | Kind::Refused
            | Kind::Description
            | Kind::Code
            | Kind::Back => Err(WireError::Direction(kind)),
        }
    }
}

impl<'a> Response<'a> {
    /// Reads a message from a worker. The reports of a batch are checked one by one, by [`Reports`].
    ///
    /// # Errors
    /// If it breaks a rule of its kind, or is of a kind that only the host sends.
    pub fn parse(message: Message<'a>) -> Result<Self, WireError> {
        let kind = message.header.kind;
        match kind {
            Kind::Hello => Ok(Self::Hello(message.value()?)),
            Kind::Ready => Ok(Self::Ready(message.within(READY_CAP)?.value()?)),
            Kind::Refused => Ok(Self::Refused(message.value()?)),
            Kind::Description => Ok(Self::Description(message.raw()?)),
            Kind::Code => Ok(Self::Code(message.raw()?)),
            Kind::Result => Ok(Self::Result(message.batch()?)),
            Kind::Merge => Ok(Self::Merge(message.batch()?)),
            Kind::Back => message.back().map(Self::Back),
            Kind::Log => Ok(Self::Log(message.raw()?)),
            Kind::Progress => message.progress(),
            Kind::Drain => message.empty().map(|()| Self::Drain),
            Kind::Bye => message.empty().map(|()| Self::Bye),
            Kind::Load | Kind::Call | Kind::Allow => Err(WireError::Direction(kind)),
        }
    }
}

impl<'a> Reports<'a> {
    /// The reports of `batch`.
    #[must_use]
    pub fn new(batch: &Batch<'a>) -> Self {
        let kind = if is_merge(batch.first) { Kind::Merge } else { Kind::Result };
        Self { rest: batch.reports, missing: batch.count, kind }
    }

    fn end(&mut self, error: WireError) -> Option<Result<Report<'a>, WireError>> {
        (self.rest, self.missing) = (&[], 0);
        Some(Err(error))
    }
}

impl<'a> Iterator for Reports<'a> {
    type Item = Result<Report<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.missing, self.rest.is_empty()) {
            (0, true) => return None,
            (0, false) | (_, true) => return self.end(WireError::Count(self.kind)),
            (_, false) => {}
        }
        match postcard::take_from_bytes(self.rest) {
            Ok((report, rest)) => {
                (self.rest, self.missing) = (rest, self.missing - 1);
                Some(Ok(report))
            }
            Err(_) => self.end(WireError::Payload(self.kind)),
        }
    }
}

impl std::iter::FusedIterator for Reports<'_> {}

/// Header fields that some kinds use; the others must be zero.
#[derive(Clone, Copy)]
struct Uses {
    target: bool,
    item: bool,
    items: bool,
}

const NOTHING: Uses = Uses { target: false, item: false, items: false };
const CALL: Uses = Uses { target: true, item: true, items: true };
const BATCH: Uses = Uses { target: false, item: true, items: true };
const PROGRESS: Uses = Uses { target: false, item: true, items: false };

impl<'a> Message<'a> {
    fn empty(self) -> Result<(), WireError> {
        self.check_header(Encoding::None, NOTHING)?;
        if self.payload.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    fn raw(self) -> Result<&'a [u8], WireError> {
        self.check_header(Encoding::Raw, NOTHING)?;
        Ok(self.payload)
    }

    fn value<T: Deserialize<'a>>(self) -> Result<T, WireError> {
        self.check_header(Encoding::Postcard, NOTHING)?;
        self.postcard()
    }

    fn progress(self) -> Result<Response<'a>, WireError> {
        self.check_header(Encoding::Postcard, PROGRESS)?;
        let millionths = self.postcard()?;
        if millionths > MILLION {
            return Err(self.malformed());
        }
        Ok(Response::Progress { item: self.header.item, millionths })
    }

    fn batch(self) -> Result<Batch<'a>, WireError> {
        self.check_header(Encoding::Reports, BATCH)?;
        let Header { item: first, attempt, count, .. } = self.header;
        Ok(Batch { first, attempt, count, reports: self.payload })
    }

    fn back(self) -> Result<Back, WireError> {
        self.check_header(Encoding::None, BATCH)?;
        let Header { item: first, attempt, count, .. } = self.header;
        if self.payload.is_empty() { Ok(Back { first, attempt, count }) } else { Err(self.malformed()) }
    }

    fn call(self) -> Result<Call, WireError> {
        let encoding = self.header.encoding;
        self.check_header(encoding, CALL)?;
        let inputs = match (self.header.kind == Kind::Merge, encoding) {
            (false, Encoding::Spans) => self.spans()?,
            (false, Encoding::Numbers) => self.numbers()?,
            (false, Encoding::Texts) => Inputs::Texts(self.packed()?),
            (false, Encoding::Arguments) => Inputs::Arguments(self.packed()?),
            (false, Encoding::Json) => self.json()?,
            (true, Encoding::Folds) => Inputs::Folds(self.packed()?),
            (false | true, _) => return Err(WireError::Encoding(encoding as u8)),
        };
        if inputs.count() != u64::from(self.header.count) {
            return Err(WireError::Count(self.header.kind));
        }
        let Header { group, export, item, attempt, .. } = self.header;
        Ok(Call { group, export, attempt, chunk: Chunk::new(item, inputs) })
    }

    /// The inputs of a part of a range, none of whose ends is past what an `i128` can hold.
    fn spans(self) -> Result<Inputs, WireError> {
        let (start, end, step): (i128, i128, u64) = self.postcard()?;
        let countable = end.checked_sub(start).is_some_and(|numbers| numbers > 0);
        let reachable = step > 0 && end.checked_add(step.into()).is_some();
        if countable && reachable { Ok(Inputs::Spans { start, end, step }) } else { Err(self.malformed()) }
    }

    fn numbers(self) -> Result<Inputs, WireError> {
        let (start, count): (i128, u64) = self.postcard()?;
        let reachable = start.checked_add(count.into()).is_some();
        if reachable { Ok(Inputs::Numbers { start, count }) } else { Err(self.malformed()) }
    }

    fn json(self) -> Result<Inputs, WireError> {
        let (line, payload) = self.payload.split_first_chunk().ok_or(WireError::Count(self.header.kind))?;
        Ok(Inputs::Json { line: u64::from_le_bytes(*line), texts: Self { payload, ..self }.packed()? })
    }

    fn packed(self) -> Result<Packed, WireError> {
        let head = u64::from(self.header.count) * 4;
        let head = usize::try_from(head).map_err(|_| WireError::Count(self.header.kind))?;
        let (head, bytes) = self.payload.split_at_checked(head).ok_or(WireError::Count(self.header.kind))?;
        let ends = head.as_chunks().0.iter().map(|end| u32::from_le_bytes(*end)).collect();
        Packed::from_parts(bytes.to_vec(), ends).ok_or(self.malformed())
    }

    fn postcard<T: Deserialize<'a>>(self) -> Result<T, WireError> {
        match postcard::take_from_bytes(self.payload) {
            Ok((value, [])) => Ok(value),
            Ok(_) | Err(_) => Err(self.malformed()),
        }
    }

    /// Refuses a message that would take much more memory when read than the bytes it came in.
    fn within(self, limit: usize) -> Result<Self, WireError> {
        let length = self.payload.len();
        if length > limit { Err(WireError::Oversize { length, limit }) } else { Ok(self) }
    }

    fn malformed(self) -> WireError {
        WireError::Payload(self.header.kind)
    }

    fn check_header(self, encoding: Encoding, uses: Uses) -> Result<(), WireError> {
        let header = self.header;
        if header.encoding != encoding {
            return Err(WireError::Encoding(header.encoding as u8));
        }
        let fields = [
            ("group", uses.target || header.group == 0),
            ("export", uses.target || header.export == 0),
            ("item", uses.item || header.item == 0),
            // Both count from 1.
            ("attempt", uses.items == (header.attempt != 0)),
            ("count", uses.items == (header.count != 0)),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, valid)| !valid) {
            return Err(WireError::Field { kind: header.kind, field });
        }
        if uses.items { self.check_items() } else { Ok(()) }
    }

    /// Checks that all the items are items of the input, or all merges, as the kind says.
    fn check_items(self) -> Result<(), WireError> {
        let Header { kind, item, count, .. } = self.header;
        let last = item.checked_add(u64::from(count) - 1).filter(|last| *last < ItemIndex::MAX);
        let merges = match kind {
            // Both are given back.
            Kind::Back => is_merge(item),
            kind => kind == Kind::Merge,
        };
        match last {
            Some(last) if is_merge(item) == merges && is_merge(last) == merges => Ok(()),
            Some(_) | None => Err(WireError::Items(kind)),
        }
    }
}

fn is_merge(item: ItemIndex) -> bool {
    item & MERGE_BIT != 0
}

fn put_empty(kind: Kind, out: &mut Vec<u8>) {
    FrameWriter::new(out, Header::new(kind, Encoding::None)).finish();
}

fn put_raw(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    put_bytes(Header::new(kind, Encoding::Raw), bytes, out);
}

fn put_value(kind: Kind, value: &impl Serialize, out: &mut Vec<u8>) {
    put_postcard(Header::new(kind, Encoding::Postcard), value, out);
}

fn put_batch(kind: Kind, batch: &Batch<'_>, out: &mut Vec<u8>) {
    let &Batch { first, attempt, count, reports } = batch;
    let header = Header { item: first, attempt, count, ..Header::new(kind, Encoding::Reports) };
    put_bytes(header, reports, out);
}

fn put_back(back: Back, out: &mut Vec<u8>) {
    let Back { first, attempt, count } = back;
    let header = Header { item: first, attempt, count, ..Header::new(Kind::Back, Encoding::None) };
    FrameWriter::new(out, header).finish();
}

fn put_call(kind: Kind, call: &Call, out: &mut Vec<u8>) {
    let encoding = match call.chunk.inputs() {
        Inputs::Spans { .. } => Encoding::Spans,
        Inputs::Numbers { .. } => Encoding::Numbers,
        // What a file is called is nothing to a worker.
        Inputs::Texts(_) | Inputs::Files { .. } => Encoding::Texts,
        Inputs::Arguments(_) => Encoding::Arguments,
        Inputs::Json { .. } => Encoding::Json,
        Inputs::Folds(_) => Encoding::Folds,
    };
    let &Call { group, export, attempt, ref chunk } = call;
    let count = u32::try_from(chunk.len()).expect("a chunk has fewer than 2^32 items");
    let header = Header { kind, encoding, group, export, item: chunk.first(), attempt, count };
    match chunk.inputs() {
        Inputs::Spans { start, end, step } => put_postcard(header, &(start, end, step), out),
        Inputs::Numbers { start, count } => put_postcard(header, &(start, count), out),
        Inputs::Texts(packed)
        | Inputs::Files { contents: packed, .. }
        | Inputs::Arguments(packed)
        | Inputs::Folds(packed) => put_packed(header, &[], packed, out),
        Inputs::Json { line, texts } => put_packed(header, &line.to_le_bytes(), texts, out),
    }
}

fn put_packed(header: Header, head: &[u8], packed: &Packed, out: &mut Vec<u8>) {
    out.reserve(head.len() + packed.ends().len() * 4 + packed.bytes().len());
    let mut writer = FrameWriter::new(out, header);
    writer.put(head);
    for ends in packed.ends().chunks(256) {
        let mut bytes = [[0; 4]; 256];
        for (bytes, end) in bytes.iter_mut().zip(ends) {
            *bytes = end.to_le_bytes();
        }
        writer.put(bytes[..ends.len()].as_flattened());
    }
    writer.put(packed.bytes());
    writer.finish();
}

fn put_bytes(header: Header, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len());
    let mut writer = FrameWriter::new(out, header);
    writer.put(bytes);
    writer.finish();
}

fn put_postcard(header: Header, value: &impl Serialize, out: &mut Vec<u8>) {
    serialize(value, FrameWriter::new(out, header));
}

fn serialize(value: &impl Serialize, output: impl Flavor<Output = ()>) {
    postcard::serialize_with_flavor(value, output).expect("messages are plain data, and the output grows");
}

impl Flavor for FrameWriter<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.put(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.put(&[data]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        self.finish();
        Ok(())
    }
}

/// Postcard's output at the end of a vector.
struct Bytes<'o>(&'o mut Vec<u8>);

impl Flavor for Bytes<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
