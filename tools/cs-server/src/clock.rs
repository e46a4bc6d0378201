//! The time of the cluster: that of the newest commit, as clients are told it.
//!
//! The engine's time has milliseconds and a counter, MongoDB's seconds and a counter: the
//! milliseconds go into the counter, so that no two commits have the same time.

use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Binary, RawDocumentBuf, Timestamp, rawdoc};
use collection_store::HybridTime;

use crate::reply::Reply;
use crate::server::Server;

/// Of the engine's time, for the counter of commits in one millisecond.
const COUNTER_BITS: u32 = 16;

/// The time of a commit.
#[must_use]
pub fn timestamp(time: HybridTime) -> Timestamp {
    let ms = time.unix_ms();
    let counter = time.0 & ((1 << COUNTER_BITS) - 1);
    let within = (ms % 1000) << COUNTER_BITS | counter;
    Timestamp {
        time: u32::try_from(ms / 1000).unwrap_or(u32::MAX),
        // Drivers take an increment of 0 for no time at all.
        increment: u32::try_from(within + 1).unwrap_or(u32::MAX),
    }
}

/// The commit of a time; of a time that is none of ours, the first that is not before it.
#[must_use]
pub fn hybrid_time(timestamp: Timestamp) -> HybridTime {
    let within = u64::from(timestamp.increment.saturating_sub(1));
    let ms = u64::from(timestamp.time) * 1000;
    HybridTime((ms << COUNTER_BITS).saturating_add(within))
}

/// The time of the newest commit that is visible; none where the data is closed.
#[must_use]
pub fn now(server: &Server) -> Option<Timestamp> {
    let snapshot = server.database.store().snapshot().ok()?;
    Some(timestamp(snapshot.time()))
}

/// Tells the time in a reply. Everything that the reply tells of had happened by then.
pub(crate) fn stamp(server: &Server, reply: &mut Reply) {
    let Some(now) = now(server) else {
        return;
    };
    reply.document.append(cstr!("operationTime"), now);
    reply
        .document
        .append(cstr!("$clusterTime"), cluster_time(now));
}

/// As clients hand it on to each other. It is not signed: there is nothing that it could harm.
fn cluster_time(time: Timestamp) -> RawDocumentBuf {
    let hash = Binary {
        subtype: BinarySubtype::Generic,
        bytes: vec![0; 20],
    };
    rawdoc! { "clusterTime": time, "signature": { "hash": hash, "keyId": 0_i64 } }
}

#[cfg(test)]
mod tests;
