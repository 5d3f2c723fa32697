//! `wasmpool:pool/watching`: words to whoever watches the run, while an item is running.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use super::types::Level;
use crate::item::ItemIndex;
use crate::wire::encode_response;
use crate::wire::msg::Response;
use crate::worker::wasi::State;

/// Lines, and bytes of them, that an item may log. More of it are not told.
const MOST_LINES: u32 = 1_000;
const MOST_BYTES: usize = 64 << 10;

/// The longest line that is told whole.
const LONGEST: usize = 4_000;

/// Progress is told when the last was told so long ago, and once more when there is nothing left to do.
const INTERVAL: Duration = Duration::from_millis(50);

const MILLION: u32 = 1_000_000;

/// Tells the host what guests have to say. The conversation with the host goes over the same pipe; nothing else of it is
/// written while a guest is running.
#[derive(Debug, Default)]
pub(in crate::worker) struct Herald {
    /// None: nobody listens.
    results: Option<Arc<File>>,
    item: ItemIndex,
    lines: u32,
    bytes: usize,
    told: Option<Instant>,
    /// Whether it was told that nothing is left to do.
    told_end: bool,
    frame: Vec<u8>,
}

impl Herald {
    /// Writes to `results`, for one item at a time.
    pub(in crate::worker) fn new(results: Option<Arc<File>>) -> Self {
        Self { results, ..Self::default() }
    }

    /// Another item begins.
    pub(in crate::worker) fn restart(&mut self, item: ItemIndex) {
        (self.item, self.lines, self.bytes) = (item, 0, 0);
        (self.told, self.told_end) = (None, false);
    }

    fn log(&mut self, level: Level, message: &str) {
        let name = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        for line in message.lines() {
            let line = &line[..line.floor_char_boundary(LONGEST)];
            self.lines = self.lines.saturating_add(1);
            self.bytes = self.bytes.saturating_add(line.len());
            let item = self.item;
            if self.lines > MOST_LINES || self.bytes > MOST_BYTES {
                // Said once, and then no more.
                if self.lines <= MOST_LINES + 1 {
                    self.lines = MOST_LINES + 1;
                    self.send(&Response::Log(
                        format!("item {item}: more of its lines are not shown").as_bytes(),
                    ));
                }
                self.lines = self.lines.saturating_add(1);
                return;
            }
            self.send(&Response::Log(format!("item {item} [{name}] {line}").as_bytes()));
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= INTERVAL);
        let is_end = done >= total && !self.told_end;
        if is_due || is_end {
            self.told = Some(Instant::now());
            self.told_end |= is_end;
            let item = self.item;
            self.send(&Response::Progress { item, millionths: millionths(done, total) });
        }
    }

    fn send(&mut self, response: &Response<'_>) {
        let Some(mut results) = self.results.as_deref() else { return };
        encode_response(response, &mut self.frame);
        // A host that is gone listens to nothing; the next result tells.
        let _ = results.write_all(&self.frame);
        self.frame.clear();
    }
}

fn millionths(done: u64, total: u64) -> u32 {
    let of_all = u128::from(done.min(total)) * u128::from(MILLION);
    u32::try_from(of_all.checked_div(total.into()).unwrap_or(0)).unwrap_or(MILLION)
}

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn add(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("log", |mut store: Store<'_>, (level, message): (Level, String)| {
        // The runtime has looked at it before it copied it, and others may write to a segment that it was in.
        let message = String::from_utf8_lossy(message.as_bytes());
        store.data_mut().herald.log(level, &message);
        Ok(())
    })?;
    linker.func_wrap("progress", |mut store: Store<'_>, (done, total): (u64, u64)| {
        store.data_mut().herald.progress(done, total);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::wire::Decoder;

    /// What the host hears of this.
    fn heard(act: impl FnOnce(&mut Herald)) -> Vec<String> {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut herald = Herald::new(Some(Arc::new(File::from(std::os::fd::OwnedFd::from(writer)))));
        herald.restart(7);
        let hearing = std::thread::spawn(move || {
            let (mut decoder, mut heard) = (Decoder::new(1 << 20), Vec::new());
            loop {
                let read = reader.read(decoder.space()).unwrap();
                if read == 0 {
                    return heard;
                }
                decoder.filled(read);
                while let Some(message) = decoder.next_message().unwrap() {
                    heard.push(match Response::parse(message).unwrap() {
                        Response::Log(line) => String::from_utf8_lossy(line).into_owned(),
                        other => format!("{other:?}"),
                    });
                }
            }
        });
        act(&mut herald);
        drop(herald);
        hearing.join().unwrap()
    }

    #[test]
    fn each_line_says_whose_it_is_and_how_much_it_matters() {
        let lines = heard(|herald| herald.log(Level::Warning, "one\nmemory allocation of 9 bytes failed"));
        assert_eq!(lines, ["item 7 [warning] one", "item 7 [warning] memory allocation of 9 bytes failed"]);
    }

    #[test]
    fn there_is_an_end_to_what_an_item_logs_and_it_is_told_once() {
        let lines = heard(|herald| (0..3_000).for_each(|_| herald.log(Level::Debug, "again")));
        assert_eq!(lines.len(), 1_001);
        assert_eq!(lines.last().unwrap(), "item 7: more of its lines are not shown");
    }

    #[test]
    fn long_lines_have_an_end_too() {
        let lines = heard(|herald| (0..100).for_each(|_| herald.log(Level::Info, &"ü".repeat(9_000))));
        assert_eq!(lines.len(), 17);
        assert_eq!(lines[0].chars().count(), "item 7 [info] ".len() + 2_000);
    }

    #[test]
    fn progress_is_told_now_and_then_and_at_the_end() {
        let told = heard(|herald| (0..=100_000).for_each(|done| herald.progress(done, 100_000)));
        assert_eq!(told[0], "Progress { item: 7, millionths: 0 }");
        assert_eq!(told.last().unwrap(), "Progress { item: 7, millionths: 1000000 }");
        assert!(told.len() < 1_000, "{}", told.len());
    }

    #[test]
    fn an_end_that_is_told_again_and_again_is_heard_now_and_then() {
        let start = Instant::now();
        let told = heard(|herald| (0..100_000).for_each(|_| herald.progress(0, 0)));
        let most = 2 + start.elapsed().as_millis() / INTERVAL.as_millis();
        assert!(told.len() as u128 <= most, "{}", told.len());
    }

    #[test]
    fn progress_of_nothing_is_none() {
        assert_eq!([millionths(3, 0), millionths(5, 3), millionths(1, 3)], [0, MILLION, 333_333]);
    }
}
