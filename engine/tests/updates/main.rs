//! Updates against what MongoDB answered, and against a slow interpreter.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod golden;
mod interpreter;
mod random;
