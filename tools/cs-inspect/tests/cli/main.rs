//! The program as its users meet it: results, exit codes, and what it leaves behind.

mod damage;
mod data;
mod live;
mod support;
mod untouched;
