//! Indexes in a collection's entry of the catalog.

use std::sync::Arc;

use bson::{RawArray, RawArrayBuf, RawDocument, rawdoc};
use cs_kv::base::TreeId;

use super::definition::Definition;
use super::derive::DERIVATION;
use crate::error::{Error, ErrorKind, Result};

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuildState {
    /// Writers maintain it; what was there before them is added bit by bit.
    Building,
    /// It has all documents, and queries may use it.
    Ready,
}

/// An index of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// The tree that holds its entries; its id is that of the index, and never reused.
    pub(crate) tree: TreeId,
    pub(crate) state: BuildState,
    pub(crate) definition: Definition,
}

/// The indexes of a collection, but for the one over `_id`, in the order in which they
/// were made.
#[derive(Clone, Debug)]
pub(crate) struct Indexes(Arc<[Arc<Index>]>);

impl Default for Indexes {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Index {
    pub(crate) fn is_ready(&self) -> bool {
        self.state == BuildState::Ready
    }

    /// Whether documents expire by it.
    pub(crate) fn expires(&self) -> bool {
        self.is_ready() && self.definition.expire_after_seconds.is_some()
    }

    fn encode(&self) -> bson::RawDocumentBuf {
        let state = match self.state {
            BuildState::Building => "building",
            BuildState::Ready => "ready",
        };
        rawdoc! {
            "tree": i64::from(self.tree.get()),
            "derivation": DERIVATION,
            "state": state,
            "spec": self.definition.to_spec(),
        }
    }

    fn decode(bytes: &RawDocument) -> Result<Self> {
        let (mut tree, mut derivation, mut state, mut spec) = (None, None, None, None);
        for field in bytes {
            let (name, value) = field?;
            match name.as_str() {
                "tree" => tree = value.as_i64().and_then(|tree| u32::try_from(tree).ok()),
                "derivation" => derivation = value.as_i32(),
                "state" => {
                    state = match value.as_str() {
                        Some("building") => Some(BuildState::Building),
                        Some("ready") => Some(BuildState::Ready),
                        _ => None,
                    }
                }
                "spec" => spec = value.as_document(),
                other => return Err(corrupt(format!("an index has the unknown field '{other}'"))),
            }
        }
        let (Some(tree), Some(derivation), Some(state), Some(spec)) =
            (tree, derivation, state, spec)
        else {
            return Err(corrupt("a field of an index is missing or of a wrong type"));
        };
        let definition =
            Definition::stored(spec).map_err(|error| corrupt(format!("an index: {error}")))?;
        if derivation != DERIVATION {
            let message = format!(
                "index '{}' has keys of derivation {derivation}, this program makes those of {DERIVATION}",
                definition.name
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Self {
            tree: TreeId(tree),
            state,
            definition,
        })
    }
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corruption, message)
}

impl Indexes {
    pub(crate) fn encode(&self) -> RawArrayBuf {
        let mut array = RawArrayBuf::new();
        for index in self.iter() {
            array.push(index.encode());
        }
        array
    }

    pub(crate) fn decode(array: &RawArray) -> Result<Self> {
        let mut indexes = Vec::new();
        for index in array {
            let index = index?.as_document().map(Index::decode);
            let index = index.ok_or_else(|| corrupt("an index is no document"))??;
            indexes.push(Arc::new(index));
        }
        Ok(Self(indexes.into()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Index>> + Clone {
        self.0.iter()
    }

    /// The one of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Index>> {
        self.iter().find(|index| index.definition.name == name)
    }

    /// The one of this tree.
    pub(crate) fn of_tree(&self, tree: TreeId) -> Option<&Arc<Index>> {
        self.iter().find(|index| index.tree == tree)
    }

    /// With these in addition.
    pub(crate) fn with(&self, added: impl IntoIterator<Item = Index>) -> Self {
        let added = added.into_iter().map(Arc::new);
        Self(self.0.iter().cloned().chain(added).collect())
    }

    /// Without that of this tree.
    pub(crate) fn without(&self, tree: TreeId) -> Self {
        Self(
            self.iter()
                .filter(|one| one.tree != tree)
                .cloned()
                .collect(),
        )
    }

    /// With that of this tree ready.
    pub(crate) fn ready(&self, tree: TreeId) -> Self {
        let ready = |index: &Arc<Index>| {
            if index.tree != tree {
                return Arc::clone(index);
            }
            Arc::new(Index {
                state: BuildState::Ready,
                ..(**index).clone()
            })
        };
        Self(self.iter().map(ready).collect())
    }

    /// With that of this tree defined so.
    pub(crate) fn redefined(&self, tree: TreeId, definition: Definition) -> Self {
        let mut indexes: Vec<_> = self.iter().cloned().collect();
        for index in indexes.iter_mut().filter(|index| index.tree == tree) {
            *index = Arc::new(Index {
                definition: definition.clone(),
                ..(**index).clone()
            });
        }
        Self(indexes.into())
    }

    /// Whether a unique one is being built: then a key that it has may be another
    /// document's.
    pub(crate) fn builds_unique(&self) -> bool {
        self.iter()
            .any(|index| index.definition.unique && !index.is_ready())
    }
}
