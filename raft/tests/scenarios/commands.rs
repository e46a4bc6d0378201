//! The commands of a script, but for `expect`.

use cs_raft::{Consistency, Event, NodeId};

use crate::cluster::Cluster;
use crate::network::Which;
use crate::words::{duration, is_link, links, nodes, number};
use crate::{expect, setup};

/// Carries one command out.
pub(crate) fn run(cluster: &mut Cluster, command: &str) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (&verb, words) = words.split_first().ok_or("an empty command")?;
    match verb {
        "quietly" => {
            run(cluster, command.trim_start_matches("quietly").trim_start())?;
            // Not shown, but `expect shown` may still look at it.
            Ok(())
        }
        "expect" => expect::check(cluster, words),
        "cluster" => {
            *cluster = setup::cluster(words)?;
            Ok(())
        }
        "settle" => cluster.settle(),
        "heal" => {
            cluster.network.heal();
            Ok(())
        }
        "run" => cluster.run(duration(word(words, 0)?)?),
        "lead" => lead(cluster, number(word(words, 0)?)?),
        "pass" => {
            let time = duration(word(words, 0)?)?;
            let list = nodes(cluster, words.get(1).unwrap_or(&"all"))?;
            let tick = words.get(2) != Some(&"unheard");
            list.into_iter()
                .try_for_each(|id| cluster.pass(id, time, tick))
        }
        "deliver" | "drop" | "duplicate" | "cut" | "hold" | "release" | "fail-snapshot" => {
            on_links(cluster, verb, words)
        }
        "propose" | "read" | "change" | "transfer" => request(cluster, verb, words),
        _ => {
            let list = nodes(cluster, word(words, 0)?)?;
            let more = words.get(1).copied();
            list.into_iter()
                .try_for_each(|id| on_node(cluster, verb, id, more))
        }
    }
}

/// The word at a place.
pub(crate) fn word<'a>(words: &[&'a str], place: usize) -> Result<&'a str, String> {
    words
        .get(place)
        .copied()
        .ok_or_else(|| "the command wants more words".to_owned())
}

/// Elects a node: nobody stands in its way.
fn lead(cluster: &mut Cluster, id: u64) -> Result<(), String> {
    expire(cluster, &cluster.up())?;
    cluster.campaign(id)?;
    cluster.settle()?;
    expect::leader(cluster, &[id])
}

/// Whatever these nodes have heard of a leader is long ago; they do not notice by themselves.
fn expire(cluster: &mut Cluster, list: &[u64]) -> Result<(), String> {
    for &id in list {
        let timeout = cluster.driver(id)?.config.election_timeout;
        cluster.pass(id, timeout, false)?;
    }
    Ok(())
}

/// Commands about a node.
fn on_node(cluster: &mut Cluster, verb: &str, id: u64, more: Option<&str>) -> Result<(), String> {
    let driver = cluster
        .drivers
        .get_mut(&id)
        .ok_or(format!("there is no node {id}"))?;
    match verb {
        "slow" => driver.slow = true,
        "fast" => driver.slow = false,
        "lazy" => driver.lazy = true,
        "eager" => driver.lazy = false,
        "crash" => {
            driver.crash(more == Some("process"));
            cluster.forget(id);
        }
        "restart" => return cluster.restart(id),
        "expire" => return expire(cluster, &[id]),
        "campaign" => return cluster.campaign(id),
        "beat" => {
            let interval = driver.config.heartbeat_interval;
            return cluster.pass(id, interval, true);
        }
        "stall" => return cluster.on(id, Event::DiskStalled),
        "well" => return cluster.on(id, Event::DiskHealthy),
        "persist" | "fail" => {
            let mut waiting = driver.disk.waiting();
            match more {
                Some("first") => waiting.truncate(1),
                Some("last") => drop(waiting.drain(..waiting.len().saturating_sub(1))),
                _ => {}
            }
            let done = verb == "persist";
            return waiting
                .into_iter()
                .try_for_each(|ticket| cluster.complete(id, ticket, done));
        }
        "apply" => {
            let upto = more.map_or(Ok(u64::MAX), number)?;
            return cluster.with(id, |driver, trace| driver.apply(upto, trace));
        }
        "compact" => {
            let applied = driver.applied;
            let upto = more
                .filter(|&word| word != "all")
                .map_or(Ok(applied), number)?;
            return cluster.with(id, |driver, trace| driver.compact(upto, trace));
        }
        _ => return Err(format!("there is no command {verb:?}")),
    }
    Ok(())
}

/// Commands about links: the links, then a kind, then which of several.
fn on_links(cluster: &mut Cluster, verb: &str, words: &[&str]) -> Result<(), String> {
    let mut list = Vec::new();
    for word in words.iter().take_while(|word| is_link(word)) {
        list.extend(links(cluster, word)?);
    }
    let more: Vec<&str> = words
        .iter()
        .copied()
        .skip_while(|word| is_link(word))
        .collect();
    let which = match more.last() {
        Some(&"first") => Which::First,
        Some(&"last") => Which::Last,
        _ => Which::All,
    };
    let kind = more
        .first()
        .copied()
        .filter(|&word| word != "first" && word != "last");
    match verb {
        "deliver" => return cluster.deliver(&list, kind, which),
        "cut" => cluster.network.cut(&list),
        "hold" => cluster.network.hold(&list, kind),
        "release" => cluster.network.release(&list),
        "fail-snapshot" => {
            for flying in cluster.network.take(&list, Some("snapshot"), which) {
                let (to, session) = (NodeId(flying.link.1), flying.parcel.session());
                cluster.on(flying.link.0, Event::SnapshotSendFailed { to, session })?;
            }
        }
        "duplicate" => {
            for flying in cluster.network.copies(&list, kind, which) {
                cluster.network.send(flying.link, flying.parcel);
            }
        }
        _ if cluster.network.take(&list, kind, which).is_empty() => {
            return Err("nothing of this kind is under way there".to_owned());
        }
        _ => {}
    }
    Ok(())
}

/// Commands of clients. Answers are `r1`, `r2`, … in the order of the requests.
fn request(cluster: &mut Cluster, verb: &str, words: &[&str]) -> Result<(), String> {
    let node = nodes(cluster, word(words, 0)?)?[0];
    let rest = &words[1..];
    match verb {
        "propose" => {
            let payloads = Cluster::payloads(rest);
            cluster.request(node, |id| Event::Propose { id, payloads })
        }
        "read" => {
            let consistency = match rest.first() {
                Some(&"lease") => Consistency::Lease,
                Some(&"local") => Consistency::Local,
                _ => Consistency::Linearizable,
            };
            cluster.request(node, |id| Event::Read { id, consistency })
        }
        "change" => {
            let members = setup::members(rest)?;
            cluster.request(node, |id| Event::ChangeMembership { id, members })
        }
        _ => {
            let to = rest
                .first()
                .map(|word| number(word).map(NodeId))
                .transpose()?;
            cluster.request(node, |id| Event::Transfer { id, to })
        }
    }
}
