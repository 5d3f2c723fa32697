//! Nobody waits for a place that is free, and nobody waits once the window is closed.

use std::sync::Arc;

use loom::thread;

use super::explore;
use super::window::{Closed, Window};

fn spawn<R: 'static>(
    window: &Arc<Window>,
    run: impl FnOnce(&Window) -> R + 'static,
) -> thread::JoinHandle<R> {
    let window = Arc::clone(window);
    thread::spawn(move || run(&window))
}

fn join<R>(thread: thread::JoinHandle<R>) -> R {
    thread.join().expect("a model's threads do not panic")
}

#[test]
fn a_release_lets_the_waiter_go_on() {
    explore(5, || {
        let window = Arc::new(Window::new(2, 100));
        assert_eq!(window.acquire(2, 10), Ok(()));
        let feeder = spawn(&window, |window| window.acquire(2, 10));
        window.release(1);
        window.release(1);
        assert_eq!(join(feeder), Ok(()));
        assert_eq!(window.outstanding(), 2);
    });
}

#[test]
fn a_small_waiter_goes_on_before_a_large_one() {
    explore(3, || {
        let window = Arc::new(Window::new(3, 100));
        assert_eq!(window.acquire(3, 0), Ok(()));
        let large = spawn(&window, |window| window.acquire(2, 0));
        let small = spawn(&window, |window| window.acquire(1, 0));
        window.release(1);
        assert_eq!(join(small), Ok(()));
        window.release(2);
        assert_eq!(join(large), Ok(()));
        assert_eq!(window.outstanding(), 3);
    });
}

#[test]
fn bytes_that_are_no_longer_held_back_let_the_waiter_go_on() {
    explore(5, || {
        let window = Arc::new(Window::new(8, 100));
        assert_eq!(window.acquire(1, 0), Ok(()));
        window.charge(100);
        let feeder = spawn(&window, |window| window.wait_admissible(4));
        window.discharge(100);
        assert_eq!(join(feeder), Ok(7));
    });
}

#[test]
fn a_close_ends_every_wait() {
    explore(3, || {
        let window = Arc::new(Window::new(1, 100));
        assert_eq!(window.acquire(1, 0), Ok(()));
        let first = spawn(&window, |window| window.acquire(1, 0));
        let second = spawn(&window, |window| window.wait_admissible(1));
        window.close();
        assert_eq!(join(first), Err(Closed));
        assert_eq!(join(second), Err(Closed));
    });
}

#[test]
fn a_release_and_a_close_together_end_the_wait_one_way_or_the_other() {
    explore(3, || {
        let window = Arc::new(Window::new(1, 100));
        assert_eq!(window.acquire(1, 0), Ok(()));
        let feeder = spawn(&window, |window| window.acquire(1, 0));
        let dispatcher = spawn(&window, |window| window.release(1));
        window.close();
        let admitted = join(feeder).is_ok();
        join(dispatcher);
        assert_eq!(window.outstanding(), u64::from(admitted));
    });
}
