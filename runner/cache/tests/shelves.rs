use std::time::{Duration, SystemTime};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Sets how long ago a file was used.
fn set_age(path: &Path, age: Duration) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn age(path: &Path) -> Duration {
    path.metadata().unwrap().modified().unwrap().elapsed().unwrap_or_default()
}

#[test]
fn what_was_stored_is_found() {
    let scene = Scene::new();
    assert_eq!(found(&scene.shelf(b"guest")), None);
    store(&scene.shelf(b"guest"), b"code");
    assert_eq!(found(&scene.shelf(b"guest")).unwrap(), b"code");
    assert_eq!(found(&scene.shelf(b"another guest")), None);
}

#[test]
fn c3_code_for_another_purpose_is_not_found() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let program = Path::new("/proc/self/exe");
    for options in [
        CodeOptions { fuel: true, ..CodeOptions::default() },
        CodeOptions { deterministic: true, ..CodeOptions::default() },
        CodeOptions { segments: true, ..CodeOptions::default() },
    ] {
        let shelf = Shelf::of(&scene.cache(), &memory(b"guest"), options, program).unwrap();
        assert_eq!(found(&shelf), None);
    }
}

#[test]
fn c3_code_of_another_program_is_not_found() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let options = CodeOptions::default();
    let shelf = Shelf::of(&scene.cache(), &memory(b"guest"), options, Path::new("/bin/true")).unwrap();
    assert_eq!(found(&shelf), None);
}

#[test]
fn a_program_that_is_not_there_has_no_shelf() {
    let shelf = Shelf::of(
        &Scene::new().cache(),
        &memory(b"guest"),
        CodeOptions::default(),
        Path::new("/no/such/program"),
    );
    assert!(shelf.is_none());
}

#[test]
fn c1_a_damaged_entry_is_told_and_replaced() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let entry = scene.entries().remove(0);
    let mut bytes = fs::read(&entry).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    fs::write(&entry, &bytes).unwrap();
    let note = "cache: the code kept of this guest is not what was stored; it is compiled anew";
    assert_eq!(noted(&scene.shelf(b"guest")), note);
    store(&scene.shelf(b"guest"), b"code");
    assert_eq!(found(&scene.shelf(b"guest")).unwrap(), b"code");
}

#[test]
fn c4_an_entry_under_the_name_of_another_is_told_and_replaced() {
    let scene = Scene::new();
    store(&scene.shelf(b"one"), b"the code of one");
    let one = scene.entries().remove(0);
    store(&scene.shelf(b"other"), b"the code of the other");
    let other = scene.entries().into_iter().find(|path| *path != one).unwrap();
    fs::copy(&one, &other).unwrap();
    assert!(noted(&scene.shelf(b"other")).contains("is that of another guest or build"));
    store(&scene.shelf(b"other"), b"the code of the other");
    assert_eq!(found(&scene.shelf(b"one")).unwrap(), b"the code of one");
    assert_eq!(found(&scene.shelf(b"other")).unwrap(), b"the code of the other");
}

#[test]
fn c4_an_entry_of_another_cache_is_refused() {
    let [ours, theirs] = [Scene::new(), Scene::new()];
    store(&ours.shelf(b"guest"), b"code");
    store(&theirs.shelf(b"guest"), b"their code");
    fs::copy(theirs.entries().remove(0), ours.entries().remove(0)).unwrap();
    assert!(noted(&ours.shelf(b"guest")).contains("is not what was stored"));
}

#[test]
fn c2_an_entry_that_is_a_link_is_not_followed() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let entry = scene.entries().remove(0);
    let elsewhere = scene.0.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &entry).unwrap();
    assert!(noted(&scene.shelf(b"guest")).contains(" is no file; "));
}

#[test]
fn what_stands_in_the_place_of_an_entry_is_told_and_replaced() {
    for kind in OTHERS {
        let scene = Scene::new();
        store(&scene.shelf(b"guest"), b"code");
        let entry = scene.entries().remove(0);
        fs::remove_file(&entry).unwrap();
        put(kind, &entry);
        assert!(noted(&scene.shelf(b"guest")).contains(" is no file; "), "{kind:?}");
        store(&scene.shelf(b"guest"), b"code");
        assert_eq!(found(&scene.shelf(b"guest")).unwrap(), b"code");
    }
}

