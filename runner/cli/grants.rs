//! The flags that give a guest more than its input: folders, an environment, and files in its memory.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::Args;

use super::shares;
use crate::error::Error;
use crate::plan::folders::{self, looks_like_access, repeated, without_slashes};
use crate::plan::{HostDir, SharedFile};
use crate::sandbox::Access;

const DIR_HINT: &str = "write `--dir HOST`, `--dir HOST::GUEST`, or either with `:rw` behind it";

const ENV_HINT: &str = "write `--env NAME=VALUE`; `--env NAME=\"$NAME\"` hands on what you have";

/// What the guest is given.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guest")]
pub(super) struct GrantArgs {
    /// A folder that the guest may read, or with :rw write to as well, under a name of its own or this one; may be
    /// repeated
    #[arg(long, value_name = "HOST[::GUEST][:ro|:rw]", hide_short_help = true)]
    dir: Vec<OsString>,
    /// A variable of the guest's environment; may be repeated
    #[arg(long, value_name = "NAME=VALUE", hide_short_help = true)]
    env: Vec<OsString>,
    /// A file that guests can have in their memory, as a copy that is read once; with :rw all have the same, and what they
    /// leave there is written back to the file when the run has ended; may be repeated
    #[arg(long, value_name = "NAME=FILE[:ro|:rw]", hide_short_help = true)]
    share: Vec<OsString>,
}

/// What these flags mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grants {
    /// The folders, each with a name of its own.
    pub(super) dirs: Vec<HostDir>,
    /// The environment: names, each of them once, and values.
    pub(super) env: Vec<(String, String)>,
    /// The files, each with a name of its own.
    pub(super) shares: Vec<SharedFile>,
}

impl GrantArgs {
    /// What is given, in a run whose random numbers come from this seed, if from any.
    pub(super) fn grants(&self, seed: Option<u64>) -> Result<Grants, Error> {
        let dirs = self.dir.iter().map(|text| folder(text)).collect::<Result<Vec<_>, _>>()?;
        let env = self.env.iter().map(|text| variable(text)).collect::<Result<Vec<_>, _>>()?;
        let shares = self.share.iter().map(|text| shares::parse(text)).collect::<Result<Vec<_>, _>>()?;
        folders::check(&dirs, &env, seed)?;
        check_shared_names(&shares)?;
        if seed.is_some()
            && let Some(share) = shares.iter().find(|share| share.access == Access::Write)
        {
            return Err(Error::usage(
                format!(
                    "`--deterministic` does not go with `--share {}=…:rw`: what an item finds would depend on which were \
                     before it",
                    share.name
                ),
                "take `:rw` away, or leave `--deterministic` out",
            ));
        }
        Ok(Grants { dirs, env, shares })
    }
}

impl Grants {
    /// How often an item that takes its worker with it is run again, unless that is said: not at all if it may have
    /// left something behind.
    pub(super) fn crash_retries(&self) -> u32 {
        folders::crash_retries(&self.dirs)
    }
}

fn check_shared_names(shares: &[SharedFile]) -> Result<(), Error> {
    let names: Vec<_> = shares.iter().map(|share| share.name.as_str()).collect();
    repeated(&names).map_or(Ok(()), |name| {
        Err(Error::usage(
            format!("two files are shared as `{name}`"),
            "give one of them another name: `--share NAME=FILE`",
        ))
    })
}

/// `HOST`, `HOST::GUEST`, either with `:ro` or `:rw` behind it.
///
/// The last `::` parts the names, so that those of the host, which are as they are, can have any in them.
fn folder(text: &OsStr) -> Result<HostDir, Error> {
    let wrong = |what: &str| Error::usage(format!("`--dir {}` {what}", text.display()), DIR_HINT);
    let (names, access) = split_access(text.as_bytes());
    let (host, guest) = match names.windows(2).rposition(|pair| pair == b"::") {
        Some(at) => (&names[..at], &names[at + 2..]),
        None => (names, names),
    };
    if host.is_empty() {
        return Err(wrong("names no folder"));
    }
    if guest.is_empty() {
        return Err(wrong("has no name for the guest"));
    }
    if names.contains(&0) {
        return Err(wrong("has a NUL in it"));
    }
    let guest = str::from_utf8(guest).map_err(|_| wrong("has a name for the guest that is no UTF-8"))?;
    if access.is_none() && guest.len() < names.len() && looks_like_access(guest) {
        return Err(wrong("has an access that is neither `:ro` nor `:rw`"));
    }
    Ok(HostDir {
        host: PathBuf::from(OsString::from_vec(host.to_owned())),
        guest: without_slashes(guest).to_owned(),
        access: access.unwrap_or(Access::Read),
    })
}

