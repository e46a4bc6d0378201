//! Listeners: a thread of the database calls them, after each commit.
//!
//! Each listener has a place of its own in the history, so that one that is slow
//! or panics takes nothing from the others but time, and from writers nothing:
//! one that falls behind is served from the log. There is one thread for all, made
//! for the first; in simulation the background work of the store takes its place.
//!
//! ## Invariants
//! * What is shared with the thread holds no handle to the database, and nothing of
//!   it lives on when the database was closed or its last handle is gone.
//! * A listener is called by one thread at a time, and not again after it
//!   panicked, its subscription was dropped, or it was told of an error other than
//!   that changes were lost.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cs_kv::ChangeMoves;
use cs_kv::io::Task;
use parking_lot::Mutex;

use super::event::ChangeEvent;
use super::follow::Follower;
use super::scope::{Scope, WatchOptions};
use crate::collection::Collection;
use crate::context::{OperationContext, Watch};
use crate::database::Database;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};

/// Events that a listener hears before it is the next one's turn.
const TURN: usize = 64;
/// As long as it takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// What hears the events.
type Hear = Box<dyn FnMut(Result<&ChangeEvent>) + Send>;

/// A listener that was set up. Dropping this ends it; a call that is under way
/// then comes to its end.
#[must_use = "a subscription that is dropped ends its listener"]
#[derive(Debug)]
pub struct Subscription {
    shared: Weak<Shared>,
    listener: Weak<Listener>,
}

impl Subscription {
    /// Whether there is somebody to be called: not after the database was closed,
    /// what was watched is gone, or the listener panicked or was told of an error.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let listener = self.listener.upgrade();
        listener.is_some_and(|listener| !listener.ended.load(Ordering::Acquire))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.upgrade() {
            listener.ended.store(true, Ordering::Release);
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.forget_ended();
        }
    }
}

struct Listener {
    ended: AtomicBool,
    state: Mutex<State>,
}

struct State {
    follower: Follower,
    hear: Hear,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Tells it some of what has come; says whether there may be more.
    fn tell(&self, environment: &Weak<Environment>, watch: &Watch) -> bool {
        // Taken while it is being called: by that call itself, in simulation.
        let Some(mut state) = self.state.try_lock() else {
            return false;
        };
        for _ in 0..TURN {
            if self.ended.load(Ordering::Acquire) {
                return false;
            }
            let goes_on = match state.follower.next(watch) {
                Ok(Some(event)) => call(&mut state.hear, Ok(&event)) && !state.follower.has_ended(),
                Ok(None) => return false,
                Err(error) => {
                    let is_lost = error.kind() == ErrorKind::ChangesLost;
                    call(&mut state.hear, Err(error))
                        && is_lost
                        && state.begin_anew(environment, watch)
                }
            };
            if !goes_on {
                self.ended.store(true, Ordering::Release);
                return false;
            }
        }
        true
    }

    fn has_more(&self) -> bool {
        let state = self.state.try_lock();
        state.is_some_and(|state| state.follower.has_more())
    }
}

impl State {
    /// From now on again; false if the database is gone.
    fn begin_anew(&mut self, environment: &Weak<Environment>, watch: &Watch) -> bool {
        let Some(environment) = environment.upgrade() else {
            return false;
        };
        match self.follower.begin_anew(&environment, watch) {
            Ok(follower) => {
                self.follower = follower;
                true
            }
            Err(error) => {
                call(&mut self.hear, Err(error));
                false
            }
        }
    }
}

/// Whether it came back.
fn call(hear: &mut Hear, event: Result<&ChangeEvent>) -> bool {
    catch_unwind(AssertUnwindSafe(|| hear(event))).is_ok()
}

/// All listeners of a database.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Arc<Shared>);

/// What they share with the thread.
#[derive(Debug, Default)]
struct Shared {
    list: Mutex<Vec<Arc<Listener>>>,
    stop: AtomicBool,
    /// There is no other thread: whoever does background work tells them.
    by_hand: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    task: Option<Task>,
    moves: ChangeMoves,
}

