//! Cursors of clients: what is left of a query between two requests.

use std::time::Instant;

/// The cursors of all clients.
#[derive(Debug, Default)]
pub struct Cursors {}

impl Cursors {
    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        0
    }

    /// Ends a cursor.
    pub fn kill(&self, _id: i64) {}

    /// Ends those that nobody asked for long.
    pub fn reap(&self, _now: Instant) {}

    /// Ends all.
    pub fn clear(&self) {}
}
