//! `cluster 1,2,3 learners=4 …`: who is there at the beginning, and with which options.

use std::time::Duration;

use cs_raft::{Config, Kind, Lease, Member, Members, Membership, NodeId};

use crate::cluster::Cluster;
use crate::words::{duration, number};

/// Timeouts of every script, unless it says otherwise: round numbers that a reader can add up.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(100);
/// A lease is nine tenths of an election timeout long.
const LEASE: Lease = Lease {
    max_drift_per_mille: 100,
};
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(3);

/// Members by kind, as `change` and `cluster` name them.
///
/// `voters=1,2 learners=3 hidden=4 witnesses=5 delayed=6:5s priority=1:200`
pub(crate) fn members(words: &[&str]) -> Result<Members, String> {
    let mut members = Members::new();
    for word in words {
        let is_list = word.starts_with(|first: char| first.is_ascii_digit());
        let bare = if is_list {
            ("voters", *word)
        } else {
            (*word, "")
        };
        let (name, list) = word.split_once('=').unwrap_or(bare);
        for item in list.split(',').filter(|item| !item.is_empty()) {
            let (id, more) = item.split_once(':').unwrap_or((item, ""));
            let (hidden, delay) = (name == "hidden", Duration::ZERO);
            let kind = match name {
                "voters" => Member::voter().kind,
                "witnesses" => Kind::Witness,
                "learners" | "hidden" => Kind::Learner { hidden, delay },
                "delayed" => Kind::Learner {
                    hidden,
                    delay: duration(more)?,
                },
                "priority" => {
                    let priority =
                        u8::try_from(number(more)?).map_err(|error| error.to_string())?;
                    Kind::Voter { priority }
                }
                _ => continue,
            };
            members.insert(NodeId(number(id)?), Member::of(kind));
        }
    }
    Ok(members)
}

/// Options that are not members.
fn config(id: u64, words: &[&str]) -> Result<Config, String> {
    let mut config = Config::new(NodeId(id), id);
    config.election_timeout = ELECTION_TIMEOUT;
    config.heartbeat_interval = HEARTBEAT_INTERVAL;
    config.transfer_timeout = ELECTION_TIMEOUT;
    config.snapshot_timeout = SNAPSHOT_TIMEOUT;
    let size = |text: &str| number(text).map(|found| usize::try_from(found).unwrap_or(usize::MAX));
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "seed" => config.seed = id + 1000 * number(value)?,
            "window" => config.window_bytes = size(value)?,
            "messages" => config.window_messages = size(value)?,
            "append" => config.max_append_bytes = size(value)?,
            "cache" => config.cache_bytes = size(value)?,
            "uncommitted" => config.max_uncommitted_bytes = size(value)?,
            "unpersisted" => config.max_unpersisted_bytes = size(value)?,
            "payload" => config.max_payload_bytes = size(value)?,
            "pending-reads" => config.max_pending_reads = size(value)?,
            "lease" => config.lease = Some(LEASE),
            "voters" | "learners" | "hidden" | "witnesses" | "delayed" | "priority" | "spare" => {}
            list if list.starts_with(|first: char| first.is_ascii_digit()) => {}
            unknown => return Err(format!("there is no option {unknown:?}")),
        }
    }
    Ok(config)
}

/// Makes the cluster.
pub(crate) fn cluster(words: &[&str]) -> Result<Cluster, String> {
    let members = members(words)?;
    let mut cluster = Cluster::default();
    for &id in members.keys() {
        cluster.add(config(id.0, words)?, Membership::new(members.clone()))?;
    }
    let spare = words.iter().find_map(|word| word.strip_prefix("spare="));
    for id in spare
        .unwrap_or_default()
        .split(',')
        .filter(|id| !id.is_empty())
    {
        cluster.add(config(number(id)?, words)?, Membership::default())?;
    }
    // A node that was just started keeps what it may have promised before; here that is long ago.
    for id in cluster.up() {
        cluster.pass(id, ELECTION_TIMEOUT, false)?;
    }
    Ok(cluster)
}
