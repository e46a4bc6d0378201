//! Extended JSON, version 2, in and out, and newline-delimited JSON.
//!
//! [`parse`] takes canonical and relaxed form, mixed as you like;
//! [`to_string`] writes either. Both keep the order of fields, and fields of
//! the same name. Text deeper than 127 levels is an error before anything
//! recurses. That is enough for every document, but for one with many codes
//! with scope in one another: a scope is one level of a document, as any
//! document in it is, but two of its text (`{"$code":"","$scope":{…}}`). So more
//! than 63 scopes in one another can be written but not read.
//!
//! | type | canonical | relaxed |
//! |---|---|---|
//! | int32, int64 | `{"$numberInt":"1"}`, `{"$numberLong":"1"}` | `1` |
//! | double | `{"$numberDouble":"1.5"}` | `1.5`; NaN and infinities as canonical |
//! | date | `{"$date":{"$numberLong":"0"}}` | `{"$date":"1970-01-01T00:00:00Z"}` for years 1970 to 9999 |
//! | others | the same | the same |

mod lines;
mod read;
mod text;
mod write;

pub use lines::{LineReader, LineWriter, MAX_LINE_LEN};
pub use read::{parse, parse_slice};
pub use write::{Form, append, to_string};
