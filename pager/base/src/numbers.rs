//! The newtypes themselves.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
        )]
        pub struct $name(pub $inner);

        impl $name {
            /// The smallest value.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// The bare number.
            #[inline]
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The number that follows.
            ///
            /// # Panics
            /// On overflow: none of these counters can reach its end.
            #[inline]
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// Log sequence number: the byte position of a record in the endless log,
    /// over all segments that ever were. It only grows.
    Lsn(u64)
}
number! {
    /// Number of a page: its byte offset in the data file divided by the page size.
    PageId(u64)
}
number! {
    /// A state of the whole database. Each sealed version is one; a page
    /// carries the version in which it was born.
    Version(u64)
}
number! {
    /// Number of a B+ tree. Never reused.
    TreeId(u32)
}
number! {
    /// Raft term. A single node writes term 1.
    Term(u64)
}
number! {
    /// Raft log index. A single node counts 1, 2, … from its first day.
    Index(u64)
}
number! {
    /// Identity of a database, drawn at random when it is created; every file
    /// of it carries it.
    FileId(u64)
}
number! {
    /// How often the log was cut and begun anew; records of an earlier
    /// incarnation beyond the cut are stale.
    Incarnation(u64)
}
number! {
    /// Hybrid logical time: Unix milliseconds in the upper 48 bits, a counter
    /// in the lower 16. It strictly grows with the log index, whatever the
    /// wall clock does (Kulkarni et al., "Logical Physical Clocks", 2014).
    HybridTime(u64)
}

impl Lsn {
    /// The position `bytes` further on.
    #[inline]
    #[must_use]
    pub const fn advance(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl HybridTime {
    /// The smallest time after `self` that is not before `unix_ms`.
    ///
    /// ```
    /// use cs_base::HybridTime;
    /// let first = HybridTime::ZERO.tick(1_000);
    /// assert_eq!(first.unix_ms(), 1_000);
    /// assert!(first.tick(900) > first, "the wall clock went back, time did not");
    /// ```
    #[must_use]
    pub const fn tick(self, unix_ms: u64) -> Self {
        let wall = unix_ms << 16;
        if wall > self.0 {
            Self(wall)
        } else {
            Self(self.0 + 1)
        }
    }

    /// The wall-clock part, in milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0 >> 16
    }
}
