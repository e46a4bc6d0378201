//! Typed collections: documents that are structs, and fields that the compiler knows.
//!
//! [`Document`], derived, says how the fields of a struct are called in documents, and
//! which indexes and rules its collection has. [`Collection<T>`](crate::Collection)
//! stores and finds values of `T`; [conditions](Condition) and [changes](Change) are made
//! of fields, so that a misspelt one does not compile, nor a value of another type:
//!
//! ```
//! use collection_store::{Database, Document};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
//! #[document(collection = "people", composite = "city, -age")]
//! struct Person {
//!     #[serde(rename = "_id")]
//!     #[document(id)]
//!     id: i32,
//!     #[document(unique, pattern = "^[^@]+@[^@]+$")]
//!     email: String,
//!     #[document(min = 0, max = 150)]
//!     age: i32,
//!     city: Option<String>,
//!     tags: Vec<String>,
//! }
//!
//! let database = Database::open_in_memory()?;
//! let people = database.typed::<Person>();
//! people.ensure()?; // the collection, its rules and its indexes
//!
//! let ada = Person { id: 1, email: "ada@x.org".into(), age: 36, city: None, tags: vec!["maths".into()] };
//! people.insert_one(&ada)?;
//!
//! let person = Person::fields();
//! let adults = people.find(person.age.gte(18) & person.tags.contains("maths"));
//! assert_eq!(adults.sort(person.age.descending()).run()?.collect::<Result<Vec<_>, _>>()?, [ada]);
//! people.update_one(person.id.eq(1), [person.age.inc(1), person.tags.push("poetry")])?;
//! assert_eq!(people.find_one(person.email.eq("ada@x.org"))?.unwrap().age, 37);
//! # Ok::<(), collection_store::Error>(())
//! ```
//!
//! A field that is not there is an error of the compiler:
//!
//! ```compile_fail
//! # use collection_store::Document;
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize, Document)]
//! struct Person { name: String }
//! let condition = Person::fields().nmae.eq("Ada");
//! ```
//!
//! and so is a value of another type:
//!
//! ```compile_fail
//! # use collection_store::Document;
//! # use serde::{Deserialize, Serialize};
//! #[derive(Serialize, Deserialize, Document)]
//! struct Person { name: String }
//! let condition = Person::fields().name.eq(5);
//! ```
//!
//! Any filter or update of the untyped kind is taken too, and [`Collection::untyped`] is
//! the same collection without types.
//!
//! [`Collection::untyped`]: crate::Collection::untyped
//!
//! ## Invariants
//! * A path is made of fields only, so it names what serde writes there.
//! * What cannot be encoded is an error of the operation, not of the condition.

mod change;
mod collection;
mod condition;
mod cursor;
mod declaration;
mod field;

pub use change::{Change, IntoChanges};
pub use condition::{Condition, IntoCondition, Sorting};
pub use cursor::{TypedCursor, TypedFind};
pub use declaration::{Bound, Declaration, FieldRule};
pub use field::{ArrayField, Field, Optional, Path, Required};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A struct that is stored as a document; derived with `#[derive(Document)]`.
///
/// | attribute of the struct | |
/// |---|---|
/// | `collection = "name"` | where it is stored unless told; else the name of the struct in snake case |
/// | `composite = "a, -b"` | an index over fields, a `-` before those that descend |
/// | `unique_composite = "a, b"` | the same, unique |
///
/// | attribute of a field | |
/// |---|---|
/// | `id` | checks that serde calls it `_id` |
/// | `index`, `unique`, `sparse`, `descending` | an index over the field, of that kind |
/// | `ttl = seconds` | an index by which documents expire so long after the date in it |
/// | `min = …`, `max = …` | bounds of a number, or of the length of text or an array |
/// | `pattern = "…"` | what text must match |
/// | `default = …` | put there when a document comes without it |
/// | `nested` | its type is a `Document` too: its fields are known, and its rules hold there |
/// | `skip` | left out here, though serde writes it |
///
/// Names are those that serde writes (`rename`, `rename_all`). A field that is no `Option` is
/// required, and of the type that it is written as.
pub trait Document: Serialize + DeserializeOwned {
    /// Its fields, where documents of `Root` have it.
    type Fields<Root>;

    /// The collection where it is stored unless told.
    const COLLECTION: &'static str;

    /// Its fields below a path.
    fn fields_at<Root>(path: Path) -> Self::Fields<Root>;

    /// What its collection demands of documents, and its indexes.
    fn declaration() -> Declaration;

    /// Its fields.
    #[must_use]
    fn fields() -> Self::Fields<Self> {
        Self::fields_at(Path::default())
    }
}

/// The type of the documents in a [`Collection`](crate::Collection) that has none.
#[derive(Clone, Copy, Debug)]
pub enum Untyped {}
