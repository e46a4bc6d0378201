//! Whole collections in and out, as lines of JSON.

use std::io::{BufRead, Write};

use super::Collection;
use super::inserter::Inserter;
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result, WriteError};
use crate::filter::Filter;
use crate::json::{Form, LineReader, LineWriter, MAX_LINE_LEN};

/// After how many documents progress is told.
const PROGRESS_STEP: u64 = 1000;

/// How lines are imported.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Leave out lines that are no document, and documents that cannot be
    /// inserted, instead of stopping at the first.
    pub skip_bad_lines: bool,
    /// How many of their errors the report keeps.
    pub kept_errors: usize,
    /// The longest line, in bytes.
    pub max_line_len: usize,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            skip_bad_lines: false,
            kept_errors: 100,
            max_line_len: MAX_LINE_LEN,
        }
    }
}

/// What an import came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// Documents inserted.
    pub inserted: u64,
    /// Lines left out.
    pub skipped: u64,
    /// The first of their errors; the index is the number of the line, from 1.
    pub errors: Vec<WriteError>,
}

impl Collection {
    /// Inserts a document for each line of extended JSON; blank lines are
    /// skipped. `progress` is told now and then how many were committed; only the
    /// report counts what was acknowledged.
    ///
    /// Documents are committed in batches as with
    /// [`insert_many`](Self::insert_many): what was committed before an error stays.
    ///
    /// # Errors
    /// A line is no document or cannot be inserted
    /// ([`ErrorKind::BulkWrite`], whose index is the number of the line), or the
    /// reader or a commit failed.
    pub fn import_ndjson(
        &self,
        reader: impl BufRead,
        options: &ImportOptions,
        progress: impl FnMut(u64),
    ) -> Result<ImportReport> {
        self.import_ndjson_with(&OperationContext::new(), reader, options, progress)
    }

    /// [`import_ndjson`](Self::import_ndjson) with a context.
    ///
    /// # Errors
    /// As [`import_ndjson`](Self::import_ndjson), and those of the context.
    pub fn import_ndjson_with(
        &self,
        context: &OperationContext,
        reader: impl BufRead,
        options: &ImportOptions,
        mut progress: impl FnMut(u64),
    ) -> Result<ImportReport> {
        let mut lines = LineReader::with_limit(reader, options.max_line_len);
        let mut inserter = Inserter::new(self, context, !options.skip_bad_lines);
        let mut report = ImportReport::default();
        let mut told = 0;
        while let Some(line) = lines.next() {
            let number = lines.line_number();
            let pushed = match line {
                Ok(document) => inserter.push(number, document),
                Err(error) if matches!(error.kind(), ErrorKind::Io) => Err(error),
                Err(error) => inserter.refuse(number, error),
            };
            if let Err(error) = pushed {
                return Err(inserter.fail(error));
            }
            if inserter.is_stopped() {
                break;
            }
            report.keep(inserter.take_errors(), options);
            if inserter.committed() >= told + PROGRESS_STEP {
                told = inserter.committed();
                progress(told);
            }
        }
        let outcome = inserter.finish()?;
        report.inserted = outcome.inserted;
        progress(report.inserted);
        if !options.skip_bad_lines && !outcome.errors.is_empty() {
            return Err(Error::bulk(report.inserted, outcome.errors));
        }
        report.keep(outcome.errors, options);
        Ok(report)
    }

    /// Writes each document as a line of extended JSON, in order of `_id`, from
    /// one snapshot; returns how many. `progress` is told now and then how many
    /// were written.
    ///
    /// # Errors
    /// The writer failed, or a page could not be read.
    pub fn export_ndjson(
        &self,
        writer: impl Write,
        form: Form,
        progress: impl FnMut(u64),
    ) -> Result<u64> {
        self.export_ndjson_with(&OperationContext::new(), writer, form, progress)
    }

    /// [`export_ndjson`](Self::export_ndjson) with a context.
    ///
    /// # Errors
    /// As [`export_ndjson`](Self::export_ndjson), and those of the context.
    pub fn export_ndjson_with(
        &self,
        context: &OperationContext,
        writer: impl Write,
        form: Form,
        mut progress: impl FnMut(u64),
    ) -> Result<u64> {
        let mut cursor = self.find(Filter::all()).context(context.clone()).run()?;
        let mut lines = LineWriter::new(writer, form);
        let mut written = 0;
        while let Some(document) = cursor.advance()? {
            lines.write(document)?;
            written += 1;
            if written % PROGRESS_STEP == 0 {
                progress(written);
            }
        }
        lines.finish()?;
        progress(written);
        Ok(written)
    }
}

impl ImportReport {
    fn keep(&mut self, errors: Vec<WriteError>, options: &ImportOptions) {
        self.skipped += errors.len() as u64;
        let room = options.kept_errors.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
    }
}
