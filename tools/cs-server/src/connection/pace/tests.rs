use super::*;

#[tokio::test(start_paused = true)]
async fn a_command_too_many_waits_for_the_next_second() {
    let mut pace = Pace::new(2);
    let begun = Instant::now();
    for _ in 0..2 {
        pace.keep().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    pace.keep().await;
    assert_eq!(begun.elapsed(), SECOND);
    for _ in 0..3 {
        pace.keep().await;
    }
    assert_eq!(begun.elapsed(), 3 * SECOND - SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nobody_waits() {
    let mut pace = Pace::new(0);
    let begun = Instant::now();
    for _ in 0..10_000 {
        pace.keep().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
