use super::*;
use crate::finding::Finding;

const SHORT: Duration = Duration::from_millis(200);

fn suspect(text: &str) -> Result<Sound<u32>> {
    Err(InspectError::Suspect(text.to_owned()))
}

#[test]
fn a_pass_without_suspicion_is_believed_at_once() {
    let mut passes = 0;
    let found = settle(SHORT, || {
        passes += 1;
        Ok(Sound(7))
    });
    assert_eq!((found.unwrap().0, passes), (7, 1));
}

#[test]
fn an_error_that_a_second_pass_does_not_meet_is_forgotten() {
    let mut passes = 0;
    let found = settle(SHORT, || {
        passes += 1;
        if passes == 1 {
            suspect("page 4 is newer")
        } else {
            Ok(Sound(passes))
        }
    });
    assert_eq!(found.unwrap().0, 2);
}

#[test]
fn an_error_that_two_passes_meet_is_believed() {
    let mut passes = 0;
    let found = settle(SHORT, || {
        passes += 1;
        suspect("page 4 is damaged")
    });
    assert!(matches!(found, Err(InspectError::Suspect(text)) if text == "page 4 is damaged"));
    assert_eq!(passes, 2);
}

#[test]
fn passes_that_never_agree_end_with_the_time_and_not_before_the_second() {
    let mut passes = 0;
    let found = settle(Duration::ZERO, || {
        passes += 1;
        suspect(&passes.to_string())
    });
    assert!(matches!(found, Err(InspectError::Busy(_))));
    assert_eq!(passes, 2);
}

#[test]
fn only_findings_that_two_passes_share_are_kept() {
    let mut passes = 0;
    let found = settle(SHORT, || {
        passes += 1;
        Ok(vec![
            Finding::new("lasting", "x"),
            Finding::new("passing", passes.to_string()),
        ])
    });
    assert_eq!(found.unwrap(), [Finding::new("lasting", "x")]);
}