impl Listeners {
    fn add(&self, environment: &Arc<Environment>, listener: Listener) -> Result<Subscription> {
        let shared = &self.0;
        let moves = listener.state.lock().follower.feed().moves();
        let listener = Arc::new(listener);
        let subscription = Subscription {
            shared: Arc::downgrade(shared),
            listener: Arc::downgrade(&listener),
        };
        let mut thread = shared.thread.lock();
        if shared.stop.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the database was closed"));
        }
        shared.list.lock().push(listener);
        if thread.is_some() {
            moves.wake();
            return Ok(subscription);
        }
        let watch = OperationContext::new().start(&environment.runtime);
        let (shared, waits) = (Arc::clone(shared), moves.clone());
        let weak = Arc::downgrade(environment);
        let run = Box::new(move || shared.run(&weak, &watch, &waits));
        let task = environment.runtime.spawn("cs-listeners", run);
        let task = task.map_err(|error| {
            let message = format!("no thread for listeners: {error}");
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        self.0.by_hand.store(task.is_none(), Ordering::Release);
        *thread = Some(Thread { task, moves });
        Ok(subscription)
    }

    /// Tells them what has come, where there is no other thread; says whether
    /// there was something.
    pub(crate) fn step(&self, environment: &Arc<Environment>) -> bool {
        if !self.0.by_hand.load(Ordering::Acquire) {
            return false;
        }
        let watch = OperationContext::new().start(&environment.runtime);
        let had_more = self.0.has_more();
        self.0.tell_all(&Arc::downgrade(environment), &watch);
        had_more
    }

    /// Ends all of them, and the thread. What they were not told by then they are
    /// not told any more.
    pub(crate) fn stop(&self) {
        let shared = &self.0;
        shared.stop.store(true, Ordering::Release);
        let thread = shared.thread.lock().take();
        if let Some(Thread { task, moves }) = thread {
            moves.wake();
            if let Some(task) = task {
                task.join();
            }
        }
        let listeners = std::mem::take(&mut *shared.list.lock());
        for listener in &listeners {
            listener.ended.store(true, Ordering::Release);
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self, environment: &Weak<Environment>, watch: &Watch, moves: &ChangeMoves) {
        while !self.stop.load(Ordering::Acquire) {
            if self.tell_all(environment, watch) {
                continue;
            }
            let is_over = || self.stop.load(Ordering::Acquire) || self.has_more();
            if let Err(error) = moves.wait(FOR_EVER, is_over) {
                self.fail(&error);
                return;
            }
        }
    }

    fn has_more(&self) -> bool {
        self.list.lock().iter().any(|listener| listener.has_more())
    }

    /// A turn for each; says whether there may be more.
    fn tell_all(&self, environment: &Weak<Environment>, watch: &Watch) -> bool {
        let listeners = self.list.lock().clone();
        let mut more = false;
        for listener in listeners {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            more |= listener.tell(environment, watch);
        }
        self.forget_ended();
        more
    }

    /// The database has failed: there is nothing more to tell.
    fn fail(&self, error: &cs_kv::Error) {
        for listener in std::mem::take(&mut *self.list.lock()) {
            listener.ended.store(true, Ordering::Release);
            let message = error.to_string();
            let mut state = listener.state.lock();
            call(
                &mut state.hear,
                Err(Error::new(ErrorKind::Poisoned, message)),
            );
        }
    }

    fn forget_ended(&self) {
        let has_ended = |listener: &Arc<Listener>| listener.ended.load(Ordering::Acquire);
        // Let go without the lock: what a listener holds may do anything.
        let mut list = self.list.lock();
        let (gone, rest) = std::mem::take(&mut *list).into_iter().partition(has_ended);
        *list = rest;
        drop(list);
        drop::<Vec<_>>(gone);
    }
}

fn listen(
    environment: &Arc<Environment>,
    scope: Scope,
    mut options: WatchOptions,
    hear: Hear,
) -> Result<Subscription> {
    options.context = OperationContext::new();
    let watch = options.context.start(&environment.runtime);
    let follower = Follower::begin(environment, scope, options, &watch)?;
    let listener = Listener {
        ended: AtomicBool::new(false),
        state: Mutex::new(State { follower, hear }),
    };
    environment.listeners.add(environment, listener)
}

impl Database {
    /// Has `hear` called with each change of this database, after its commit and in
    /// the order of commits, on a thread that all listeners share. What cannot be
    /// told is an error: [`ErrorKind::ChangesLost`] if the listener was slower than
    /// changes are kept, after which it goes on from now; any other is the last.
    ///
    /// A closure that holds a handle to this database keeps it open until the
    /// subscription is dropped.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, WatchOptions};
    ///
    /// let database = Database::open_in_memory()?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let subscription = database.listen(WatchOptions::new(), move |event| {
    ///     if let Ok(event) = event {
    ///         let _ = sender.send((event.operation, event.document_key.clone()));
    ///     }
    /// })?;
    /// database.collection("orders").insert_one(doc! { "_id": 7 })?;
    /// let (created, inserted) = (receiver.recv().unwrap(), receiver.recv().unwrap());
    /// assert_eq!(format!("{:?} {:?}", created.0, inserted.0), "Create Insert");
    /// assert_eq!(inserted.1, Some(7.into()));
    /// drop(subscription);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`watch_with`](Self::watch_with).
    pub fn listen(
        &self,
        options: WatchOptions,
        hear: impl FnMut(Result<&ChangeEvent>) + Send + 'static,
    ) -> Result<Subscription> {
        let scope = self.scope(&options);
        listen(self.environment(), scope, options, Box::new(hear))
    }
}

impl Collection {
    /// [`Database::listen`] for one collection, until it is dropped or renamed.
    ///
    /// # Errors
    /// As [`watch_with`](Self::watch_with).
    pub fn listen(
        &self,
        options: WatchOptions,
        hear: impl FnMut(Result<&ChangeEvent>) + Send + 'static,
    ) -> Result<Subscription> {
        let scope = self.scope(&options)?;
        listen(self.environment(), scope, options, Box::new(hear))
    }
}