#[test]
fn a_whole_entry_is_not_written_again() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let inode = || scene.entries()[0].metadata().unwrap().ino();
    let before = inode();
    store(&scene.shelf(b"guest"), b"code");
    assert_eq!(inode(), before);
}

#[test]
fn c6_many_that_store_at_once_leave_one_entry_and_nothing_else() {
    let scene = Scene::new();
    let code = vec![5; 3 << 20];
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let shelf = scene.shelf(b"guest");
                // It is there as a whole or not at all.
                assert!(found(&shelf).is_none_or(|found| found == code));
                store(&shelf, &code);
                assert!(found(&shelf).unwrap() == code);
            });
        }
    });
    assert_eq!(scene.files().len(), 2, "the entry and the secret");
}

#[test]
fn c7_a_cache_that_vanishes_is_made_again() {
    let scene = Scene::new();
    let shelf = scene.shelf(b"guest");
    store(&shelf, b"code");
    fs::remove_dir_all(scene.place()).unwrap();
    assert_eq!(found(&shelf), None);
    store(&shelf, b"code");
    assert_eq!(found(&shelf).unwrap(), b"code");
}

#[test]
fn c8_code_that_is_in_use_stays_when_the_cache_is_cleaned() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let Lookup::Found(entry) = scene.shelf(b"guest").look_up() else { panic!("it was stored") };
    assert_eq!(scene.cache().clean().unwrap().entries, 1);
    assert_eq!(scene.cache().usage().unwrap(), Usage::default());
    assert_eq!(bytes(&entry.code), b"code");
}

#[test]
fn what_has_not_been_used_for_the_longest_time_goes_first() {
    let scene = Scene::new();
    let size = {
        store(&scene.shelf(b"measure"), &[0; 1000]);
        scene.cache().clean().unwrap().bytes
    };
    let cache = scene.cache().with_limit(2 * size);
    for (guest, hours) in [(b"a", 3), (b"b", 9)] {
        let before = scene.entries();
        store(&shelf(&cache, guest), &[0; 1000]);
        let new = scene.entries().into_iter().find(|path| !before.contains(path)).unwrap();
        set_age(&new, HOUR * hours);
    }
    store(&shelf(&cache, b"c"), &[0; 1000]);
    let is_there = [b"a", b"b", b"c"].map(|guest| found(&shelf(&cache, guest)).is_some());
    assert_eq!(is_there, [true, false, true]);
    assert_eq!(cache.usage().unwrap(), Usage { entries: 2, bytes: 2 * size });
}

#[test]
fn what_does_not_fit_is_not_kept() {
    let scene = Scene::new();
    let cache = scene.cache().with_limit(500);
    store(&shelf(&cache, b"small"), &[0; 10]);
    store(&shelf(&cache, b"large"), &[0; 500]);
    assert_eq!(cache.usage().unwrap().entries, 1);
    assert!(found(&shelf(&cache, b"small")).is_some());
}

#[test]
fn a_use_is_noted_once_an_hour() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let entry = scene.entries().remove(0);
    set_age(&entry, HOUR / 2);
    assert!(found(&scene.shelf(b"guest")).is_some());
    assert!(age(&entry) >= HOUR / 2);
    set_age(&entry, HOUR * 2);
    assert!(found(&scene.shelf(b"guest")).is_some());
    assert!(age(&entry) < HOUR / 2);
}

#[test]
fn what_was_left_half_written_is_removed_when_it_is_old() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let [old, new] = ["0", "1"].map(|digit| scene.place().join(digit.repeat(32) + ".part"));
    for draft in [&old, &new] {
        fs::write(draft, "half").unwrap();
    }
    set_age(&old, HOUR * 2);
    store(&scene.shelf(b"another guest"), b"code");
    assert!(!old.exists() && new.exists());
    set_age(&new, HOUR * 2);
    scene.cache().clean().unwrap();
    assert_eq!(scene.files(), [scene.place().join("secret")]);
}

#[test]
fn code_that_no_worker_loads_is_forgotten() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    scene.shelf(b"guest").forget();
    assert_eq!(found(&scene.shelf(b"guest")), None);
    scene.shelf(b"guest").forget();
}

#[test]
fn nothing_that_is_shown_of_it_tells_the_secret() {
    let scene = Scene::new();
    let directory = Directory::make(&scene.place(), Wish::Asked).unwrap().unwrap();
    assert_eq!(format!("{:?}", Secret::make(&directory).unwrap()), "Secret");
}
