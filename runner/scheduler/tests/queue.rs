use super::super::Origin;
use super::*;
use crate::chunk::{Chunk, Inputs};

#[track_caller]
fn check(next: Next<Run>, expected: Range<u64>, origin: Origin) {
    assert_eq!(next, Next::Chunk(Run(expected), origin));
}

#[test]
fn chunks_come_in_the_order_they_were_pushed() {
    let (scheduler, mut queues, _) = scheduler(1);
    for first in 0..4 {
        scheduler.push(Run(first..first + 1));
    }
    check(queues[0].next(), 0..1, Origin::Injector);
    check(queues[0].next(), 1..2, Origin::Own);
    check(queues[0].next(), 2..3, Origin::Injector);
    check(queues[0].next(), 3..4, Origin::Injector);
    assert_eq!(queues[0].next(), Next::Empty);
}

#[test]
fn a_driver_takes_at_most_one_chunk_ahead() {
    let (scheduler, mut queues, _) = scheduler(2);
    for first in 0..16 {
        scheduler.push(Run(first..first + 1));
    }
    check(queues[0].next(), 0..1, Origin::Injector);
    check(queues[1].next(), 2..3, Origin::Injector);
}

#[test]
fn what_a_dead_worker_had_goes_first_and_the_lowest_index_before_the_others() {
    let (scheduler, mut queues, _) = scheduler(1);
    scheduler.push(Run(0..4));
    queues[0].push(Run(4..8));
    scheduler.push_front(vec![Run(30..31), Run(10..11)]);
    scheduler.push_front(vec![Run(20..21)]);
    check(queues[0].next(), 10..11, Origin::Requeued);
    check(queues[0].next(), 20..21, Origin::Requeued);
    check(queues[0].next(), 30..31, Origin::Requeued);
    check(queues[0].next(), 4..8, Origin::Own);
    check(queues[0].next(), 0..4, Origin::Injector);
}

#[test]
fn the_second_half_of_a_stolen_chunk_can_be_stolen_again() {
    let (scheduler, mut queues, _) = scheduler(3);
    queues[0].push(Run(0..8));
    check(queues[1].next(), 0..4, Origin::Stolen);
    check(queues[2].next(), 4..6, Origin::Stolen);
    check(queues[2].next(), 6..8, Origin::Own);
    assert_eq!(scheduler.steals(), 2);
}

#[test]
fn a_stolen_chunk_of_one_item_stays_whole() {
    let (_, mut queues, _) = scheduler(2);
    queues[0].push(Run(7..8));
    check(queues[1].next(), 7..8, Origin::Stolen);
    assert_eq!(queues[1].next(), Next::Empty);
}

#[test]
fn thieves_take_turns_with_their_victims() {
    let (_, mut queues, _) = scheduler(3);
    for first in 0..2 {
        queues[0].push(Run(first..first + 1));
        queues[1].push(Run(first + 10..first + 11));
    }
    check(queues[2].next(), 0..1, Origin::Stolen);
    check(queues[2].next(), 10..11, Origin::Stolen);
    check(queues[2].next(), 1..2, Origin::Stolen);
}

#[test]
fn half_of_a_chunk_is_the_first_half_and_the_larger_one() {
    let mut chunk = Chunk::new(10, Inputs::Numbers { start: 0, count: 5 });
    let second = Split::split_half(&mut chunk).expect("there are five items");
    assert_eq!((Split::first(&chunk), Split::len(&chunk)), (10, 3));
    assert_eq!((Split::first(&second), Split::len(&second)), (13, 2));
}

#[test]
fn a_queue_that_ends_gives_its_chunks_back() {
    let (_, mut queues, _) = scheduler(2);
    queues[0].push(Run(0..8));
    queues.remove(0).retire();
    check(queues[0].next(), 0..8, Origin::Requeued);
}

