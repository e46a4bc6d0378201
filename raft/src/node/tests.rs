use super::*;
use crate::Consistency;
use crate::testing::{Cluster, id};

#[test]
fn three_nodes_elect_replicate_and_read() {
    let mut cluster = Cluster::of(3);
    let leader = cluster.elect();
    let written = cluster.propose(leader, "a");
    cluster.settle();
    assert!(cluster.is_committed(written));
    for number in 1..=3 {
        let read = cluster.read(id(number), Consistency::Linearizable);
        cluster.settle();
        assert_eq!(cluster.reads[&read], Index(2));
        assert_eq!(cluster.data(number), ["a"]);
    }
}

#[test]
fn a_cluster_survives_the_crash_of_each_leader_in_turn() {
    let mut cluster = Cluster::of(3);
    for round in 0..10 {
        let leader = cluster.elect();
        let written = cluster.propose(leader, &round.to_string());
        cluster.settle();
        assert!(cluster.is_committed(written));
        cluster.restart(leader);
        cluster.run(100);
    }
    cluster.elect();
    let expected: Vec<String> = (0..10).map(|round| round.to_string()).collect();
    assert!((1..=3).all(|number| cluster.data(number) == expected));
}
