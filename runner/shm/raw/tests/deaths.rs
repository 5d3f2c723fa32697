use std::os::fd::AsFd;

use super::*;
use crate::shm::declared::Bounds;
use crate::shm::raw::{GetError, RawArray, RawLock, RawPipeEnd, RawQueue, Recovered};

/// Bytes of a message here: who put it, and its how manyth it is.
const BYTES: u32 = 8;

#[test]
fn a_lock_can_be_had_whenever_its_holder_is_killed() {
    let fd = create(Shape::Lock).unwrap();
    let lock = RawLock::map(fd.as_fd()).unwrap();
    let board = board(1);
    let rounds = board.long_word(0);
    let hold_again_and_again = |who| {
        loop {
            lock.acquire(who, None).unwrap();
            rounds.fetch_add(1, ORDER);
            lock.release(who);
        }
    };
    let mut random = Random(1);
    let mut children: Vec<_> = (0..3).map(|_| Child::start(hold_again_and_again)).collect();
    let mut n_recovered = 0;
    for _ in 0..few_or(1000, 60) {
        let before = rounds.load(ORDER);
        let next = before + random.below(30);
        wait_until(|| rounds.load(ORDER) > next);
        let dead = children.swap_remove(random.below(3).try_into().unwrap()).kill();
        n_recovered += u64::from(lock.recover(dead).is_some());
        children.push(Child::start(hold_again_and_again));
    }
    for child in children {
        let dead = child.kill();
        n_recovered += u64::from(lock.recover(dead).is_some());
    }
    assert!(n_recovered > 0, "no holder was killed");
    assert!(lock.acquire(Holder::HOST, generous()).is_ok());
}

#[test]
fn the_next_to_have_a_lock_is_told_that_its_holder_was_killed() {
    let fd = create(Shape::Lock).unwrap();
    let lock = RawLock::map(fd.as_fd()).unwrap();
    let child = Child::start(|who| {
        lock.acquire(who, None).unwrap();
        loop {
            std::thread::park();
        }
    });
    wait_until(|| lock.holder() == Some(child.who));
    let waiter = Child::start(|who| assert!(lock.acquire(who, generous()).unwrap().recovered));
    assert_eq!(lock.recover(child.kill()), Some(Recovered::Lock));
    assert_eq!(waiter.join(), Some(0));
}

#[test]
fn an_array_is_never_half_written_whoever_is_killed() {
    const LENGTH: u32 = 500;
    let fd = create(Shape::Array { number: Number::U64, length: LENGTH }).unwrap();
    let array = RawArray::map(fd.as_fd(), Number::U64, LENGTH).unwrap();
    let board = board(1);
    let rounds = board.long_word(0);
    let write_again_and_again = |who| {
        loop {
            array.lock(who, None).unwrap();
            let round = rounds.fetch_add(1, ORDER);
            array.write(&round.to_le_bytes().repeat(LENGTH.try_into().unwrap())).unwrap();
            array.unlock(who);
        }
    };
    let mut random = Random(2);
    for _ in 0..few_or(1000, 40) {
        let children = [(); 2].map(|()| Child::start(write_again_and_again));
        let next = rounds.load(ORDER) + random.below(20);
        wait_until(|| rounds.load(ORDER) > next);
        for child in children {
            let numbers = array.read(Holder::HOST, generous()).unwrap();
            let (numbers, _) = numbers.as_chunks::<8>();
            assert!(numbers.iter().all(|number| *number == numbers[0]));
            let dead = child.kill();
            assert!(matches!(array.recover(dead), None | Some(Recovered::Array)));
        }
    }
}

/// Producers and consumers of one queue, and what they say about what they have done.
struct Market<'a> {
    queue: &'a RawQueue,
    board: &'a SharedMap,
}

const PRODUCERS: u32 = 400;
const MESSAGES: u32 = 20_000;

