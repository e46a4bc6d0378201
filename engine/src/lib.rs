//! x
#![forbid(unsafe_code)]
pub mod error;
pub mod filter;
mod id;
pub mod json;
pub mod key;
pub mod values;
pub use error::{Error, ErrorKind, Result};
