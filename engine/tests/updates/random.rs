//! Random updates of random documents.

use bson::{Bson, DateTime, Document, RawDocumentBuf, Timestamp, doc};
use collection_store::filter::Filter;
use collection_store::io::sim::Rng;
use collection_store::values::validate_document;
use collection_store::{Applied, Update, UpdateContext, UpdateOptions};

use crate::interpreter::interpret;

/// Few names, so that paths meet the document and each other.
const NAMES: [&str; 7] = ["a", "b", "c", "0", "1", "2", "10"];

struct Source(Rng);

impl Source {
    fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len() as u64) as usize]
    }

    fn scalar(&mut self) -> Bson {
        match self.below(12) {
            0 => Bson::Null,
            1 => Bson::Boolean(self.below(2) == 0),
            2 => Bson::String(self.name().to_owned()),
            3 => Bson::Int64(i64::MAX - self.below(3) as i64),
            4 => Bson::Int32(i32::MAX - self.below(3) as i32),
            5 => Bson::Double(self.below(5) as f64 / 2.0),
            6 => Bson::Double([f64::NAN, -0.0, f64::INFINITY][self.below(3) as usize]),
            7 => Bson::Int64(self.below(4) as i64),
            _ => Bson::Int32(self.below(4) as i32 - 1),
        }
    }

    fn value(&mut self, depth: u64) -> Bson {
        match self.below(6) {
            0 | 1 if depth > 0 => {
                let count = self.below(4);
                Bson::Array((0..count).map(|_| self.value(depth - 1)).collect())
            }
            2 | 3 if depth > 0 => Bson::Document(self.document(depth - 1)),
            _ => self.scalar(),
        }
    }

    fn document(&mut self, depth: u64) -> Document {
        let mut document = Document::new();
        for _ in 0..self.below(5) {
            let value = self.value(depth);
            document.insert(self.name(), value);
        }
        document
    }

    /// Of names, positions and `$[]`.
    fn path(&mut self) -> String {
        let mut path = self.name().to_owned();
        for _ in 0..self.below(3) {
            path.push('.');
            path.push_str(if self.below(8) == 0 {
                "$[]"
            } else {
                self.name()
            });
        }
        path
    }

    fn plain_path(&mut self) -> String {
        loop {
            let path = self.path();
            if !path.contains('$') {
                return path;
            }
        }
    }

    fn number(&mut self) -> Bson {
        loop {
            let value = self.scalar();
            if matches!(value, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) {
                return value;
            }
        }
    }

    /// Of the operators that the interpreter has.
    fn update(&mut self) -> Document {
        const OPERATORS: [&str; 11] = [
            "$set",
            "$set",
            "$unset",
            "$inc",
            "$mul",
            "$min",
            "$max",
            "$push",
            "$addToSet",
            "$pullAll",
            "$pop",
        ];
        let mut update = Document::new();
        for _ in 0..=self.below(3) {
            if self.below(8) == 0 {
                let (from, to) = (self.plain_path(), self.plain_path());
                update.insert("$rename", doc! { from: to });
                continue;
            }
            let operator = OPERATORS[self.below(OPERATORS.len() as u64) as usize];
            let operand = match operator {
                "$inc" | "$mul" => self.number(),
                "$push" if self.below(2) == 0 => Bson::Document(self.push()),
                "$pullAll" => Bson::Array(vec![self.scalar(), self.scalar(), self.value(1)]),
                "$pop" => Bson::Int32(if self.below(2) == 0 { 1 } else { -1 }),
                _ => self.value(2),
            };
            let mut fields = match update.remove(operator) {
                Some(Bson::Document(fields)) => fields,
                _ => Document::new(),
            };
            fields.insert(self.path(), operand);
            update.insert(operator, fields);
        }
        update
    }

    fn push(&mut self) -> Document {
        let count = self.below(3);
        let each: Vec<Bson> = (0..count).map(|_| self.value(1)).collect();
        let mut clauses = doc! { "$each": each };
        if self.below(2) == 0 {
            clauses.insert("$position", self.below(8) as i32 - 4);
        }
        if self.below(2) == 0 {
            clauses.insert("$slice", self.below(8) as i32 - 4);
        }
        if self.below(2) == 0 {
            clauses.insert("$sort", if self.below(2) == 0 { 1 } else { -1 });
        }
        clauses
    }

    /// Whatever may come over a wire: any operator, any operand, any path.
    fn wild_update(&mut self) -> Document {
        const OPERATORS: [&str; 15] = [
            "$set",
            "$setOnInsert",
            "$unset",
            "$inc",
            "$mul",
            "$min",
            "$max",
            "$push",
            "$pull",
            "$addToSet",
            "$pullAll",
            "$pop",
            "$bit",
            "$rename",
            "$currentDate",
        ];
        let mut update = Document::new();
        for _ in 0..=self.below(3) {
            let operator = OPERATORS[self.below(OPERATORS.len() as u64) as usize];
            let mut path = self.path();
            match self.below(10) {
                0 => path.push_str(".$"),
                1 => path.push_str(".$[x]"),
                2 => path = format!("_id.{path}"),
                3 => path = "_id".to_owned(),
                _ => {}
            }
            let operand = match (operator, self.below(3)) {
                ("$inc" | "$mul", 1) => "1.50E+6000".parse::<bson::Decimal128>().unwrap().into(),
                ("$push", 1) => Bson::Document(self.push()),
                ("$addToSet", 1) => Bson::Document(doc! { "$each": [self.value(1), 1, 1.0] }),
                ("$pull", 1) => Bson::Document(doc! { "$gte": self.scalar() }),
                ("$pull", 2) => Bson::Document(doc! { self.name(): self.scalar() }),
                ("$pop", 0) => Bson::Int32(1),
                ("$bit", 0 | 1) => Bson::Document(doc! { "xor": self.below(9) as i64 }),
                ("$rename", _) => Bson::String(self.path()),
                ("$currentDate", 1) => Bson::Document(doc! { "$type": "timestamp" }),
                ("$currentDate", 2) => Bson::Boolean(true),
                ("$pullAll", 1) => Bson::Array(vec![self.value(2)]),
                ("$inc" | "$mul", _) => self.number(),
                _ => self.value(3),
            };
            let mut fields = Document::new();
            fields.insert(path, operand);
            update.insert(operator, fields);
        }
        update
    }
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn context() -> UpdateContext {
    UpdateContext {
        position: None,
        now: DateTime::from_millis(1),
        timestamp: Timestamp {
            time: 1,
            increment: 1,
        },
        is_upsert_insert: false,
    }
}

