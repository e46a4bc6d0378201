//! A map in memory, to try the workloads on without a database.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use bson::Bson;
use bson::raw::{RawDocument, RawDocumentBuf};

use crate::error::BenchError;

use super::target::{Backend, Target};

/// The map.
#[derive(Debug, Default)]
pub(crate) struct MemoryTarget {
    documents: Mutex<BTreeMap<String, RawDocumentBuf>>,
    /// Forgets every insertion.
    forgetful: bool,
}

impl MemoryTarget {
    /// One that acknowledges every insertion and keeps none.
    pub(crate) fn forgetful() -> Self {
        Self {
            forgetful: true,
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, RawDocumentBuf>> {
        self.documents.lock().unwrap()
    }
}

fn key(id: &Bson) -> &str {
    id.as_str().unwrap()
}

impl Target for MemoryTarget {
    fn insert(&self, document: &RawDocument) -> Result<(), BenchError> {
        let key = document.get_str("_id").unwrap().to_owned();
        if !self.forgetful {
            let previous = self.lock().insert(key, document.to_owned());
            assert_eq!(previous, None, "keys are unique");
        }
        Ok(())
    }

    fn insert_many(&self, documents: &[RawDocumentBuf]) -> Result<(), BenchError> {
        documents
            .iter()
            .try_for_each(|document| self.insert(document))
    }

    fn find(&self, id: &Bson) -> Result<Option<usize>, BenchError> {
        Ok(self
            .lock()
            .get(key(id))
            .map(|document| document.as_bytes().len()))
    }

    fn scan(
        &self,
        each: &mut dyn FnMut(&RawDocument) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        self.lock().values().try_for_each(|document| each(document))
    }

    fn delete(&self, id: &Bson) -> Result<bool, BenchError> {
        Ok(self.lock().remove(key(id)).is_some())
    }

    fn count(&self) -> Result<u64, BenchError> {
        Ok(self.lock().len() as u64)
    }

    fn backend(&self) -> Backend {
        Backend {
            name: "map".to_owned(),
            fallbacks: Vec::new(),
            direct_io: false,
            ring_writes: 0,
            syscall_writes: 0,
        }
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        Ok(())
    }
}
