//! Each protocol in all orders, and each planted reordering found.

mod background;
mod commit_queue;
mod group_commit;
mod signals;
mod visible_root;
