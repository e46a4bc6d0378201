//! Values of settings, to and from text.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use collection_store::Durability;

use super::{LogFormat, LogLevel};

/// A number of bytes, written as `64KiB`, `256MiB`, `2GiB` or plainly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

const BYTE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
];

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1,024 bytes.
    #[must_use]
    pub const fn kibibytes(count: u64) -> Self {
        Self(count << 10)
    }

    /// So many times 1,048,576 bytes.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = BYTE_UNITS.iter().find(whole).unwrap_or(&("", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// A type that settings have.
pub(super) trait Value: Sized {
    /// What is expected, for messages and help.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
    fn show(&self) -> String;
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! parsed {
    ($($type:ty: $expected:literal),*) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

parsed!(u8: "a whole number from 0 to 255", u16: "a whole number from 0 to 65535",
    u32: "a whole number", u64: "a whole number", IpAddr: "an IP address");

impl Value for String {
    const EXPECTED: &'static str = "text";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

/// Empty text is none.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &str) -> Option<Self> {
        match text.is_empty() {
            true => Some(None),
            false => T::read(text).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, Value::show)
    }
}

impl Value for ByteSize {
    const EXPECTED: &'static str = "a number of bytes, such as 4096, 64KiB or 256MiB";

    fn read(text: &str) -> Option<Self> {
        with_unit(text, &BYTE_UNITS).map(Self)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a time, such as 250ms, 10s, 5m, 24h or 7d";

    fn read(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::ZERO);
        }
        with_unit(text, &TIME_UNITS).map(Self::from_millis)
    }

    fn show(&self) -> String {
        let milliseconds = self.as_millis();
        match milliseconds.is_multiple_of(1000) {
            true => format!("{}s", milliseconds / 1000),
            false => format!("{milliseconds}ms"),
        }
    }
}

/// A number and its unit; none where it is neither, or too large.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, size) = units
        .iter()
        .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)))?;
    number.parse::<u64>().ok()?.checked_mul(size)
}

macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:path),*) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($value),)*
                    _ => None,
                }
            }

            fn show(&self) -> String {
                $(if *self == $value {
                    return $word.to_owned();
                })*
                format!("{self:?}")
            }
        }
    };
}

words!(LogLevel, "error, warn, info, debug or trace",
    "error" => Self::Error, "warn" => Self::Warn, "info" => Self::Info,
    "debug" => Self::Debug, "trace" => Self::Trace);
words!(LogFormat, "text or json", "text" => Self::Text, "json" => Self::Json);
words!(Durability, "sync, async or memory",
    "sync" => Self::Sync, "async" => Self::Async, "memory" => Self::Memory);
