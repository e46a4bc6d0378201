#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use super::*;

fn numbers(count: i32) -> Cursor {
    let documents = (0..count).map(|n| rawdoc! { "_id": n }).collect();
    Cursor {
        namespace: "a.b".to_owned(),
        source: Box::new(Listed::new(documents)),
        pending: None,
        lsid: None,
        txn_number: None,
        owner: None,
        cancel: CancelFlag::new(),
        time_left: None,
        never_times_out: false,
    }
}

fn limits(documents: u64) -> BatchLimits {
    BatchLimits {
        documents,
        wait: None,
        cancel: CancelFlag::new(),
    }
}

#[test]
fn a_batch_has_as_many_documents_as_were_asked_for() {
    let mut cursor = numbers(5);
    let first = Batch::fill("firstBatch", &mut cursor, &limits(3)).unwrap();
    assert_eq!((first.writer.documents(), first.has_more), (3, true));
    let second = Batch::fill("nextBatch", &mut cursor, &limits(3)).unwrap();
    assert_eq!((second.writer.documents(), second.has_more), (2, false));
}

#[test]
fn a_document_that_does_not_fit_begins_the_next_batch() {
    let large = rawdoc! { "_id": 1, "text": "x".repeat(9 << 20) };
    let mut cursor = numbers(0);
    cursor.source = Box::new(Listed::new(vec![large.clone(), large.clone(), large]));
    for more in [true, true, false] {
        let batch = Batch::fill("nextBatch", &mut cursor, &limits(100)).unwrap();
        assert_eq!((batch.writer.documents(), batch.has_more), (1, more));
    }
}

#[test]
fn a_cursor_is_for_one_request_at_a_time_and_for_who_names_its_collection() {
    let cursors = Cursors::default();
    let id = cursors.keep(numbers(5)).unwrap();
    assert_eq!(cursors.take(id, "a.c", None).unwrap_err().code, 13);
    assert_eq!(cursors.take(id, "a.b", Some("eve")).unwrap_err().code, 13);
    let cursor = cursors.take(id, "a.b", None).unwrap();
    assert_eq!(cursors.take(id, "a.b", None).unwrap_err().code, 12051);
    cursors.put_back(id, cursor);
    assert!(cursors.kill(id));
    assert_eq!(cursors.take(id, "a.b", None).unwrap_err().code, 43);
}

#[test]
fn a_cursor_that_is_killed_while_a_request_is_at_it_is_not_put_back() {
    let cursors = Cursors::default();
    let id = cursors.keep(numbers(5)).unwrap();
    let cursor = cursors.take(id, "a.b", None).unwrap();
    let killed = cursors.kill_all(&[id, 7], "a.b", None);
    assert_eq!(
        killed
            .get_array("cursorsKilled")
            .unwrap()
            .into_iter()
            .count(),
        1
    );
    assert_eq!(
        killed
            .get_array("cursorsNotFound")
            .unwrap()
            .into_iter()
            .count(),
        1
    );
    cursors.put_back(id, cursor);
    assert_eq!(cursors.figures().open, 0);
}

#[test]
fn a_cursor_that_nobody_asks_for_is_ended_unless_it_said_otherwise() {
    let cursors = Cursors::default();
    cursors.keep(numbers(5)).unwrap();
    let patient = Cursor {
        never_times_out: true,
        ..numbers(5)
    };
    let patient = cursors.keep(patient).unwrap();
    cursors.reap(Instant::now() + IDLE_TIMEOUT);
    assert_eq!(
        (cursors.figures().open, cursors.figures().timed_out),
        (1, 1)
    );
    assert!(cursors.take(patient, "a.b", None).is_ok());
}
