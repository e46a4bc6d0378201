//! What an expression yields.
//!
//! ## Invariants
//! * A scalar takes no allocation; what lies in a document or in the
//!   expression is borrowed from there; what was computed is shared, so that
//!   a clone is cheap whatever the size.
//! * Bytes at hand are valid BSON of their kind: they come from a validated
//!   document, from a parsed expression, or from this module's constructors.
//! * Parts may be shared many times over, but `weight` counts each time: going
//!   through a whole value takes time in proportion to it, and it is bounded.
//! * `depth` is at least the number of levels that were *computed*, and never
//!   above [`MAX_DEPTH`]: recursion over values is bounded by it, also where
//!   they are dropped.

mod elements;
mod fields;

use std::cmp::Ordering;
use std::sync::Arc;

pub use elements::ValueElements;
pub(super) use fields::Fields;

use elements::Inner;

use super::limits;
use crate::error::Result;
use crate::values::{
    Class, Decimal, DocumentBuilder, Elements, Kind, MAX_DEPTH, OwnedValue, PositionName, RawValue,
    compare, depth,
};

/// A value of any BSON type.
///
/// ```
/// use collection_store::expression::Value;
/// let value = Value::array(vec![Value::int32(1), Value::text("two")])?;
/// assert_eq!(value.to_bson()?, bson::bson!([1, "two"]));
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Value<'a>(Repr<'a>);

#[derive(Clone, Debug)]
enum Repr<'a> {
    /// Bytes that lie somewhere else.
    Raw(RawValue<'a>),
    /// A scalar of at most sixteen bytes.
    Small(Kind, [u8; 16]),
    /// Bytes that were computed.
    Shared(Shared),
    /// An array that was computed, not yet written as bytes.
    Array(Sequence<'a>),
}

/// A part of bytes that were computed.
#[derive(Clone, Debug)]
struct Shared {
    bytes: Arc<Vec<u8>>,
    start: u32,
    len: u32,
    kind: Kind,
    depth: u8,
}

#[derive(Clone, Debug)]
struct Sequence<'a> {
    elements: Arc<Vec<Value<'a>>>,
    /// Bytes that it would take if nothing in it were shared.
    weight: u32,
    depth: u8,
}

impl Shared {
    fn raw(&self) -> RawValue<'_> {
        let start = self.start as usize;
        RawValue {
            kind: self.kind,
            bytes: self
                .bytes
                .get(start..start + self.len as usize)
                .unwrap_or_default(),
        }
    }

    /// A value inside of this one.
    fn inner<'a>(&self, value: RawValue<'_>) -> Value<'a> {
        if let Some(small) = Value::small(value) {
            return small;
        }
        // Both lie in the same buffer.
        let offset = value.bytes.as_ptr().addr() - self.bytes.as_ptr().addr();
        Value(Repr::Shared(Self {
            bytes: Arc::clone(&self.bytes),
            start: u32::try_from(offset).unwrap_or(u32::MAX),
            len: u32::try_from(value.bytes.len()).unwrap_or(u32::MAX),
            kind: value.kind,
            depth: self.depth.saturating_sub(1),
        }))
    }
}

