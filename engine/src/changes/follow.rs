//! A place in the history of the database, and the way on from it.
//!
//! It holds a feed and no handle to the database, so that the database can hold
//! it (`listen.rs`).

use cs_kv::base::Index;
use cs_kv::{ChangeFeed, ChangePosition, Store};

use super::event::{ChangeEvent, ChangeOperation};
use super::names::{Names, add_replaced};
use super::read::{Current, Filter, Shown};
use super::scope::{Scope, Start, Wants, WatchOptions};
use super::since::place_at;
use super::token::ResumeToken;
use crate::context::Watch;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Follower {
    feed: ChangeFeed,
    names: Names,
    scope: Scope,
    options: WatchOptions,
    current: Option<Current>,
    /// Commits up to here belong to the state that it began with.
    behind: Index,
    /// So many effects of the next commit were shown before, and whether the
    /// invalidate event of the last of them was too.
    shown: (u32, bool),
    token: ResumeToken,
    /// Comes next, and is the last.
    invalidate: Option<ChangeEvent>,
    ended: bool,
    /// As long as it lives, commits tell what was before.
    _wants: Option<Wants>,
}

impl Follower {
    /// Begins where the options say.
    pub(super) fn begin(
        environment: &Environment,
        scope: Scope,
        options: WatchOptions,
        watch: &Watch,
    ) -> Result<Self> {
        let store = environment.store()?;
        // What is committed from now on tells, so before it is shown.
        let wants = options
            .with_before
            .then(|| environment.wanting.want(&scope));
        let token = match options.start {
            Start::Now => None,
            Start::Resume(token) => {
                token.check_resumable()?;
                Some(token)
            }
            Start::Behind(token) => Some(token),
            Start::At(time) => place_at(store, time, watch)?.map(ResumeToken::at),
        };
        let place = match token {
            None => Place::now(environment, store)?,
            Some(token) => Place::after(environment, store, token, watch)?,
        };
        let Place {
            feed,
            names,
            behind,
            token,
        } = place;
        Ok(Self {
            feed,
            names,
            scope,
            options,
            current: None,
            behind,
            shown: (token.position.ordinal, token.invalidated),
            token,
            invalidate: None,
            ended: false,
            _wants: wants,
        })
    }

    /// The same from now on, when what came next is lost.
    pub(super) fn begin_anew(&self, environment: &Environment, watch: &Watch) -> Result<Self> {
        let mut options = self.options.clone();
        options.start = Start::Now;
        Self::begin(environment, self.scope.clone(), options, watch)
    }

    /// The place behind all that it has shown.
    pub(super) fn token(&self) -> ResumeToken {
        self.token
    }

    /// The feed that it reads.
    pub(super) fn feed(&self) -> &ChangeFeed {
        &self.feed
    }

    /// Whether it has shown the last event that it ever will.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether it is worth asking for the next event.
    pub(super) fn has_more(&self) -> bool {
        !self.ended && (self.is_amid() || self.feed.has_more())
    }

    /// Whether it is in the middle of a commit.
    pub(super) fn is_amid(&self) -> bool {
        self.current.is_some() || self.invalidate.is_some()
    }

    /// The next event; `None` where there is none yet, or it has ended.
    pub(super) fn next(&mut self, watch: &Watch) -> Result<Option<ChangeEvent>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if let Some(invalidate) = self.invalidate.take() {
                self.ended = true;
                self.token = invalidate.token;
                return Ok(Some(invalidate));
            }
            watch.check()?;
            let Some(current) = &mut self.current else {
                if !self.next_commit()? {
                    return Ok(None);
                }
                continue;
            };
            let filter = Filter {
                scope: &self.scope,
                options: &self.options,
                watch,
                skipped: self.shown.0,
            };
            match current.next(&mut self.names, &filter)? {
                Shown::Nothing => {}
                Shown::End => {
                    self.token = ResumeToken::at(current.record.position);
                    self.current = None;
                    self.shown = (0, false);
                }
                Shown::Event(event, takes_away) => {
                    if let Some(event) = self.show(*event, takes_away) {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Takes up the next commit; false where there is none yet.
    fn next_commit(&mut self) -> Result<bool> {
        let Some(record) = self.feed.next()? else {
            return Ok(false);
        };
        if record.index > self.behind {
            self.current = Some(Current::new(record)?);
        }
        Ok(true)
    }

    /// What there is to see of an event.
    fn show(&mut self, event: ChangeEvent, takes_away: bool) -> Option<ChangeEvent> {
        let (skipped, was_invalidated) = self.shown;
        let ordinal = event.token.position.ordinal;
        if ordinal < skipped || (ordinal == skipped && was_invalidated) {
            return None;
        }
        if takes_away {
            self.invalidate = Some(ChangeEvent {
                operation: ChangeOperation::Invalidate,
                token: ResumeToken {
                    invalidated: true,
                    ..event.token
                },
                to: None,
                ..event.clone()
            });
        }
        if ordinal == skipped || !self.options.wants(event.operation) {
            return None;
        }
        self.token = event.token;
        Some(event)
    }
}

/// Where a follower begins.
struct Place {
    feed: ChangeFeed,
    names: Names,
    behind: Index,
    token: ResumeToken,
}

impl Place {
    /// Behind all that is visible.
    fn now(environment: &Environment, store: &Store) -> Result<Self> {
        // In this order: what comes behind the snapshot is in the feed.
        let feed = store.changes()?;
        let snapshot = store.snapshot()?;
        settle(environment, store)?;
        let position = ChangePosition {
            index: snapshot.index(),
            ..feed.position()
        };
        Ok(Self {
            names: Names::of(&snapshot)?,
            feed,
            behind: snapshot.index(),
            token: ResumeToken::at(position),
        })
    }

    /// Behind an event that was shown.
    fn after(
        environment: &Environment,
        store: &Store,
        token: ResumeToken,
        watch: &Watch,
    ) -> Result<Self> {
        let position = token.position;
        let feed = store.changes_after(&position)?;
        let snapshot = store.snapshot()?;
        let now = snapshot.index();
        settle(environment, store)?;
        let mut names = Names::of(&snapshot)?;
        // What happened to the catalog since, so that it can be taken back.
        let (mut replaced, mut is_first) = (Vec::new(), true);
        let mut since = store.changes_after(&position)?;
        while since.position().index < now {
            watch.check()?;
            let Some(record) = since.next()? else {
                break;
            };
            if std::mem::take(&mut is_first)
                && record.effects()?.count() < position.ordinal as usize
            {
                return Err(unknown(&token));
            }
            if record.index > now {
                break;
            }
            add_replaced(&record, &mut replaced)?;
        }
        if is_first && position.ordinal > 0 {
            return Err(unknown(&token));
        }
        names.take_back(replaced)?;
        Ok(Self {
            feed,
            names,
            behind: position.index,
            token,
        })
    }
}

/// What is visible is made durable, so that a place behind it is one for ever.
fn settle(environment: &Environment, store: &Store) -> Result<()> {
    if !environment.is_read_only() {
        store.flush()?;
    }
    Ok(())
}

fn unknown(token: &ResumeToken) -> Error {
    let message = format!("the commit of the event '{token}' was lost, or is another one");
    Error::new(ErrorKind::ChangesLost, message)
}
