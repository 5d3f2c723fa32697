//! The project's files as text, and Rust files without what is not code.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of the project.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// From the top of the project, such as `runner/main.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// All files below `folder` that have one of these extensions, in the order of their paths.
pub(crate) fn files(folder: &str, extensions: &[&str]) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    let has_extension = |path: &PathBuf| {
        path.extension().is_some_and(|own| extensions.iter().any(|extension| own == *extension))
    };
    let mut files: Vec<_> = paths.into_iter().filter(has_extension).map(|path| open(&path)).collect();
    assert!(!files.is_empty(), "there is something in {folder}");
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The text of one file.
pub(crate) fn read(path: &str) -> String {
    open(&root().join(path)).text
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn open(path: &Path) -> SourceFile {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root()).expect("every file is below the root").display().to_string();
    SourceFile { path, text }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder that was opened can be read").path();
        if !path.is_dir() {
            paths.push(path);
        } else if !path.ends_with("target") {
            walk(&path, paths);
        }
    }
}

impl SourceFile {
    /// Whether the whole file is compiled for tests only.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The text with comments and the insides of literals blanked; lines stay where they are.
    pub(crate) fn code(&self) -> String {
        code(&self.text)
    }

    /// As [`SourceFile::code`], without what is compiled for tests only.
    pub(crate) fn shipped_code(&self) -> String {
        if self.is_test() { String::new() } else { without_tests(&self.code()) }
    }
}

/// Blanks comments, and what is inside string and character literals.
fn code(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let end = match blank_from(&text, at) {
            0 => {
                code.push(text[at]);
                at += 1;
                continue;
            }
            length => (at + length).min(text.len()),
        };
        code.extend(text[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// How many characters from `at` on are a comment or a literal; 0 if none is there.
fn blank_from(text: &[char], at: usize) -> usize {
    let rest = &text[at..];
    match rest {
        ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => 1 + quoted(&rest[1..], '"'),
        ['r', '"' | '#', ..] if !at.checked_sub(1).is_some_and(|before| is_name(text[before])) => raw(rest),
        // What is no character is a lifetime.
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => 1 + quoted(&rest[1..], '\''),
        _ => 0,
    }
}

/// Up to and with the end of a literal, whose quote has been read.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        // `r#name` is a name.
        return 0;
    }
    let start = hashes + 2;
    let ends = |at: &usize| rest[*at] == '"' && rest[at + 1..].iter().take(hashes).all(|c| *c == '#');
    (start..rest.len()).find(ends).map_or(rest.len(), |end| end + 1 + hashes)
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Blanks every item behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        shipped.push_str(before);
        let end = item_end(item);
        shipped.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    shipped + rest
}

/// Where an item ends: at its `;`, or at the brace that closes its first one.
fn item_end(item: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    item.len()
}

/// Whether `line` has `pattern` in it, and not as a part of a longer name.
pub(crate) fn mentions(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + pattern.len()..].chars().next();
        let joins = |inside: Option<char>, outside: Option<char>| {
            inside.is_some_and(is_name) && outside.is_some_and(is_name)
        };
        !joins(pattern.chars().next(), before) && !joins(pattern.chars().next_back(), after)
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a /* b /* c */ d */ \"e\\\"f\" 'g' '\\'' r#\"h\"i\"# 'static // j\nk";
    let words: Vec<String> = code(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "'static", "k"]);
}

#[test]
fn what_is_for_tests_only_is_not_shipped() {
    let code = "a\n#[cfg(test)]\nmod tests {\n  b { c }\n}\nd\n#[cfg(test)]\nuse e;\nf";
    let shipped = without_tests(code);
    assert_eq!(shipped.split_whitespace().collect::<Vec<_>>(), ["a", "d", "f"]);
    assert_eq!(shipped.lines().count(), code.lines().count());
}

#[test]
fn a_part_of_a_longer_name_is_no_mention() {
    assert!(mentions("unsafe { x }", "unsafe") && mentions("x.unwrap();", ".unwrap()"));
    assert!(!mentions("unsafe_code", "unsafe") && !mentions("nowasmtime::x", "wasmtime"));
}
