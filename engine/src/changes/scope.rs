//! What is watched, and how; and who wants to be told what was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bson::{RawBsonRef, RawDocument};
use cs_kv::base::HybridTime;
use parking_lot::Mutex;

use super::event::ChangeOperation;
use super::token::ResumeToken;
use crate::catalog::Entry;
use crate::context::OperationContext;
use crate::error::{Error, Result};
use crate::names::Namespace;

/// MongoDB's option of a collection whose changes tell what was before.
const IMAGES: &str = "changeStreamPreAndPostImages";

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Directory,
    Database(Arc<str>),
    Collection(Namespace),
}

impl Scope {
    /// Whether it has a collection of this name.
    pub(super) fn has(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Directory => true,
            Self::Database(name) => *name == namespace.database,
            Self::Collection(one) => one == namespace,
        }
    }

    /// Whether it has to do with a database as a whole.
    pub(super) fn has_database(&self, database: &str) -> bool {
        match self {
            Self::Directory => true,
            Self::Database(name) => **name == *database,
            Self::Collection(_) => false,
        }
    }
}

/// From where on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Now,
    Resume(ResumeToken),
    Behind(ResumeToken),
    At(HybridTime),
}

/// How changes are followed: see [`Database::watch_with`](crate::Database::watch_with).
///
/// ```
/// use collection_store::{ChangeOperation, WatchOptions};
/// let options = WatchOptions::new()
///     .operations([ChangeOperation::Insert, ChangeOperation::Delete])
///     .with_before();
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct WatchOptions {
    pub(super) start: Start,
    pub(super) whole_directory: bool,
    pub(super) operations: Option<Vec<ChangeOperation>>,
    pub(super) with_before: bool,
    pub(super) context: OperationContext,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            start: Start::Now,
            whole_directory: false,
            operations: None,
            with_before: false,
            context: OperationContext::new(),
        }
    }
}

impl WatchOptions {
    /// All changes from now on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on behind an event, in this process or a later one.
    pub fn resume_after(mut self, token: ResumeToken) -> Self {
        self.start = Start::Resume(token);
        self
    }

    /// [`resume_after`](Self::resume_after), also behind an
    /// [`Invalidate`](ChangeOperation::Invalidate) event.
    pub fn start_after(mut self, token: ResumeToken) -> Self {
        self.start = Start::Behind(token);
        self
    }

    /// All changes of commits that are not before this time, which is that of an
    /// [event](super::ChangeEvent::time).
    /// [`ErrorKind::ChangesLost`](crate::ErrorKind::ChangesLost) where what is kept of the
    /// history does not go back to it.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, WatchOptions};
    ///
    /// let database = Database::open_in_memory()?;
    /// let orders = database.collection("orders");
    /// let mut stream = orders.watch()?;
    /// for id in 1..=3 {
    ///     orders.insert_one(doc! { "_id": id })?;
    /// }
    /// let events = std::iter::from_fn(|| stream.next().transpose());
    /// let second = events.collect::<Result<Vec<_>, _>>()?.remove(2);
    /// let mut again = orders.watch_with(WatchOptions::new().start_at(second.time))?;
    /// assert_eq!(again.next()?, Some(second));
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn start_at(mut self, time: HybridTime) -> Self {
        self.start = Start::At(time);
        self
    }

    /// All databases of the directory, whatever it is asked of.
    pub fn whole_directory(mut self) -> Self {
        self.whole_directory = true;
        self
    }

    /// Only these operations; [`Invalidate`](ChangeOperation::Invalidate) always comes.
    pub fn operations(mut self, operations: impl IntoIterator<Item = ChangeOperation>) -> Self {
        self.operations = Some(operations.into_iter().collect());
        self
    }

    /// Tells what documents were before. As long as somebody asks for it, each
    /// commit to what he watches writes that to the log too: changes from before
    /// tell it only where the collection was created with the option
    /// `changeStreamPreAndPostImages: { enabled: true }`.
    pub fn with_before(mut self) -> Self {
        self.with_before = true;
        self
    }

    /// Deadline, cancel flag and memory limit. A listener has none.
    pub fn context(mut self, context: OperationContext) -> Self {
        self.context = context;
        self
    }

    pub(super) fn wants(&self, operation: ChangeOperation) -> bool {
        let operations = self.operations.as_ref();
        operations.is_none_or(|operations| operations.contains(&operation))
    }
}

/// Refuses an option of this name that makes no sense.
pub(crate) fn check_image_option(options: &RawDocument) -> Result<()> {
    let wrong = || Error::bad_value(format!("{IMAGES}: expected {{ enabled: true or false }}"));
    let Ok(Some(value)) = options.get(IMAGES) else {
        return Ok(());
    };
    let RawBsonRef::Document(value) = value else {
        return Err(wrong());
    };
    for field in value {
        match field {
            Ok((name, RawBsonRef::Boolean(_))) if name.as_str() == "enabled" => {}
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

/// Whether the options of a collection say that its changes tell what was before.
pub(crate) fn tells_before(options: &RawDocument) -> bool {
    let value = options.get_document(IMAGES);
    value.is_ok_and(|value| value.get_bool("enabled").unwrap_or(false))
}

/// Who wants to be told what was before.
#[derive(Debug, Default)]
pub(crate) struct Wanting {
    /// How many there are: without one a writer looks no further.
    count: AtomicUsize,
    scopes: Mutex<Vec<Arc<Scope>>>,
}

impl Wanting {
    /// Whether changes to this collection are to tell what was before.
    #[inline]
    pub(crate) fn is_wanted(&self, namespace: &Namespace, entry: &Entry) -> bool {
        entry.tells_before
            || (self.count.load(Ordering::Acquire) > 0
                && self.scopes.lock().iter().any(|scope| scope.has(namespace)))
    }

    /// From now on somebody wants it, until what this returns is dropped.
    pub(super) fn want(self: &Arc<Self>, scope: &Scope) -> Wants {
        let scope = Arc::new(scope.clone());
        self.scopes.lock().push(Arc::clone(&scope));
        self.count.fetch_add(1, Ordering::Release);
        Wants {
            wanting: Arc::clone(self),
            scope,
        }
    }
}

/// Somebody wants it.
#[derive(Debug)]
pub(super) struct Wants {
    wanting: Arc<Wanting>,
    scope: Arc<Scope>,
}

impl Drop for Wants {
    fn drop(&mut self) {
        self.wanting.count.fetch_sub(1, Ordering::Release);
        let is_other = |scope: &Arc<Scope>| !Arc::ptr_eq(scope, &self.scope);
        self.wanting.scopes.lock().retain(is_other);
    }
}
