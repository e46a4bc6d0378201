use super::*;

#[test]
fn errors_say_which_thing_what_was_expected_and_what_was_found() {
    let (applied, commit) = (Index(9), Index(7));
    let refused = Refused::AppliedBeyondCommit { applied, commit };
    assert_eq!(refused.to_string(), "applied i9, but only i7 is committed");
    let (found, limit) = (65, 64);
    let error = MembershipError::TooMany { found, limit };
    assert_eq!(
        error.to_string(),
        "a cluster has at most 64 members, found 65"
    );
    let refused = Refused::BadSnapshot { error };
    assert!(refused.to_string().ends_with(&error.to_string()));
}