#[test]
fn updates_agree_with_a_slow_interpreter() {
    let (mut changed, mut unchanged, mut refused) = (0, 0, 0);
    for seed in 0..30_000 {
        let mut source = Source(Rng::new(seed));
        let mut document = doc! { "_id": 1 };
        document.extend(source.document(3));
        let update = source.update();
        let old = raw(&document);
        let found = Update::parse(&raw(&update), &UpdateOptions::default())
            .and_then(|update| update.apply(&old, &context()));
        let expected = interpret(&update, &document);
        let say = || format!("seed {seed}: {update} on {document}");
        match (found, expected) {
            (Ok(Applied::Changed(found)), Ok(expected)) => {
                changed += 1;
                let bytes = raw(&expected);
                let shown = RawDocumentBuf::from_bytes(found.clone()).unwrap();
                assert_eq!(found, bytes.as_bytes(), "{}: {shown:?}, {expected}", say());
            }
            (Ok(Applied::Unchanged), Ok(expected)) => {
                unchanged += 1;
                let bytes = raw(&expected);
                assert_eq!(old.as_bytes(), bytes.as_bytes(), "{}: {expected}", say());
            }
            (Err(found), Err(code)) => {
                refused += 1;
                assert_eq!(found.code(), Some(code), "{}: {found}", say());
            }
            (found, expected) => panic!("{}: {found:?}, {expected:?}", say()),
        }
    }
    let all = [changed, unchanged, refused];
    assert!(all.iter().all(|count| *count > 1000), "{all:?}");
}

#[test]
fn no_update_of_any_document_panics_or_makes_an_invalid_one() {
    let mut changed = 0;
    for seed in 0..30_000 {
        let mut source = Source(Rng::new(seed));
        let mut document = doc! { "_id": { "a": 1 } };
        document.extend(source.document(3));
        let (update, old) = (source.wild_update(), raw(&document));
        let mut options = UpdateOptions::default();
        if update.to_string().contains("$[x]") {
            let name = if source.below(2) == 0 { "x" } else { "x.a" };
            let filter = doc! { name: { "$gte": source.scalar() } };
            options.array_filters.push(raw(&filter));
        }
        let Ok(compiled) = Update::parse(&raw(&update), &options) else {
            continue;
        };
        let filter = Filter::compile(&raw(&doc! { source.name(): source.scalar() })).unwrap();
        let mut context = context();
        context.position = filter.matched_position(&old).unwrap();
        context.is_upsert_insert = source.below(4) == 0;
        let say = || format!("seed {seed}: {update} on {document}");
        if let Ok(Applied::Changed(new)) = compiled.apply(&old, &context) {
            changed += 1;
            validate_document(&new).unwrap_or_else(|error| panic!("{}: {error}", say()));
            let again = compiled.apply(&old, &context).unwrap();
            assert_eq!(again, Applied::Changed(new), "{}", say());
        }
        if let Ok(base) = compiled.upsert_base(&filter) {
            context.is_upsert_insert = true;
            if let Ok(Applied::Changed(new)) = compiled.apply(&base, &context) {
                validate_document(&new).unwrap_or_else(|error| panic!("{}: {error}", say()));
            }
        }
    }
    assert!(changed > 5000, "{changed}");
}
