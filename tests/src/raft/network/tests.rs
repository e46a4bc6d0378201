use super::{Network, Weather};
use crate::raft::dice::Dice;

const FINE: Weather = Weather {
    delay: (10, 20),
    lost: 0,
    doubled: 0,
    replayed: 0,
    late: 0,
    late_by: 0,
};

/// What arrives of 1,000 messages, with the delays.
fn arrived(network: &mut Network<u64>) -> Vec<(u64, u64)> {
    let (mut dice, mut arrived) = (Dice::new(1), Vec::new());
    for message in 0..1000 {
        let deliver = |delay, _, _, message| arrived.push((delay, message));
        network.send(&mut dice, 0, (0, 1), message, deliver);
    }
    arrived
}

#[test]
fn in_fine_weather_every_message_arrives_once() {
    let arrived = arrived(&mut Network::new(FINE));
    assert_eq!(arrived.len(), 1000);
    assert!(arrived.iter().all(|(delay, _)| (10..=20).contains(delay)));
}

#[test]
fn bad_weather_loses_doubles_and_replays_until_it_is_healed() {
    let lost = arrived(&mut Network::new(Weather { lost: 300, ..FINE })).len();
    assert!((600..800).contains(&lost), "{lost}");
    let doubled = arrived(&mut Network::new(Weather {
        doubled: 300,
        ..FINE
    }))
    .len();
    assert!((1200..1400).contains(&doubled), "{doubled}");
    let mut network = Network::new(Weather {
        replayed: 300,
        ..FINE
    });
    let replayed = arrived(&mut network).len();
    assert!((1200..1400).contains(&replayed), "{replayed}");
    network.heal();
    assert_eq!(arrived(&mut network).len(), 1000);
}

#[test]
fn a_link_that_was_cut_twice_is_open_after_two_mendings() {
    let mut network = Network::new(FINE);
    network.cut(0, 1);
    network.cut(0, 1);
    network.mend(0, 1);
    assert!(arrived(&mut network).is_empty());
    assert!(network.is_open(1, 0), "one direction only");
    network.mend(0, 1);
    assert_eq!(arrived(&mut network).len(), 1000);
}

#[test]
fn a_clogged_link_brings_everything_afterwards() {
    let mut network = Network::new(FINE);
    network.clog(0, 1, 500);
    let arrived = arrived(&mut network);
    assert!(arrived.len() == 1000 && arrived.iter().all(|(delay, _)| *delay > 500));
}
