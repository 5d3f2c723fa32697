//! `files.wasm`: reads and writes in the folders that it is given.
//!
//! Whatever cannot be done is a panic, which costs the item.

use std::fs;
use std::io::Error;

/// How many lines the file has.
#[wasmpool_guest::task]
fn count_lines(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_else(|error| give_up(path, &error));
    text.lines().map(|_| 1).sum()
}

/// The names of what is in the folder, in order.
#[wasmpool_guest::task]
fn list_folder(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| give_up(path, &error));
    let name = |entry: Result<fs::DirEntry, Error>| {
        entry.unwrap_or_else(|error| give_up(path, &error)).file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort_unstable();
    names
}

/// Makes the text a file, in the place of one that is there; returns its length in bytes.
#[wasmpool_guest::task]
fn write_text(path: &str, text: &str) -> u64 {
    fs::write(path, text).unwrap_or_else(|error| give_up(path, &error));
    text.bytes().map(|_| 1).sum()
}

fn give_up(path: &str, error: &Error) -> ! {
    panic!("{path}: {error}")
}

#[cfg(test)]
mod tests {
    use super::{count_lines, list_folder, write_text};

    #[test]
    fn what_is_written_is_found_and_read() {
        let folder = std::env::temp_dir().join(format!("wasmpool-files-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("nobody else has the name");
        let (folder, file) = (folder.display().to_string(), folder.join("a.txt").display().to_string());
        assert_eq!(write_text(&file, "one\ntwo\n"), 8);
        assert_eq!(count_lines(&file), 2);
        assert_eq!(list_folder(&folder), ["a.txt"]);
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}
