//! What makes a job the job it is. A journal goes on with no other.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of a value is shown.
const SHOWN: usize = 80;

/// Everything that says what the items are, and how they end: names and values, as a person would say them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(Vec<(String, String)>);

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
        self.0.push((name.to_owned(), value.to_string()));
    }

    /// What was added by this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// How `now` differs from this, one phrase each.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let find = |key: &Self, name: &str| key.get(name).map(str::to_owned);
        let names = self.0.iter().chain(now.0.iter().filter(|(name, _)| find(self, name).is_none()));
        names
            .filter_map(|(name, _)| {
                let (was, is) = (find(self, name), find(now, name));
                (was != is).then(|| format!("{name} was {}, now it is {}", shown(was), shown(is)))
            })
            .collect()
    }
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
    fn a_long_value_is_shown_in_part() {
        let differences = key(&[("the input", &"x".repeat(500))]).differences(&key(&[("the input", "y")]));
        assert_eq!(differences, [format!("the input was `{}…`, now it is `y`", "x".repeat(80))]);
    }
}
