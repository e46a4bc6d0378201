//! `expect …`: the point of a script, said and not only recorded.
//!
//! `expect not …` holds when the rest does not.

use cs_raft::{Membership, Readiness, Role};

use crate::cluster::Cluster;
use crate::commands::word;
use crate::words::{links, nodes, number};

/// Checks one expectation.
pub(crate) fn check(cluster: &Cluster, words: &[&str]) -> Result<(), String> {
    if words.first() == Some(&"not") {
        return match check(cluster, &words[1..]) {
            Ok(()) => Err(format!("did not expect {}", words[1..].join(" "))),
            Err(_) => Ok(()),
        };
    }
    match words {
        ["no", "leader", rest @ ..] => {
            let list = nodes(cluster, rest.first().unwrap_or(&"all"))?;
            let leads = |id: &&u64| role(cluster, **id) == Ok("leader".to_owned());
            match list.iter().find(leads) {
                Some(id) => Err(format!("node {id} leads")),
                None => Ok(()),
            }
        }
        ["some", "leader"] => cluster.leader().map(|_| ()),
        ["leader", list] => leader(cluster, &nodes(cluster, list)?),
        ["same"] => same(cluster),
        ["ready", id] => {
            let found = cluster.status(number(id)?)?.readiness;
            equal("readiness", found, Readiness::Ready)
        }
        ["no", "answer", name] => match answer(cluster, name) {
            Ok(text) => Err(format!("{name} was answered: {text}")),
            Err(_) => Ok(()),
        },
        ["answer", name, rest @ ..] => contains(&answer(cluster, name)?, &rest.join(" ")),
        ["shown", rest @ ..] => shown(cluster, &rest.join(" ")),
        ["nothing", "flying", link, rest @ ..] => {
            equal("messages", flying(cluster, link, rest)?, 0)
        }
        ["flying", link, rest @ ..] => {
            let count = rest.get(1).map(|word| number(word)).transpose()?;
            let found = flying(cluster, link, rest)?;
            match count {
                Some(count) => equal("messages", found as u64, count),
                None if found > 0 => Ok(()),
                None => Err("nothing of this kind is under way".to_owned()),
            }
        }
        [what, list, rest @ ..] => nodes(cluster, list)?
            .into_iter()
            .try_for_each(|id| of_node(cluster, what, id, rest)),
        _ => Err("expect wants more words".to_owned()),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    let text = || format!("{what}: expected {expected:?}, found {found:?}");
    if found == expected {
        Ok(())
    } else {
        Err(text())
    }
}

fn contains(found: &str, expected: &str) -> Result<(), String> {
    let text = || format!("expected {expected:?}, found {found:?}");
    if found.contains(expected) {
        Ok(())
    } else {
        Err(text())
    }
}

fn shown(cluster: &Cluster, text: &str) -> Result<(), String> {
    let any = cluster.last_shown.iter().any(|line| line.contains(text));
    if any {
        Ok(())
    } else {
        Err(format!("no line contains {text:?}"))
    }
}

fn answer(cluster: &Cluster, name: &str) -> Result<String, String> {
    let request = number(name.trim_start_matches('r'))?;
    cluster
        .answers
        .get(&request)
        .cloned()
        .ok_or_else(|| format!("{name} has no answer"))
}

fn flying(cluster: &Cluster, link: &str, rest: &[&str]) -> Result<usize, String> {
    Ok(cluster
        .network
        .matching(&links(cluster, link)?, rest.first().copied())
        .len())
}

fn role(cluster: &Cluster, id: u64) -> Result<String, String> {
    Ok(cluster.status(id)?.role.to_string())
}

/// One of these leads, alone and in the newest term.
pub(crate) fn leader(cluster: &Cluster, list: &[u64]) -> Result<(), String> {
    let leader = cluster.leader()?;
    if list.contains(&leader) {
        Ok(())
    } else {
        Err(format!("node {leader} leads"))
    }
}

impl Cluster {
    /// The one node that leads.
    pub(crate) fn leader(&self) -> Result<u64, String> {
        let leads = |id: &u64| {
            self.status(*id)
                .is_ok_and(|status| status.role == Role::Leader)
        };
        let leaders: Vec<u64> = self.up().into_iter().filter(leads).collect();
        match leaders[..] {
            [leader] => Ok(leader),
            [] => Err("nobody leads".to_owned()),
            _ => Err(format!("several lead: {leaders:?}")),
        }
    }
}

/// Logs, as far as they are kept, and states of all that are up are the same.
fn same(cluster: &Cluster) -> Result<(), String> {
    let up = cluster.up();
    let Some((first, rest)) = up.split_first() else {
        return Ok(());
    };
    let first = cluster.driver(*first)?;
    for id in rest {
        let driver = cluster.driver(*id)?;
        equal(&format!("state of node {id}"), &driver.state, &first.state)?;
        let from = driver.base.index.max(first.base.index).0 + 1;
        let log = |driver: &crate::driver::Driver| -> Vec<String> {
            driver
                .log
                .range(from..)
                .map(|(_, entry)| entry.id.to_string())
                .collect()
        };
        equal(&format!("log of node {id}"), log(driver), log(first))?;
    }
    Ok(())
}

fn of_node(cluster: &Cluster, what: &str, id: u64, rest: &[&str]) -> Result<(), String> {
    let driver = cluster.driver(id)?;
    let of = format!("{what} of node {id}");
    let one = || word(rest, 0);
    let ids = |entries: Vec<cs_raft::LogId>| -> Vec<String> {
        entries.into_iter().map(|id| id.to_string()).collect()
    };
    match what {
        "log" => {
            let log = driver.log.values().map(|entry| entry.id).collect();
            equal(&of, ids(log).join(" "), rest.join(" "))
        }
        "durable" => {
            let image = driver.disk.image();
            let log = image.entries.values().map(|entry| entry.id).collect();
            equal(&of, ids(log).join(" "), rest.join(" "))
        }
        "data" => {
            let data: Vec<&str> = driver.state.values().map(String::as_str).collect();
            equal(&of, data.join(" "), rest.join(" "))
        }
        "applied" => equal(&of, driver.applied, number(one()?)?),
        "waiting" => equal(&of, driver.disk.waiting().len() as u64, number(one()?)?),
        "role" => equal(&of, role(cluster, id)?.as_str(), one()?),
        "term" => equal(&of, cluster.status(id)?.term.0, number(one()?)?),
        "commit" => equal(&of, cluster.status(id)?.commit.0, number(one()?)?),
        "vote" => {
            let vote = cluster
                .status(id)?
                .voted_for
                .map_or("none".to_owned(), |id| id.0.to_string());
            equal(&of, vote.as_str(), one()?)
        }
        "last" => equal(&of, cluster.status(id)?.last.to_string().as_str(), one()?),
        "health" => equal(&of, cluster.status(id)?.health.to_string().as_str(), one()?),
        "follows" => {
            let leader = cluster
                .status(id)?
                .leader
                .map_or("none".to_owned(), |id| id.0.to_string());
            equal(&of, leader.as_str(), one()?)
        }
        // Outgoing voters come first while a change is under way.
        "voters" => equal(&of, voters(&cluster.status(id)?.membership), rest.join(" ")),
        "members" => contains(&cluster.status(id)?.membership.to_string(), &rest.join(" ")),
        "peer" => {
            let peers = cluster.status(id)?.peers;
            let peer = number(one()?)?;
            let found = peers
                .iter()
                .find(|it| it.id.0 == peer)
                .ok_or("no such peer")?;
            contains(&format!("{found:?}"), &rest[1..].join(" "))
        }
        _ => Err(format!("nothing is called {what:?}")),
    }
}

fn voters(membership: &Membership) -> String {
    let list = |ids: Vec<cs_raft::NodeId>| -> String {
        let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        ids.join(",")
    };
    let (old, new) = (membership.outgoing_voters(), membership.incoming_voters());
    if old.is_empty() {
        list(new)
    } else {
        format!("{} {}", list(old), list(new))
    }
}
