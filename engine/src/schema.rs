//! What documents must look like.
//!
//! `json_schema` is MongoDB's `$jsonSchema`: an operator of filters, and the
//! usual way to write a validator. The rest are the schemas of this store, which do more
//! than judge: `model` (as users write them), `plan` (compiled), `shape` (what becomes of a
//! document before it is judged, with `coerce`), `check` (every fault of it), `query` (what
//! becomes of a filter).

mod check;
mod coerce;
pub(crate) mod json_schema;
mod model;
mod plan;
mod query;
mod shape;

pub use check::FieldFault;
pub use model::{Schema, SchemaField};
pub(crate) use plan::{Plan, of};

#[cfg(test)]
mod tests;
