//! JSON text as it stands: the order of members and members of the same name
//! are kept, which the maps of serde_json do not do.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON value.
#[derive(Debug)]
pub(super) enum Text {
    Null,
    Boolean(bool),
    Number(Number),
    String(String),
    Array(Vec<Text>),
    Object(Vec<(String, Text)>),
}

impl Text {
    /// The same as serde_json has it, or the name that an object has twice.
    ///
    /// Recursion is bounded: the text was parsed with serde_json's limit.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Bool(value),
            Self::Number(number) => Value::Number(number),
            Self::String(text) => Value::String(text),
            Self::Array(values) => {
                let values: Result<_, _> = values.into_iter().map(Self::into_value).collect();
                Value::Array(values?)
            }
            Self::Object(members) => Value::Object(into_map(members)?),
        })
    }
}

/// The members as serde_json has them, or the name that is there twice.
pub(super) fn into_map(members: Vec<(String, Text)>) -> Result<Map<String, Value>, String> {
    let mut map = Map::with_capacity(members.len());
    for (name, value) in members {
        if map.contains_key(&name) {
            return Err(name);
        }
        map.insert(name, value.into_value()?);
    }
    Ok(map)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Text, E> {
        Ok(Text::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
        // JSON has no text for a double that is not finite.
        Ok(Number::from_f64(value).map_or(Text::Null, Text::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
        Ok(Text::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Text, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = values.next_element()? {
            array.push(value);
        }
        Ok(Text::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Text::Object(object))
    }
}
