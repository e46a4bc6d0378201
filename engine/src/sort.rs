//! Sorting: MongoDB's sort patterns, the keys they make of documents, and the
//! sorter that holds no more than it may.
//!
//! ## Invariants
//! * Documents are ordered by `memcmp` of their [keys](SortPattern::key); equal keys
//!   keep the order in which the documents came.
//! * Of a document in which a path goes through an array, all keys that the array makes
//!   are looked at together, and the first of them in the order of the pattern stands
//!   for the document: ascending the smallest, descending the largest.
//! * Only one array may be gone through; two beside each other are an error (code 2).
//!
//! Reading order: `pattern`, `key`, `sorter`.

mod key;
mod pattern;
mod sorter;

pub use pattern::SortPattern;
pub(crate) use pattern::{check_path, path_steps};
pub(crate) use sorter::{DEFAULT_BUDGET, Sorted, Sorter, SorterOptions};

#[cfg(test)]
mod tests;
