//! Whoever reads without a lock sees what was there at one moment, wherever a writer is killed.

use std::sync::Arc;

use super::explore;
use super::locks::{join, spawn};
use super::shm::protocol::sync::{AtomicU64, Word, live};
use super::shm::protocol::twin::Twin;

/// Two numbers that are always the same.
#[derive(Default)]
struct Scene {
    version: Word,
    copies: [[AtomicU64; 2]; 2],
}

impl Scene {
    fn twin(&self) -> Twin<'_> {
        Twin { version: &self.version, copies: [&self.copies[0], &self.copies[1]], length: 16 }
    }

    fn write(&self, number: u64) {
        self.twin().write([number.to_le_bytes(); 2].as_flattened());
    }

    /// None if it was disturbed.
    fn read(&self) -> Option<u64> {
        let mut bytes = Vec::new();
        let is_whole = self.twin().read(&mut bytes);
        let (numbers, _) = bytes.as_chunks();
        is_whole.then(|| {
            assert_eq!(numbers[0], numbers[1], "half of a change was seen");
            u64::from_le_bytes(numbers[0])
        })
    }
}

#[test]
fn nobody_sees_half_of_a_change() {
    explore(3, || {
        let scene = Arc::<Scene>::default();
        let writer = spawn(&scene, |scene| (1..=3).for_each(|number| scene.write(number)));
        let reader = spawn(&scene, |scene| scene.read());
        scene.read();
        join(reader);
        join(writer);
        assert_eq!(scene.read(), Some(3));
    });
}

#[test]
fn who_is_killed_has_changed_nothing_or_everything() {
    for steps in 0..7 {
        explore(3, move || {
            let scene = Arc::<Scene>::default();
            let victim =
                spawn(&scene, move |scene| live(steps, || (1..=2).for_each(|number| scene.write(number))));
            let reader = spawn(&scene, |scene| scene.read());
            join(victim);
            assert!(scene.read().is_some());
            scene.write(3);
            join(reader);
            assert_eq!(scene.read(), Some(3));
        });
    }
}