/// Takes the access off the end. In `data::ro` it is a name.
pub(super) fn split_access(text: &[u8]) -> (&[u8], Option<Access>) {
    let strip = |access: Access| {
        let names = text.strip_suffix(access.name().as_bytes())?.strip_suffix(b":")?;
        (!names.ends_with(b":")).then_some((names, Some(access)))
    };
    strip(Access::Read).or_else(|| strip(Access::Write)).unwrap_or((text, None))
}

/// `NAME=VALUE`. What is wrong with it is told without a value in it, which may be a secret.
fn variable(text: &OsStr) -> Result<(String, String), Error> {
    let Some(text) = text.to_str() else {
        return Err(Error::usage(
            "`--env` has a name or a value that is no UTF-8",
            "guests take text alone: put the value into a file, and give its folder with `--dir`",
        ));
    };
    let (name, value) = text.split_once('=').ok_or_else(|| Error::usage("`--env` has no `=`", ENV_HINT))?;
    if name.is_empty() {
        return Err(Error::usage("`--env` has no name before the `=`", ENV_HINT));
    }
    if text.contains('\0') {
        return Err(Error::usage(format!("`--env {name}=…` has a NUL in it"), ENV_HINT));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: GrantArgs,
    }

    fn grants(arguments: &[&str]) -> Result<Grants, Error> {
        let Only { args } =
            Only::try_parse_from([&["run"], arguments].concat()).expect("arguments clap takes");
        args.grants(None)
    }

    #[track_caller]
    fn check_dir(text: &str, host: &str, guest: &str, access: Access) {
        let expected = HostDir { host: host.into(), guest: guest.to_owned(), access };
        assert_eq!(grants(&["--dir", text]).unwrap().dirs, [expected], "{text}");
    }

    #[track_caller]
    fn check_refused(arguments: &[&str], message: &str, hint: &str) {
        let error = grants(arguments).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default()), (message, hint));
        assert_eq!(error.exit_code().code(), 2);
    }

    #[test]
    fn a_folder_has_its_own_name_unless_it_is_given_one() {
        check_dir("data", "data", "data", Access::Read);
        check_dir("/srv/data", "/srv/data", "/srv/data", Access::Read);
        check_dir("data::in", "data", "in", Access::Read);
        check_dir("data::/", "data", "/", Access::Read);
        check_dir("data/", "data/", "data", Access::Read);
        check_dir("data::in//:rw", "data", "in", Access::Write);
        check_dir("/", "/", "/", Access::Read);
    }

    #[test]
    fn a_folder_is_to_be_read_unless_it_is_said_otherwise() {
        check_dir("data:ro", "data", "data", Access::Read);
        check_dir("data:rw", "data", "data", Access::Write);
        check_dir("data::in:rw", "data", "in", Access::Write);
    }

    #[test]
    fn a_name_may_have_colons_in_it() {
        check_dir("a:b", "a:b", "a:b", Access::Read);
        check_dir("a::b::in", "a::b", "in", Access::Read);
        check_dir("a:::in", "a:", "in", Access::Read);
        check_dir("a:rw:ro", "a:rw", "a:rw", Access::Read);
        check_dir("a::rw", "a", "rw", Access::Read);
        check_dir("a::rw:rw", "a", "rw", Access::Write);
        check_dir("a:RW", "a:RW", "a:RW", Access::Read);
        check_dir("a:rx", "a:rx", "a:rx", Access::Read);
        check_dir("a::in:x:ro", "a", "in:x", Access::Read);
        check_dir("a::in:xyz", "a", "in:xyz", Access::Read);
    }

    #[test]
    fn what_can_only_be_meant_as_an_access_is_refused() {
        for text in ["d::x:rx", "d::x:w", "d::x:r", "d::x:rwx"] {
            let message = format!("`--dir {text}` has an access that is neither `:ro` nor `:rw`");
            check_refused(&["--dir", text], &message, DIR_HINT);
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_refused_with_a_way_out() {
        let error = variable(OsStr::from_bytes(b"A=\xffsecret")).unwrap_err();
        assert_eq!(error.to_string(), "`--env` has a name or a value that is no UTF-8");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_folder_without_a_name_is_refused() {
        for text in ["", "::in", "::in:rw", ":rw"] {
            check_refused(&["--dir", text], &format!("`--dir {text}` names no folder"), DIR_HINT);
        }
        check_refused(&["--dir", "data::"], "`--dir data::` has no name for the guest", DIR_HINT);
    }

    #[test]
    fn a_name_with_a_nul_is_refused() {
        let message = "`--dir a\0b` has a NUL in it";
        check_refused(&["--dir", "a\0b"], message, DIR_HINT);
        check_refused(&["--env", "A=\0"], "`--env A=…` has a NUL in it", ENV_HINT);
    }

    #[test]
    fn any_bytes_name_a_folder_and_text_alone_is_a_name_for_guests() {
        let dir = folder(OsStr::from_bytes(b"\xff::in")).unwrap();
        assert_eq!((dir.host.as_os_str().as_bytes(), dir.guest.as_str()), (b"\xff".as_slice(), "in"));
        let error = folder(OsStr::from_bytes(b"\xff")).unwrap_err();
        assert!(error.to_string().ends_with("has a name for the guest that is no UTF-8"), "{error}");
    }

    #[test]
    fn names_that_are_the_same_to_guests_are_refused() {
        let hint = "give one of them another name: `--dir HOST::NAME`";
        for other in ["b::in", "b::in/", "b::./in", "in:rw"] {
            check_refused(&["--dir", "a::in", "--dir", other], "two folders are called `in`", hint);
        }
        assert_eq!(grants(&["--dir", "a::in", "--dir", "a::out:rw"]).unwrap().dirs.len(), 2);
    }

    #[test]
    fn a_variable_is_a_name_and_a_value_which_may_have_anything_in_it() {
        let env = grants(&["--env", "A=1=2", "--env", "B="]).unwrap().env;
        assert_eq!(env, [("A".to_owned(), "1=2".to_owned()), ("B".to_owned(), String::new())]);
    }

    #[test]
    fn what_is_no_variable_is_refused_and_not_told() {
        check_refused(&["--env", "secret"], "`--env` has no `=`", ENV_HINT);
        check_refused(&["--env", "=secret"], "`--env` has no name before the `=`", ENV_HINT);
        check_refused(&["--env", "A=1", "--env", "A=secret"], "`--env A=…` is given twice", "give it once");
    }

    #[test]
    fn a_worker_is_given_no_more_than_it_can_be_told_of() {
        let dirs: Vec<_> = (0..=16).flat_map(|n| ["--dir".to_owned(), format!("{n}")]).collect();
        let dirs: Vec<_> = dirs.iter().map(String::as_str).collect();
        check_refused(
            &dirs,
            "`--dir` is given 17 times, which is more than 16",
            "give a folder that has them in it",
        );
        let long = format!("A={}", "x".repeat(32 << 10));
        check_refused(
            &["--env", &long],
            "the names of folders and the environment take 32769 bytes, which is more than 32768",
            "put what is long into a file, and give its folder with `--dir`",
        );
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_makes_the_parsers_panic(text in "[a:rwo=/.\u{0}]{0,12}|\\PC{0,9}") {
            let _ = folder(OsStr::new(&text));
            let _ = variable(OsStr::new(&text));
        }

        #[test]
        fn whatever_a_folder_is_called_it_can_be_given(host in "[a:rwo./]{1,9}", guest in "/|[a-z/]{0,4}[a-z]") {
            let dir = folder(OsStr::new(&format!("{host}::{guest}:ro"))).unwrap();
            prop_assert_eq!(dir, HostDir { host: host.into(), guest, access: Access::Read });
        }
    }

    #[test]
    fn a_deterministic_run_writes_nothing() {
        let refused = |arguments: &[&str]| {
            let Only { args } = Only::try_parse_from([&["run"], arguments].concat()).unwrap();
            args.grants(Some(0)).is_err()
        };
        assert!(refused(&["--dir", "data:rw"]));
        assert!(!refused(&["--dir", "data", "--env", "A=1"]));
    }

    #[test]
    fn a_deterministic_run_shares_nothing_that_is_written_to() {
        let seeded = |text: &str| {
            let Only { args } = Only::try_parse_from(["run", "--share", text]).unwrap();
            args.grants(Some(0)).map_err(|error| error.to_string())
        };
        let message = "`--deterministic` does not go with `--share t=…:rw`: what an item finds would depend on which were \
                       before it";
        assert_eq!(seeded("t=f:rw"), Err(message.to_owned()));
        assert!(seeded("t=f").is_ok());
    }

    #[test]
    fn files_are_shared_under_names_of_their_own() {
        let hint = "give one of them another name: `--share NAME=FILE`";
        check_refused(&["--share", "t=a", "--share", "t=b:rw"], "two files are shared as `t`", hint);
        assert_eq!(grants(&["--share", "t=a", "--share", "u=a"]).unwrap().shares.len(), 2);
    }

    #[test]
    fn a_crash_is_forgiven_where_it_can_have_left_nothing_behind() {
        assert_eq!(grants(&["--dir", "data", "--dir", "other"]).unwrap().crash_retries(), 1);
        assert_eq!(grants(&["--dir", "data", "--dir", "other:rw"]).unwrap().crash_retries(), 0);
    }
}
