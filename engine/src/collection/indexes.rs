//! Making, dropping and listing indexes.
//!
//! An index is made in three steps, each one commit that changes the collection's entry:
//! *start* (its tree is there, and every writer from then on maintains it), bit by bit
//! what was there before (`build`), and *ready*, or *abort*, which takes it away again.

use std::ops::ControlFlow;

use cs_kv::{Batch, CommitOptions, Expect, system};

use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::{Entry, entry_in, key_of};
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{BuildState, Definition, ID_INDEX, Index, IndexInfo, IndexModel, Indexes};

/// Most indexes of a collection, that over `_id` included, as in MongoDB.
const MAX_INDEXES: usize = 64;

/// How far the making of indexes is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexProgress {
    /// Documents looked at.
    pub documents: u64,
    /// Documents that there were at the beginning.
    pub total: u64,
}

/// An index to be made: its name, and what it is; that over `_id` is there.
struct Wanted {
    name: String,
    definition: Option<Definition>,
}

impl Collection {
    /// Makes an index, unless there is the same already, and returns its name. Writers go
    /// on meanwhile; the collection is created if need be. An index whose making was
    /// interrupted, by a crash too, is gone on with by the same call.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, IndexModel};
    ///
    /// let database = Database::open_in_memory()?;
    /// let books = database.collection("books");
    /// books.insert_one(doc! { "_id": 1, "author": "Lem", "year": 1961 })?;
    /// let name = books.create_index(IndexModel::new(doc! { "author": 1, "year": -1 }))?;
    /// assert_eq!(name, "author_1_year_-1");
    /// assert_eq!(books.list_indexes()?.len(), 2, "there is always one over _id");
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::CannotCreateIndex`], [`ErrorKind::IndexConflict`];
    /// [`ErrorKind::DuplicateKey`]: a unique one, and two documents have the same key;
    /// [`ErrorKind::CannotIndex`]: a document cannot be in it. Nothing is left of it then.
    pub fn create_index(&self, model: IndexModel) -> Result<String> {
        let names = self.create_indexes([model])?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    /// [`create_index`](Self::create_index) with a context, and a function that is told how
    /// far it is and may end it: it goes on with the next call then.
    ///
    /// # Errors
    /// As [`create_index`](Self::create_index), and those of the context.
    pub fn create_index_with(
        &self,
        context: &OperationContext,
        model: IndexModel,
        progress: impl FnMut(&IndexProgress) -> ControlFlow<()>,
    ) -> Result<String> {
        let names = self.create_indexes_with(context, [model], progress)?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    /// Makes several indexes, in one pass over the documents; all or none of them.
    ///
    /// # Errors
    /// As [`create_index`](Self::create_index).
    pub fn create_indexes(
        &self,
        models: impl IntoIterator<Item = IndexModel>,
    ) -> Result<Vec<String>> {
        let context = OperationContext::new();
        self.create_indexes_with(&context, models, |_| ControlFlow::Continue(()))
    }

    /// [`create_indexes`](Self::create_indexes) with a context and a progress function.
    ///
    /// # Errors
    /// As [`create_index_with`](Self::create_index_with).
    pub fn create_indexes_with(
        &self,
        context: &OperationContext,
        models: impl IntoIterator<Item = IndexModel>,
        mut progress: impl FnMut(&IndexProgress) -> ControlFlow<()>,
    ) -> Result<Vec<String>> {
        self.outside_only("making an index")?;
        let watch = context.start(&self.environment().runtime);
        watch.check()?;
        let mut wanted = Vec::new();
        for model in models {
            let definition = Definition::new(model)?;
            let name = definition
                .as_ref()
                .map_or_else(|| ID_INDEX.to_owned(), |it| it.name.clone());
            wanted.push(Wanted { name, definition });
        }
        let names = wanted.iter().map(|wanted| wanted.name.clone()).collect();
        self.environment().writable()?;
        if !self.exists_now()? {
            match self.create_with(context, bson::RawDocumentBuf::new()) {
                Err(error) if error.kind() == ErrorKind::NamespaceExists => {}
                created => created?,
            }
        }
        let options = context.commit_options();
        let expires = |it: &Definition| it.expire_after_seconds.is_some();
        let may_expire = wanted
            .iter()
            .any(|it| it.definition.as_ref().is_some_and(expires));
        let trees = self.start_indexes(&options, wanted)?;
        if may_expire {
            self.environment().expiry.made(self.environment());
        }
        if trees.is_empty() {
            return Ok(names);
        }
        let built = self.build(&watch, &trees, &mut progress);
        match built {
            Ok(()) => self.finish_indexes(&options, &trees)?,
            Err(error) if is_interruption(&error) => return Err(error),
            Err(error) => {
                self.abort_indexes(&trees)?;
                return Err(error);
            }
        }
        Ok(names)
    }

    /// Goes on with indexes whose making was interrupted; returns their names.
    ///
    /// # Errors
    /// As [`create_indexes_with`](Self::create_indexes_with).
    pub fn resume_index_builds(
        &self,
        context: &OperationContext,
        mut progress: impl FnMut(&IndexProgress) -> ControlFlow<()>,
    ) -> Result<Vec<String>> {
        self.outside_only("making an index")?;
        self.environment().writable()?;
        let watch = context.start(&self.environment().runtime);
        let Some(entry) = self.environment().entry(self.namespace())? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for index in entry.indexes.iter().filter(|index| !index.is_ready()) {
            let trees = [index.tree];
            match self.build(&watch, &trees, &mut progress) {
                Ok(()) => self.finish_indexes(&context.commit_options(), &trees)?,
                Err(error) if is_interruption(&error) => return Err(error),
                Err(error) => {
                    self.abort_indexes(&trees)?;
                    return Err(error);
                }
            }
            names.push(index.definition.name.clone());
        }
        Ok(names)
    }

    /// Drops the index of this name, also one that is being made.
    ///
    /// # Errors
    /// [`ErrorKind::IndexNotFound`], [`ErrorKind::NamespaceNotFound`]; it is that over
    /// `_id` (code 72); the commit failed: then it is still there.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        self.drop_index_with(&OperationContext::new(), name)
    }

    /// [`drop_index`](Self::drop_index) with a context.
    ///
    /// # Errors
    /// As [`drop_index`](Self::drop_index), and those of the context.
    pub fn drop_index_with(&self, context: &OperationContext, name: &str) -> Result<()> {
        self.outside_only("dropping an index")?;
        context.start(&self.environment().runtime).check()?;
        if name == ID_INDEX {
            let message = "cannot drop the index over _id";
            return Err(Error::bad_value(message).with_code(72));
        }
        self.change_indexes(&context.commit_options(), |_, entry, batch| {
            let Some(index) = entry.indexes.named(name) else {
                let message = format!("index not found with name '{name}'");
                return Err(Error::new(ErrorKind::IndexNotFound, message));
            };
            batch.drop_tree(index.tree);
            Ok(Some(entry.indexes.without(index.tree)))
        })
    }

    /// Drops all indexes but that over `_id`; returns how many.
    ///
    /// # Errors
    /// [`ErrorKind::NamespaceNotFound`], or the commit failed: then all are still there.
    pub fn drop_indexes(&self) -> Result<usize> {
        self.outside_only("dropping indexes")?;
        let mut count = 0;
        self.change_indexes(&CommitOptions::default(), |_, entry, batch| {
            count = entry.indexes.len();
            for index in entry.indexes.iter() {
                batch.drop_tree(index.tree);
            }
            Ok((count > 0).then(Indexes::default))
        })?;
        Ok(count)
    }

    /// The indexes, that over `_id` first, then in the order in which they were made; none
    /// if the collection does not exist.
    ///
    /// # Errors
    /// The name is not allowed, or the catalog could not be read.
    pub fn list_indexes(&self) -> Result<Vec<IndexInfo>> {
        self.list_indexes_with(&OperationContext::new())
    }

    /// [`list_indexes`](Self::list_indexes) with a context.
    ///
    /// # Errors
    /// As [`list_indexes`](Self::list_indexes), and those of the context.
    pub fn list_indexes_with(&self, context: &OperationContext) -> Result<Vec<IndexInfo>> {
        context.start(&self.environment().runtime).check()?;
        let Some(entry) = self.view()?.entry else {
            return Ok(Vec::new());
        };
        let over_id = IndexInfo {
            name: ID_INDEX.into(),
            key: bson::rawdoc! { "_id": 1 },
            unique: false,
            sparse: false,
            hidden: false,
            partial_filter: None,
            expire_after_seconds: None,
            is_ready: true,
        };
        let others = entry
            .indexes
            .iter()
            .map(|index| index.definition.info(index.is_ready()));
        Ok(std::iter::once(over_id).chain(others).collect())
    }

    /// The documents whose first fields in the index of this name equal these values, in
    /// the order of the index: as many as there are values, from its front.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, IndexModel};
    ///
    /// let database = Database::open_in_memory()?;
    /// let people = database.collection("people");
    /// people.insert_many([
    ///     doc! { "_id": 1, "city": "Oslo", "age": 40 },
    ///     doc! { "_id": 2, "city": "Oslo", "age": 30 },
    /// ])?;
    /// let name = people.create_index(IndexModel::new(doc! { "city": 1, "age": 1 }))?;
    /// let mut found = people.find_by_composite(&name, ["Oslo".into()])?;
    /// assert_eq!(found.next().unwrap()?.get_i32("age")?, 30);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::IndexNotFound`]; there are more values than fields; a page could not be
    /// read.
    pub fn find_by_composite(
        &self,
        index: &str,
        prefix: impl IntoIterator<Item = bson::Bson>,
    ) -> Result<super::Cursor> {
        let missing = || {
            let message = format!("index not found with name '{index}'");
            Error::new(ErrorKind::IndexNotFound, message)
        };
        let view = self.view()?;
        let entry = view.entry.ok_or_else(missing)?;
        let definition = entry.indexes.named(index).map(|found| &found.definition);
        let paths: Vec<&[u8]> = match definition {
            Some(definition) => definition.fields.iter().map(|field| &*field.path).collect(),
            None if index == ID_INDEX => vec![b"_id"],
            None => return Err(missing()),
        };
        let mut conditions = Vec::new();
        for (at, value) in prefix.into_iter().enumerate() {
            let Some(path) = paths.get(at) else {
                let message = format!("index '{index}' has {} fields", paths.len());
                return Err(Error::bad_value(message));
            };
            let path = String::from_utf8_lossy(path).into_owned();
            conditions.push(bson::doc! { path: { "$eq": value } });
        }
        let filter = match conditions.is_empty() {
            true => bson::doc! {},
            false => bson::doc! { "$and": conditions },
        };
        self.find(filter).hint(index).run()
    }

    /// The start record. Returns the trees that are to be filled: those of new indexes, and
    /// of such as were begun before.
    fn start_indexes(
        &self,
        options: &CommitOptions,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<cs_kv::base::TreeId>> {
        let wanted: Vec<Definition> = wanted.into_iter().filter_map(|it| it.definition).collect();
        let mut trees = Vec::new();
        let loads = self.environment().loads.pause();
        let started = self.change_indexes(options, |store, entry, batch| {
            if loads.is_loading(entry.tree) {
                let message = "something is being loaded into the collection: no index can be made";
                return Err(Error::new(ErrorKind::Conflict, message).with_code(12587));
            }
            trees.clear();
            let mut added: Vec<Index> = Vec::new();
            'wanted: for definition in &wanted {
                let known = entry
                    .indexes
                    .iter()
                    .map(|known| (&known.definition, known.tree));
                let new = added.iter().map(|new| (&new.definition, new.tree));
                // A clash of names is told before one of keys.
                let mut others: Vec<_> = known.chain(new).collect();
                others.sort_by_key(|(other, _)| other.name != definition.name);
                for (other, tree) in others {
                    if definition.check_beside(other)? {
                        let known = entry.indexes.of_tree(tree);
                        if known.is_some_and(|known| !known.is_ready()) {
                            trees.push(tree);
                        }
                        continue 'wanted;
                    }
                }
                let tree = store.new_tree_id();
                batch.create_tree(tree);
                trees.push(tree);
                added.push(Index {
                    tree,
                    state: BuildState::Building,
                    definition: definition.clone(),
                });
            }
            if entry.indexes.len() + added.len() + 1 > MAX_INDEXES {
                let message = format!("a collection has at most {MAX_INDEXES} indexes");
                return Err(Error::new(ErrorKind::CannotCreateIndex, message));
            }
            Ok((!added.is_empty()).then(|| entry.indexes.with(added)))
        });
        started.map(|()| trees)
    }

    /// The ready record.
    fn finish_indexes(&self, options: &CommitOptions, trees: &[cs_kv::base::TreeId]) -> Result<()> {
        self.change_indexes(options, |_, entry, batch| {
            let mut indexes = entry.indexes.clone();
            for &tree in trees {
                let Some(index) = entry.indexes.of_tree(tree) else {
                    return Err(dropped_meanwhile(self));
                };
                if !index.is_ready() {
                    batch.delete(tree, super::build::progress_key(), Expect::Any);
                    indexes = indexes.ready(tree);
                }
            }
            Ok(Some(indexes))
        })
    }

    /// The abort record.
    fn abort_indexes(&self, trees: &[cs_kv::base::TreeId]) -> Result<()> {
        self.change_indexes(&CommitOptions::default(), |_, entry, batch| {
            let mut indexes = entry.indexes.clone();
            for &tree in trees {
                if entry.indexes.of_tree(tree).is_some_and(|it| !it.is_ready()) {
                    batch.drop_tree(tree);
                    indexes = indexes.without(tree);
                }
            }
            Ok((indexes.len() < entry.indexes.len()).then_some(indexes))
        })
        .or_else(|error| match error.kind() {
            ErrorKind::NamespaceNotFound => Ok(()),
            _ => Err(error),
        })
    }

    /// Gives the collection other indexes: those that `change` makes of its entry.
    fn change_indexes(
        &self,
        options: &CommitOptions,
        mut change: impl FnMut(&cs_kv::Store, &Entry, &mut Batch) -> Result<Option<Indexes>>,
    ) -> Result<()> {
        let store = self.environment().writable()?;
        self.namespace().check()?;
        let _change = self.environment().catalog.change();
        for _ in 0..MAX_ATTEMPTS {
            let Some(entry) = entry_in(&store.snapshot()?, self.namespace())? else {
                let message = format!("collection '{}' does not exist", self.namespace());
                return Err(Error::new(ErrorKind::NamespaceNotFound, message));
            };
            let mut batch = Batch::new();
            let Some(indexes) = change(store, &entry, &mut batch)? else {
                return Ok(());
            };
            if let Some(kept) = &entry.kept {
                batch.keep(kept.clone());
            }
            batch.tell_before(system::CATALOG);
            batch.put(
                system::CATALOG,
                key_of(self.namespace()),
                entry.with_indexes(indexes).encode(),
                Expect::Present,
            );
            match store.write(&batch, options) {
                Ok(ticket) => return Ok(ticket.wait()?),
                Err(error) if super::write::lost(&error) => {}
                Err(cs_kv::Error::Expectation { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }
}

/// Whether the making of an index was ended from outside, and can go on.
fn is_interruption(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::DuplicateKey | ErrorKind::CannotIndex
    ) && error.code() != Some(17280)
}

/// The index was dropped while it was made.
pub(super) fn dropped_meanwhile(collection: &Collection) -> Error {
    let message = format!(
        "an index of '{}' was dropped while it was made",
        collection.namespace()
    );
    Error::new(ErrorKind::IndexNotFound, message).with_code(276)
}
