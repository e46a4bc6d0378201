use super::*;

#[test]
fn a_thread_is_marked_only_while_a_callback_runs() {
    assert!(!is_running());
    run(
        Box::new(|_| {
            assert!(is_running());
            run(Box::new(|_| panic!("an inner callback")), Ok(()));
            assert!(is_running(), "the inner one has ended, not this one");
            let elsewhere = std::thread::spawn(is_running).join();
            assert!(!elsewhere.unwrap(), "other threads may wait");
        }),
        Ok(()),
    );
    assert!(!is_running());
    run(Box::new(|_| panic!("a callback")), Ok(()));
    assert!(!is_running(), "also after a panic");
}
