//! One effect of a commit, as an event.
//!
//! Documents' trees give an event for each document. The catalog gives one for
//! each collection: an entry whose tree is made in the same commit is a creation,
//! one that is removed with its tree a drop, one that is removed while its tree
//! stays the first half of a renaming.

use std::collections::BTreeMap;

use bson::RawDocumentBuf;
use cs_kv::base::TreeId;
use cs_kv::{ChangeRecord, Effect, NotedEffect, RecordEffects, system};

use super::difference::describe;
use super::event::{ChangeEvent, ChangeOperation};
use super::names::{Names, unpacked};
use super::scope::{Scope, WatchOptions};
use super::token::ResumeToken;
use crate::catalog::{decode_entry, parse_database_key, parse_key};
use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::id::id_of;
use crate::key;
use crate::names::Namespace;

/// A commit that is being shown.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) record: ChangeRecord,
    effects: RecordEffects,
    /// What the next effect replaces.
    before: Option<Vec<u8>>,
    /// Found out at the first effect on the catalog.
    trees: Option<Trees>,
    /// Collections that have lost their name and not got a new one yet.
    renaming: BTreeMap<TreeId, Namespace>,
}

/// The trees that a commit makes.
#[derive(Debug)]
struct Trees {
    created: Vec<TreeId>,
    dropped: Vec<TreeId>,
}

impl Trees {
    fn of(record: &ChangeRecord) -> Result<Self> {
        let (mut created, mut dropped) = (Vec::new(), Vec::new());
        for effect in record.effects()? {
            match effect? {
                Effect::CreateTree { tree } => created.push(tree),
                Effect::DropTree { tree } => dropped.push(tree),
                _ => {}
            }
        }
        created.sort_unstable();
        dropped.sort_unstable();
        Ok(Self { created, dropped })
    }
}

/// What an effect came to.
pub(super) enum Shown {
    /// An event, and whether it takes away what is watched.
    Event(Box<ChangeEvent>, bool),
    /// Nothing for whoever watches.
    Nothing,
    /// There are no more effects.
    End,
}

/// What is shown, and to whom.
pub(super) struct Filter<'a> {
    pub(super) scope: &'a Scope,
    pub(super) options: &'a WatchOptions,
    pub(super) watch: &'a Watch,
    /// So many effects were shown before; of the last of them it is only asked
    /// whether it took away what is watched.
    pub(super) skipped: u32,
}

impl Filter<'_> {
    /// Whether it is worth making the event.
    fn shows(&self, namespace: &Namespace, operation: ChangeOperation, ordinal: u32) -> bool {
        ordinal >= self.skipped && self.scope.has(namespace) && self.options.wants(operation)
    }
}

impl Current {
    pub(super) fn new(record: ChangeRecord) -> Result<Self> {
        Ok(Self {
            effects: record.one_by_one()?,
            record,
            before: None,
            trees: None,
            renaming: BTreeMap::new(),
        })
    }

    /// The next effect. The names follow it, shown or not.
    pub(super) fn next(&mut self, names: &mut Names, filter: &Filter<'_>) -> Result<Shown> {
        let Some(noted) = self.effects.next()? else {
            return Ok(Shown::End);
        };
        let NotedEffect {
            ordinal,
            effect,
            was_absent,
            in_part,
        } = noted;
        let maker = Maker {
            record: &self.record,
            ordinal,
        };
        let tree = effect.tree();
        if tree == system::CATALOG {
            let trees = match &mut self.trees {
                Some(trees) => trees,
                none => none.insert(Trees::of(&self.record)?),
            };
            let change = match effect {
                Effect::Put { key, value, .. } => {
                    put_entry(names, trees, &mut self.renaming, key, value)?
                }
                Effect::PutPacked { key, block, .. } => {
                    put_entry(names, trees, &mut self.renaming, key, &unpacked(block)?)?
                }
                Effect::Delete { key, .. } => {
                    delete_entry(names, trees, &mut self.renaming, key, was_absent)
                }
                _ => None,
            };
            return Ok(change.map_or(Shown::Nothing, |change| maker.catalog(change, filter)));
        }
        let Some(namespace) = names.collection(tree) else {
            return Ok(Shown::Nothing);
        };
        let (operation, key, value) = match effect {
            Effect::Before { value, .. } => {
                if filter.scope.has(namespace) {
                    filter.watch.room_for(value.len())?;
                    self.before = Some(value.to_vec());
                }
                return Ok(Shown::Nothing);
            }
            Effect::Put { key, value, .. } => {
                (put_of(was_absent, in_part), key, Some(Value::Plain(value)))
            }
            Effect::PutPacked { key, block, .. } => {
                (put_of(was_absent, in_part), key, Some(Value::Packed(block)))
            }
            Effect::Delete { key, .. } if !was_absent => (ChangeOperation::Delete, key, None),
            _ => return Ok(Shown::Nothing),
        };
        let before = self.before.take();
        if !filter.shows(namespace, operation, ordinal) {
            return Ok(Shown::Nothing);
        }
        let document = value.map(Value::document).transpose()?;
        let held = document.as_ref().map_or(0, |bytes| bytes.as_bytes().len());
        filter
            .watch
            .room_for(held + before.as_ref().map_or(0, Vec::len))?;
        let update = match (&before, &document) {
            (Some(before), Some(after)) if operation == ChangeOperation::Update => {
                describe(before, after.as_bytes())?
            }
            _ => None,
        };
        let before = before.map(raw).transpose()?;
        let id = match document.as_ref().or(before.as_ref()) {
            Some(document) => match id_of(document.as_bytes()) {
                Some(id) => Some(id.to_bson()?),
                None => None,
            },
            None => key::decode(key),
        };
        let id = id.ok_or_else(|| damaged(namespace))?;
        let mut event = maker.event(operation, namespace);
        event.document_key = Some(id);
        event.document = document;
        event.before = before.filter(|_| filter.options.with_before);
        event.update = update;
        Ok(Shown::Event(Box::new(event), false))
    }
}

