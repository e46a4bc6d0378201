//! Collection files of the TypeScript library `collection-store`: one JSON object with all
//! of a collection.
//!
//! | field | what it has |
//! |---|---|
//! | `list` | `hash`: the documents by their place; or `tree`: the names of files that have one each |
//! | `id` | the field that has the id |
//! | `indexDefs` | the indexes: `key` or `keys`, `unique`, `sparse`, `order` and more |
//! | `indexes` | what is in them; they are made anew |
//! | `ttl` | milliseconds after `__ttltime` at which a document expires, or false |
//!
//! Invariants
//! * What is not carried over is told by name.
//! * A document keeps all its fields; the value of the id field also becomes its `_id`.
//! * Nothing outside the directory of the file is read.

use std::path::Path;

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use serde_json::{Map, Value};

/// Most bytes of one file: all of it is held in memory.
pub(super) const MAX_BYTES: u64 = 512 << 20;
/// The field that has the time from which `ttl` counts.
const TTL_FIELD: &str = "__ttltime";
/// With what the value of `list` begins.
const LIST_FIELDS: [&str; 6] = ["_count", "_counter", "counter", "hash", "keyField", "tree"];
/// Fields whose meaning is known.
const KNOWN: [&str; 6] = ["list", "indexes", "indexDefs", "id", "ttl", "rotate"];
/// The text of the function that makes the keys of an index in the usual way.
const USUAL_PROCESS: &str = "(item) => get(item, field.key)";

/// Whether a file that begins so is a collection file.
pub(super) fn is_one(beginning: &[u8]) -> bool {
    let begins = || {
        let rest = skip(beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning));
        let rest = skip(rest.strip_prefix(b"{")?);
        let rest = skip(rest.strip_prefix(b"\"list\"")?);
        let rest = skip(rest.strip_prefix(b":")?);
        let rest = skip(rest.strip_prefix(b"{")?).strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let name = std::str::from_utf8(rest.get(..end)?).ok()?;
        Some(LIST_FIELDS.contains(&name))
    };
    begins().unwrap_or(false)
}

fn skip(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

/// What a file has.
#[derive(Debug, Default)]
pub(super) struct CollectionFile {
    pub(super) documents: Vec<RawDocumentBuf>,
    /// Indexes as `createIndexes` takes them, by the names that they had.
    pub(super) indexes: Vec<(String, Document)>,
    /// What was recognised, in words.
    pub(super) recognised: Vec<String>,
    /// What is not carried over, and why.
    pub(super) skipped: Vec<String>,
}

/// Reads one. `directory` is where it lies, if that is known.
pub(super) fn read(text: &[u8], directory: Option<&Path>) -> Result<CollectionFile, String> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let root: Value = serde_json::from_slice(text).map_err(|error| format!("no JSON: {error}"))?;
    let root = object("the file", &root)?;
    let mut file = CollectionFile::default();
    let list = field(root, "list")?;
    let list = object("'list'", list)?;
    let defs = object("'indexDefs'", field(root, "indexDefs")?)?;
    let id = field(root, "id")?;
    let id = id
        .as_str()
        .ok_or_else(|| format!("'id' names the field of the id, expected a string, found {id}"))?;
    let ttl_ms = match root.get("ttl") {
        None | Some(Value::Null | Value::Bool(false)) => None,
        Some(ttl) => match ttl.as_f64() {
            Some(0.0) => None,
            Some(ms) if ms > 0.0 => Some(ms),
            _ => {
                return Err(format!(
                    "'ttl': expected milliseconds or false, found {ttl}"
                ));
            }
        },
    };
    file.recognised.push(format!("id field '{id}'"));
    for (name, value) in root {
        let is_set = !matches!(value, Value::Null | Value::Bool(false));
        if !KNOWN.contains(&name.as_str()) || (name == "rotate" && is_set) {
            file.skipped.push(format!("the field '{name}'"));
        }
    }
    let items = file.items(list, directory)?;
    file.add_documents(&items, id, ttl_ms.is_some())?;
    file.add_indexes(defs, ttl_ms)?;
    Ok(file)
}

