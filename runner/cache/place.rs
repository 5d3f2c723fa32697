//! Where the environment says that the cache is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Cache, DEFAULT_LIMIT, Wish};

/// Names the directory of the cache, or is `off`.
const OWN: &str = "WASMPOOL_CACHE";

/// Why there is no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// It is not wanted.
    #[error("`WASMPOOL_CACHE` is `off`")]
    Off,
    /// Nothing says where it could be.
    #[error("neither `WASMPOOL_CACHE`, nor `XDG_CACHE_HOME`, nor `HOME` names a directory")]
    Nowhere,
}

/// By these variables. One that is empty counts as not set.
pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Cache, NoPlace> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    match variable(OWN) {
        Some(own) if own == OsStr::new("off") => return Err(NoPlace::Off),
        Some(own) => return Ok(Cache::at(own)),
        None => {}
    }
    // The XDG Base Directory Specification has relative paths ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    caches.map(|caches| usual(&caches)).ok_or(NoPlace::Nowhere)
}

fn usual(caches: &Path) -> Cache {
    Cache { place: caches.join("wasmpool"), wish: Wish::Usual, limit: DEFAULT_LIMIT }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directory that these variables name, and whether it was asked for.
    fn place(variables: &[(&str, &str)]) -> Result<(String, Wish), NoPlace> {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name);
        let cache = of(|name| find(name).map(|(_, value)| value.into()))?;
        Ok((cache.place.to_string_lossy().into_owned(), cache.wish))
    }

    #[test]
    fn it_is_in_the_home_of_the_user() {
        let expected = ("/home/me/.cache/wasmpool".to_owned(), Wish::Usual);
        assert_eq!(place(&[("HOME", "/home/me")]), Ok(expected));
    }

    #[test]
    fn it_is_where_all_caches_are() {
        let variables = [("HOME", "/home/me"), ("XDG_CACHE_HOME", "/caches")];
        assert_eq!(place(&variables), Ok(("/caches/wasmpool".to_owned(), Wish::Usual)));
    }

    #[test]
    fn relative_and_empty_values_count_as_not_set() {
        for value in ["caches", ""] {
            let variables = [("HOME", "/home/me"), ("XDG_CACHE_HOME", value)];
            assert_eq!(place(&variables).unwrap().0, "/home/me/.cache/wasmpool");
            assert_eq!(place(&[("HOME", value)]), Err(NoPlace::Nowhere));
        }
        assert_eq!(place(&[("HOME", "/h"), ("WASMPOOL_CACHE", "")]).unwrap().0, "/h/.cache/wasmpool");
    }

    #[test]
    fn it_is_where_the_user_wants_it() {
        let variables = [("HOME", "/home/me"), ("WASMPOOL_CACHE", "/fast/disk")];
        assert_eq!(place(&variables), Ok(("/fast/disk".to_owned(), Wish::Asked)));
    }

    #[test]
    fn it_can_be_switched_off() {
        assert_eq!(place(&[("HOME", "/home/me"), ("WASMPOOL_CACHE", "off")]), Err(NoPlace::Off));
    }

    #[test]
    fn c7_without_a_home_there_is_none() {
        assert_eq!(place(&[]), Err(NoPlace::Nowhere));
    }
}
