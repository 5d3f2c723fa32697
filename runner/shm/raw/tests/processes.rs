use std::os::fd::AsFd;

use super::*;
use crate::shm::declared::Bounds;
use crate::shm::raw::{GetError, RawArray, RawQueue, RawValue};

#[test]
fn increments_of_eight_processes_are_exact() {
    let n_each = few_or(100_000, 5_000);
    for _ in 0..few_or(100, 1) {
        let fd = create(Shape::Value(Number::S64)).unwrap();
        let value = RawValue::map(fd.as_fd(), Number::S64).unwrap();
        let count = |who| assert!((0..n_each).all(|_| value.add(who, 1, None).is_ok()));
        let children: Vec<_> = (0..8).map(|_| Child::start(count)).collect();
        assert!(children.into_iter().all(|child| child.join() == Some(0)));
        assert_eq!(value.get(), 8 * n_each);
    }
}

#[test]
fn processes_see_each_others_numbers() {
    let fd = create(Shape::Array { number: Number::F64, length: 3 }).unwrap();
    let map = || RawArray::map(fd.as_fd(), Number::F64, 3).unwrap();
    let array = map();
    let (ours, bytes) = (map(), [7; 24]);
    let child = Child::start(|who| {
        array.lock(who, None).unwrap();
        array.write(&bytes).unwrap();
        array.unlock(who);
    });
    assert_eq!(child.join(), Some(0));
    assert_eq!(ours.read(Holder::HOST, generous()).unwrap(), bytes);
}

#[test]
fn all_messages_of_all_processes_arrive_and_then_there_are_no_more() {
    let (n_each, bounds) = (few_or(100_000, 3_000), Bounds { messages: 20, bytes: 100 });
    let fd = create(Shape::Queue(bounds)).unwrap();
    let queue = RawQueue::map(fd.as_fd(), bounds).unwrap();
    let board = board(2);
    let [sum, count] = [0, 8].map(|at| board.long_word(at));
    let put_all = |who, length: usize| {
        for number in 1..=n_each {
            let mut message = vec![0; length];
            message[..8].copy_from_slice(&number.to_le_bytes());
            queue.put(who, &message, None).unwrap();
        }
    };
    let get_all = |who| {
        let mut message = Vec::new();
        while queue.get(who, &mut message, None) != Err(GetError::Closed) {
            sum.fetch_add(u64::from_le_bytes(*message.first_chunk().unwrap()), ORDER);
            count.fetch_add(1, ORDER);
        }
    };
    let getters: Vec<_> = (0..3).map(|_| Child::start(get_all)).collect();
    let putters: Vec<_> = [8, 64, 100].map(|length| Child::start(|who| put_all(who, length))).into();
    assert!(putters.into_iter().all(|child| child.join() == Some(0)));
    queue.close();
    assert!(getters.into_iter().all(|child| child.join() == Some(0)));
    assert_eq!(count.load(ORDER), 3 * n_each);
    assert_eq!(sum.load(ORDER), 3 * n_each * (n_each + 1) / 2);
}
