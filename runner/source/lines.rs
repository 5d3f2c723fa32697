//! The lines of a file or of standard input, each an item. A line is bytes: nothing of it is changed but the
//! line feed at its end, which is taken off.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

use memchr::memchr;

use super::{Next, Source};
use crate::chunk::{Inputs, Packed};
use crate::error::Error;

/// The longest line that is taken, in bytes: what one item may bring into a worker, and what the host must be
/// ready to hold beyond the window.
pub const MAX_LINE: usize = 16 << 20;

/// What is read from the system at once.
const BUFFER: usize = 128 << 10;

/// The most bytes of lines in one chunk, whatever the caller allows: a [`Packed`] ends at 4 GiB.
const MAX_CHUNK: usize = 1 << 30;

/// Lines that end with `\n`; the last one may go without.
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<Watched<R>>,
    /// For messages: the file in backticks, or `standard input`.
    name: String,
    /// Of the line that is read next, from 1.
    number: u64,
    line: Vec<u8>,
    failure: Option<Error>,
}

impl Lines<File> {
    /// The lines of the file at `path`; of standard input if it is `-`.
    ///
    /// # Errors
    /// If the file cannot be opened, or is a directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (name, file) = if path == Path::new("-") {
            // Not `std::io::stdin()` itself: it has a small buffer of its own.
            ("standard input".to_owned(), io::stdin().as_fd().try_clone_to_owned().map(File::from))
        } else {
            (format!("`{}`", path.display()), File::open(path))
        };
        let checked = file.and_then(|file| match file.metadata()?.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => Ok(file),
        });
        match checked {
            Ok(file) => Ok(Self::new(file, name)),
            Err(source) => {
                let hint = (source.kind() == io::ErrorKind::IsADirectory)
                    .then(|| "give a file, or `-` for standard input".to_owned());
                Err(Error::Input { name, hint, source })
            }
        }
    }
}

impl<R: Read> Lines<R> {
    /// The lines of `input`, which messages call `name`.
    #[must_use]
    pub fn new(input: R, name: String) -> Self {
        let reader = BufReader::with_capacity(BUFFER, Watched { input, drained: false });
        Self { reader, name, number: 1, line: Vec::new(), failure: None }
    }

    /// Whether the next line has to be waited for: whoever writes it has written no more so far.
    fn must_wait(&self) -> bool {
        self.reader.get_ref().drained && memchr(b'\n', self.reader.buffer()).is_none()
    }

    /// Reads the next line into `self.line`; `false` at the end.
    fn read_line(&mut self) -> Result<bool, Error> {
        self.line.clear();
        let most = MAX_LINE as u64 + 1;
        (&mut self.reader).take(most).read_until(b'\n', &mut self.line).map_err(|source| Error::Input {
            name: self.name.clone(),
            hint: None,
            source,
        })?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > MAX_LINE {
            return Err(self.too_long());
        } else if self.line.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        Ok(true)
    }

    fn too_long(&self) -> Error {
        let message = format!("line {} is longer than {} MiB", self.number, MAX_LINE >> 20);
        Error::Input {
            name: self.name.clone(),
            hint: Some("cut it into shorter lines first: each line is one item".to_owned()),
            source: io::Error::new(io::ErrorKind::FileTooLarge, message),
        }
    }

    /// Appends lines to `packed` until it is full, the lines end, or more would have to be waited for.
    fn gather(&mut self, packed: &mut Packed, max_items: u64, max_bytes: usize) -> Result<(), Error> {
        while packed.count() < max_items && packed.bytes().len() < max_bytes {
            if packed.count() > 0 && self.must_wait() || !self.read_line()? {
                break;
            }
            packed.push(&self.line).expect("a chunk and one line more are far below 4 GiB");
        }
        Ok(())
    }
}

impl<R: Read + Send> Source for Lines<R> {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut packed = Packed::default();
        let gathered = self.gather(&mut packed, max_items, max_bytes.clamp(1, MAX_CHUNK));
        match (packed.count(), gathered) {
            (0, Ok(())) => Ok(None),
            (0, Err(failure)) => Err(failure),
            (_, gathered) => {
                // What was read before the failure still counts.
                self.failure = gathered.err();
                Ok(Some(Next::Inputs(Inputs::Texts(packed))))
            }
        }
    }

    fn total(&self) -> Option<u64> {
        None
    }
}

/// A reader that remembers whether its last read got less than was asked for: a pipe that is empty now, or the
/// end.
#[derive(Debug)]
struct Watched<R> {
    input: R,
    drained: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.drained = read < buffer.len();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::item::Input;

    /// Gives one piece per read, an error of kind `Interrupted` before each, and at last maybe a real error.
    struct Pieces {
        pieces: VecDeque<Vec<u8>>,
        interrupted: bool,
        end: Option<io::ErrorKind>,
    }

