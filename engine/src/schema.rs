//! What documents must look like.
//!
//! `json_schema` is MongoDB's `$jsonSchema`: an operator of filters, and the
//! usual way to write a validator.

pub(crate) mod json_schema;
