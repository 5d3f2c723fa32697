//! What makes a job the job it is. A journal goes on with no other.

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of a value is shown.
const SHOWN: usize = 80;

/// Everything that says what the items are, and how they end: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// As a person would say it.
    told: Vec<(String, String)>,
    /// What is not to be told: a digest takes its place in the journal.
    hidden: Vec<Hidden>,
}

/// Something that tells whether a value is the one that it was, and nothing else about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hidden {
    name: String,
    /// Random, so that the same values have another digest in each journal.
    salt: [u8; 16],
    digest: [u8; 32],
    /// Of a job that is about to begin: not written.
    #[serde(skip)]
    value: Vec<u8>,
}

/// How a job was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Without the program's own name; bytes, as the system takes them.
    arguments: Vec<Vec<u8>>,
    folder: Vec<u8>,
}

impl Key {
    /// Adds something. The name is to be read before `was`: `the function`, `--timeout`.
    pub fn add(&mut self, name: &str, value: impl ToString) {
        self.told.push((name.to_owned(), value.to_string()));
    }

    /// Adds something that neither messages nor the journal's key tell. The name is to be read before `is not what it
    /// was`.
    pub fn add_hidden(&mut self, name: &str, value: Vec<u8>) {
        let [first, second] = [0_u8, 1].map(|half| RandomState::new().hash_one(half).to_le_bytes());
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&first);
        salt[8..].copy_from_slice(&second);
        let digest = digest(&salt, &value);
        self.hidden.push(Hidden { name: name.to_owned(), salt, digest, value });
    }

    /// What was added by this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.told.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// How `now` differs from this, one phrase each.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let find = |key: &Self, name: &str| key.get(name).map(str::to_owned);
        let names = self.told.iter().chain(now.told.iter().filter(|(name, _)| find(self, name).is_none()));
        let told = names.filter_map(|(name, _)| {
            let (was, is) = (find(self, name), find(now, name));
            (was != is).then(|| format!("{name} was {}, now it is {}", shown(was), shown(is)))
        });
        let hidden = now.hidden.iter().filter(|is| !self.hidden.iter().any(|was| was.is_of(is)));
        told.chain(hidden.map(|is| format!("{} is not what it was", is.name))).collect()
    }
}

impl Hidden {
    fn is_of(&self, now: &Self) -> bool {
        self.name == now.name && self.digest == digest(&self.salt, &now.value)
    }
}

fn digest(salt: &[u8; 16], value: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt);
    hasher.update(value);
    *hasher.finalize().as_bytes()
}

impl Invocation {
    /// The arguments, without the program's own name, and the folder it was started in.
    #[must_use]
    pub fn new(arguments: impl Iterator<Item = OsString>, folder: PathBuf) -> Self {
        Self {
            arguments: arguments.map(OsStringExt::into_vec).collect(),
            folder: folder.into_os_string().into_vec(),
        }
    }

    /// Its arguments, without the program's own name.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> + '_ {
        self.arguments.iter().map(|argument| OsString::from_vec(argument.clone()))
    }

    /// The folder it was started in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        OsString::from_vec(self.folder.clone()).into()
    }
}

fn shown(value: Option<String>) -> String {
    match value {
        None => "not said".to_owned(),
        Some(value) => match value.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("`{}…`", &value[..end]),
            None => format!("`{value}`"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(entries: &[(&str, &str)]) -> Key {
        let mut key = Key::default();
        entries.iter().for_each(|(name, value)| key.add(name, value));
        key
    }

    #[test]
    fn j5_the_same_job_has_no_differences() {
        let job = key(&[("the function", "a"), ("`--timeout`", "60s")]);
        assert_eq!(job.differences(&job.clone()), Vec::<String>::new());
    }

    #[test]
    fn j5_every_difference_is_named() {
        let was = key(&[("the function", "a"), ("`--timeout`", "60s"), ("`--step`", "5")]);
        let now = key(&[("the function", "b"), ("`--timeout`", "60s"), ("`--fuel`", "7")]);
        let differences = [
            "the function was `a`, now it is `b`",
            "`--step` was `5`, now it is not said",
            "`--fuel` was not said, now it is `7`",
        ];
        assert_eq!(was.differences(&now), differences);
    }

    #[test]
    fn what_is_hidden_is_compared_and_neither_told_nor_written() {
        let key = |value: &str| {
            let mut key = Key::default();
            key.add_hidden("what `--env` gives", value.into());
            key
        };
        let written = postcard::to_stdvec(&key("hunter2")).unwrap();
        assert!(!written.windows(7).any(|part| part == b"hunter2"));
        assert_ne!(written, postcard::to_stdvec(&key("hunter2")).unwrap(), "a salt of its own");
        let was: Key = postcard::from_bytes(&written).unwrap();
        assert_eq!(was.differences(&key("hunter2")), Vec::<String>::new());
        assert_eq!(was.differences(&key("hunter3")), ["what `--env` gives is not what it was"]);
    }

    #[test]
    fn a_long_value_is_shown_in_part() {
        let differences = key(&[("the input", &"x".repeat(500))]).differences(&key(&[("the input", "y")]));
        assert_eq!(differences, [format!("the input was `{}…`, now it is `y`", "x".repeat(80))]);
    }
}
