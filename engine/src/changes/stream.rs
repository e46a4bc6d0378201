//! Change streams: a caller asks for the next event.

use std::sync::Arc;
use std::time::Duration;

use super::event::ChangeEvent;
use super::follow::Follower;
use super::scope::{Scope, WatchOptions};
use super::token::ResumeToken;
use crate::collection::Collection;
use crate::context::Watch;
use crate::database::Database;
use crate::environment::Environment;
use crate::error::Result;

/// Between two looks at a cancel flag, which wakes nobody.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// As long as it takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// The events of a collection, a database or a directory, in the order of the log,
/// from a place on. Nothing is held for it but the log, so that it may be slow;
/// one that falls behind by more than is kept ends with
/// [`ErrorKind::ChangesLost`](crate::ErrorKind::ChangesLost).
///
/// ```
/// use bson::doc;
/// use collection_store::{ChangeOperation, Database, WatchOptions};
///
/// let database = Database::open_in_memory()?;
/// let orders = database.collection("orders");
/// let mut stream = orders.watch()?;
/// orders.insert_one(doc! { "_id": 1, "item": "tea" })?;
/// let created = stream.next()?.expect("the insert made the collection");
/// assert_eq!(created.operation, ChangeOperation::Create);
/// let inserted = stream.next()?.expect("one document");
/// assert_eq!(inserted.document_key, Some(1.into()));
/// assert!(stream.next()?.is_none(), "no more yet");
///
/// // Later, or in another process:
/// let options = WatchOptions::new().resume_after(created.token);
/// assert_eq!(orders.watch_with(options)?.next()?, Some(inserted));
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Debug)]
pub struct ChangeStream {
    environment: Arc<Environment>,
    follower: Follower,
    watch: Watch,
}

impl ChangeStream {
    fn begin(environment: &Arc<Environment>, scope: Scope, options: WatchOptions) -> Result<Self> {
        let watch = options.context.start(&environment.runtime);
        watch.check()?;
        Ok(Self {
            follower: Follower::begin(environment, scope, options, &watch)?,
            environment: Arc::clone(environment),
            watch,
        })
    }

    /// The next event; `None` where there is none yet, or the stream
    /// [has ended](Self::has_ended).
    ///
    /// # Errors
    /// [`ErrorKind::ChangesLost`](crate::ErrorKind::ChangesLost): what comes next
    /// is not kept any more. Those of the context; the database was closed, or a
    /// read failed.
    #[expect(
        clippy::should_implement_trait,
        reason = "`None` means not yet, and is no end"
    )]
    pub fn next(&mut self) -> Result<Option<ChangeEvent>> {
        self.environment.store()?;
        self.follower.next(&self.watch)
    }

    /// Waits until there may be a next event, or `limit` has passed; says whether
    /// it is worth asking. In simulation it does not wait.
    ///
    /// # Errors
    /// Those of the context; the database was closed, or has failed.
    pub fn wait(&self, limit: Duration) -> Result<bool> {
        let runtime = &self.environment.runtime;
        let end = runtime.monotonic().saturating_add(limit);
        loop {
            self.watch.check()?;
            self.environment.store()?;
            let left = end.saturating_sub(runtime.monotonic());
            if self.follower.has_more() {
                return Ok(true);
            }
            if left.is_zero() || self.has_ended() || !runtime.may_block() {
                return Ok(false);
            }
            let slice = self.watch.longest_wait(left, LOOK_EVERY);
            let is_over = || self.environment.store().is_err() || self.follower.has_more();
            self.follower.feed().moves().wait(slice, is_over)?;
        }
    }

    /// The place behind all that it has shown, to resume after.
    #[must_use]
    pub fn token(&self) -> ResumeToken {
        self.follower.token()
    }

    /// Whether it has shown its last event, which was
    /// [`Invalidate`](super::ChangeOperation::Invalidate).
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.follower.has_ended()
    }

    /// The events as they come, waiting for each; ends with the stream, or behind
    /// an error.
    pub fn events(&mut self) -> Changes<'_> {
        Changes {
            stream: self,
            failed: false,
        }
    }
}

/// The events of a stream, as they come: see [`ChangeStream::events`].
#[derive(Debug)]
pub struct Changes<'a> {
    stream: &'a mut ChangeStream,
    failed: bool,
}

impl Iterator for Changes<'_> {
    type Item = Result<ChangeEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed && !self.stream.has_ended() {
            let next = match self.stream.next() {
                Ok(None) => self.stream.wait(FOR_EVER).map(|_| None),
                next => next,
            };
            match next {
                Ok(Some(event)) => return Some(Ok(event)),
                // Nobody would bring anything while one waits in simulation.
                Ok(None) if !self.stream.environment.runtime.may_block() => {
                    return self.stream.next().transpose();
                }
                Ok(None) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl Database {
    /// Follows the changes of this database from now on.
    ///
    /// # Errors
    /// The database was closed or has failed, or its catalog could not be read.
    pub fn watch(&self) -> Result<ChangeStream> {
        self.watch_with(WatchOptions::new())
    }

    /// [`watch`](Self::watch), as the options say.
    ///
    /// # Errors
    /// As [`watch`](Self::watch);
    /// [`ErrorKind::ChangesLost`](crate::ErrorKind::ChangesLost): what came behind
    /// the token is not kept any more, or the token is one of another database.
    pub fn watch_with(&self, options: WatchOptions) -> Result<ChangeStream> {
        ChangeStream::begin(self.environment(), self.scope(&options), options)
    }

    pub(super) fn scope(&self, options: &WatchOptions) -> Scope {
        if options.whole_directory {
            Scope::Directory
        } else {
            Scope::Database(self.name().into())
        }
    }
}

impl Collection {
    /// Follows the changes of this collection from now on; it need not exist. The
    /// stream ends, with an [`Invalidate`](super::ChangeOperation::Invalidate)
    /// event, when the collection is dropped or renamed.
    ///
    /// # Errors
    /// As [`Database::watch`].
    pub fn watch(&self) -> Result<ChangeStream> {
        self.watch_with(WatchOptions::new())
    }

    /// [`watch`](Self::watch), as the options say.
    ///
    /// # Errors
    /// As [`Database::watch_with`].
    pub fn watch_with(&self, options: WatchOptions) -> Result<ChangeStream> {
        let scope = self.scope(&options)?;
        ChangeStream::begin(self.environment(), scope, options)
    }

    pub(super) fn scope(&self, options: &WatchOptions) -> Result<Scope> {
        self.outside_only("a change stream")?;
        self.environment().newest_only("a change stream")?;
        self.namespace().check()?;
        Ok(if options.whole_directory {
            Scope::Directory
        } else {
            Scope::Collection(self.namespace().clone())
        })
    }
}
