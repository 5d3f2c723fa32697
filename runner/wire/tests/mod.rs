//! Tests of the protocol as a whole: `golden` pins every message's bytes, `refusals` breaks every rule once,
//! `streams` takes messages through streams cut in any way.

mod golden;
mod refusals;
mod streams;

use super::codec::Reports;
use super::decoder::Decoder;
use super::error::WireError;
use super::frame::HEADER_LEN;
use super::msg::{Batch, Call, CallEnd, Report, Request, Response};
use super::{encode_report, encode_request, encode_response};
use crate::chunk::{Chunk, Inputs, Packed};
use crate::item::ItemIndex;

/// More than any message of these tests has.
const PLENTY: usize = 4 << 20;

fn packed(items: &[&str]) -> Packed {
    items.iter().map(|item| item.as_bytes()).collect()
}

fn call(first: ItemIndex, inputs: Inputs) -> Call {
    Call { group: 0, export: 0, attempt: 1, chunk: Chunk::new(first, inputs) }
}

fn ok(value: &str) -> Report<'_> {
    Report {
        end: CallEnd::Ok(value.as_bytes()),
        stdout: b"",
        stderr: b"",
        wall_ns: 0,
        cpu_ns: 0,
        peak_memory: 0,
        backtrace: "",
    }
}

fn reports(reports: &[Report<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for report in reports {
        encode_report(report, &mut bytes);
    }
    bytes
}

fn request_bytes(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_request(request, &mut bytes);
    bytes
}

fn response_bytes(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_response(response, &mut bytes);
    bytes
}

/// Writes the right checksum into a frame that was tampered with.
fn reseal(frame: &mut [u8]) {
    frame[12..16].fill(0);
    let crc = crc32fast::hash(frame);
    frame[12..16].copy_from_slice(&crc.to_le_bytes());
}
