//! Documents, indexes and filters out of a seed.

use bson::{Bson, Document, doc};

/// SplitMix64.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.draw() % end as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len());
        &all[at]
    }
}

pub(crate) fn scalar(rng: &mut Rng) -> Bson {
    match rng.below(14) {
        0 | 1 => Bson::Int32(rng.below(4) as i32),
        2 => Bson::Int64(rng.below(4) as i64),
        3 => Bson::Double(rng.below(6) as f64 / 2.0),
        4 => Bson::Double(f64::NAN),
        5 => Bson::String(String::new()),
        6 => Bson::String((*rng.pick(&["x", "xy", "y", "x\0"])).into()),
        7 => Bson::Null,
        8 => Bson::Boolean(rng.below(2) == 0),
        9 => Bson::DateTime(bson::DateTime::from_millis(rng.below(3) as i64)),
        10 => Bson::Undefined,
        11 => Bson::MinKey,
        12 => Bson::MaxKey,
        _ => Bson::Decimal128("1.5".parse().unwrap()),
    }
}

fn value(rng: &mut Rng, depth: usize) -> Bson {
    match rng.below(if depth == 0 { 8 } else { 14 }) {
        0..8 => scalar(rng),
        8 | 9 => {
            let count = rng.below(4);
            Bson::Array((0..count).map(|_| value(rng, depth - 1)).collect())
        }
        10 | 11 => Bson::Document(fields(rng, depth - 1)),
        _ => {
            let count = rng.below(3) + 1;
            let all = (0..count).map(|_| Bson::Document(fields(rng, depth - 1)));
            Bson::Array(all.collect())
        }
    }
}

fn fields(rng: &mut Rng, depth: usize) -> Document {
    let mut fields = Document::new();
    for name in ["b", "c"] {
        if rng.below(3) > 0 {
            fields.insert(name, value(rng, depth));
        }
    }
    fields
}

pub(crate) fn document(rng: &mut Rng, id: i32) -> Document {
    let mut document = doc! { "_id": id };
    for name in ["a", "b", "d"] {
        if rng.below(4) > 0 {
            document.insert(name, value(rng, 2));
        }
    }
    document
}

const PATHS: [&str; 8] = ["a", "b", "d", "a.b", "a.c", "b.c", "a.0", "a.b.c"];

/// The fields of an index.
pub(crate) fn key(rng: &mut Rng) -> Document {
    let mut key = Document::new();
    for _ in 0..=rng.below(3) {
        let direction = if rng.below(2) == 0 { 1 } else { -1 };
        key.insert(*rng.pick(&PATHS), direction);
    }
    key
}

fn operand(rng: &mut Rng) -> Bson {
    match rng.below(12) {
        0 => {
            let count = rng.below(3);
            Bson::Array((0..count).map(|_| scalar(rng)).collect())
        }
        1 => Bson::Document(fields(rng, 0)),
        _ => scalar(rng),
    }
}

/// One condition on the values of a path.
fn predicate(rng: &mut Rng, depth: usize) -> Bson {
    let several =
        |rng: &mut Rng| Bson::Array((0..rng.below(3) + 1).map(|_| operand(rng)).collect());
    Bson::Document(match rng.below(19) {
        0..3 => doc! { "$eq": operand(rng) },
        3 => doc! { "$gt": operand(rng) },
        4 => doc! { "$gte": operand(rng) },
        5 => doc! { "$lt": operand(rng) },
        6 => doc! { "$lte": operand(rng) },
        7 => doc! { "$gt": scalar(rng), "$lt": scalar(rng) },
        8 => doc! { "$in": several(rng) },
        9 => doc! { "$nin": several(rng) },
        10 => doc! { "$ne": operand(rng) },
        11 => doc! { "$exists": rng.below(2) == 0 },
        12 => doc! { "$type": *rng.pick(&["int", "number", "string", "array", "object", "null"]) },
        13 => doc! { "$regex": *rng.pick(&["^x", "^$", "y", "^x."]) },
        14 => doc! { "$size": rng.below(3) as i32 },
        15 => doc! { "$all": several(rng) },
        16 if depth > 0 => doc! { "$elemMatch": { "$gte": scalar(rng), "$lte": scalar(rng) } },
        17 if depth > 0 => {
            let mut inner = Document::new();
            inner.insert("b", predicate(rng, depth - 1));
            if rng.below(2) == 0 {
                inner.insert(*rng.pick(&["c", "b.c"]), predicate(rng, depth - 1));
            }
            doc! { "$elemMatch": inner }
        }
        18 if depth > 0 => {
            let Bson::Document(inner) = predicate(rng, 0) else {
                return Bson::Null;
            };
            if inner.contains_key("$regex") {
                return Bson::Document(inner);
            }
            doc! { "$not": inner }
        }
        _ => doc! { "$mod": [2, 0] },
    })
}

/// A filter that is none of those which are refused.
pub(crate) fn filter(rng: &mut Rng, depth: usize) -> Document {
    loop {
        let filter = any_filter(rng, depth);
        let raw = bson::RawDocumentBuf::try_from(&filter).unwrap();
        if collection_store::filter::Filter::compile(&raw).is_ok() {
            return filter;
        }
    }
}

fn any_filter(rng: &mut Rng, depth: usize) -> Document {
    let mut filter = Document::new();
    for _ in 0..=rng.below(3) {
        match rng.below(8) {
            0 if depth > 0 => {
                let branches =
                    (0..rng.below(2) + 1).map(|_| Bson::Document(any_filter(rng, depth - 1)));
                let branches: Vec<Bson> = branches.collect();
                let name = *rng.pick(&["$or", "$and", "$nor", "$or"]);
                filter.insert(name, branches);
            }
            1 => {
                filter.insert("_id", doc! { "$gte": rng.below(12) as i32 });
            }
            2 => {
                filter.insert(*rng.pick(&PATHS), operand(rng));
            }
            _ => {
                filter.insert(*rng.pick(&PATHS), predicate(rng, 1));
            }
        }
    }
    filter
}

/// A filter that a partial index may have.
pub(crate) fn partial(rng: &mut Rng) -> Document {
    let path = *rng.pick(&PATHS);
    match rng.below(5) {
        0 => doc! { path: { "$exists": true } },
        1 => doc! { path: { "$gt": scalar(rng) } },
        2 => doc! { path: { "$lte": scalar(rng) } },
        3 => doc! { path: { "$in": [scalar(rng), scalar(rng)] } },
        _ => doc! { path: scalar(rng) },
    }
}
