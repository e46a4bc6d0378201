//! What named snapshots keep, as of the newest checkpoint.
//!
//! Their pages are in the census already: those that the newest state has too are
//! used, the others are pending or free, for it is found out at open that they
//! are kept.

use std::io::{self, Write};

use collection_store::SnapshotInfo;
use serde_json::{Value, json};

use crate::error::{InspectError, Result};
use crate::output::{self, size, table, write_table};
use crate::place::Place;
use crate::view::{Log, View};

/// The named snapshots, in order of name.
pub(super) fn look(place: &Place) -> Result<Vec<SnapshotInfo>> {
    let view = View::open(place, Log::Ignore)?;
    let list = view.database().list_snapshots();
    list.map_err(InspectError::suspect)
}

pub(super) fn json(list: &[SnapshotInfo]) -> Vec<Value> {
    let all = list.iter().map(|one| {
        json!({
            "name": one.name,
            "index": one.transaction,
            "time": output::time(one.time),
            "created": output::utc(one.created_ms),
            "bytes": one.retained_bytes,
        })
    });
    all.collect()
}

pub(super) fn write(list: &[SnapshotInfo], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = table(&["named snapshot", "index", "made", "kept", ""], &[1, 3, 4]);
    for one in list {
        let (bytes, shown) = match one.retained_bytes {
            Some(bytes) => (bytes.to_string(), size(bytes)),
            None => ("lost".to_owned(), String::new()),
        };
        rows.add_row([
            one.name.clone(),
            one.transaction.to_string(),
            output::utc(one.created_ms),
            bytes,
            shown,
        ]);
    }
    write_table(out, &rows)?;
    writeln!(
        out,
        "kept: pages that the newest state has not, of those free or kept by the older meta above"
    )
}
