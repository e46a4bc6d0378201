//! The store through its public face.

mod basics;
mod model;