impl<'a> Value<'a> {
    /// A value where it lies.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: RawValue<'a>) -> Self {
        Self(Repr::Raw(raw))
    }

    /// A document where it lies, length prefix and final NUL included.
    #[inline]
    #[must_use]
    pub const fn from_document(bytes: &'a [u8]) -> Self {
        Self(Repr::Raw(RawValue {
            kind: Kind::Document,
            bytes,
        }))
    }

    fn small(value: RawValue<'_>) -> Option<Self> {
        let len = value.kind.fixed_len()?;
        let mut bytes = [0; 16];
        bytes.get_mut(..len)?.copy_from_slice(value.bytes);
        Some(Self(Repr::Small(value.kind, bytes)))
    }

    fn scalar<const N: usize>(kind: Kind, from: [u8; N]) -> Self {
        let mut bytes = [0; 16];
        if let Some(front) = bytes.first_chunk_mut() {
            *front = from;
        }
        Self(Repr::Small(kind, bytes))
    }

    /// Null.
    #[must_use]
    pub fn null() -> Self {
        Self::scalar(Kind::Null, [])
    }

    /// Of a boolean.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Self::scalar(Kind::Boolean, [u8::from(value)])
    }

    /// Of an int32.
    #[must_use]
    pub fn int32(value: i32) -> Self {
        Self::scalar(Kind::Int32, value.to_le_bytes())
    }

    /// Of an int64.
    #[must_use]
    pub fn int64(value: i64) -> Self {
        Self::scalar(Kind::Int64, value.to_le_bytes())
    }

    /// An int32 where the number fits one, else an int64.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        i32::try_from(value).map_or_else(|_| Self::int64(value), Self::int32)
    }

    /// A count or a position.
    #[must_use]
    pub fn count(value: usize) -> Self {
        Self::integer(i64::try_from(value).unwrap_or(i64::MAX))
    }

    /// Of a double; any NaN becomes the one that no machine's arithmetic changes.
    #[must_use]
    pub fn double(value: f64) -> Self {
        let value = if value.is_nan() { f64::NAN } else { value };
        Self::scalar(Kind::Double, value.to_le_bytes())
    }

    /// Of a decimal128.
    #[must_use]
    pub fn decimal(value: Decimal) -> Self {
        Self::scalar(Kind::Decimal128, value.to_le_bytes())
    }

    /// Of milliseconds since 1970.
    #[must_use]
    pub fn date(milliseconds: i64) -> Self {
        Self::scalar(Kind::DateTime, milliseconds.to_le_bytes())
    }

    /// Of a timestamp, the seconds in the upper half.
    #[must_use]
    pub fn timestamp(value: u64) -> Self {
        Self::scalar(Kind::Timestamp, value.to_le_bytes())
    }

    /// Of an object id.
    #[must_use]
    pub fn object_id(bytes: [u8; 12]) -> Self {
        Self::scalar(Kind::ObjectId, bytes)
    }

    /// Of text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let len = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
        let mut bytes = Vec::with_capacity(text.len() + 5);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self::shared(Kind::String, bytes, 0)
    }

    /// Of a binary.
    #[must_use]
    pub fn binary(subtype: u8, content: &[u8]) -> Self {
        let len = i32::try_from(content.len()).unwrap_or(i32::MAX);
        let mut bytes = Vec::with_capacity(content.len() + 5);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.push(subtype);
        bytes.extend_from_slice(content);
        Self::shared(Kind::Binary, bytes, 0)
    }

    fn shared(kind: Kind, bytes: Vec<u8>, depth: u8) -> Self {
        Self(Repr::Shared(Shared {
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes: Arc::new(bytes),
            start: 0,
            kind,
            depth,
        }))
    }

    /// An array of these.
    ///
    /// # Errors
    /// It would have more levels than a document may (code 15), or take too much
    /// memory (146).
    pub fn array(elements: Vec<Self>) -> Result<Self> {
        let mut depth = 1;
        let mut weight = 0_usize;
        for element in &elements {
            depth = depth.max(element.depth_inside()?);
            weight += element.weight();
            limits::memory(weight)?;
        }
        Ok(Self(Repr::Array(Sequence {
            elements: Arc::new(elements),
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            depth,
        })))
    }

    /// Bytes that the value takes as an element, counted wherever it is shared.
    fn weight(&self) -> usize {
        let inside = match &self.0 {
            Repr::Array(array) => array.weight as usize,
            _ => self.raw().map_or(0, |raw| raw.bytes.len()),
        };
        size_of::<Self>() + inside
    }

    /// Levels of what would hold this value; an error if they are too many.
    fn depth_inside(&self) -> Result<u8> {
        let claimed = self.computed_depth();
        if usize::from(claimed) < MAX_DEPTH {
            return Ok(claimed + 1);
        }
        // The claim may be too high: a part of a deep value need not be deep.
        let found = self.exact_depth();
        if found >= MAX_DEPTH {
            return Err(limits::too_deep());
        }
        Ok(u8::try_from(found + 1).unwrap_or(u8::MAX))
    }

    fn computed_depth(&self) -> u8 {
        match &self.0 {
            Repr::Raw(_) | Repr::Small(..) => 0,
            Repr::Shared(shared) => shared.depth,
            Repr::Array(array) => array.depth,
        }
    }

    fn exact_depth(&self) -> usize {
        match &self.0 {
            Repr::Array(array) => {
                let inner = array.elements.iter().map(Self::exact_depth).max();
                inner.unwrap_or_default() + 1
            }
            _ => self.raw().map_or(0, |raw| depth(raw, MAX_DEPTH + 1)),
        }
    }

    /// What kind of value it is.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Repr::Raw(raw) => raw.kind,
            Repr::Small(kind, _) => *kind,
            Repr::Shared(shared) => shared.kind,
            Repr::Array(_) => Kind::Array,
        }
    }

    /// The value's bytes, unless it is an array that was computed (see
    /// [`Self::flat`]).
    #[inline]
    #[must_use]
    pub fn raw(&self) -> Option<RawValue<'_>> {
        match &self.0 {
            Repr::Raw(raw) => Some(*raw),
            Repr::Small(kind, bytes) => Some(RawValue {
                kind: *kind,
                bytes: bytes.get(..kind.fixed_len()?)?,
            }),
            Repr::Shared(shared) => Some(shared.raw()),
            Repr::Array(_) => None,
        }
    }

    /// The bytes of anything but a computed array; of that, those of null.
    #[inline]
    pub(super) fn scalar_raw(&self) -> RawValue<'_> {
        self.raw().unwrap_or(RawValue {
            kind: Kind::Null,
            bytes: &[],
        })
    }

    /// The same value with its bytes at hand: [`Self::raw`] gives them.
    ///
    /// # Errors
    /// It is larger than a document may be (code 10334).
    pub fn flat(self) -> Result<Self> {
        let Repr::Array(array) = &self.0 else {
            return Ok(self);
        };
        let mut builder = DocumentBuilder::new();
        array.write(&mut builder)?;
        Ok(Self::shared(Kind::Array, builder.finish(), array.depth))
    }

    /// The value on its own.
    ///
    /// # Errors
    /// As [`Self::flat`].
    pub fn to_owned_value(&self) -> Result<OwnedValue> {
        let flat = self.clone().flat()?;
        Ok(flat.scalar_raw().into())
    }

    /// The value as the crate `bson` has it.
    ///
    /// # Errors
    /// As [`Self::flat`]; or the crate does not read bytes of such a form.
    pub fn to_bson(&self) -> Result<bson::Bson> {
        Ok(self.to_owned_value()?.to_bson()?)
    }

    /// Lives as long as it likes.
    pub(super) fn into_static(self) -> Result<Value<'static>> {
        let flat = self.flat()?;
        let depth = flat.computed_depth();
        let raw = flat.scalar_raw();
        Ok(match Value::small(raw) {
            Some(small) => small,
            None => Value::shared(raw.kind, raw.bytes.to_vec(), depth),
        })
    }

    /// The same value, borrowed from this one where that saves work.
    #[inline]
    pub(super) fn borrow<'b>(&'b self) -> Value<'b>
    where
        'a: 'b,
    {
        match self.raw() {
            Some(raw) => Value(Repr::Raw(raw)),
            None => self.clone(),
        }
    }

    /// Writes the value into a document under `name`, which holds no NUL.
    ///
    /// # Errors
    /// What is written would be larger than a document may be (code 10334).
    pub fn append_to(&self, name: &[u8], builder: &mut DocumentBuilder) -> Result<()> {
        match (&self.0, self.raw()) {
            (Repr::Array(array), _) => {
                builder.open_array(name);
                array.write(builder)?;
                builder.close();
            }
            (_, raw) => {
                if let Some(raw) = raw {
                    builder.append(name, raw);
                }
            }
        }
        limits::document_len(builder.len())
    }

    /// Compares two values, as [`crate::values::compare`] does.
    #[must_use]
    pub fn compare(&self, other: &Value<'_>) -> Ordering {
        if let (Some(left), Some(right)) = (self.raw(), other.raw()) {
            return compare(left, right);
        }
        let class = self.kind().class();
        let order = class.cmp(&other.kind().class());
        if order.is_ne() || class != Class::Array {
            return order;
        }
        let (mut left, mut right) = (self.elements(), other.elements());
        loop {
            let (a, b) = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) => (a, b),
            };
            let order = a.compare(&b);
            if order.is_ne() {
                return order;
            }
        }
    }

    /// Whether it is null or undefined.
    #[inline]
    #[must_use]
    pub fn is_nullish(&self) -> bool {
        matches!(self.kind(), Kind::Null | Kind::Undefined)
    }

    /// Whether MongoDB takes it for true: all but `false`, zero, null and undefined.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        self.raw().is_none_or(|raw| raw.is_truthy())
    }

    /// The elements of an array, else nothing.
    #[must_use]
    pub fn elements(&self) -> ValueElements<'a> {
        ValueElements::new(match &self.0 {
            Repr::Raw(raw) if raw.kind == Kind::Array => Inner::Raw(Elements::new(raw.bytes)),
            Repr::Shared(shared) if shared.kind == Kind::Array => Inner::Shared {
                at: 4,
                shared: shared.clone(),
            },
            Repr::Array(array) => Inner::Array {
                next: 0,
                elements: Arc::clone(&array.elements),
            },
            _ => Inner::Raw(Elements::new(&[])),
        })
    }

    /// How many elements an array has.
    #[must_use]
    pub(super) fn array_len(&self) -> usize {
        match &self.0 {
            Repr::Array(array) => array.elements.len(),
            _ => self
                .raw()
                .and_then(|raw| raw.elements())
                .map_or(0, Iterator::count),
        }
    }

    /// The value of this name in a document.
    #[must_use]
    pub fn field(&self, name: &[u8]) -> Option<Self> {
        match &self.0 {
            Repr::Raw(raw) if raw.kind == Kind::Document => {
                Elements::new(raw.bytes).find_name(name).map(Self::from_raw)
            }
            Repr::Shared(shared) if shared.kind == Kind::Document => {
                let found = Elements::new(shared.raw().bytes).find_name(name)?;
                Some(shared.inner(found))
            }
            _ => None,
        }
    }
}

impl Sequence<'_> {
    fn write(&self, builder: &mut DocumentBuilder) -> Result<()> {
        for (position, element) in self.elements.iter().enumerate() {
            element.append_to(PositionName::new(position).as_bytes(), builder)?;
        }
        Ok(())
    }
}
