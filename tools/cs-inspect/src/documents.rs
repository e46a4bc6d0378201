//! Whether documents are what their collection says: valid BSON, each under
//! the key that its `_id` makes.

use collection_store::key;
use collection_store::values::{Elements, validate_document};
use cs_kv::{KeyRange, Snapshot};

use crate::catalog::Entry;
use crate::finding::Finding;
use crate::output::hex;
use crate::progress::Progress;

/// Bytes of a key that are shown.
const KEY_SHOWN: usize = 32;
/// Findings listed at most for one collection.
const MAX_FINDINGS: usize = 100;
/// Documents between two looks at the clock of the progress bar.
const STEP: u64 = 256;

/// Reads all documents of a collection; how many there are.
pub(crate) fn check(
    snapshot: &Snapshot,
    entry: &Entry,
    progress: &Progress,
    findings: &mut Vec<Finding>,
) -> u64 {
    let tree = entry.tree.0;
    let name = entry.full_name();
    let mut cursor = match snapshot.cursor(entry.tree, KeyRange::all()) {
        Ok(cursor) => cursor,
        Err(error) => {
            let text = format!("collection {name}: {error}");
            findings.push(Finding::new("missing-tree", text).in_tree(tree));
            return 0;
        }
    };
    let (mut documents, mut wrong) = (0_u64, 0);
    loop {
        match cursor.next() {
            Ok(Some((key, document))) => {
                documents += 1;
                if documents.is_multiple_of(STEP) {
                    progress.add(STEP);
                }
                if let Some((code, why)) = judge(key, document)
                    && wrong < MAX_FINDINGS
                {
                    wrong += 1;
                    let key = hex(key, KEY_SHOWN);
                    let text = format!("collection {name}, document under key {key}: {why}");
                    findings.push(Finding::new(code, text).in_tree(tree));
                }
            }
            // A page that cannot be read is the structural check's to report.
            Ok(None) | Err(_) => return documents,
        }
    }
}

/// The same for a collection of a named snapshot, of which the structural check
/// reads only the pages that the newest state has not, and counts nothing.
pub(crate) fn check_as_of(
    snapshot: &Snapshot,
    entry: &Entry,
    progress: &Progress,
    findings: &mut Vec<Finding>,
) -> u64 {
    let before = findings.len();
    let documents = check(snapshot, entry, progress, findings);
    if findings.len() > before {
        return documents;
    }
    let text = match entry.stats(snapshot) {
        Ok(stats) if stats.unwrap_or_default().count == documents => return documents,
        Ok(stats) => format!(
            "collection {}: expected {} documents, found {documents} that can be read",
            entry.full_name(),
            stats.unwrap_or_default().count
        ),
        Err(error) => error.to_string(),
    };
    findings.push(Finding::new("wrong-stats", text).in_tree(entry.tree.0));
    documents
}

/// What is wrong with one document: the code of a finding, and why.
pub(crate) fn judge(key: &[u8], document: &[u8]) -> Option<(&'static str, String)> {
    if let Err(error) = validate_document(document) {
        return Some(("invalid-document", error.to_string()));
    }
    let Some(id) = Elements::new(document)
        .next()
        .filter(|field| field.name == b"_id")
    else {
        return Some(("invalid-document", "its first field is not _id".to_owned()));
    };
    match key::encode(id.value) {
        Ok(expected) if expected == key => None,
        Ok(expected) => {
            let expected = hex(&expected, KEY_SHOWN);
            Some(("wrong-key", format!("its _id belongs under {expected}")))
        }
        Err(error) => Some(("wrong-key", error.to_string())),
    }
}