impl Market<'_> {
    /// Puts messages, and says of each that it has been put.
    fn produce(&self, who: Holder, producer: u32) {
        for number in 0..MESSAGES {
            let message = (u64::from(producer) << 32 | u64::from(number)).to_le_bytes();
            self.queue.put(who, &message, None).unwrap();
            self.put_by(producer).store(u64::from(number) + 1, ORDER);
        }
        loop {
            std::thread::park();
        }
    }

    /// Takes messages, and says of each that it has been taken; the end too.
    fn consume(&self, who: Holder) {
        let mut message = Vec::new();
        while self.queue.get(who, &mut message, None) != Err(GetError::Closed) {
            self.take(&message);
        }
    }

    fn take(&self, message: &[u8]) {
        let message = u64::from_le_bytes(message.try_into().unwrap());
        let (producer, number) = (message >> 32, message & u64::from(u32::MAX));
        self.taken(producer, number).fetch_add(1, ORDER);
        self.all_taken().fetch_add(1, ORDER);
    }

    fn all_taken(&self) -> &AtomicU64 {
        self.board.long_word(0)
    }

    fn put_by(&self, producer: u32) -> &AtomicU64 {
        self.board.long_word(8 * (1 + usize::try_from(producer).unwrap()))
    }

    fn taken(&self, producer: u64, number: u64) -> &AtomicU64 {
        let at = 1 + u64::from(PRODUCERS) + producer * u64::from(MESSAGES) + number;
        self.board.long_word(8 * usize::try_from(at).unwrap())
    }

    /// How many messages were put and not taken. None was taken twice, and none before it was put but the last.
    fn missing(&self, producers: u32) -> u64 {
        let mut missing = 0;
        for producer in 0..producers {
            let n_put = self.put_by(producer).load(ORDER);
            for number in 0..u64::from(MESSAGES) {
                let times = self.taken(producer.into(), number).load(ORDER);
                assert!(times <= 1, "a message was taken {times} times");
                assert!(times == 0 || number <= n_put, "a message was taken that was not put");
                missing += u64::from(times == 0 && number < n_put);
            }
        }
        missing
    }
}

#[test]
fn a_queue_loses_one_message_at_most_with_each_that_is_killed() {
    let bounds = Bounds { messages: 5, bytes: BYTES };
    let fd = create(Shape::Queue(bounds)).unwrap();
    let queue = RawQueue::map(fd.as_fd(), bounds).unwrap();
    let board = board(1 + PRODUCERS + PRODUCERS * MESSAGES);
    let market = Market { queue: &queue, board: &board };
    let mut random = Random(3);
    let (mut producers, mut killed_consumers, mut lost) = (0, 0, 0);
    let mut produce = || {
        let producer = producers;
        producers += 1;
        (producer, Child::start(|who| market.produce(who, producer)))
    };
    let consume = || Child::start(|who| market.consume(who));
    let mut putting = [produce(), produce()];
    let mut getting = [consume(), consume()];
    let mut bury = |dead: Child| {
        if let Some(Recovered::Queue { lost: messages }) = queue.recover(dead.kill()) {
            assert!(messages <= 1);
            lost += messages;
        }
    };
    for _ in 0..few_or(390, 60) {
        let next = market.all_taken().load(ORDER) + random.below(40);
        let is_done =
            |(producer, _): &(u32, Child)| market.put_by(*producer).load(ORDER) == u64::from(MESSAGES);
        wait_until(|| market.all_taken().load(ORDER) > next || putting.iter().any(is_done));
        let which = usize::try_from(random.below(2)).unwrap();
        match putting.iter().position(is_done) {
            Some(done) => bury(std::mem::replace(&mut putting[done], produce()).1),
            None if random.below(2) == 0 => bury(std::mem::replace(&mut putting[which], produce()).1),
            None => {
                killed_consumers += 1;
                bury(std::mem::replace(&mut getting[which], consume()));
            }
        }
    }
    putting.into_iter().for_each(|(_, child)| bury(child));
    queue.close();
    assert!(getting.into_iter().all(|child| child.join() == Some(0)), "who takes is told of the end");
    let missing = market.missing(producers);
    assert!(missing <= killed_consumers, "{missing} of {killed_consumers} consumers, {lost} known");
}

#[test]
fn who_waits_is_told_when_the_other_end_of_its_pipe_is_dead() {
    let bounds = Bounds { messages: 2, bytes: BYTES };
    let fd = create(Shape::PipeEnd { second: false, bounds }).unwrap();
    let ends = [false, true].map(|second| RawPipeEnd::map(fd.as_fd(), second, bounds).unwrap());
    ends[0].open(Holder::HOST).unwrap();
    let child = Child::start(|who| {
        ends[1].open(who).unwrap();
        ends[1].send(who, b"one", None).unwrap();
        loop {
            std::thread::park();
        }
    });
    let mut message = Vec::new();
    ends[0].receive(Holder::HOST, &mut message, generous()).unwrap();
    let dead = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| ends[0].receive(Holder::HOST, &mut Vec::new(), generous()));
        let dead = child.kill();
        assert_eq!(ends[0].recover(dead), None);
        assert_eq!(ends[1].recover(dead), Some(Recovered::PipeEnd { lost: 0 }));
        assert_eq!(waiter.join().unwrap(), Err(GetError::Closed));
        dead
    });
    assert_eq!(ends[1].recover(dead), None);
}
