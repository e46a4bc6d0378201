//! Which indexes say when documents expire.

use crate::catalog::entries_in;
use crate::collection::Collection;
use crate::database::Database;
use crate::error::Result;

/// An index that says when documents expire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TtlIndex {
    /// The collection.
    pub collection: Collection,
    /// The name of the index.
    pub name: String,
    /// The path of the dates.
    pub path: String,
    /// How many seconds after its date a document expires.
    pub expire_after_seconds: i32,
}

impl Database {
    /// The indexes with `expireAfterSeconds` that are ready, of all databases of the
    /// directory.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, IndexModel};
    ///
    /// let database = Database::open_in_memory()?;
    /// let sessions = database.collection("sessions");
    /// sessions.create_index(IndexModel::new(doc! { "seen": 1 }).expire_after_seconds(60))?;
    /// let found = database.ttl_indexes()?;
    /// assert_eq!((found[0].path.as_str(), found[0].expire_after_seconds), ("seen", 60));
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The database was closed, or the catalog could not be read.
    pub fn ttl_indexes(&self) -> Result<Vec<TtlIndex>> {
        let environment = self.environment();
        let mut found = Vec::new();
        for (namespace, entry) in entries_in(&environment.state()?, None)? {
            for index in entry.indexes.iter().filter(|index| index.is_ready()) {
                let definition = &index.definition;
                if let (Some(seconds), [field]) =
                    (definition.expire_after_seconds, &*definition.fields)
                {
                    found.push(TtlIndex {
                        collection: Collection::new(environment.clone(), namespace.clone()),
                        name: definition.name.clone(),
                        path: String::from_utf8_lossy(&field.path).into_owned(),
                        expire_after_seconds: seconds,
                    });
                }
            }
        }
        Ok(found)
    }
}
