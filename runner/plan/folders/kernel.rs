//! Which folders show the kernel: what is written to files there is asked of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// File systems of that kind: what `statfs` says of them, and their names.
const KINDS: [(i64, &str); 10] = [
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6265_6570, "configfs"),
    (0x6462_6720, "debugfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x6165_676c, "pstore"),
    (0x9fa0, "proc"),
    (0x7363_6673, "securityfs"),
    (0x6265_6572, "sysfs"),
    (0x7472_6163, "tracefs"),
];

/// Where a folder shows the kernel: it is such a place itself, or there is one below it.
///
/// A place that is mounted later is not known; that takes root.
pub(super) fn within(folder: &Path) -> Option<PathBuf> {
    found(folder, |_| true)
}

/// Where a folder shows processes, with their memory for whoever may look at it.
pub(super) fn processes_within(folder: &Path) -> Option<PathBuf> {
    found(folder, |name| name == "proc")
}

fn found(folder: &Path, is_meant: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let system = rustix::fs::statfs(folder).map(|system| system.f_type);
    if KINDS.iter().any(|(kind, name)| system == Ok(*kind) && is_meant(name)) {
        return Some(folder.to_owned());
    }
    let folder = fs::canonicalize(folder).ok()?;
    first_below(&folder, &fs::read("/proc/self/mountinfo").ok()?, is_meant)
}

/// The first such place of these mounts that is below the folder.
fn first_below(folder: &Path, mounts: &[u8], is_meant: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let mut places = mounts.split(|byte| *byte == b'\n').filter_map(|line| kernel_place(line, &is_meant));
    places.find(|place| place.starts_with(folder))
}

/// Where a line of `mountinfo` puts a file system, if it is one of these.
fn kernel_place(line: &[u8], is_meant: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let mut words = line.split(|byte| *byte == b' ');
    let place = words.nth(4)?;
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    KINDS.iter().any(|(_, name)| kind == name.as_bytes() && is_meant(name)).then(|| unescaped(place))
}

/// A path as `mountinfo` writes it: white space and backslashes as three octal digits.
fn unescaped(mut text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        text = match (first, rest) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                path.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            _ => {
                path.push(*first);
                rest
            }
        };
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw shared:4 master:2 - cgroup2 cgroup2 rw
26 22 0:24 / /srv/a\\040b\\134/proc rw - proc none rw
27 22 0:25 / /tmp rw - tmpfs proc rw
a line of another kind
";

    #[track_caller]
    fn check(folder: &str, place: Option<&str>) {
        let found = first_below(Path::new(folder), MOUNTS.as_bytes(), |_| true);
        assert_eq!(found.as_deref(), place.map(Path::new));
    }

    #[test]
    fn a_folder_has_what_is_mounted_below_it() {
        check("/", Some("/proc"));
        check("/sys/fs", Some("/sys/fs/cgroup"));
        check("/srv", Some("/srv/a b\\/proc"));
        check("/srv/a b\\", Some("/srv/a b\\/proc"));
    }

    #[test]
    fn a_place_of_another_kind_is_not_the_one_that_is_looked_for() {
        let found = |folder| first_below(Path::new(folder), MOUNTS.as_bytes(), |name| name == "proc");
        assert_eq!(found("/").as_deref(), Some(Path::new("/proc")));
        assert_eq!(found("/sys"), None);
    }

    #[test]
    fn a_folder_has_nothing_of_what_is_beside_it() {
        for folder in ["/tmp", "/home", "/pro", "/srv/a", "/processes"] {
            check(folder, None);
        }
    }
}
