//! What the engine counts anyway, as figures of the registry's text.

use super::text::Text;
use crate::stats::DatabaseStats;

/// Writes the figures of a database.
pub(crate) fn engine_figures(text: &mut Text, stats: &DatabaseStats) {
    let mut gauge = |name, help, value: u64| text.single(name, help, "gauge", value);
    let (store, pool) = (&stats.store, &stats.store.pool);
    let page = store.page_size as u64;
    gauge(
        "cs_collections",
        "collections of all databases",
        stats.collections,
    );
    gauge(
        "cs_documents",
        "documents of all collections",
        stats.documents,
    );
    gauge(
        "cs_document_bytes",
        "bytes of documents and their keys",
        stats.bytes,
    );
    gauge(
        "cs_cache_resident_bytes",
        "memory that pages take",
        pool.resident_bytes,
    );
    gauge(
        "cs_cache_dirty_bytes",
        "part of it not yet on disk",
        pool.dirty_bytes,
    );
    gauge(
        "cs_cache_budget_bytes",
        "what it is to stay below",
        pool.budget_bytes,
    );
    gauge(
        "cs_data_used_bytes",
        "bytes of the data file in use",
        store.space.used * page,
    );
    gauge(
        "cs_data_free_bytes",
        "bytes of it that are free",
        store.space.free * page,
    );
    gauge(
        "cs_data_pending_bytes",
        "bytes of it that snapshots keep",
        store.space.pending * page,
    );
    gauge(
        "cs_log_bytes",
        "bytes of log that a recovery would read",
        store.log_bytes,
    );
    gauge(
        "cs_snapshots",
        "states that are kept, but for the newest",
        store.snapshots.states,
    );
    let retained = store.snapshots.retained_bytes;
    gauge(
        "cs_snapshot_retained_bytes",
        "bytes that would be free without them",
        retained,
    );
    let poisoned = u64::from(store.poisoned.is_some());
    gauge(
        "cs_poisoned",
        "1 if writes are refused after a failure",
        poisoned,
    );
    let mut counter = |name, help, value: u64| text.single(name, help, "counter", value);
    let operations = &stats.operations;
    counter(
        "cs_documents_inserted_total",
        "documents inserted",
        operations.inserted,
    );
    counter(
        "cs_documents_replaced_total",
        "documents replaced",
        operations.replaced,
    );
    counter(
        "cs_documents_updated_total",
        "documents modified",
        operations.updated,
    );
    counter(
        "cs_documents_deleted_total",
        "documents deleted",
        operations.deleted,
    );
    counter(
        "cs_documents_examined_total",
        "documents that queries looked at",
        operations.examined,
    );
    counter(
        "cs_documents_returned_total",
        "documents that queries found",
        operations.returned,
    );
    counter(
        "cs_documents_expired_total",
        "documents whose time was over",
        stats.expiry.deleted,
    );
    counter("cs_queries_total", "queries begun", operations.queries);
    counter(
        "cs_write_retries_total",
        "writes tried again",
        operations.retries,
    );
    counter("cs_commits_total", "commits", store.commits);
    counter(
        "cs_conflicts_total",
        "commits refused because of another",
        store.conflicts,
    );
    counter(
        "cs_refusals_total",
        "commits refused for another reason",
        store.refusals,
    );
    counter(
        "cs_checkpoints_total",
        "checkpoints completed",
        store.checkpoints,
    );
    counter(
        "cs_pages_read_total",
        "pages read from disk",
        pool.pages_read,
    );
    counter(
        "cs_pages_written_total",
        "pages written to disk",
        pool.pages_written,
    );
    counter(
        "cs_pages_evicted_total",
        "pages taken out of memory",
        pool.pages_evicted,
    );
    counter(
        "cs_snapshots_evicted_total",
        "states ended by a limit",
        store.snapshots.evicted,
    );
}
