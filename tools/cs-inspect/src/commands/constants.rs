//! `constants`: limits, fixed sizes and defaults, by name: all that the crates
//! make public or that their default options say.

use std::io::{self, Write};
use std::time::Duration;

use collection_store::ImportOptions;
use cs_kv::StoreOptions;
use cs_wal::LogOptions;
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
    let mut rows = formats();
    rows.extend(limits());
    rows.extend(defaults());
    rows
}

/// Numbers and sizes of what lies on disk.
fn formats() -> Vec<Row> {
    use cs_pager::format as pages;
    vec![
        (
            "data_format",
            u64::from(pages::FORMAT_VERSION),
            "version",
            "format of the data file",
        ),
        (
            "log_format",
            u64::from(cs_wal::FORMAT_VERSION),
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
            u64::from(pages::MIN_PAGE_SIZE),
            "bytes",
            "smallest page",
        ),
        (
            "max_page_size",
            u64::from(pages::MAX_PAGE_SIZE),
            "bytes",
            "largest page",
        ),
        (
            "page_header",
            size(pages::PAGE_HEADER),
            "bytes",
            "the pager's part of each page",
        ),
        (
            "record_header",
            size(cs_wal::RECORD_HEADER_BYTES),
            "bytes",
            "before each log record",
        ),
        (
            "metas",
            pages::META_BYTES,
            "bytes",
            "both metas, at the start of the data file",
        ),
        (
            "root_payload",
            size(cs_pager::ROOT_PAYLOAD),
            "bytes",
            "the store's part of a meta",
        ),
        (
            "segment_header",
            cs_wal::SEGMENT_HEADER_BYTES,
            "bytes",
            "before the records of a segment",
        ),
        (
            "first_user_tree",
            u64::from(cs_kv::system::FIRST_USER),
            "tree",
            "first tree of a collection; those below are the store's",
        ),
    ]
}

/// What is refused beyond.
fn limits() -> Vec<Row> {
    use collection_store::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS, json, key, names, values};
    use cs_kv::limits;
    vec![
        (
            "reserve_pages",
            cs_pager::RESERVE_PAGES,
            "pages",
            "kept for deletes on a full disk",
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
            "max_backup_chunk",
            size(cs_kv::backup::format::MAX_CHUNK),
            "bytes",
            "entries in a chunk of a backup",
        ),
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
        (
            "min_frames",
            cs_pager::PagerOptions::MIN_FRAMES,
            "pages",
            "in memory, however small the cache",
        ),
    ]
}

/// What holds unless told otherwise.
fn defaults() -> Vec<Row> {
    let store = StoreOptions::default();
    let log = LogOptions::default();
    vec![
        (
            "default_page_size",
            u64::from(store.page_size),
            "bytes",
            "page unless told",
        ),
        (
            "default_cache",
            store.cache_bytes,
            "bytes",
            "memory for pages",
        ),
        (
            "default_flush_interval",
            milliseconds(store.flush_interval),
            "ms",
            "longest that an async commit stays unsynced",
        ),
        (
            "default_checkpoint_log",
            store.checkpoint_log_bytes,
            "bytes",
            "log since a checkpoint that begins the next",
        ),
        (
            "default_segment_min",
            log.segment_bytes_min,
            "bytes",
            "capacity of the first segment",
        ),
        (
            "default_segment_max",
            log.segment_bytes_max,
            "bytes",
            "capacity up to which segments double",
        ),
        (
            "default_groups_in_flight",
            size(log.groups_in_flight),
            "groups",
            "on their way to the disk at once",
        ),
        (
            "default_group_max",
            size(log.group_bytes_max),
            "bytes",
            "a gather buffer; a larger record gets its own",
        ),
        (
            "default_spare_segments",
            size(log.spare_segments),
            "files",
            "recycled segments kept for reuse",
        ),
        (
            "default_undurable_max",
            log.undurable_bytes_max,
            "bytes",
            "appended and not durable before writers wait",
        ),
        (
            "default_kept_errors",
            size(ImportOptions::default().kept_errors),
            "errors",
            "that the report of an import keeps",
        ),
    ]
}

fn size(bytes: usize) -> u64 {
    bytes as u64
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
