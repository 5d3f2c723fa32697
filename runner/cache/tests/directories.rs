use std::os::unix::fs::{MetadataExt, chown, symlink};

use rustix::process::geteuid;

use super::*;

/// A cache at this place is not used, and what is wrong with it is told where somebody asks.
#[track_caller]
fn check_refused(scene: &Scene, problem: &str) {
    let place = scene.place();
    let expected = format!("cache: `{}` {problem}; nothing is kept", place.display());
    assert_eq!(noted(&scene.shelf(b"guest")), expected);
    assert_eq!(scene.shelf(b"guest").keep(&description(), memory(b"code")).finish(), Some(expected));
    for error in [scene.cache().usage().unwrap_err(), scene.cache().clean().unwrap_err()] {
        assert_eq!(error.to_string(), format!("the cache `{}` {problem}", place.display()));
        assert_eq!(error.exit_code().code(), 2);
    }
}

#[test]
fn it_is_made_for_its_owner_alone() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let modes = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(modes(&scene.place()), 0o700);
    let files = scene.files();
    assert_eq!(files.iter().map(|path| modes(path)).collect::<Vec<_>>(), [0o600, 0o600]);
    assert_eq!(files[1], scene.place().join("secret"));
}

#[test]
fn it_is_not_made_to_be_looked_into() {
    let scene = Scene::new();
    assert_eq!(found(&scene.shelf(b"guest")), None);
    assert_eq!(scene.cache().usage().unwrap(), Usage::default());
    assert_eq!(scene.cache().clean().unwrap(), Usage::default());
    assert!(!scene.place().exists());
}

#[test]
fn c2_a_directory_that_others_can_enter_is_not_used() {
    for mode in [0o777, 0o750, 0o701, 0o1777, 0o720] {
        let scene = Scene::new();
        make_folder(&scene.place(), mode);
        check_refused(&scene, "is open to other users");
        let error = scene.cache().usage().unwrap_err();
        assert_eq!(error.hint(), Some("`WASMPOOL_CACHE` names a directory of its own for it"));
    }
}

#[test]
fn c2_a_cache_that_was_opened_to_others_is_not_used_any_more() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    set_mode(&scene.place(), 0o755);
    check_refused(&scene, "is open to other users");
    let error = scene.cache().usage().unwrap_err();
    assert_eq!(error.hint().map(|hint| hint.starts_with("`chmod 700 ")), Some(true));
    set_mode(&scene.place(), 0o700);
    assert!(found(&scene.shelf(b"guest")).is_some());
}

#[test]
fn c2_a_directory_of_another_user_is_not_used() {
    // Only a superuser can give one away.
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    make_folder(&scene.place(), 0o700);
    chown(scene.place(), Some(65534), Some(65534)).unwrap();
    check_refused(&scene, "belongs to another user");
}

#[test]
fn c2_a_link_to_a_directory_is_not_used() {
    let scene = Scene::new();
    let elsewhere = scene.0.path().join("elsewhere");
    make_folder(&elsewhere, 0o700);
    symlink(&elsewhere, scene.place()).unwrap();
    check_refused(&scene, "is no directory, but a link or a file");
    // A slash at the end of its name does not change that.
    let cache = Cache::at(format!("{}/", scene.place().display()));
    assert!(cache.usage().unwrap_err().to_string().ends_with("is no directory, but a link or a file"));
}

#[test]
fn c2_a_file_or_a_link_to_nowhere_is_not_used() {
    let scene = Scene::new();
    fs::write(scene.place(), "").unwrap();
    check_refused(&scene, "is no directory, but a link or a file");
    fs::remove_file(scene.place()).unwrap();
    symlink("/no/such/place", scene.place()).unwrap();
    check_refused(&scene, "is no directory, but a link or a file");
}

#[test]
fn c2_a_secret_that_others_could_read_is_not_used() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    set_mode(&scene.place().join("secret"), 0o644);
    assert!(noted(&scene.shelf(b"guest")).contains(" has no secret of its own; "));
}

#[test]
fn c2_a_secret_that_is_a_link_is_not_used() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let secret = scene.place().join("secret");
    fs::rename(&secret, scene.0.path().join("secret")).unwrap();
    symlink("../secret", &secret).unwrap();
    assert!(noted(&scene.shelf(b"guest")).contains(" has no secret of its own; "));
}

#[test]
fn what_stands_in_the_place_of_the_secret_is_gone_after_a_cleaning() {
    for kind in OTHERS {
        let scene = Scene::new();
        store(&scene.shelf(b"guest"), b"code");
        let secret = scene.place().join("secret");
        fs::remove_file(&secret).unwrap();
        put(kind, &secret);
        let error = scene.cache().usage().unwrap_err();
        assert_eq!(error.hint(), Some("`wasmpool cache clean` begins anew"), "{kind:?}");
        scene.cache().clean().unwrap();
        store(&scene.shelf(b"guest"), b"code");
        assert!(found(&scene.shelf(b"guest")).is_some());
    }
}

