//! Where the documents of a cursor come from.

use std::fmt;
use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};

use crate::error::Result;

/// What a source has next.
#[derive(Debug)]
pub enum Step<'a> {
    /// A document.
    Document(&'a RawDocument),
    /// Nothing now, but there may be more later: the cursor stays.
    Pause,
    /// Nothing more.
    End,
}

/// Where the documents of a cursor come from.
pub trait Source: Send + fmt::Debug {
    /// The next document.
    ///
    /// # Errors
    /// Those of the query; the source is at its end then.
    fn next(&mut self) -> Result<Step<'_>>;

    /// Whether it is known, without looking, that nothing more comes.
    fn is_at_end(&self) -> bool {
        false
    }

    /// Waits until there may be something new, for so long at most: for sources that pause. Says
    /// whether it may be waited for any longer.
    fn wait(&mut self, _longest: Duration) -> bool {
        true
    }

    /// Where a change stream goes on behind what was handed out.
    fn token(&self) -> Option<RawDocumentBuf> {
        None
    }
}

/// A query, with its limit, which tells its end before it is asked.
pub(crate) struct Found {
    pub(crate) cursor: collection_store::Cursor,
    /// Documents that may still come.
    pub(crate) left: Option<u64>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("left", &self.left).finish()
    }
}

impl Source for Found {
    fn next(&mut self) -> Result<Step<'_>> {
        match self.cursor.advance()? {
            Some(document) => {
                self.left = self.left.map(|left| left.saturating_sub(1));
                Ok(Step::Document(document))
            }
            None => {
                self.left = Some(0);
                Ok(Step::End)
            }
        }
    }

    fn is_at_end(&self) -> bool {
        self.left == Some(0)
    }
}

/// An aggregation.
pub(crate) struct Aggregated(pub(crate) collection_store::AggregateCursor);

impl fmt::Debug for Aggregated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aggregated")
    }
}

impl Source for Aggregated {
    fn next(&mut self) -> Result<Step<'_>> {
        Ok(match self.0.advance()? {
            Some(document) => Step::Document(document),
            None => Step::End,
        })
    }
}

/// Documents that are all there.
#[derive(Debug)]
pub struct Listed {
    documents: std::vec::IntoIter<RawDocumentBuf>,
    current: RawDocumentBuf,
}

impl Listed {
    /// These.
    #[must_use]
    pub fn new(documents: Vec<RawDocumentBuf>) -> Self {
        Self {
            documents: documents.into_iter(),
            current: RawDocumentBuf::new(),
        }
    }
}

impl Source for Listed {
    fn next(&mut self) -> Result<Step<'_>> {
        Ok(match self.documents.next() {
            Some(document) => {
                self.current = document;
                Step::Document(&self.current)
            }
            None => Step::End,
        })
    }

    fn is_at_end(&self) -> bool {
        self.documents.len() == 0
    }
}
