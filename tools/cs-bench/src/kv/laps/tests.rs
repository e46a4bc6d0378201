use super::*;

#[test]
fn all_threads_count_and_end_in_time() {
    let time = Duration::from_millis(30);
    let done = in_threads(3, time, |number, lap| {
        lap.begin();
        loop {
            let from = Instant::now();
            thread::yield_now();
            lap.count(1);
            if !lap.done(from, 1) {
                return Ok(number);
            }
        }
    })
    .unwrap();
    let outcome = merged(&done);
    assert_eq!(done.iter().map(|done| done.value).sum::<u64>(), 3);
    assert_eq!(outcome.ops, outcome.latencies.count() * 2);
    assert!(outcome.seconds >= 0.03, "{}", outcome.seconds);
    assert!(outcome.per_s() > 0.0);
}

#[test]
fn an_error_before_the_start_stops_everybody() {
    let error = in_threads(3, Duration::from_secs(600), |number, lap| {
        if number == 1 {
            return Err(BenchError::WrongAnswer("one".to_owned()));
        }
        lap.begin();
        while lap.done(Instant::now(), 1) {}
        Ok(())
    })
    .unwrap_err();
    assert!(error.to_string().contains("one"));
}
