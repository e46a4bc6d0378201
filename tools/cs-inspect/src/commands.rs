//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod constants;
pub(crate) mod dump;
pub(crate) mod info;
pub(crate) mod load;
pub(crate) mod page;
pub(crate) mod tree;
pub(crate) mod wal_dump;
pub(crate) mod wal_list;
