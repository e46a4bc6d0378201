//! Documents in Collection Store and, with the feature `peers`, in SQLite as JSON text and
//! JSONB: inserts, finds, scans, groups.
//!
//! `cargo bench -p cs-benches --features peers --bench documents`

use cs_benches::documents::{CollectionStore, Engine, Extent, run};

fn main() {
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(CollectionStore)];
    #[cfg(feature = "peers")]
    {
        use cs_benches::documents::Sqlite;
        engines.push(Box::new(Sqlite::Text));
        engines.push(Box::new(Sqlite::Jsonb));
    }
    #[cfg(not(feature = "peers"))]
    engines.shrink_to_fit();
    run(&engines, &Extent::from_environment());
}