#[test]
fn a_push_wakes_only_the_driver_that_waits_longest() {
    let (scheduler, mut queues, flags) = scheduler(3);
    for driver in [1, 0, 2] {
        assert_eq!(queues[driver].next_or_register(), Next::Empty);
    }
    scheduler.push(Run(0..1));
    assert_eq!(flags.iter().map(|flag| flag.is_up()).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn asking_again_does_not_cost_the_place_among_the_waiting() {
    let (scheduler, mut queues, flags) = scheduler(2);
    for driver in [0, 1, 0] {
        assert_eq!(queues[driver].next_or_register(), Next::Empty);
    }
    scheduler.push(Run(0..1));
    assert!(flags[0].is_up() && !flags[1].is_up());
}

#[test]
fn nobody_is_woken_for_a_driver_that_was_woken_and_took_the_chunk() {
    let (scheduler, mut queues, flags) = scheduler(2);
    assert_eq!(queues[0].next_or_register(), Next::Empty);
    assert_eq!(queues[1].next_or_register(), Next::Empty);
    scheduler.push(Run(0..1));
    check(queues[0].next_or_register(), 0..1, Origin::Injector);
    assert!(!flags[1].is_up());
}

#[test]
fn a_driver_that_found_work_by_itself_is_not_woken_any_more() {
    let (scheduler, mut queues, flags) = scheduler(2);
    assert_eq!(queues[0].next_or_register(), Next::Empty);
    queues[0].push(Run(0..1));
    assert!(flags[0].take());
    check(queues[0].next(), 0..1, Origin::Own);
    assert_eq!(queues[1].next_or_register(), Next::Empty);
    scheduler.push(Run(1..2));
    assert!(!flags[0].is_up() && flags[1].is_up());
}

#[test]
fn the_wake_up_of_a_driver_that_gives_up_goes_to_the_next() {
    let (scheduler, mut queues, flags) = scheduler(2);
    assert_eq!(queues[0].next_or_register(), Next::Empty);
    assert_eq!(queues[1].next_or_register(), Next::Empty);
    scheduler.push(Run(0..1));
    assert!(flags[0].is_up() && !flags[1].is_up());
    queues[0].unregister();
    assert!(flags[1].is_up());
}

#[test]
fn a_theft_wakes_a_sleeper_for_the_second_half() {
    let (_, mut queues, flags) = scheduler(3);
    queues[0].push(Run(0..2));
    check(queues[1].next(), 0..1, Origin::Stolen);
    check(queues[1].next(), 1..2, Origin::Own);
    assert_eq!(queues[2].next_or_register(), Next::Empty);
    queues[0].push(Run(2..4));
    assert!(flags[2].take());
    check(queues[1].next(), 2..3, Origin::Stolen);
    check(queues[2].next_or_register(), 3..4, Origin::Stolen);
}

#[test]
fn a_close_wakes_the_idle_and_the_busy() {
    let (scheduler, mut queues, flags) = scheduler(3);
    assert_eq!(queues[1].next_or_register(), Next::Empty);
    scheduler.close();
    assert!(flags.iter().all(|flag| flag.is_up()));
}

#[test]
fn closed_comes_after_the_last_chunk() {
    let (scheduler, mut queues, _) = scheduler(2);
    scheduler.push(Run(0..1));
    scheduler.close();
    check(queues[0].next_or_register(), 0..1, Origin::Injector);
    assert_eq!(queues[0].next_or_register(), Next::Closed);
    assert_eq!(queues[1].next(), Next::Closed);
}

#[test]
fn a_drain_takes_from_every_queue() {
    let (scheduler, mut queues, _) = scheduler(2);
    scheduler.push(Run(0..1));
    scheduler.push_front(vec![Run(1..2)]);
    queues[1].push(Run(2..3));
    let mut drained = scheduler.drain();
    drained.sort_by_key(Split::first);
    assert_eq!(drained, [Run(0..1), Run(1..2), Run(2..3)]);
    assert_eq!(queues[1].next(), Next::Empty);
}

/// What a driver gets while only these may go through a closed gate.
fn through(queue: &mut LocalQueue<Run>, urgent: &[u64]) -> Next<Run> {
    queue.next_through_or_register(|| false, |run| urgent.contains(&run.first()))
}

#[test]
fn h15_only_what_is_urgent_goes_through_a_closed_gate() {
    let (scheduler, mut queues, _) = scheduler(2);
    for first in 0..6 {
        scheduler.push(Run(first..first + 1));
    }
    // The first driver takes one, and one more into its deque; that one is found there, too.
    check(queues[0].next(), 0..1, Origin::Injector);
    assert_eq!(through(&mut queues[1], &[0]), Next::Empty);
    check(through(&mut queues[1], &[1]), 1..2, Origin::Requeued);
    check(through(&mut queues[1], &[5, 2]), 5..6, Origin::Requeued);
    check(through(&mut queues[1], &[5, 2]), 2..3, Origin::Requeued);
    check(queues[0].next(), 3..4, Origin::Requeued);
    check(queues[1].next_through_or_register(|| true, |_| false), 4..5, Origin::Requeued);
}

#[test]
fn who_waits_at_a_closed_gate_is_woken_when_it_may_have_opened() {
    let (scheduler, mut queues, flags) = scheduler(2);
    scheduler.push(Run(0..1));
    for queue in &mut queues {
        assert_eq!(through(queue, &[]), Next::Empty);
    }
    flags.iter().for_each(|flag| assert!(!flag.is_up()));
    scheduler.wake_all();
    flags.iter().for_each(|flag| assert!(flag.is_up()));
}
