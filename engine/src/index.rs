//! Indexes: other orders of a collection's documents, kept in trees of their own.
//!
//! The collection's entry in the catalog says which there are (`catalog`); each is a
//! [`Definition`], a tree, and a state. One function derives the keys of a document
//! (`derive`), and every write path of `collection` puts what `changes` makes of the
//! old and the new document into the same commit.
//!
//! ## Invariants
//! * The entries of an index that is ready are exactly those that [`derive`] makes of the
//!   documents, in every state that anybody can see. Those of one that is being built
//!   are some of them.
//! * A commit that writes documents relies on the catalog entry that its indexes came
//!   from ([`cs_kv::Batch::keep`], [`cs_kv::Transaction::keep`]): so no commit misses an
//!   index that was made, or feeds one that was dropped, since it looked.
//! * The keys of a unique index are without the primary key, and are expected to be
//!   absent where the commit is: two documents can never have the same.
//! * A derivation is a pure function of definition and bytes, and has a number. An index
//!   with another number is not used nor maintained: it is refused by name.
//! * What a multikey marker says holds for all entries in the same state: it is written with
//!   the first entry that needs it, and stays.
//!
//! Reading order: `definition`, `derive`, `entry`, `catalog`, `changes`, `markers`; for
//! queries `interval`, `access`, `implies`, `planner`.

mod access;
mod catalog;
mod changes;
mod definition;
mod derive;
mod entry;
mod implies;
mod interval;
mod loads;
mod markers;
mod model;
mod partial;
mod planner;

pub(crate) use access::Access;
pub(crate) use catalog::{BuildState, Index, Indexes};
pub(crate) use changes::IndexChange;
pub(crate) use definition::{Definition, ID_INDEX, read_fields};
pub(crate) use entry::{ParsedEntry, marker_key, parse_entry};
pub(crate) use interval::{Cut, Interval};
pub(crate) use loads::Loads;
pub(crate) use markers::Markers;
pub use model::{IndexInfo, IndexModel};
pub use planner::Hint;
pub(crate) use planner::{Data, Plan, Question, plan};
