//! One batch of a cursor: as many documents as were asked for and fit into a reply.

use std::time::{Duration, Instant};

use collection_store::CancelFlag;
use collection_store::values::MAX_DOCUMENT_LEN;

use super::{Cursor, Step};
use crate::error::{CommandError, Result};
use crate::reply::BatchWriter;

/// The first batch of a query that asks for no size, as in MongoDB.
pub const FIRST_BATCH: u64 = 101;
/// No batch grows beyond this, but that one document always fits.
const MAX_BATCH_BYTES: usize = MAX_DOCUMENT_LEN;

/// How large a batch may be, and how long it may take.
#[derive(Clone, Debug)]
pub struct BatchLimits {
    /// Documents.
    pub documents: u64,
    /// How long to wait for the first where there is none yet.
    pub wait: Option<Duration>,
    /// Stops the request that asks for it.
    pub cancel: CancelFlag,
}

/// What a batch came to.
#[derive(Debug)]
pub struct Batch {
    /// Its documents.
    pub writer: BatchWriter,
    /// Whether there may be more.
    pub has_more: bool,
}

impl Batch {
    /// Fills a batch of this name from a cursor.
    ///
    /// # Errors
    /// Those of the query; its time is up (50).
    pub fn fill(name: &'static str, cursor: &mut Cursor, limits: &BatchLimits) -> Result<Self> {
        let began = Instant::now();
        let timer = cursor.time_left.map(|left| Timer::new(left, cursor));
        let filled = Self::fill_until(name, cursor, limits, began);
        let is_late = timer.is_some_and(|timer| timer.is_over());
        cursor.time_left = cursor
            .time_left
            .map(|left| left.saturating_sub(began.elapsed()));
        match filled {
            Err(error) if is_late && error.code == 11601 => {
                Err(CommandError::new(50, "operation exceeded time limit"))
            }
            other => other,
        }
    }

    fn fill_until(
        name: &'static str,
        cursor: &mut Cursor,
        limits: &BatchLimits,
        began: Instant,
    ) -> Result<Self> {
        let mut writer = BatchWriter::new(name);
        let Cursor {
            source, pending, ..
        } = cursor;
        if limits.documents > 0
            && let Some(document) = pending.take()
        {
            writer.push(&document);
        }
        let has_more = loop {
            if writer.documents() as u64 >= limits.documents {
                break pending.is_some() || !source.is_at_end();
            }
            if limits.cancel.is_cancelled() {
                let message = "the operation was interrupted";
                return Err(CommandError::new(11601, message));
            }
            match source.next()? {
                Step::Document(document) => {
                    let len = writer.len() + document.as_bytes().len();
                    if !writer.is_empty() && len > MAX_BATCH_BYTES {
                        *pending = Some(document.to_owned());
                        break true;
                    }
                    writer.push(document);
                }
                Step::End => break false,
                Step::Pause => {
                    let left = limits.wait.map(|wait| wait.saturating_sub(began.elapsed()));
                    match left.filter(|left| !left.is_zero() && writer.is_empty()) {
                        Some(left) if source.wait(left) => {}
                        _ => break true,
                    }
                    if cursor.cancel.is_cancelled() || limits.cancel.is_cancelled() {
                        return Err(CommandError::new(237, "the cursor was killed"));
                    }
                }
            }
        };
        Ok(Self { writer, has_more })
    }
}

/// Stops a cursor when its time is up. The engine's own limit would count the time between
/// two requests, in which the client is thinking.
#[derive(Debug)]
struct Timer {
    task: Option<tokio::task::JoinHandle<()>>,
    until: Instant,
}

impl Timer {
    fn new(left: Duration, cursor: &Cursor) -> Self {
        let cancel = cursor.cancel.clone();
        let task = tokio::runtime::Handle::try_current().ok().map(|runtime| {
            runtime.spawn(async move {
                tokio::time::sleep(left).await;
                cancel.cancel();
            })
        });
        Self {
            task,
            until: Instant::now() + left,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