fn put_of(was_absent: bool, in_part: bool) -> ChangeOperation {
    match (was_absent, in_part) {
        (true, _) => ChangeOperation::Insert,
        (false, true) => ChangeOperation::Update,
        (false, false) => ChangeOperation::Replace,
    }
}

/// A document in an effect.
enum Value<'a> {
    Plain(&'a [u8]),
    Packed(&'a [u8]),
}

impl Value<'_> {
    fn document(self) -> Result<RawDocumentBuf> {
        raw(match self {
            Self::Plain(bytes) => bytes.to_vec(),
            Self::Packed(block) => unpacked(block)?,
        })
    }
}

fn raw(bytes: Vec<u8>) -> Result<RawDocumentBuf> {
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}

fn damaged(namespace: &Namespace) -> Error {
    let message = format!("a record of the log: a document of '{namespace}' has no _id");
    Error::new(ErrorKind::Corruption, message)
}

/// What became of a collection or database.
enum CatalogChange {
    Created(Namespace),
    Dropped(Namespace),
    Renamed(Namespace, Namespace),
    DroppedDatabase(String),
}

fn put_entry(
    names: &mut Names,
    trees: &Trees,
    renaming: &mut BTreeMap<TreeId, Namespace>,
    key: &[u8],
    value: &[u8],
) -> Result<Option<CatalogChange>> {
    let namespace = parse_key(key)?;
    let tree = decode_entry(key, value)?.tree;
    names.put(key.to_vec(), namespace.clone(), tree);
    if trees.created.binary_search(&tree).is_ok() {
        return Ok(Some(CatalogChange::Created(namespace)));
    }
    // An entry that stays has other options.
    let from = renaming.remove(&tree);
    Ok(from.map(|from| CatalogChange::Renamed(from, namespace)))
}

fn delete_entry(
    names: &mut Names,
    trees: &Trees,
    renaming: &mut BTreeMap<TreeId, Namespace>,
    key: &[u8],
    was_absent: bool,
) -> Option<CatalogChange> {
    if was_absent {
        return parse_database_key(key).map(CatalogChange::DroppedDatabase);
    }
    let (tree, namespace) = names.remove(key)?;
    if trees.dropped.binary_search(&tree).is_ok() {
        return Some(CatalogChange::Dropped(namespace));
    }
    renaming.insert(tree, namespace);
    None
}

/// Makes the events of an effect.
struct Maker<'a> {
    record: &'a ChangeRecord,
    ordinal: u32,
}

impl Maker<'_> {
    fn event(&self, operation: ChangeOperation, namespace: &Namespace) -> ChangeEvent {
        let Namespace {
            database,
            collection,
        } = namespace.clone();
        ChangeEvent {
            token: ResumeToken::at(self.record.position_at(self.ordinal.saturating_add(1))),
            operation,
            database,
            collection: Some(collection),
            to: None,
            document_key: None,
            document: None,
            before: None,
            update: None,
            transaction: self.record.index.get(),
            time: self.record.time,
        }
    }

    fn catalog(&self, change: CatalogChange, filter: &Filter<'_>) -> Shown {
        let scope = filter.scope;
        let (event, is_seen, is_watched) = match change {
            CatalogChange::Created(namespace) => {
                let event = self.event(ChangeOperation::Create, &namespace);
                (event, scope.has(&namespace), false)
            }
            CatalogChange::Dropped(namespace) => {
                let event = self.event(ChangeOperation::Drop, &namespace);
                let is_seen = scope.has(&namespace);
                let is_watched = matches!(scope, Scope::Collection(_));
                (event, is_seen, is_watched)
            }
            CatalogChange::Renamed(from, to) => {
                let mut event = self.event(ChangeOperation::Rename, &from);
                let is_seen = scope.has(&from) || scope.has(&to);
                event.to = Some(to.collection);
                (event, is_seen, matches!(scope, Scope::Collection(_)))
            }
            CatalogChange::DroppedDatabase(database) => {
                let namespace = Namespace {
                    database: database.as_str().into(),
                    collection: "".into(),
                };
                let mut event = self.event(ChangeOperation::DropDatabase, &namespace);
                event.collection = None;
                let is_seen = scope.has_database(&database);
                (event, is_seen, matches!(scope, Scope::Database(_)))
            }
        };
        if is_seen {
            Shown::Event(Box::new(event), is_watched)
        } else {
            Shown::Nothing
        }
    }
}
