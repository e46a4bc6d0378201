//! A change stream as what a cursor reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bson::{RawBsonRef, RawDocumentBuf, rawdoc};
use collection_store::filter::Filter;
use collection_store::{AggregateOptions, ChangeStream, Collection, OperationContext};
use tokio::sync::watch;

use super::{Wanted, event};
use crate::cursor::{Source, Step};
use crate::error::{CommandError, Result};
use crate::namespace::INTERNAL_DATABASE;
use crate::server::Server;

/// How many streams may wait at once: each holds a thread meanwhile. More are answered at once
/// that there is nothing new, and ask again.
const MAX_WAITING: usize = 256;
/// Between two looks at whether the server stops, or somebody ended the request.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many events that nobody wants are passed over before the client hears of the place.
const MAX_PASSED: usize = 10_000;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// A change stream as what a cursor reads.
pub(crate) struct Changing {
    server: Arc<Server>,
    stream: ChangeStream,
    wanted: Wanted,
    stages: Stages,
    stopping: watch::Receiver<bool>,
    current: RawDocumentBuf,
}

/// What is done with each event.
struct Stages {
    /// Those in front, which only choose.
    matches: Vec<Filter>,
    /// The others.
    rest: Vec<RawDocumentBuf>,
    /// Any, for stages over documents of their own.
    collection: Collection,
}

impl fmt::Debug for Changing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changing")
            .field("stream", &self.stream)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

impl Changing {
    pub(super) fn new(
        server: &Arc<Server>,
        stream: ChangeStream,
        wanted: Wanted,
        stages: Vec<RawDocumentBuf>,
    ) -> Result<Self> {
        Ok(Self {
            stages: Stages::new(server, stages)?,
            server: Arc::clone(server),
            stream,
            wanted,
            stopping: server.stopping(),
            current: RawDocumentBuf::new(),
        })
    }

    fn advance(&mut self) -> Result<Advanced> {
        for _ in 0..MAX_PASSED {
            if *self.stopping.borrow() {
                return Err(CommandError::new(91, "the server is stopping"));
            }
            let Some(event) = self.stream.next()? else {
                return Ok(match self.stream.has_ended() {
                    true => Advanced::Ended,
                    false => Advanced::Nothing,
                });
            };
            if &*event.database == INTERNAL_DATABASE {
                continue;
            }
            let shaped = event::shaped(&self.server, &event, self.wanted)?;
            if let Some(document) = self.stages.apply(shaped)? {
                self.current = document;
                return Ok(Advanced::Event);
            }
        }
        Ok(Advanced::Nothing)
    }
}

/// What the stream has.
enum Advanced {
    Event,
    Nothing,
    Ended,
}

impl Source for Changing {
    fn next(&mut self) -> Result<Step<'_>> {
        match self.advance() {
            Ok(Advanced::Event) => Ok(Step::Document(&self.current)),
            Ok(Advanced::Nothing) => Ok(Step::Pause),
            Ok(Advanced::Ended) => Ok(Step::End),
            // A driver begins the stream anew where it was, if that may help.
            Err(error) if error.is_retryable() => {
                Err(error.with_label("ResumableChangeStreamError"))
            }
            Err(error) => Err(error),
        }
    }

    fn is_at_end(&self) -> bool {
        self.stream.has_ended()
    }

    fn wait(&mut self, longest: Duration) -> bool {
        let Some(_place) = Place::take() else {
            return false;
        };
        // Whatever it is, the next look says so.
        let _ = self.stream.wait(longest.min(LOOK_EVERY));
        true
    }

    fn token(&self) -> Option<RawDocumentBuf> {
        Some(event::token(self.stream.token()))
    }
}

/// A place among those that wait.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        if WAITING.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stages {
    fn new(server: &Server, stages: Vec<RawDocumentBuf>) -> Result<Self> {
        let (mut matches, mut rest) = (Vec::new(), Vec::new());
        for stage in stages {
            match stage.get("$match")? {
                Some(RawBsonRef::Document(filter)) if rest.is_empty() => {
                    matches.push(Filter::compile(filter)?);
                }
                _ => rest.push(stage),
            }
        }
        let database = server.database.database(INTERNAL_DATABASE);
        let stages = Self {
            matches,
            rest,
            collection: database.collection("changes"),
        };
        // What makes no sense is said when the stream begins, and not at its first event.
        stages.run(rawdoc! { "_id": {} })?;
        Ok(stages)
    }

    /// What the stages make of an event; `None` where they do not want it.
    fn apply(&self, event: RawDocumentBuf) -> Result<Option<RawDocumentBuf>> {
        for filter in &self.matches {
            if !filter.matches(&event)? {
                return Ok(None);
            }
        }
        if self.rest.is_empty() {
            return Ok(Some(event));
        }
        let token = event.get("_id")?.map(bson::RawBson::from);
        let Some(made) = self.run(event)? else {
            return Ok(None);
        };
        if made.get("_id")?.map(bson::RawBson::from) == token {
            return Ok(Some(made));
        }
        let message = "Encountered an event whose _id field, which contains the resume token, was \
                       modified by the pipeline. Modifying the _id field of an event makes it \
                       impossible to resume the stream from that point. Only transformations that \
                       retain the unmodified _id field are allowed.";
        Err(CommandError::new(280, message).with_label("NonResumableChangeStreamError"))
    }

    fn run(&self, event: RawDocumentBuf) -> Result<Option<RawDocumentBuf>> {
        if self.rest.is_empty() {
            return Ok(Some(event));
        }
        let mut one = bson::RawArrayBuf::new();
        one.push(rawdoc! { "$literal": event });
        let mut stages = vec![rawdoc! { "$documents": one }];
        stages.extend(self.rest.iter().cloned());
        let (context, options) = (OperationContext::new(), AggregateOptions::new());
        let mut rows = self.collection.aggregate_with(&context, stages, &options)?;
        Ok(rows.advance()?.map(ToOwned::to_owned))
    }
}
