//! Object ids from the runtime's clock and randomness, so that one seed gives
//! one sequence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bson::oid::ObjectId;
use cs_kv::io::Runtime;

/// Makes object ids: seconds, five random bytes of this generator, a counter.
#[derive(Debug)]
pub(crate) struct ObjectIds {
    runtime: Arc<dyn Runtime>,
    process: [u8; 5],
    counter: AtomicU32,
}

impl ObjectIds {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        let [a, b, c, d, e, ..] = runtime.random().to_le_bytes();
        let [f, g, h, ..] = runtime.random().to_le_bytes();
        let counter = AtomicU32::new(u32::from_le_bytes([f, g, h, 0]));
        Self {
            runtime,
            process: [a, b, c, d, e],
            counter,
        }
    }

    /// The next one. Sixteen million in a second are different.
    pub(crate) fn next(&self) -> ObjectId {
        // The format has four bytes for seconds; it wraps in 2106.
        #[allow(clippy::cast_possible_truncation)]
        let seconds = (self.runtime.unix_ms() / 1000) as u32;
        let [_, counter @ ..] = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        ObjectId::from_parts(seconds, self.process, counter)
    }

    /// A random UUID (version 4).
    pub(crate) fn next_uuid(&self) -> bson::Uuid {
        let (high, low) = (self.runtime.random(), self.runtime.random());
        let mut bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        bytes[6] = bytes[6] & 0x0F | 0x40;
        bytes[8] = bytes[8] & 0x3F | 0x80;
        bson::Uuid::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
