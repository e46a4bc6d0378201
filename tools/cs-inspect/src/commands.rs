//! The commands, one file each.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod constants;
pub(crate) mod dump;
pub(crate) mod free;
pub(crate) mod history;
pub(crate) mod info;
pub(crate) mod load;
pub(crate) mod map;
pub(crate) mod page;
pub(crate) mod pages;
pub(crate) mod recorder;
pub(crate) mod restore;
pub(crate) mod salvage;
pub(crate) mod stats;
pub(crate) mod tree;
pub(crate) mod verify_backup;
pub(crate) mod wal_dump;
pub(crate) mod wal_list;
