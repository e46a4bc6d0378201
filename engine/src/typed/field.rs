//! Fields: where in a document, and of which type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bson::{Bson, doc};
use serde::Serialize;

use super::Document;
use super::change::Change;
use super::condition::{Condition, Sorting};
use crate::error::Result;

/// Where a field is: names with dots between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Cow<'static, str>);

impl Path {
    /// The field of this name below it.
    #[must_use]
    pub fn then(&self, name: &'static str) -> Self {
        if self.0.is_empty() {
            Self(Cow::Borrowed(name))
        } else {
            Self(Cow::Owned(format!("{}.{name}", self.0)))
        }
    }

    /// As it stands in filters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of a field that every document has.
#[derive(Clone, Copy, Debug)]
pub enum Required {}

/// Of a field that may be missing.
#[derive(Clone, Copy, Debug)]
pub enum Optional {}

/// Only types: nothing of them is held.
type Types<Root, V, P> = PhantomData<fn() -> (Root, V, P)>;

/// A field of documents of `Root`, with values of type `V`.
pub struct Field<Root, V, P = Required> {
    path: Path,
    marker: Types<Root, V, P>,
}

/// A field with an array of `E`.
pub struct ArrayField<Root, E, P = Required> {
    path: Path,
    marker: Types<Root, E, P>,
}

/// What both kinds of field have.
macro_rules! is_a_field {
    ($($name:ident),+) => {$(
        impl<Root, V, P> Clone for $name<Root, V, P> {
            fn clone(&self) -> Self {
                Self::at(self.path.clone())
            }
        }

        impl<Root, V, P> fmt::Debug for $name<Root, V, P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.path.as_str()).finish()
            }
        }

        impl<Root, V, P> $name<Root, V, P> {
            /// The field at a path.
            #[must_use]
            pub fn at(path: Path) -> Self {
                Self {
                    path,
                    marker: PhantomData,
                }
            }

            /// Where it is, as in filters.
            #[must_use]
            pub fn path(&self) -> &str {
                self.path.as_str()
            }

            /// Documents that have the field, be it null, or do not have it.
            #[must_use]
            pub fn exists(&self, exists: bool) -> Condition<Root> {
                self.is(Ok(doc! { "$exists": exists }))
            }

            /// The order of its values.
            #[must_use]
            pub fn ascending(&self) -> Sorting<Root> {
                Sorting::by(self.path(), 1)
            }

            /// The opposite order.
            #[must_use]
            pub fn descending(&self) -> Sorting<Root> {
                Sorting::by(self.path(), -1)
            }

            fn is(&self, demand: Result<bson::Document>) -> Condition<Root> {
                Condition::of(self.path(), demand.map(Bson::from))
            }

            fn change(&self, operator: &'static str, operand: Result<Bson>) -> Change<Root> {
                Change::of(operator, self.path(), operand)
            }
        }

        impl<Root, V> $name<Root, V, Optional> {
            /// Takes the field away.
            #[must_use]
            pub fn unset(&self) -> Change<Root> {
                self.change("$unset", Ok(Bson::from("")))
            }

            /// Documents without the field, or with null there.
            #[must_use]
            pub fn is_none(&self) -> Condition<Root> {
                Condition::of(self.path(), Ok(Bson::Null))
            }

            /// Documents with a value there.
            #[must_use]
            pub fn is_some(&self) -> Condition<Root> {
                self.is(Ok(doc! { "$ne": Bson::Null }))
            }
        }
    )+};
}

is_a_field!(Field, ArrayField);

pub(super) fn encode<V: Serialize>(value: &V) -> Result<Bson> {
    Ok(bson::serialize_to_bson(value)?)
}

fn encode_all<V: Serialize>(values: impl IntoIterator<Item = impl Into<V>>) -> Result<Bson> {
    let values = values.into_iter().map(|value| encode::<V>(&value.into()));
    Ok(Bson::Array(values.collect::<Result<_>>()?))
}

/// Comparisons: each a condition that the value of the field is so to the operand.
macro_rules! comparisons {
    ($($method:ident $operator:literal $text:literal),+ $(,)?) => {$(
        #[doc = concat!("Documents in which it is ", $text, ".")]
        #[must_use]
        pub fn $method(&self, value: impl Into<V>) -> Condition<Root> {
            self.is(encode(&value.into()).map(|value| doc! { $operator: value }))
        }
    )+};
}

/// Changes by a value of the field's type.
macro_rules! changes {
    ($($method:ident $operator:literal $text:literal),+ $(,)?) => {$(
        #[doc = concat!($text, ".")]
        #[must_use]
        pub fn $method(&self, value: impl Into<V>) -> Change<Root> {
            self.change($operator, encode(&value.into()))
        }
    )+};
}

impl<Root, V: Serialize, P> Field<Root, V, P> {
    comparisons! {
        eq "$eq" "this value",
        ne "$ne" "not this value, or missing",
        gt "$gt" "greater than this",
        gte "$gte" "this or greater",
        lt "$lt" "less than this",
        lte "$lte" "this or less",
    }

