//! Overload, departure and panic, each with threads that wait where the test tells them to.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// Work that says that it runs, then waits until the test lets it go on.
fn held() -> (impl FnOnce(&Cancel) -> bool + Send + 'static, Receiver<()>, Sender<()>) {
    let (begun, has_begun) = channel();
    let (release, released) = channel();
    let work = move |cancel: &Cancel| {
        begun.send(()).unwrap();
        let _ = released.recv_timeout(Duration::from_secs(10));
        cancel.is_cancelled()
    };
    (work, has_begun, release)
}

#[tokio::test]
async fn gives_the_result() {
    let workers = Workers::start(2, 4).unwrap();
    assert_eq!(workers.submit(|_| 6 * 7).unwrap().await, Ok(42));
}

#[tokio::test]
async fn refuses_what_neither_runs_nor_waits_and_serves_again_afterwards() {
    let workers = Workers::start(1, 1).unwrap();
    let (work, begun, release) = held();
    let running = workers.submit(work).unwrap();
    begun.recv().unwrap();
    let waiting = workers.submit(|_| "waited").unwrap();
    assert_eq!(workers.submit(|_| ()).err(), Some(Overloaded));
    drop(release);
    assert_eq!(running.await, Ok(false));
    assert_eq!(waiting.await, Ok("waited"));
    assert_eq!(workers.submit(|_| "again").unwrap().await, Ok("again"));
}

#[tokio::test]
async fn without_a_queue_idle_threads_still_serve() {
    let workers = Workers::start(1, 0).unwrap();
    let (work, begun, release) = held();
    let running = workers.submit(work).unwrap();
    begun.recv().unwrap();
    assert_eq!(workers.submit(|_| ()).err(), Some(Overloaded));
    drop(release);
    running.await.unwrap();
}

#[tokio::test]
async fn waiting_work_whose_client_left_never_runs_and_gives_its_place_back() {
    let workers = Workers::start(1, 1).unwrap();
    let (work, begun, release) = held();
    let running = workers.submit(work).unwrap();
    begun.recv().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let runs = Arc::clone(&runs);
        drop(workers.submit(move |_| runs.fetch_add(1, Ordering::SeqCst)).unwrap());
    }
    let last = workers.submit(|_| ()).unwrap();
    drop(release);
    running.await.unwrap();
    last.await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn running_work_whose_client_left_is_cancelled() {
    let workers = Workers::start(1, 1).unwrap();
    let (begun, has_begun) = channel();
    let (ended, has_ended) = channel();
    let pending = workers.submit(move |cancel| {
        begun.send(()).unwrap();
        while !cancel.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        ended.send(()).unwrap();
    });
    has_begun.recv().unwrap();
    drop(pending);
    has_ended.recv_timeout(Duration::from_secs(10)).unwrap();
    workers.submit(|_| ()).unwrap().await.unwrap();
}

#[tokio::test]
async fn a_panic_is_lost_work_and_the_thread_lives_on() {
    let workers = Workers::start(1, 1).unwrap();
    for _ in 0..3 {
        assert_eq!(workers.submit(|_| panic!("on purpose")).unwrap().await, Err::<(), _>(Lost));
    }
    assert_eq!(workers.submit(|_| 1).unwrap().await, Ok(1));
}

#[tokio::test]
async fn a_stream_tells_in_order_and_ends() {
    let workers = Workers::start(1, 1).unwrap();
    let mut stream = workers.stream(|_, tell| (0..3).for_each(tell)).unwrap();
    let mut told = Vec::new();
    while let Some(event) = poll_fn(|context| stream.poll_next(context)).await {
        told.push(event);
    }
    assert_eq!(told, [0, 1, 2]);
}

#[tokio::test]
async fn work_that_waits_when_the_service_stops_is_lost() {
    let workers = Workers::start(1, 1).unwrap();
    let (work, begun, release) = held();
    let running = workers.submit(work).unwrap();
    begun.recv().unwrap();
    let waiting = workers.submit(|_| ()).unwrap();
    drop(workers);
    drop(release);
    assert_eq!(running.await, Ok(false));
    assert_eq!(waiting.await, Err(Lost));
}
