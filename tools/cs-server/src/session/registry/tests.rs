#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::doc;
use collection_store::OperationContext;

use super::*;

fn id(number: u32) -> SessionId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    id
}

#[test]
fn a_session_is_begun_by_its_first_use_and_gone_when_it_ends() {
    let sessions = Sessions::default();
    sessions.enter(id(1)).unwrap();
    sessions.enter(id(1)).unwrap();
    assert_eq!(sessions.count(), 1);
    assert!(sessions.end(&id(1)).is_some());
    assert!(sessions.end(&id(1)).is_none());
    assert!(sessions.find(&id(1)).is_none());
}

#[test]
fn there_are_only_so_many_sessions() {
    let sessions = Sessions::default();
    for number in 0..u32::try_from(MAX_SESSIONS).unwrap() {
        sessions.enter(id(number)).unwrap();
    }
    assert_eq!(sessions.enter(id(u32::MAX)).unwrap_err().code, 261);
    sessions.enter(id(0)).unwrap();
}

#[test]
fn a_session_that_nobody_uses_is_found_unless_a_command_of_it_runs() {
    let sessions = Sessions::default();
    let (idle, busy) = (
        sessions.enter(id(1)).unwrap(),
        sessions.enter(id(2)).unwrap(),
    );
    let _turn = busy.turn();
    assert_eq!(sessions.unused_for(Duration::ZERO), [idle.id]);
    assert_eq!(sessions.unused_for(SESSION_TIMEOUT), [[0; 16]; 0]);
}

#[test]
fn what_is_kept_of_a_session_is_forgotten_when_it_has_ended() {
    let database = Database::open_in_memory().unwrap();
    let statement = OperationContext::new().statement(id(1), 1);
    let collection = database.collection("c");
    collection.insert_one_with(&statement, doc! {}).unwrap();
    // As after a restart.
    let sessions = Sessions::of(&database).unwrap();
    assert_eq!(sessions.all(), [id(1)]);
    sessions.forget(&database);
    assert!(
        database.last_statement(&id(1)).unwrap().is_some(),
        "it goes on"
    );
    sessions.end(&id(1));
    sessions.forget(&database);
    assert!(database.last_statement(&id(1)).unwrap().is_none());
}