fn object<'v>(what: &str, value: &'v Value) -> Result<&'v Map<String, Value>, String> {
    let object = value.as_object();
    object.ok_or_else(|| format!("{what}: expected an object, found {}", kind(value)))
}

fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Result<&'v Value, String> {
    let value = object.get(name);
    value.ok_or_else(|| {
        format!(
            "no collection file: expected the fields list, indexDefs and id, '{name}' is missing"
        )
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_true(object: &Map<String, Value>, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool) == Some(true)
}

impl CollectionFile {
    /// The items of the list, in its order.
    fn items(
        &mut self,
        list: &Map<String, Value>,
        directory: Option<&Path>,
    ) -> Result<Vec<Map<String, Value>>, String> {
        let mut items = Vec::new();
        if let Some(hash) = list.get("hash") {
            for (place, item) in object("'list.hash'", hash)? {
                if item.is_null() {
                    self.skipped.push(format!("the empty place '{place}'"));
                    continue;
                }
                let what = format!("the document at '{place}' in 'list.hash'");
                items.push(object(&what, item)?.clone());
            }
            self.recognised.push("documents in the list".to_owned());
        } else {
            let nodes = list.get("tree").and_then(|tree| tree.get("nodes"));
            let nodes = nodes.and_then(Value::as_array).ok_or(
                "'list': expected the documents in 'hash', or the names of their files in 'tree'",
            )?;
            let directory = directory.ok_or(
                "the documents are in files beside this one, which standard input has not",
            )?;
            let leaves = nodes.iter().filter_map(Value::as_object);
            for leaf in leaves.filter(|node| is_true(node, "leaf")) {
                let names = leaf.get("pointers").and_then(Value::as_array);
                for name in names.into_iter().flatten() {
                    items.extend(self.item_in_file(directory, name)?);
                }
            }
            self.recognised
                .push("documents in files of their own".to_owned());
        }
        // A list of files counts what it ever had.
        let count = list.get("_count").and_then(Value::as_u64);
        match count {
            Some(count) if count != items.len() as u64 => Err(format!(
                "'list._count' says {count} documents, found {}",
                items.len()
            )),
            _ => Ok(items),
        }
    }

    fn item_in_file(
        &mut self,
        directory: &Path,
        name: &Value,
    ) -> Result<Option<Map<String, Value>>, String> {
        let is_plain =
            |name: &&str| !name.is_empty() && *name != ".." && !name.contains(['/', '\\', '\0']);
        let Some(name) = name.as_str().filter(is_plain) else {
            return Err(format!("'list.tree': {name} is no name of a file"));
        };
        let path = directory.join(name);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = std::fs::metadata(&path)
            .map_err(|error| failed(&error))?
            .len();
        if bytes > MAX_BYTES {
            return Err(failed(&format!("{bytes} bytes, the limit is {MAX_BYTES}")));
        }
        let text = std::fs::read(&path).map_err(|error| failed(&error))?;
        let item: Value = serde_json::from_slice(&text).map_err(|error| failed(&error))?;
        let item = object(&path.display().to_string(), &item)?;
        // With a history of its changes around it.
        let is_record = ["data", "history", "version"]
            .iter()
            .all(|it| item.contains_key(*it));
        if !is_record {
            return Ok(Some(item.clone()));
        }
        if item
            .get("deleted")
            .is_some_and(|deleted| !deleted.is_null())
        {
            self.skipped
                .push(format!("the deleted document in '{name}'"));
            return Ok(None);
        }
        let note = "histories of documents";
        if !self.skipped.iter().any(|skipped| skipped == note) {
            self.skipped.push(note.to_owned());
        }
        let data = item.get("data").unwrap_or(&Value::Null);
        Ok(Some(
            object(&format!("'data' in {}", path.display()), data)?.clone(),
        ))
    }

    fn add_documents(
        &mut self,
        items: &[Map<String, Value>],
        id: &str,
        has_ttl: bool,
    ) -> Result<(), String> {
        let mut without_id = 0;
        for item in items {
            let mut document = Document::new();
            if id != "_id" && !item.contains_key("_id") {
                match item.get(id) {
                    None | Some(Value::Null) => {}
                    Some(value) => drop(document.insert("_id", to_bson(value))),
                }
            }
            for (name, value) in item {
                let time = value.as_f64().filter(|_| has_ttl && name == TTL_FIELD);
                let value = match time {
                    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
                    Some(ms) => Bson::DateTime(DateTime::from_millis(ms as i64)),
                    None => to_bson(value),
                };
                document.insert(name.clone(), value);
            }
            if matches!(document.get("_id"), Some(Bson::Null)) {
                document.remove("_id");
            }
            without_id += u64::from(!document.contains_key("_id"));
            let raw = RawDocumentBuf::try_from(&document);
            let raw = raw.map_err(|error| {
                format!(
                    "document {} cannot be BSON: {error}",
                    self.documents.len() + 1
                )
            })?;
            self.documents.push(raw);
        }
        if without_id > 0 {
            let note =
                format!("{without_id} documents have no '{id}': their _id is a new object id");
            self.recognised.push(note);
        }
        Ok(())
    }

    fn add_indexes(
        &mut self,
        defs: &Map<String, Value>,
        ttl_ms: Option<f64>,
    ) -> Result<(), String> {
        for (name, def) in defs {
            let what = format!("index '{name}'");
            let def = object(&what, def)?;
            for (option, meaning) in [
                ("required", "that its field is required"),
                ("auto", "that its values are made where there are none"),
            ] {
                if is_true(def, option) && name != TTL_FIELD {
                    self.skipped.push(format!("{what}: {meaning}"));
                }
            }
            if name == TTL_FIELD && ttl_ms.is_some() {
                continue;
            }
            let process = def.get("process").and_then(Value::as_str);
            let reason = match () {
                () if is_true(def, "ignoreCase") => Some("it ignores case"),
                () if is_true(def, "text") => Some("it is of words"),
                () if process.is_some_and(|text| text != USUAL_PROCESS) => {
                    Some("a function of its own makes its keys")
                }
                () => None,
            };
            if let Some(reason) = reason {
                self.skipped.push(format!("{what}: {reason}"));
                continue;
            }
            let key = key_of(&what, name, def)?;
            // The one that every collection has.
            if key == doc! { "_id": 1 } {
                continue;
            }
            let mut spec = spec_of(key);
            for option in ["unique", "sparse"] {
                if is_true(def, option) {
                    spec.insert(option, true);
                }
            }
            self.indexes.push((name.clone(), spec));
        }
        if let Some(ms) = ttl_ms {
            let seconds = (ms / 1000.0).ceil();
            self.recognised
                .push(format!("documents expire after {seconds} s"));
            let mut spec = spec_of(doc! { TTL_FIELD: 1 });
            spec.insert("expireAfterSeconds", seconds);
            self.indexes.push((TTL_FIELD.to_owned(), spec));
        }
        Ok(())
    }
}

/// An index over these fields, with the name that MongoDB would give it.
fn spec_of(key: Document) -> Document {
    let parts = key
        .iter()
        .map(|(path, direction)| format!("{path}_{direction}"));
    let name = parts.collect::<Vec<_>>().join("_");
    doc! { "key": key, "name": name }
}

/// The fields of an index and their directions.
fn key_of(what: &str, name: &str, def: &Map<String, Value>) -> Result<Document, String> {
    let direction = |order: Option<&Value>| match order.and_then(Value::as_str) {
        Some("desc") => -1,
        _ => 1,
    };
    let mut key = Document::new();
    let Some(fields) = def.get("keys").and_then(Value::as_array) else {
        let path = def.get("key").and_then(Value::as_str).unwrap_or(name);
        key.insert(path, direction(def.get("order")));
        return Ok(key);
    };
    for field in fields {
        let path = field.as_str().or_else(|| field.get("key")?.as_str());
        let path = path.ok_or_else(|| format!("{what}: 'keys' has no field in {field}"))?;
        key.insert(path, direction(field.get("order")));
    }
    Ok(key)
}

/// JSON as it stands: nothing in it is extended. The parser bounds its depth.
fn to_bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        Value::String(text) => Bson::String(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(values) => Bson::Array(values.iter().map(to_bson).collect()),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), to_bson(value)));
            Bson::Document(fields.collect())
        }
    }
}
