//! Conditions on documents of one type, and their order.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, Not};

use bson::{Bson, doc};

use crate::error::Result;
use crate::filter::Filter;
use crate::input::IntoFilter;

/// What documents of type `T` are asked; made of [fields](super::Field), and joined by `&`,
/// `|` and `!`.
pub struct Condition<T> {
    filter: Result<bson::Document>,
    marker: PhantomData<fn() -> T>,
}

impl<T> Condition<T> {
    /// Every document.
    #[must_use]
    pub fn all() -> Self {
        Self::from_filter(Ok(bson::Document::new()))
    }

    fn from_filter(filter: Result<bson::Document>) -> Self {
        Self {
            filter,
            marker: PhantomData,
        }
    }

    pub(super) fn of(path: &str, demand: Result<Bson>) -> Self {
        Self::from_filter(demand.map(|demand| doc! { path: demand }))
    }

    /// The filter that it stands for.
    ///
    /// # Errors
    /// A value in it has no form in documents.
    pub fn into_document(self) -> Result<bson::Document> {
        self.filter
    }

    fn join(self, operator: &str, other: Self) -> Self {
        let both = self.filter.and_then(|one| {
            let mut parts = Vec::new();
            for part in [one, other.filter?] {
                match part.get_array(operator) {
                    // What was joined in the same way before is one with it.
                    Ok(joined) if part.len() == 1 => parts.extend(joined.clone()),
                    _ => parts.push(part.into()),
                }
            }
            Ok(doc! { operator: parts })
        });
        Self::from_filter(both)
    }
}

impl<T> fmt::Debug for Condition<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.filter).finish()
    }
}

impl<T> BitAnd for Condition<T> {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.join("$and", other)
    }
}

impl<T> BitOr for Condition<T> {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.join("$or", other)
    }
}

impl<T> Not for Condition<T> {
    type Output = Self;

    fn not(self) -> Self {
        Self::from_filter(self.filter.map(|filter| doc! { "$nor": [filter] }))
    }
}

/// What may be handed in where documents of type `T` are looked for: a condition on them,
/// or a filter of the untyped kind.
pub trait IntoCondition<T> {
    /// The filter.
    ///
    /// # Errors
    /// It makes no sense.
    fn into_condition(self) -> Result<Filter>;
}

impl<T> IntoCondition<T> for Condition<T> {
    fn into_condition(self) -> Result<Filter> {
        self.filter?.into_filter()
    }
}

macro_rules! condition_from_filter {
    ($($filter:ty),+) => {$(
        impl<T> IntoCondition<T> for $filter {
            fn into_condition(self) -> Result<Filter> {
                self.into_filter()
            }
        }
    )+};
}

condition_from_filter!(
    Filter,
    &Filter,
    bson::Document,
    &bson::Document,
    bson::RawDocumentBuf,
    &bson::RawDocumentBuf,
    &bson::RawDocument
);

/// The order of documents of type `T`.
pub struct Sorting<T> {
    pub(super) keys: bson::Document,
    marker: PhantomData<fn() -> T>,
}

impl<T> Sorting<T> {
    pub(super) fn by(path: &str, direction: i32) -> Self {
        Self {
            keys: doc! { path: direction },
            marker: PhantomData,
        }
    }

    /// Where that says nothing, this order.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        for (path, direction) in other.keys {
            self.keys.entry(path).or_insert(direction);
        }
        self
    }
}

impl<T> fmt::Debug for Sorting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sorting").field(&self.keys).finish()
    }
}
