//! Expressions against what MongoDB answered, and against random input.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod golden;
mod random;
