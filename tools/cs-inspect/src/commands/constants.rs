//! `constants`: every limit and fixed size, by name.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::cli::Global;
use crate::error::Result;
use crate::output::{self, Report, table, write_table};

/// Name, value, unit, and what it bounds.
type Row = (&'static str, u64, &'static str, &'static str);

struct Constants(Vec<Row>);

/// Runs the command.
pub(crate) fn run(global: &Global) -> Result<u8> {
    output::print(&Constants(rows()), global.format)
}

fn rows() -> Vec<Row> {
    use collection_store::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS, json, key, names, values};
    use cs_kv::limits;
    use cs_pager::format as pages;
    let size = |bytes: usize| bytes as u64;
    let size32 = u64::from;
    vec![
        (
            "data_format",
            size32(pages::FORMAT_VERSION),
            "version",
            "format of the data file",
        ),
        (
            "log_format",
            size32(cs_wal::FORMAT_VERSION),
            "version",
            "format of the log",
        ),
        (
            "block_size",
            size(cs_base::BLOCK_SIZE),
            "bytes",
            "unit of all direct I/O",
        ),
        (
            "min_page_size",
            size32(pages::MIN_PAGE_SIZE),
            "bytes",
            "smallest page",
        ),
        (
            "max_page_size",
            size32(pages::MAX_PAGE_SIZE),
            "bytes",
            "largest page",
        ),
        (
            "default_page_size",
            size32(pages::DEFAULT_PAGE_SIZE),
            "bytes",
            "page unless told",
        ),
        (
            "page_header",
            size(pages::PAGE_HEADER),
            "bytes",
            "the pager's part of each page",
        ),
        (
            "reserve_pages",
            cs_pager::RESERVE_PAGES,
            "pages",
            "kept for deletes on a full disk",
        ),
        (
            "record_header",
            size(cs_wal::RECORD_HEADER_BYTES),
            "bytes",
            "before each log record",
        ),
        (
            "max_record_payload",
            size(cs_wal::MAX_RECORD_PAYLOAD),
            "bytes",
            "one log record",
        ),
        (
            "max_membership",
            size(cs_wal::MAX_MEMBERSHIP_BYTES),
            "bytes",
            "membership in the hard state",
        ),
        ("max_key", size(limits::MAX_KEY), "bytes", "a key of a tree"),
        (
            "max_value",
            size(limits::MAX_VALUE),
            "bytes",
            "a value of a tree",
        ),
        (
            "max_part",
            size(limits::MAX_PART),
            "bytes",
            "effects in one record",
        ),
        (
            "max_transaction",
            size(limits::MAX_TRANSACTION),
            "bytes",
            "effects of one transaction",
        ),
        (
            "max_results",
            size(limits::MAX_RESULTS),
            "bytes",
            "results of a session statement",
        ),
        (
            "max_document",
            size(values::MAX_DOCUMENT_LEN),
            "bytes",
            "a document",
        ),
        (
            "max_depth",
            size(values::MAX_DEPTH),
            "levels",
            "nesting of a document",
        ),
        (
            "max_id_key",
            size(key::MAX_KEY_LEN),
            "bytes",
            "an encoded _id",
        ),
        (
            "max_name",
            size(names::MAX_NAME_LEN),
            "bytes",
            "a database or collection name",
        ),
        (
            "max_batch_documents",
            size(MAX_BATCH_DOCUMENTS),
            "documents",
            "one commit of insert_many",
        ),
        (
            "max_batch_bytes",
            size(MAX_BATCH_BYTES),
            "bytes",
            "one commit of insert_many",
        ),
        (
            "max_line",
            size(json::MAX_LINE_LEN),
            "bytes",
            "a line of extended JSON",
        ),
    ]
}

impl Report for Constants {
    fn json(&self) -> Value {
        let entry = |&(name, value, unit, what): &Row| {
            (
                name.to_owned(),
                json!({ "value": value, "unit": unit, "what": what }),
            )
        };
        Value::Object(self.0.iter().map(entry).collect::<Map<_, _>>())
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = table(&["name", "value", "unit", "what it bounds"], &[1]);
        for &(name, value, unit, what) in &self.0 {
            rows.add_row([name, &value.to_string(), unit, what]);
        }
        write_table(out, &rows)
    }

    fn exit_code(&self) -> u8 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<_> = rows().into_iter().map(|row| row.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows().len());
    }
}
