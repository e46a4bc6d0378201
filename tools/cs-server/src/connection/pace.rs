//! How many commands a connection may send in a second: one that sends more waits.

use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Counts the commands of the second that is under way.
#[derive(Debug)]
pub(super) struct Pace {
    /// 0: any.
    limit: u32,
    count: u32,
    since: Instant,
}

impl Pace {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit,
            count: 0,
            since: Instant::now(),
        }
    }

    /// A command came; waits for the next second if this one has had its share.
    pub(super) async fn keep(&mut self) {
        if self.limit == 0 {
            return;
        }
        if self.count >= self.limit {
            tokio::time::sleep_until(self.since + SECOND).await;
        }
        if self.since.elapsed() >= SECOND {
            (self.count, self.since) = (0, Instant::now());
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests;
