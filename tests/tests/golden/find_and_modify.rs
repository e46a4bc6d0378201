use collection_store::Database;

use crate::case::{Case, Verdict};

pub(crate) fn judge(_database: &Database, _case: &Case<'_>) -> Verdict {
    Verdict::wrong("not supported")
}
