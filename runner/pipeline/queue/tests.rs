use std::io;
use std::thread;

use super::*;
use crate::outcome::Outcome;

fn queue(length: u64, order: Order) -> Queue {
    Queue::new(Shape { length, workers: 2, order })
}

fn trail(index: ItemIndex) -> Trail {
    Trail { index, ..Trail::default() }
}

fn item(index: ItemIndex) -> Arrival {
    Arrival::new(trail(index), What::Item(index.to_string().into()))
}

fn list(index: ItemIndex, json: &str) -> Arrival {
    Arrival::new(trail(index), What::Items(Elements::of(json.into()).expect("an array")))
}

fn ended(index: ItemIndex) -> Arrival {
    Arrival::new(trail(index), What::Ended(Box::new(Completion::new(Outcome::Exit { code: 1 }))))
}

/// The stage before is given this many items, and makes this of them, in this order.
fn filled(order: Order, arrivals: Vec<(ItemIndex, Arrival)>) -> Queue {
    let queue = queue(100, order);
    queue.take_places(arrivals.len() as u64);
    queue.arrive(arrivals);
    queue
}

/// The items that are handed out at once, or `ended` for one that has ended.
fn given(queue: &Queue, max_items: u64) -> Vec<String> {
    match queue.give(max_items, 1000).expect("there is no error") {
        Given::Items(texts) => (0..texts.count())
            .map(|position| String::from_utf8(texts.get(position).expect("it is there").to_vec()).unwrap())
            .collect(),
        Given::Ended(completion) => vec![format!("ended {}", completion.outcome.status())],
        Given::End => vec!["the end".to_owned()],
        Given::Over => vec!["over".to_owned()],
    }
}

#[test]
fn what_was_made_first_is_handed_out_first_if_order_does_not_matter() {
    let queue = filled(Order::Made, vec![(2, item(2)), (0, item(0))]);
    assert_eq!(given(&queue, 9), ["2", "0"]);
}

#[test]
fn what_is_ahead_of_its_turn_waits_where_order_matters() {
    let queue = queue(100, Order::Input);
    queue.take_places(3);
    queue.arrive([(1, item(1))]);
    queue.arrive([(0, item(0))]);
    assert_eq!(given(&queue, 9), ["0", "1"]);
    queue.arrive([(2, item(2))]);
    assert_eq!(given(&queue, 9), ["2"]);
}

#[test]
fn the_elements_of_a_list_are_items_that_know_their_place() {
    let queue = filled(Order::Input, vec![(0, list(0, "[5,6,7]")), (1, item(1))]);
    assert_eq!(given(&queue, 2), ["5", "6"]);
    assert_eq!(given(&queue, 9), ["7", "1"]);
    let trails: Vec<_> = (0..4).map(|index| queue.done(index).trail).collect();
    let known: Vec<_> = trails.iter().map(|trail| (trail.index, trail.part.as_slice())).collect();
    assert_eq!(known, [(0, [0].as_slice()), (0, &[1]), (0, &[2]), (1, &[])]);
}

#[test]
fn what_was_printed_goes_with_the_first_element() {
    let trail = Trail { stdout: b"hi".to_vec(), ..trail(0) };
    let elements = Elements::of("[1,2]".into()).expect("an array");
    let queue = filled(Order::Made, vec![(0, Arrival::new(trail, What::Items(elements)))]);
    given(&queue, 9);
    let printed: Vec<_> = (0..2).map(|index| queue.done(index).trail.stdout).collect();
    assert_eq!(printed, [b"hi".to_vec(), Vec::new()]);
}

#[test]
fn an_empty_list_is_no_item_and_takes_no_place() {
    let queue = filled(Order::Input, vec![(1, item(1)), (0, list(0, "[]"))]);
    assert_eq!(given(&queue, 9), ["1"]);
    queue.done(0);
    assert_eq!(queue.wait_for_room(100), Some(102));
}

