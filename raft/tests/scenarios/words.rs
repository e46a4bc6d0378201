//! The words of a command: nodes, links, durations, options.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::network::Link;

/// A number.
pub(crate) fn number(word: &str) -> Result<u64, String> {
    word.parse()
        .map_err(|_| format!("expected a number, found {word:?}"))
}

/// `1,2,3`, or `all` nodes that are up, or the `leader`.
pub(crate) fn nodes(cluster: &Cluster, word: &str) -> Result<Vec<u64>, String> {
    match word {
        "all" => Ok(cluster.up()),
        "leader" => cluster.leader().map(|id| vec![id]),
        list => list.split(',').map(number).collect(),
    }
}

/// `1->2`, `1-2` for both directions, and `*` for every node.
pub(crate) fn links(cluster: &Cluster, word: &str) -> Result<Vec<Link>, String> {
    let (ends, both) = match word.split_once("->") {
        Some(ends) => (ends, false),
        None => (
            word.split_once('-')
                .ok_or(format!("expected a link, found {word:?}"))?,
            true,
        ),
    };
    let end = |word: &str| match word {
        "*" => Ok(cluster.drivers.keys().copied().collect()),
        list => list.split(',').map(number).collect::<Result<Vec<_>, _>>(),
    };
    let (from, to) = (end(ends.0)?, end(ends.1)?);
    let mut links = Vec::new();
    for &from in &from {
        for &to in to.iter().filter(|&&to| to != from) {
            links.push((from, to));
            links.extend(both.then_some((to, from)));
        }
    }
    Ok(links)
}

/// Whether a word names a link.
pub(crate) fn is_link(word: &str) -> bool {
    let first = word.chars().next();
    word.contains('-') && first.is_some_and(|first| first.is_ascii_digit() || first == '*')
}

/// `150ms` or `2s`.
pub(crate) fn duration(word: &str) -> Result<Duration, String> {
    if let Some(millis) = word.strip_suffix("ms") {
        return number(millis).map(Duration::from_millis);
    }
    let seconds = word
        .strip_suffix('s')
        .ok_or(format!("expected a time, found {word:?}"))?;
    number(seconds).map(Duration::from_secs)
}

#[test]
fn links_go_one_way_or_both() {
    let cluster = Cluster::default();
    assert_eq!(links(&cluster, "1->2").unwrap(), [(1, 2)]);
    assert_eq!(
        links(&cluster, "1-2,3").unwrap(),
        [(1, 2), (2, 1), (1, 3), (3, 1)]
    );
    assert!(links(&cluster, "12").is_err());
}

#[test]
fn times_have_units() {
    assert_eq!(duration("150ms").unwrap(), Duration::from_millis(150));
    assert_eq!(duration("2s").unwrap(), Duration::from_secs(2));
    assert!(duration("2").is_err());
}