    impl Pieces {
        fn new(pieces: Vec<Vec<u8>>) -> Self {
            Self { pieces: pieces.into(), interrupted: false, end: None }
        }
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some(mut piece) = self.pieces.pop_front() else {
                return self.end.map_or(Ok(0), |kind| Err(kind.into()));
            };
            let read = piece.as_slice().read(buffer)?;
            if read < piece.len() {
                self.pieces.push_front(piece.split_off(read));
            }
            Ok(read)
        }
    }

    fn lines<R: Read>(input: R) -> Lines<R> {
        Lines::new(input, "`f`".to_owned())
    }

    fn texts(next: &Next) -> Vec<Vec<u8>> {
        let Next::Inputs(inputs) = next else { panic!("inputs, not {next:?}") };
        let text = |k| match inputs.input(k) {
            Some(Input::Text(text)) => text.to_vec(),
            other => panic!("a text, not {other:?}"),
        };
        (0..inputs.count()).map(text).collect()
    }

    /// Every item up to the end or an error.
    fn items(source: &mut dyn Source, max_items: u64, max_bytes: usize) -> (Vec<Vec<u8>>, Option<Error>) {
        let mut items = Vec::new();
        loop {
            match source.next(max_items, max_bytes) {
                Ok(Some(next)) => {
                    let texts = texts(&next);
                    assert!((1..=max_items).contains(&(texts.len() as u64)));
                    items.extend(texts);
                }
                Ok(None) => return (items, None),
                Err(error) => return (items, Some(error)),
            }
        }
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&[u8]]) {
        let (items, error) = items(&mut lines(input), 100, 100);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(items, expected);
    }

    #[test]
    fn an_empty_file_has_no_items() {
        check(b"", &[]);
    }

    #[test]
    fn a_last_line_without_an_end_counts() {
        check(b"a\nb", &[b"a", b"b"]);
        check(b"a\nb\n", &[b"a", b"b"]);
    }

    #[test]
    fn blank_lines_are_items() {
        check(b"\n\na\n\n", &[b"", b"", b"a", b""]);
    }

    #[test]
    fn carriage_returns_nul_and_broken_utf8_are_kept() {
        check(b"a\r\n\0\n\xff\xfe\n\r", &[b"a\r", b"\0", b"\xff\xfe", b"\r"]);
    }

    proptest! {
        #[test]
        fn how_the_bytes_arrive_and_how_many_are_asked_for_changes_no_item(
            pieces in proptest::collection::vec("[a\n]{1,9}".prop_map(String::into_bytes), 0..30),
            max_items in 1..20_u64, max_bytes in 0..20_usize,
        ) {
            let whole = pieces.concat();
            let mut expected: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').collect();
            expected.pop_if(|last| last.is_empty());
            let (items, error) = items(&mut lines(Pieces::new(pieces.clone())), max_items, max_bytes);
            prop_assert!(error.is_none());
            prop_assert_eq!(items, expected);
        }
    }

    #[test]
    fn a_chunk_ends_with_the_line_that_reaches_its_bytes() {
        let inputs = lines(b"aaaa\nbbbb\ncccc\n".as_slice()).next(9, 5).unwrap().unwrap();
        assert_eq!(texts(&inputs), [b"aaaa", b"bbbb"]);
    }

    #[test]
    fn lines_that_are_there_do_not_wait_for_lines_to_come() {
        let mut source = lines(Pieces::new(vec![b"a\nb\nc".to_vec(), b"c\n".to_vec()]));
        assert_eq!(texts(&source.next(9, 9).unwrap().unwrap()), [b"a", b"b"]);
        assert_eq!(texts(&source.next(9, 9).unwrap().unwrap()), [b"cc"]);
        assert_eq!(source.next(9, 9).unwrap(), None);
    }

    #[test]
    fn what_was_read_before_an_error_is_handed_out_first() {
        let mut pieces = Pieces::new(vec![b"a\nb\nhalf".to_vec()]);
        pieces.end = Some(io::ErrorKind::TimedOut);
        let (items, error) = items(&mut lines(pieces), 9, 9);
        assert_eq!(items, [b"a", b"b"]);
        assert_eq!(error.unwrap().to_string(), "cannot read `f`");
    }

    #[test]
    fn a_line_over_the_cap_is_an_error_that_names_it() {
        let input = b"short\n".as_slice().chain(io::repeat(b'x'));
        let (items, error) = items(&mut lines(input), 9, 9);
        assert_eq!(items, [b"short"]);
        let Some(Error::Input { source, .. }) = error else { panic!("an input error, not {error:?}") };
        assert_eq!(source.to_string(), "line 2 is longer than 16 MiB");
    }

    #[test]
    fn a_line_of_the_cap_is_taken() {
        let line = vec![b'x'; MAX_LINE];
        let (items, error) = items(&mut lines(line.as_slice().chain(b"\ny".as_slice())), 9, 9);
        assert!(error.is_none());
        assert!(items == [line.as_slice(), b"y"], "{} items", items.len());
    }

    #[test]
    fn a_directory_is_refused_with_a_hint() {
        let error = Lines::open(Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `/`");
        assert_eq!(error.hint(), Some("give a file, or `-` for standard input"));
        assert_eq!(error.exit_code().code(), 4);
    }

    #[test]
    fn a_missing_file_is_an_input_error() {
        let error = Lines::open(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.exit_code().code()),
            ("cannot read `/no/such/file`", 4)
        );
    }
}
