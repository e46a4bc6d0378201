//! The store through its public face.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod basics;
mod faulty;
mod model;
mod promises;
mod regressions;
