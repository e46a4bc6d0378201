use super::*;

fn replicating(matched: u64) -> Progress {
    let mut peer = Progress::new(Session(1), Index(matched + 1));
    peer.acknowledge(Index(matched));
    peer.replicate();
    peer
}

#[test]
fn a_probe_holds_until_it_is_answered() {
    let mut peer = Progress::new(Session(1), Index(5));
    assert!(!peer.is_held(4, 100));
    peer.sent(Index(9), 50);
    assert!(peer.is_held(4, 100));
    assert_eq!(peer.next, Index(5));
    peer.probe(Index(3), false);
    assert!(!peer.is_held(4, 100));
}

#[test]
fn the_window_closes_by_bytes_and_by_messages_and_opens_with_acknowledgements() {
    let mut peer = replicating(0);
    peer.sent(Index(2), 60);
    assert!(!peer.is_held(4, 100));
    peer.sent(Index(4), 60);
    assert!(peer.is_held(4, 100));
    assert!(peer.is_held(2, 1000));
    assert!(peer.acknowledge(Index(3)));
    assert_eq!(
        (peer.inflight_bytes(), peer.matched, peer.next),
        (60, Index(3), Index(5))
    );
    assert!(!peer.is_held(2, 1000));
    assert!(!peer.acknowledge(Index(2)), "an older one is no news");
}

#[test]
fn looking_back_never_goes_below_what_has_matched() {
    let mut peer = replicating(7);
    peer.sent(Index(9), 10);
    peer.probe(Index(2), false);
    assert_eq!((peer.next, peer.inflight_bytes()), (Index(8), 0));
}
