//! Everything that can be tried with files.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

/// Does what it is told to in one word.
pub(crate) fn attempt(way: &str, path: &str, other: &str) -> io::Result<()> {
    match way {
        "read" => fs::read(path).map(drop),
        "list" => fs::read_dir(path).map(drop),
        "look" => fs::metadata(path).map(drop),
        "follow" => fs::read_link(path).map(drop),
        "write" => OpenOptions::new().write(true).open(path)?.write_all(b"changed"),
        "append" => OpenOptions::new().append(true).open(path)?.write_all(b"changed"),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(path).map(drop),
        "shorten" => File::open(path)?.set_len(0),
        "create" => File::create(path).map(drop),
        "remove" => fs::remove_file(path),
        "make-folder" => fs::create_dir(path),
        "remove-folder" => fs::remove_dir(path),
        "rename" => fs::rename(path, other),
        "link" => fs::hard_link(path, other),
        #[expect(deprecated, reason = "what is to be used instead is not stable")]
        "symlink" => fs::soft_link(path, other),
        "date" => {
            let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            File::open(path)?.set_times(times)
        }
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "there is no such way")),
    }
}

pub(crate) fn open_many(path: &str, most: u32) -> (u32, String) {
    let mut opened = Vec::new();
    for count in 0..most {
        match File::open(path) {
            Ok(file) => opened.push(file),
            Err(error) => {
                std::mem::forget(opened);
                return (count, error.to_string());
            }
        }
    }
    std::mem::forget(opened);
    (most, String::new())
}

pub(crate) fn fill(path: &str, bytes: u64) -> (u64, String) {
    let piece = [b'x'; 64 << 10];
    let mut written = 0;
    let ended = File::create(path).and_then(|mut file| {
        while written < bytes {
            let length = usize::try_from(bytes - written).unwrap_or(piece.len()).min(piece.len());
            written += u64::try_from(file.write(&piece[..length])?).unwrap_or_default();
        }
        Ok(())
    });
    (written, ended.map_or_else(|error| error.to_string(), |()| String::new()))
}

pub(crate) fn read_until(path: &str, other: &str) -> (u64, u64, u64) {
    let (mut inside, mut outside, mut refused) = (0, 0, 0);
    while !Path::new(other).exists() {
        for _ in 0..100 {
            match fs::read(path) {
                Ok(content) if content.starts_with(b"inside") => inside += 1,
                Ok(_) => outside += 1,
                Err(_) => refused += 1,
            }
        }
    }
    (inside, outside, refused)
}

pub(crate) fn mark(n: u64) {
    File::create(Path::new("marks").join(n.to_string())).expect("the folder can be written to");
}

pub(crate) fn wait_for_marks(least: u64) -> u64 {
    loop {
        let marks = fs::read_dir("marks").expect("the folder can be read").count() as u64;
        if marks >= least {
            return marks;
        }
    }
}