#[test]
fn a_directory_with_things_in_it_is_left_to_its_owner() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    let [secret, entry] = [scene.place().join("secret"), scene.entries().remove(0)];
    fs::remove_file(&secret).unwrap();
    fs::create_dir_all(secret.join("mine")).unwrap();
    let error = scene.cache().clean().unwrap_err();
    assert!(
        error.to_string().contains(" has a directory with things in it at the place of a file, `secret`")
    );
    assert_eq!(error.hint(), Some(&*format!("`rm -r {}` removes it", secret.display())));

    fs::remove_dir_all(&secret).unwrap();
    store(&scene.shelf(b"guest"), b"code");
    fs::remove_file(&entry).unwrap();
    fs::create_dir_all(entry.join("mine")).unwrap();
    let note = scene.shelf(b"guest").keep(&description(), memory(b"code")).finish().unwrap();
    assert!(note.contains("at the place of a file"), "{note}");
    assert!(entry.join("mine").exists());
}

#[test]
fn a_file_of_somebody_that_is_called_secret_is_not_removed() {
    for others in [&[][..], &["letters"]] {
        let scene = Scene::new();
        make_folder(&scene.place(), 0o700);
        let names = [&["secret"], others].concat();
        names.iter().for_each(|name| fs::write(scene.place().join(name), "hunter2").unwrap());
        for error in [scene.cache().usage().unwrap_err(), scene.cache().clean().unwrap_err()] {
            assert!(error.to_string().ends_with("is no cache: there are other things in it"), "{error}");
        }
        assert_eq!(scene.files().len(), names.len());
    }
}

#[test]
fn a_broken_secret_is_gone_after_a_cleaning() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    fs::write(scene.place().join("secret"), "short").unwrap();
    let error = scene.cache().usage().unwrap_err();
    assert_eq!(error.hint(), Some("`wasmpool cache clean` begins anew"));
    assert_eq!(scene.cache().clean().unwrap().entries, 1);
    store(&scene.shelf(b"guest"), b"code");
    assert!(found(&scene.shelf(b"guest")).is_some());
}

#[test]
fn a_directory_with_other_things_in_it_is_not_used_and_not_cleaned() {
    for name in ["letters", "0123", "secret.txt", &"F".repeat(64)] {
        let scene = Scene::new();
        make_folder(&scene.place(), 0o700);
        fs::write(scene.place().join(name), "dear").unwrap();
        let problem = "is no cache: there are other things in it";
        assert_eq!(found(&scene.shelf(b"guest")), None);
        let kept = scene.shelf(b"guest").keep(&description(), memory(b"code")).finish().unwrap();
        assert!(kept.contains(problem), "{kept}");
        assert!(scene.cache().clean().unwrap_err().to_string().contains(problem));
        assert_eq!(scene.files(), [scene.place().join(name)]);
    }
}

#[test]
fn cleaning_leaves_alone_what_is_not_of_the_cache() {
    let scene = Scene::new();
    store(&scene.shelf(b"guest"), b"code");
    fs::write(scene.place().join("notes.txt"), "mine").unwrap();
    fs::create_dir(scene.place().join("0".repeat(64))).unwrap();
    assert_eq!(scene.cache().clean().unwrap().entries, 1);
    assert_eq!(scene.files().len(), 3);
}

#[test]
fn a_relative_path_is_refused() {
    let error = Cache::at("caches").usage().unwrap_err();
    assert_eq!(error.to_string(), "the cache `caches` is not an absolute path");
    assert_eq!(error.hint(), Some("`WASMPOOL_CACHE` takes an absolute path, or `off` for no cache"));
}

#[test]
fn it_is_made_with_the_directories_that_it_is_in() {
    let scene = Scene::new();
    let cache = Cache::at(scene.0.path().join("all/new/cache"));
    store(&shelf(&cache, b"guest"), b"code");
    assert!(found(&shelf(&cache, b"guest")).is_some());
}

/// The cache that nobody asked for, in this home.
fn usual(home: &Path) -> Cache {
    Cache { wish: Wish::Usual, ..Cache::at(home.join(".cache/wasmpool")) }
}

#[test]
fn c7_a_home_that_is_not_there_is_not_made() {
    let scene = Scene::new();
    for home in [scene.0.path().join("nobody"), PathBuf::from("/dev/null")] {
        let shelf = shelf(&usual(&home), b"guest");
        assert_eq!(found(&shelf), None);
        store(&shelf, b"code");
        assert_eq!(found(&shelf), None);
        assert!(!home.is_dir());
    }
}

#[test]
fn nothing_is_made_in_the_home_of_another_user() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::new();
    chown(scene.0.path(), Some(65534), None).unwrap();
    let shelf = shelf(&usual(scene.0.path()), b"guest");
    store(&shelf, b"code");
    assert_eq!(found(&shelf), None);
    assert_eq!(fs::read_dir(scene.0.path()).unwrap().count(), 0);
}

#[test]
fn c7_a_place_that_somebody_asked_for_and_that_cannot_be_made_is_told() {
    let cache = Cache::at("/proc/wasmpool/cache");
    let note = shelf(&cache, b"guest").keep(&description(), memory(b"code")).finish().unwrap();
    assert!(note.starts_with("cache: `/proc/wasmpool/cache` cannot be used: "), "{note}");
}

#[test]
fn c6_many_that_make_a_cache_at_once_make_one() {
    let scene = Scene::new();
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let make = || Secret::make(&Directory::make(&scene.place(), Wish::Asked).unwrap().unwrap()).unwrap();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(scene.files(), [scene.place().join("secret")]);
}
