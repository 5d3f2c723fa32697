//! What is shared with the workers of a pool, and what becomes of what one of them held when it is gone.

use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use super::dispatcher::Event;
use crate::error::Error;
use crate::sandbox::Shares;
use crate::shm::Shared;
use crate::shm::declared::{Declared, Holder, Shape};

/// The most things that can be shared with the workers of a pool: each is a descriptor in every one of them.
const MOST: usize = 64;

/// The longest name of a shared thing, in bytes.
const LONGEST_NAME: usize = 255;

/// What a pool shares with its workers, under which names.
#[derive(Clone, Debug, Default)]
pub struct Sharing(Vec<(String, Shared)>);

impl Sharing {
    /// Shares these things under these names.
    ///
    /// # Errors
    /// If a name is empty, too long or given twice, or there are too many things.
    pub fn of(things: impl IntoIterator<Item = (String, Shared)>) -> Result<Self, Error> {
        let mut sharing = Self::default();
        for (name, shared) in things {
            sharing.add(name, shared)?;
        }
        Ok(sharing)
    }

    fn add(&mut self, name: String, shared: Shared) -> Result<(), Error> {
        if let Some((message, hint)) = self.objection(&name) {
            return Err(Error::usage(message, hint));
        }
        // In the order of the descriptor table, and behind its likes.
        let place = shared.shape().place();
        let at = self.0.partition_point(|(_, other)| other.shape().place() <= place);
        self.0.insert(at, (name, shared));
        Ok(())
    }

    /// What is wrong with one more thing of this name, and what to do about it.
    fn objection(&self, name: &str) -> Option<(String, &'static str)> {
        if name.is_empty() {
            return Some(("what is shared needs a name".to_owned(), "guests open it by its name"));
        }
        if name.len() > LONGEST_NAME {
            let message =
                format!("a shared thing has a name of {} bytes; {LONGEST_NAME} are the most", name.len());
            return Some((message, "choose a shorter one"));
        }
        if self.0.iter().any(|(other, _)| other == name) {
            return Some((format!("`{name}` is shared twice"), "give each shared thing a name of its own"));
        }
        (self.0.len() == MOST).then(|| {
            (format!("a pool shares {MOST} things at most"), "an array or a segment holds many numbers")
        })
    }

    /// How many things there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What workers are told of it.
    pub(super) fn declared(&self) -> Vec<Declared> {
        self.0.iter().map(|(name, shared)| Declared { name: name.clone(), shape: shared.shape() }).collect()
    }

    /// How many of each kind there are.
    pub(super) fn shares(&self) -> Shares {
        Shares::of(&self.declared())
    }

    /// Whether guests may have any of it in their own memory.
    pub(super) fn has_segments(&self) -> bool {
        self.0.iter().any(|(_, shared)| matches!(shared.shape(), Shape::Segment { .. }))
    }

    /// Whether guests may wait for each other with any of it.
    pub(super) fn may_wait(&self) -> bool {
        self.0.iter().any(|(_, shared)| !matches!(shared.shape(), Shape::Segment { .. }))
    }

    /// The files, in the order of the descriptor table.
    pub(super) fn files(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().map(|(_, shared)| &**shared.file())
    }
}

/// What is shared, while there are workers that may hold some of it.
#[derive(Debug, Default)]
pub(crate) struct Estate {
    sharing: Sharing,
    /// Who is told of what was taken back.
    events: Mutex<Option<Sender<Event>>>,
}

impl Estate {
    pub(crate) fn new(sharing: Sharing) -> Self {
        Self { sharing, events: Mutex::default() }
    }

    pub(super) fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    /// From now on, this is where is told what was taken back.
    pub(super) fn tell(&self, events: Sender<Event>) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
    }

    /// Takes back what a worker held whose process has ended.
    pub(super) fn recover(&self, dead: Holder, pid: u32) {
        for (name, shared) in &self.sharing.0 {
            let Some(what) = shared.recover(dead) else { continue };
            let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(events) = &*events {
                // Once the run is over nobody listens.
                let _ = events.send(Event::Recovered { pid, name: name.clone(), what });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::fs::MemfdFlags;

    use super::*;

    const SEALED: Shape = Shape::Segment { length: 1, writable: false };
    const WRITABLE: Shape = Shape::Segment { length: 1, writable: true };

    fn sharing(things: &[(&str, Shape)]) -> Result<Sharing, Error> {
        Sharing::of(things.iter().map(|(name, shape)| {
            let file = rustix::fs::memfd_create("wasmpool-test", MemfdFlags::CLOEXEC).unwrap();
            ((*name).to_owned(), Shared::new(*shape, Arc::new(file)))
        }))
    }

    #[track_caller]
    fn check_refused(names: &[&str], message: &str) {
        let things: Vec<_> = names.iter().map(|name| (*name, Shape::Lock)).collect();
        assert_eq!(sharing(&things).unwrap_err().to_string(), message);
    }

    #[test]
    fn what_is_shared_stands_in_the_order_of_the_table() {
        let things = [("a", SEALED), ("b", Shape::Lock), ("c", WRITABLE), ("d", SEALED), ("e", Shape::Lock)];
        let sharing = sharing(&things).unwrap();
        let names: Vec<_> = sharing.declared().into_iter().map(|declared| declared.name).collect();
        assert_eq!(names, ["c", "b", "e", "a", "d"]);
        assert_eq!(sharing.shares(), Shares { segments: 1, objects: 2, sealed: 2 });
    }

    #[test]
    fn a_name_is_given_once() {
        check_refused(&["a", "b", "a"], "`a` is shared twice");
    }

    #[test]
    fn a_name_is_neither_empty_nor_endless() {
        check_refused(&[""], "what is shared needs a name");
        check_refused(&[&"x".repeat(256)], "a shared thing has a name of 256 bytes; 255 are the most");
    }

    #[test]
    fn there_is_an_end_to_what_can_be_shared() {
        let names: Vec<_> = (0..=MOST).map(|number| number.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        check_refused(&names, "a pool shares 64 things at most");
    }
}
