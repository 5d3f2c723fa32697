use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;

use super::*;
use crate::shm::declared::Bounds;
use crate::shm::raw::{RawArray, RawLock, RawPipeEnd, RawQueue, RawValue};

const BOUNDS: Bounds = Bounds { messages: 3, bytes: 100 };

/// Writes into shared memory what cannot be there.
struct Vandal {
    map: SharedMap,
    n_words: u64,
    random: Random,
}

impl Vandal {
    /// Up to so many bytes.
    fn new(fd: &OwnedFd, shape: Shape, bytes: u64) -> Self {
        let length = shape.file_length().unwrap();
        let n_words = bytes.min(length as u64) / 8;
        Self { map: SharedMap::new(fd.as_fd(), length).unwrap(), n_words, random: Random(bytes) }
    }

    fn write(&mut self) {
        let at = self.random.below(self.n_words) * 8;
        let small = self.random.below(8);
        let word = match self.random.below(6) {
            0 => 0,
            1 => u64::MAX - small,
            2 => 1 << 63 | small,
            3 => small << 32 | 1 << 31,
            4 => self.random.below(u64::MAX),
            _ => small,
        };
        self.map.long_word(at.try_into().unwrap()).store(word, ORDER);
    }
}

/// Whatever is in the first bytes of the memory, and whatever becomes of it meanwhile, `act` does not panic, and
/// returns soon after the time it is given.
#[track_caller]
fn check(shape: Shape, act: impl Fn(&OwnedFd, Option<Instant>)) {
    const HEADER: u64 = 1024;
    const PATIENCE: Duration = Duration::from_secs(20);
    let fd = create(shape).unwrap();
    let act = || {
        let start = Instant::now();
        act(&fd, Some(start + Duration::from_micros(200)));
        assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
    };
    let mut vandal = Vandal::new(&fd, shape, HEADER);
    for _ in 0..few_or(20_000, 500) {
        vandal.write();
        act();
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(ORDER) {
                vandal.write();
            }
        });
        (0..few_or(20_000, 300)).for_each(|_| act());
        is_over.store(true, ORDER);
    });
}

#[test]
fn a_lock_holds_up_nobody_for_longer_than_was_said() {
    check(Shape::Lock, |fd, until| {
        let lock = RawLock::map(fd.as_fd()).unwrap();
        let who = Holder::fresh();
        if lock.acquire(who, until).is_ok() {
            lock.release(who);
        }
        let _recovered = lock.recover(who);
    });
}

#[test]
fn a_number_can_be_anything_and_no_more() {
    check(Shape::Value(Number::S32), |fd, until| {
        let value = RawValue::map(fd.as_fd(), Number::S32).unwrap();
        let who = Holder::fresh();
        if let Ok(before) = value.add(who, 1, until) {
            assert!(before <= u64::from(u32::MAX));
        }
        let _recovered = value.recover(who);
    });
}

#[test]
fn an_array_has_as_many_numbers_as_was_said() {
    check(Shape::Array { number: Number::U32, length: 5 }, |fd, until| {
        let array = RawArray::map(fd.as_fd(), Number::U32, 5).unwrap();
        let who = Holder::fresh();
        if let Ok(numbers) = array.read(who, until) {
            assert_eq!(numbers.len(), 20);
        }
        if array.lock(who, until).is_ok() {
            array.write(&[1; 20]).unwrap();
            array.unlock(who);
        }
        let _recovered = array.recover(who);
    });
}

#[test]
fn a_queue_gives_no_more_than_was_said() {
    check(Shape::Queue(BOUNDS), |fd, until| {
        let queue = RawQueue::map(fd.as_fd(), BOUNDS).unwrap();
        let (who, mut message) = (Holder::fresh(), Vec::new());
        let _put = queue.put(who, &[7; 100], until);
        let _put = queue.put(who, b"short", until);
        let _got = queue.get(who, &mut message, until);
        assert!(message.len() <= 100 && message.capacity() <= 1000);
        assert!(queue.length() <= BOUNDS.messages);
        let _recovered = queue.recover(who);
    });
}

#[test]
fn an_end_of_a_pipe_gives_no_more_than_was_said() {
    check(Shape::PipeEnd { second: false, bounds: BOUNDS }, |fd, until| {
        let ends = [false, true].map(|second| RawPipeEnd::map(fd.as_fd(), second, BOUNDS).unwrap());
        let (who, mut message) = (Holder::fresh(), Vec::new());
        let _opened = ends[0].open(who);
        let _sent = ends[0].send(who, &[7; 100], until);
        let _received = ends[1].receive(who, &mut message, until);
        assert!(message.len() <= 100);
        ends[0].close(who);
        let _recovered = ends[1].recover(who);
    });
}
