//! Listeners and change streams: what was committed, told in the order of the log.
//!
//! The store's feed shows records of effects on trees (`cs_kv::ChangeFeed`); here
//! they become events about documents and collections.
//!
//! | file | what |
//! |---|---|
//! | `event.rs` | an event |
//! | `token.rs` | a place between two events, which outlives the process |
//! | `scope.rs` | what is watched, and who wants to be told what was before |
//! | `names.rs` | which tree was which collection at a moment |
//! | `read.rs` | one effect, as an event |
//! | `difference.rs` | what an update did to a document |
//! | `follow.rs` | a place in the history, and the way on from it |
//! | `since.rs` | the place in the history at a moment |
//! | `stream.rs` | change streams: a caller asks for the next event |
//! | `listen.rs` | listeners: a thread of the database calls |
//!
//! ## Invariants
//! * Events come in the order of the log, each exactly once, also after resuming
//!   in the middle of a commit; what is missing is an error by name.
//! * Nothing is shown that a crash could take back.
//! * The names in an event are those of the moment of its commit.
//! * No commit waits for whoever follows; nothing is queued for him but the log.
//! * `Insert` says that there was no such document before, `Update`, `Replace` and
//!   `Delete` that there was: a change that comes to nothing gives no event.

mod difference;
mod event;
mod follow;
mod listen;
mod names;
mod read;
mod scope;
mod since;
mod stream;
mod token;

pub use difference::{TruncatedArray, UpdateDescription};
pub use event::{ChangeEvent, ChangeOperation};
pub(crate) use listen::Listeners;
pub use listen::Subscription;
pub use scope::WatchOptions;
pub(crate) use scope::{Wanting, check_image_option, tells_before};
pub use stream::{ChangeStream, Changes};
pub use token::ResumeToken;
