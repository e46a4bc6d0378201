//! What is kept of sessions: of each its last statement, and what that came to.

use cs_kv::{KeyRange, SessionStatement, Snapshot, system};

use crate::database::Database;
use crate::error::{Error, ErrorKind, Result};

impl Database {
    /// The last [statement](crate::OperationContext::statement) of a session, or transaction
    /// that [was one](crate::TransactionOptions::statement), that was carried out: its number,
    /// and the bytes that are kept of what it came to. Those of a transaction are what its
    /// options gave.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, OperationContext};
    ///
    /// let database = Database::open_in_memory()?;
    /// let context = OperationContext::new().statement([7; 16], 3);
    /// database.collection("a").insert_one_with(&context, doc! {})?;
    /// assert_eq!(database.last_statement(&[7; 16])?.unwrap().number, 3);
    /// assert_eq!(database.list_sessions()?, [[7; 16]]);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The database was closed, or what is kept is damaged.
    pub fn last_statement(&self, session: &[u8; 16]) -> Result<Option<SessionStatement>> {
        let snapshot = self.environment().store()?.snapshot()?;
        let kept = last_of(&snapshot, session)?;
        Ok(kept.map(|(number, results)| SessionStatement {
            session: *session,
            number,
            results,
        }))
    }

    /// The sessions of which something is kept; see
    /// [`forget_session`](Self::forget_session).
    ///
    /// # Errors
    /// As [`last_statement`](Self::last_statement).
    pub fn list_sessions(&self) -> Result<Vec<[u8; 16]>> {
        let snapshot = self.environment().store()?.snapshot()?;
        let mut cursor = match snapshot.cursor(system::SESSIONS, KeyRange::all()) {
            Ok(cursor) => cursor,
            Err(cs_kv::Error::UnknownTree(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut sessions = Vec::new();
        while let Some((key, _)) = cursor.next()? {
            let session = key.try_into().map_err(|_| {
                let message = format!("a session of {} bytes, expected 16", key.len());
                Error::new(ErrorKind::Corruption, message)
            })?;
            sessions.push(session);
        }
        Ok(sessions)
    }
}

/// The number of the last statement of a session, and what it came to.
pub(crate) fn last_of(snapshot: &Snapshot, session: &[u8; 16]) -> Result<Option<(u64, Vec<u8>)>> {
    let kept = match snapshot.get(system::SESSIONS, session) {
        Ok(Some(kept)) => kept,
        Ok(None) | Err(cs_kv::Error::UnknownTree(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some((number, results)) = kept.split_first_chunk() else {
        let message = "what is kept of a session is damaged";
        return Err(Error::new(ErrorKind::Corruption, message));
    };
    Ok(Some((u64::from_le_bytes(*number), results.to_vec())))
}
