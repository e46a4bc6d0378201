//! BSON values in place: validation, scanning, comparison.
//!
//! Untrusted bytes pass [`validate_document`] once; everything after it reads
//! them where they lie ([`Elements`], [`RawValue`]) and decodes single values
//! on demand. [`compare`] is the order of the whole system: filters, sorting
//! and [keys](crate::key) agree with it.
//!
//! What is *not* here: any I/O, any document model of its own; at the edges
//! the crate `bson` speaks to users.

mod bits;
mod builder;
mod compare;
mod decimal;
mod kind;
mod number;
mod numeric;
mod owned;
mod scan;
mod summation;
mod validate;

pub(crate) use builder::depth;
pub use builder::{DocumentBuilder, PositionName};
pub use compare::{compare, compare_documents};
pub use decimal::{Decimal, NotDecimal, Rounding};
pub use kind::{Class, Kind};
pub use number::{Magnitude, Number, Tail};
pub(crate) use numeric::Numeric;
pub use owned::OwnedValue;
pub use scan::{Element, Elements, RawValue};
pub(crate) use scan::{cstring_len, value_len};
pub(crate) use summation::{Deviation, Summation};
pub use validate::{InvalidDocument, MAX_DEPTH, MAX_DOCUMENT_LEN, Reason, validate_document};