#[test]
fn what_has_ended_is_handed_out_alone() {
    let queue = filled(Order::Input, vec![(0, item(0)), (1, ended(1)), (2, item(2))]);
    assert_eq!(given(&queue, 9), ["0"]);
    assert_eq!(given(&queue, 9), ["ended exit"]);
    assert_eq!(given(&queue, 9), ["2"]);
    assert!(queue.done(1).ended.is_some() && queue.done(2).ended.is_none());
}

#[test]
fn the_end_comes_behind_everything_else() {
    let queue = filled(Order::Made, vec![(0, item(0))]);
    queue.finish(Ok(()));
    assert_eq!(given(&queue, 9), ["0"]);
    assert_eq!(given(&queue, 9), ["the end"]);
}

#[test]
fn the_first_end_is_the_end() {
    let error = || Error::Input { name: "it".to_owned(), hint: None, source: io::Error::other("gone") };
    let queue = filled(Order::Made, vec![(0, item(0))]);
    queue.finish(Err(error()));
    queue.finish(Ok(()));
    assert_eq!(given(&queue, 9), ["0"]);
    assert_eq!(queue.give(9, 9).unwrap_err().to_string(), error().to_string());
}

#[test]
fn there_are_places_for_what_waits_and_for_what_runs() {
    let queue = queue(3, Order::Made);
    assert_eq!(queue.wait_for_room(100), Some(5));
    queue.take_places(4);
    assert_eq!(queue.wait_for_room(100), Some(1));
}

#[test]
fn a_place_is_free_when_the_stage_behind_has_done() {
    let queue = queue(1, Order::Made);
    queue.take_places(3);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait_for_room(1));
        queue.arrive([(0, item(0))]);
        assert_eq!(given(&queue, 9), ["0"]);
        assert!(!waiting.is_finished(), "neither is one who has been handed it");
        queue.done(0);
        assert_eq!(waiting.join().unwrap(), Some(1));
    });
}

#[test]
fn the_elements_of_a_list_take_a_place_each() {
    let queue = queue(3, Order::Made);
    queue.take_places(1);
    queue.arrive([(0, list(0, "[1,2,3,4,5,6,7]"))]);
    given(&queue, 9);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait_for_room(1));
        (0..2).for_each(|index| drop(queue.done(index)));
        assert!(!waiting.is_finished());
        queue.done(2);
        assert_eq!(waiting.join().unwrap(), Some(1));
    });
}

#[test]
fn there_is_no_room_beside_megabytes_that_wait() {
    let queue = queue(100, Order::Made);
    queue.take_places(1);
    let long = "1".repeat(usize::try_from(MOST_BYTES).unwrap());
    queue.arrive([(0, Arrival::new(trail(0), What::Item(long.into())))]);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait_for_room(1));
        given(&queue, 1);
        assert!(waiting.join().unwrap().is_some());
    });
}

#[test]
fn nobody_waits_for_a_stage_that_is_over() {
    let queue = queue(1, Order::Input);
    queue.take_places(3);
    thread::scope(|scope| {
        let (before, behind) = (scope.spawn(|| queue.wait_for_room(1)), scope.spawn(|| given(&queue, 1)));
        queue.shut_before();
        queue.shut_behind();
        assert_eq!(before.join().unwrap(), None);
        assert_eq!(behind.join().unwrap(), ["over"]);
    });
}

#[test]
fn the_rest_is_all_that_the_stage_behind_has_not_done_with() {
    let queue = filled(Order::Input, vec![(0, item(0)), (1, item(1)), (2, list(2, "[7,8]")), (3, ended(3))]);
    given(&queue, 2);
    queue.done(0);
    queue.shut_behind();
    let rest = queue.take_rest();
    let known: Vec<_> = rest.iter().map(|held| (held.trail.index, held.trail.part.clone())).collect();
    // Of a list that nothing was given of, its first element is told.
    assert_eq!(known, [(1, vec![]), (2, vec![0]), (3, vec![])]);
    assert!(rest[2].ended.is_some());
}
