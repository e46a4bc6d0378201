//! Operations under way: what `currentOp` shows, and `killOp` ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use collection_store::CancelFlag;
use parking_lot::Mutex;

/// A command that is being carried out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    /// Its number.
    pub id: i32,
    /// Which command; `unknown` if it is none.
    pub command: &'static str,
    /// The database.
    pub database: String,
    /// What it is about: a collection, where the command names one.
    pub collection: Option<String>,
    /// The connection that it came over.
    pub connection: i32,
    /// Who gave it.
    pub user: Option<String>,
    /// When it began.
    pub begun: Instant,
    /// Ends it.
    pub cancel: CancelFlag,
}

impl Operation {
    /// What it is about.
    #[must_use]
    pub fn namespace(&self) -> String {
        match &self.collection {
            Some(collection) => format!("{}.{collection}", self.database),
            None => self.database.clone(),
        }
    }
}

/// All that are under way.
#[derive(Debug, Default)]
pub struct Operations {
    last_id: AtomicI32,
    running: Mutex<HashMap<i32, Arc<Operation>>>,
}

/// An operation that ends with this.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    operations: &'a Operations,
    pub(crate) operation: Arc<Operation>,
}

impl Operations {
    /// An operation begins; its number is filled in.
    pub(crate) fn begin(&self, mut operation: Operation) -> Running<'_> {
        operation.id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let operation = Arc::new(operation);
        self.running
            .lock()
            .insert(operation.id, Arc::clone(&operation));
        Running {
            operations: self,
            operation,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.lock().len()
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Operation>> {
        let mut list: Vec<_> = self.running.lock().values().cloned().collect();
        list.sort_by_key(|operation| operation.begun);
        list
    }

    /// Tells an operation to end; whether it is there. It ends at its next step, with code 11601.
    pub fn kill(&self, id: i32) -> bool {
        let running = self.running.lock();
        let found = running.get(&id);
        if let Some(operation) = found {
            operation.cancel.cancel();
        }
        found.is_some()
    }

    /// Tells all to end.
    pub fn kill_all(&self) {
        for operation in self.running.lock().values() {
            operation.cancel.cancel();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.operations.running.lock().remove(&self.operation.id);
    }
}
