//! What a type is in a document, read off how it is written: a macro sees no more.

use syn::{GenericArgument, PathArguments, Type};

/// The type of a field.
pub(crate) struct Shape {
    /// It may be missing: `Option<T>`.
    pub(crate) is_optional: bool,
    /// The type of its elements: `Vec<T>` and the like.
    pub(crate) element: Option<Type>,
    /// The type without `Option`.
    pub(crate) value: Type,
}

impl Shape {
    pub(crate) fn of(written: &Type) -> Self {
        let optional = argument(written, &["Option"]);
        let value = optional.clone().unwrap_or_else(|| written.clone());
        Self {
            is_optional: optional.is_some(),
            element: argument(&value, &["Vec", "VecDeque", "HashSet", "BTreeSet"])
                .filter(|element| !is_named(element, &["u8"])),
            value,
        }
    }
}

/// The one argument of a type of one of these names.
fn argument(written: &Type, names: &[&str]) -> Option<Type> {
    let Type::Path(path) = written else {
        return None;
    };
    let last = path.path.segments.last()?;
    if !names.iter().any(|name| last.ident == name) {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument.clone()),
        _ => None,
    })
}

fn is_named(written: &Type, names: &[&str]) -> bool {
    let Type::Path(path) = written else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|last| names.iter().any(|name| last.ident == name))
}

/// What documents call values of the type; none where the name does not say.
pub(crate) fn bson_types(written: &Type) -> &'static [&'static str] {
    const TYPES: [(&[&str], &[&str]); 12] = [
        (&["String", "str", "char"], &["string"]),
        (&["bool"], &["bool"]),
        (&["i8", "i16", "i32", "u8", "u16"], &["int"]),
        (&["i64", "u32", "u64", "isize", "usize"], &["int", "long"]),
        (&["f32", "f64"], &["int", "long", "double"]),
        (&["Decimal128"], &["decimal"]),
        (&["ObjectId"], &["objectId"]),
        (&["DateTime"], &["date"]),
        (&["Timestamp"], &["timestamp"]),
        (&["Regex"], &["regex"]),
        (&["Binary", "Uuid"], &["binData"]),
        (
            &["Document", "HashMap", "BTreeMap", "RawDocumentBuf"],
            &["object"],
        ),
    ];
    let mut known = TYPES.iter();
    known
        .find(|(names, _)| is_named(written, names))
        .map_or(&[], |(_, types)| types)
}

/// Whether `min` and `max` bound its value, and not how long it is.
pub(crate) fn is_number(written: &Type) -> bool {
    bson_types(written)
        .iter()
        .any(|name| matches!(*name, "int" | "long" | "double" | "decimal"))
}

/// Whether it is text.
pub(crate) fn is_text(written: &Type) -> bool {
    bson_types(written) == ["string"]
}