    changes! {
        set "$set" "Gives it this value",
        set_on_insert "$setOnInsert" "Gives it this value where an upsert inserts",
        min "$min" "Gives it this value if that is less",
        max "$max" "Gives it this value if that is greater",
    }

    /// Documents in which it is one of these.
    #[must_use]
    pub fn is_in(&self, values: impl IntoIterator<Item = impl Into<V>>) -> Condition<Root> {
        self.is(encode_all::<V>(values).map(|values| doc! { "$in": values }))
    }

    /// Documents in which it is none of these, or missing.
    #[must_use]
    pub fn not_in(&self, values: impl IntoIterator<Item = impl Into<V>>) -> Condition<Root> {
        self.is(encode_all::<V>(values).map(|values| doc! { "$nin": values }))
    }
}

/// Numbers that can be counted with.
pub trait Arithmetic: Serialize {}

macro_rules! arithmetic {
    ($($number:ty),+) => {$( impl Arithmetic for $number {} )+};
}

arithmetic!(i8, i16, i32, i64, u8, u16, u32, f32, f64, bson::Decimal128);

impl<Root, V: Arithmetic, P> Field<Root, V, P> {
    changes! {
        inc "$inc" "Adds this",
        mul "$mul" "Multiplies it by this",
    }
}

impl<Root, P> Field<Root, String, P> {
    /// Documents in which its text matches a pattern; `options` are MongoDB's (`i`, `m`, `s`, `x`).
    #[must_use]
    pub fn matches(&self, pattern: &str, options: &str) -> Condition<Root> {
        self.is(Ok(doc! { "$regex": pattern, "$options": options }))
    }
}

impl<Root, P> Field<Root, bson::DateTime, P> {
    /// Gives it the time of the update.
    #[must_use]
    pub fn set_now(&self) -> Change<Root> {
        self.change("$currentDate", Ok(Bson::Boolean(true)))
    }
}

impl<Root, E: Serialize, P> ArrayField<Root, E, P> {
    /// Documents in which it has this element.
    #[must_use]
    pub fn contains(&self, element: impl Into<E>) -> Condition<Root> {
        self.is(encode(&element.into()).map(|element| doc! { "$eq": element }))
    }

    /// Documents in which it has one of these elements.
    #[must_use]
    pub fn contains_any(
        &self,
        elements: impl IntoIterator<Item = impl Into<E>>,
    ) -> Condition<Root> {
        self.is(encode_all::<E>(elements).map(|elements| doc! { "$in": elements }))
    }

    /// Documents in which it has all these elements.
    #[must_use]
    pub fn contains_all(
        &self,
        elements: impl IntoIterator<Item = impl Into<E>>,
    ) -> Condition<Root> {
        self.is(encode_all::<E>(elements).map(|elements| doc! { "$all": elements }))
    }

    /// Documents in which it has so many elements.
    #[must_use]
    pub fn has_len(&self, len: u32) -> Condition<Root> {
        self.is(Ok(doc! { "$size": i64::from(len) }))
    }

    /// Gives it these elements.
    #[must_use]
    pub fn set(&self, elements: impl IntoIterator<Item = impl Into<E>>) -> Change<Root> {
        self.change("$set", encode_all::<E>(elements))
    }

    /// Puts an element at its end.
    #[must_use]
    pub fn push(&self, element: impl Into<E>) -> Change<Root> {
        self.change("$push", encode(&element.into()))
    }

    /// Puts elements at its end.
    #[must_use]
    pub fn push_all(&self, elements: impl IntoIterator<Item = impl Into<E>>) -> Change<Root> {
        let elements = encode_all::<E>(elements);
        self.change("$push", elements.map(|each| doc! { "$each": each }.into()))
    }

    /// Puts an element at its end, unless it has it.
    #[must_use]
    pub fn add_to_set(&self, element: impl Into<E>) -> Change<Root> {
        self.change("$addToSet", encode(&element.into()))
    }

    /// Takes all elements away that equal this.
    #[must_use]
    pub fn pull(&self, element: impl Into<E>) -> Change<Root> {
        let element = encode(&element.into());
        self.change(
            "$pull",
            element.map(|element| doc! { "$eq": element }.into()),
        )
    }

    /// Takes the first element away.
    #[must_use]
    pub fn pop_first(&self) -> Change<Root> {
        self.change("$pop", Ok(Bson::Int32(-1)))
    }

    /// Takes the last element away.
    #[must_use]
    pub fn pop_last(&self) -> Change<Root> {
        self.change("$pop", Ok(Bson::Int32(1)))
    }
}

impl<Root, E: Document, P> ArrayField<Root, E, P> {
    /// Documents in which one element satisfies the whole of a condition.
    #[must_use]
    pub fn any(&self, condition: impl FnOnce(E::Fields<E>) -> Condition<E>) -> Condition<Root> {
        let demand = condition(E::fields()).into_document();
        self.is(demand.map(|demand| doc! { "$elemMatch": demand }))
    }
}
