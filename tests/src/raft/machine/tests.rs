use super::{Command, Machine, Request, filler};

fn request(client: u64, number: u64, command: Command) -> Request {
    Request {
        client,
        number,
        key: 2,
        command,
        attempt: 9,
    }
}

#[test]
fn requests_come_back_from_their_bytes() {
    let commands = [
        Command::Write { value: 7 },
        Command::CompareAndSet {
            from: 1,
            to: u64::MAX,
        },
    ];
    for command in commands {
        let one = request(3, 4, command);
        assert_eq!(Request::decode(&one.encode(5)), Some(one));
    }
    assert_eq!(Request::decode(&filler(100)), None);
    assert_eq!(Request::decode(&[0; 8]), None);
}

#[test]
fn what_is_sent_twice_is_done_once_and_answered_the_same() {
    let mut machine = Machine::new();
    let first = request(0, 1, Command::Write { value: 5 });
    let swap = request(0, 2, Command::CompareAndSet { from: 5, to: 6 });
    assert_eq!(machine.apply(Some(first)), Some(0));
    assert_eq!(machine.apply(Some(swap)), Some(5));
    assert_eq!(
        machine.apply(Some(swap)),
        Some(5),
        "the answer of the first time"
    );
    assert_eq!(machine.apply(Some(first)), None, "older than the newest");
    assert_eq!((machine.read(2), machine.applied), (6, 4));
    assert_eq!(
        (machine.answer(0, 2), machine.answer(0, 1)),
        (Some(5), None)
    );
}

#[test]
fn a_replacement_of_another_value_changes_nothing() {
    let mut machine = Machine::new();
    let swap = request(1, 1, Command::CompareAndSet { from: 5, to: 6 });
    assert_eq!(machine.apply(Some(swap)), Some(0));
    assert_eq!(machine.read(2), 0);
}

#[test]
fn the_hash_tells_other_pasts_apart() {
    let write = |value| Some(request(0, 1, Command::Write { value }));
    let of = |entries: &[Option<Request>]| {
        let mut machine = Machine::new();
        for entry in entries {
            machine.apply(*entry);
        }
        machine.hash
    };
    assert_eq!(of(&[write(1), None]), of(&[write(1), None]));
    assert_ne!(of(&[write(1), None]), of(&[None, write(1)]));
    assert_ne!(of(&[write(1)]), of(&[write(2)]));
}
