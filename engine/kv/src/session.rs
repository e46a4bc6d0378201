//! Sessions: what they keep, and how they are forgotten. Statements are stored by
//! the commits that carry them out (`commit/encode.rs`), and looked up in their plan.

use crate::batch::{Batch, Expect};
use crate::error::{Error, Result};
use crate::named::commit;
use crate::store::Store;
use crate::tree_root::system;

impl Store {
    /// Forgets the last statement of a session: it can be sent once more, and would
    /// happen again. Says whether there was one.
    ///
    /// # Errors
    /// The commit failed: it is still known.
    pub fn forget_session(&self, session: &[u8; 16]) -> Result<bool> {
        self.core().check_writable()?;
        let mut batch = Batch::new();
        batch.delete(system::SESSIONS, session.to_vec(), Expect::Present);
        match commit(self.core(), &batch) {
            Ok(()) => Ok(true),
            Err(Error::Expectation { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
