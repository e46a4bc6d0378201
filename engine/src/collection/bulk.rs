//! Bulk load: a whole collection at the speed of the disk.

use std::ops::ControlFlow;

use cs_kv::{BulkOptions, BulkProgress, BulkReport, Duplicates};

use super::inserter::Inserter;
use super::{Collection, MAX_ATTEMPTS};
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};
use crate::input::IntoDocument;
use crate::stats::Counters;

impl Collection {
    /// Inserts many documents: into an empty collection in any order, and behind
    /// its last `_id` in ascending order, several times as fast as
    /// [`insert_many`](Self::insert_many). Creates the collection if need be. Unless
    /// the options say otherwise the load is a chain of commits, of which a first
    /// part is there after an error; see [`BulkOptions`]. A collection with indexes or
    /// rules is loaded by ordinary commits, which keep both.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use bson::doc;
    /// use collection_store::{BulkOptions, Database};
    ///
    /// let database = Database::open_in_memory()?;
    /// let numbers = database.collection("numbers");
    /// let documents = (0..1000).map(|number| doc! { "_id": number });
    /// let report = numbers.bulk_load(documents, &BulkOptions::default(), |_| ControlFlow::Continue(()))?;
    /// assert_eq!(report.entries, 1000);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// Into a collection that has indexes or rules it goes as
    /// [`insert_many`](Self::insert_many) does; an index is not begun, and no option changed,
    /// while something is loaded.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateKey`] names the document by its place in the input; a
    /// document is not valid; `progress` ended it
    /// ([`ErrorKind::Interrupted`]); a commit failed.
    pub fn bulk_load<D: IntoDocument>(
        &self,
        documents: impl IntoIterator<Item = D>,
        options: &BulkOptions,
        progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport> {
        self.bulk_load_with(&OperationContext::new(), documents, options, progress)
    }

    /// [`bulk_load`](Self::bulk_load) with a context. Its durability is that of
    /// the options.
    ///
    /// # Errors
    /// As [`bulk_load`](Self::bulk_load), and those of the context.
    pub fn bulk_load_with<D: IntoDocument>(
        &self,
        context: &OperationContext,
        documents: impl IntoIterator<Item = D>,
        options: &BulkOptions,
        mut progress: impl FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport> {
        self.outside_only("a bulk load")?;
        let watch = context.start(&self.environment.runtime);
        let store = self.environment.writable()?;
        let mut attempts = 0;
        let (entry, _loading) = loop {
            watch.check()?;
            if let Some(entry) = self.environment.entry(&self.namespace)? {
                let loading = self.environment.loads.begin(entry.tree);
                // Which indexes there are: from now on none is begun.
                let now = self.environment.entry(&self.namespace)?;
                if let Some(now) = now.filter(|now| now.tree == entry.tree) {
                    break (now, loading);
                }
                continue;
            }
            attempts += 1;
            if attempts > MAX_ATTEMPTS {
                return Err(self.gave_up());
            }
            match self.create() {
                Err(error) if error.kind() == ErrorKind::NamespaceExists => {}
                created => created?,
            }
        };
        self.check_version(&entry)?;
        let is_migrated = entry
            .versions
            .is_some_and(|versions| versions.ahead.is_some());
        if entry.rules.is_some() || !entry.indexes.is_empty() || is_migrated {
            return self.load_indexed(context, documents, options, &mut progress);
        }
        let entries = documents.into_iter().map(|document| {
            watch.check()?;
            let document = self.prepare(document)?;
            Ok::<_, Error>((document.key, document.document))
        });
        let mut options = options.clone();
        if options.duplicates == Duplicates::Replace {
            options.tell_before |= self.tells_before(&entry);
        }
        let report = store.bulk_load(entry.tree, entries, &options, &mut progress)?;
        Counters::add(&self.environment.counters.inserted, report.entries);
        Ok(report)
    }

    /// Where there are indexes each batch is a commit that maintains them.
    fn load_indexed<D: IntoDocument>(
        &self,
        context: &OperationContext,
        documents: impl IntoIterator<Item = D>,
        options: &BulkOptions,
        progress: &mut dyn FnMut(&BulkProgress) -> ControlFlow<()>,
    ) -> Result<BulkReport> {
        for (is_set, what) in [
            (options.atomic, "an atomic bulk load"),
            (
                options.duplicates == Duplicates::Replace,
                "a bulk load that replaces",
            ),
        ] {
            if is_set {
                let message =
                    format!("{what} is not supported into a collection that has indexes or rules");
                return Err(Error::bad_value(message));
            }
        }
        let context = match options.durability {
            Some(durability) => context.clone().durability(durability),
            None => context.clone(),
        };
        let mut inserter = Inserter::new(self, &context, true);
        let mut told = BulkProgress::default();
        for (position, document) in (0..).zip(documents) {
            if inserter.is_stopped() {
                break;
            }
            if let Err(error) = inserter.push(position, document) {
                return Err(inserter.fail(error));
            }
            told.taken += 1;
            if told.committed != inserter.committed() {
                told.committed = inserter.committed();
                if progress(&told).is_break() {
                    let message = "the bulk load was interrupted";
                    let error = Error::new(ErrorKind::Interrupted, message);
                    return Err(inserter.fail(error));
                }
            }
        }
        let mut outcome = inserter.finish()?;
        if let Some(failed) = outcome.errors.pop() {
            let place = format!("document {} of the bulk load", failed.index);
            return Err(failed.error.at(place).with_written(outcome.inserted));
        }
        let mut report = BulkReport::default();
        report.entries = outcome.inserted;
        Ok(report)
    }
}
