//! Random expressions over random documents: parsing and evaluation end, with a
//! value or an error, and every value is valid BSON.

use bson::{Bson, Document, RawDocumentBuf, doc};
use collection_store::expression::{Environment, Expression, Scope};
use collection_store::io::sim::Rng;
use collection_store::values::{DocumentBuilder, Elements, validate_document};

/// Operators over expressions.
const CALLS: &str = "$add $subtract $multiply $divide $mod $abs $ceil $floor $round $trunc $sqrt \
    $exp $ln $log10 $log $pow $sigmoid $sin $cos $tan $asin $acos $atan $atan2 $sinh $cosh $tanh \
    $asinh $acosh $atanh $degreesToRadians $radiansToDegrees $bitAnd $bitOr $bitXor $bitNot $eq \
    $ne $gt $gte $lt $lte $cmp $and $or $not $ifNull $cond $isArray $size $arrayElemAt $first \
    $last $concatArrays $in $indexOfArray $range $reverseArray $slice $setUnion $setIntersection \
    $setDifference $setEquals $setIsSubset $allElementsTrue $anyElementTrue $sum $avg $min $max \
    $stdDevPop $stdDevSamp $mergeObjects $objectToArray $arrayToObject $getField $concat $toLower \
    $toUpper $strcasecmp $strLenBytes $strLenCP $substr $substrBytes $substrCP $binarySize \
    $indexOfBytes $indexOfCP $split $type $isNumber $bsonSize $tsSecond $tsIncrement $toString \
    $toObjectId $toDate $toDouble $toInt $toLong $toDecimal $toBool $toUUID $year $month \
    $dayOfMonth $hour $minute $second $millisecond $dayOfWeek $dayOfYear $week $isoDayOfWeek \
    $isoWeek $isoWeekYear $literal";

/// Operators whose operands have names.
const NAMED: [&str; 33] = [
    "$cond if then else",
    "$let vars in",
    "$map input as in",
    "$filter input as cond limit",
    "$reduce input initialValue in",
    "$switch branches default",
    "$zip inputs useLongestLength defaults",
    "$firstN n input",
    "$lastN n input",
    "$minN n input",
    "$maxN n input",
    "$sortArray input sortBy",
    "$getField field input",
    "$setField field input value",
    "$unsetField field input",
    "$trim input chars",
    "$ltrim input chars",
    "$rtrim input chars",
    "$replaceOne input find replacement",
    "$replaceAll input find replacement",
    "$regexMatch input regex options",
    "$regexFind input regex options",
    "$regexFindAll input regex options",
    "$convert input to onError onNull format byteOrder",
    "$dateAdd startDate unit amount timezone",
    "$dateSubtract startDate unit amount timezone",
    "$dateDiff startDate endDate unit timezone startOfWeek",
    "$dateTrunc date unit binSize timezone startOfWeek",
    "$dateToString date format timezone onNull",
    "$dateFromString dateString timezone format onNull onError",
    "$dateToParts date timezone iso8601",
    "$dateFromParts year month day hour minute second millisecond timezone",
    "$percentile input p method",
];

const TEXTS: [&str; 34] = [
    "",
    "a",
    "é日",
    "abc",
    "a.b",
    "12",
    "-1.5e3",
    "1e400",
    "NaN",
    "true",
    "2020-02-29",
    "T",
    "@9",
    "2020-W53-7",
    "Jan 5 2020 10:20 pm",
    "9999-12-31T23:59:59.999Z",
    "Europe/London",
    "+05:30",
    "bad/zone",
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "millisecond",
    "monday",
    "%Y-%m-%d %H:%M:%S.%L %z %j %V",
    "%",
    "int",
    "(a)|(b?)*",
    "[",
    "approximate",
    "base64",
];

struct Source(Rng);

impl Source {
    fn below(&mut self, end: usize) -> usize {
        self.0.below(end as u64) as usize
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.below(TEXTS.len())]
    }

    fn scalar(&mut self) -> Bson {
        let decimal = |text: &str| Bson::Decimal128(text.parse().unwrap());
        match self.below(24) {
            0 => Bson::Null,
            1 => Bson::Boolean(self.below(2) == 0),
            2 => Bson::Int64([i64::MIN, i64::MAX, -1, 1 << 40][self.below(4)]),
            3 => Bson::Int32([i32::MIN, i32::MAX, -1, 366][self.below(4)]),
            4 => Bson::Double([f64::NAN, -0.0, f64::INFINITY, 1e308][self.below(4)]),
            5 => Bson::Double([0.5, -1.5, 1e-320, 9.3e18][self.below(4)]),
            6 => decimal(["NaN", "-Infinity", "0E-6176", "9.99E6144"][self.below(4)]),
            7 => decimal(["1", "-0.5", "1E-30", "3.5", "12345.678", "1.00"][self.below(6)]),
            8 => Bson::DateTime(bson::DateTime::from_millis(
                [
                    0,
                    -1,
                    i64::MAX,
                    i64::MIN,
                    1_600_000_000_123,
                    253_402_300_799_999,
                ][self.below(6)],
            )),
            9 => Bson::Timestamp(bson::Timestamp {
                time: u32::MAX,
                increment: 7,
            }),
            10 => Bson::ObjectId(bson::oid::ObjectId::from_bytes([0xFF; 12])),
            11 => Bson::Binary(bson::Binary {
                subtype: bson::spec::BinarySubtype::Uuid,
                bytes: vec![1; [0, 4, 16][self.below(3)]],
            }),
            12 => Bson::RegularExpression(bson::Regex {
                pattern: bson::raw::cstr!("a|$").to_owned(),
                options: bson::raw::cstr!("i").to_owned(),
            }),
            13 => [Bson::MinKey, Bson::MaxKey, Bson::Undefined][self.below(3)].clone(),
            14..=18 => Bson::String(self.text().to_owned()),
            _ => Bson::Int32(self.below(5) as i32 - 1),
        }
    }

    fn value(&mut self, depth: usize) -> Bson {
        match self.below(6) {
            0 | 1 if depth > 0 => {
                let count = self.below(4);
                Bson::Array((0..count).map(|_| self.value(depth - 1)).collect())
            }
            2 if depth > 0 => Bson::Document(self.document(depth - 1)),
            _ => self.scalar(),
        }
    }

    fn document(&mut self, depth: usize) -> Document {
        let mut document = Document::new();
        for _ in 0..self.below(5) {
            let value = self.value(depth);
            document.insert(["a", "b", "c", "k", "v"][self.below(5)], value);
        }
        document
    }

    fn path(&mut self) -> Bson {
        const PATHS: [&str; 14] = [
            "$a",
            "$b",
            "$c",
            "$a.b",
            "$b.a.c",
            "$k",
            "$$ROOT",
            "$$CURRENT.a",
            "$$this",
            "$$value",
            "$$x",
            "$$REMOVE",
            "$$NOW",
            "$v",
        ];
        Bson::String(PATHS[self.below(PATHS.len())].to_owned())
    }

    fn expression(&mut self, depth: usize) -> Bson {
        match self.below(10) {
            0 | 1 => self.path(),
            2..=5 if depth > 0 => {
                let names: Vec<&str> = CALLS.split_whitespace().collect();
                let name = names[self.below(names.len())];
                let count = [1, 1, 2, 2, 2, 3, 0, 4][self.below(8)];
                let operands: Vec<Bson> = (0..count).map(|_| self.expression(depth - 1)).collect();
                Bson::Document(doc! { name: operands })
            }
            6 | 7 if depth > 0 => self.named(depth - 1),
            8 if depth > 0 => {
                let count = self.below(4);
                Bson::Array((0..count).map(|_| self.expression(depth - 1)).collect())
            }
            9 if depth > 0 => {
                let fields = [("a", 0), ("b", 0), ("k", 0)];
                let mut document = Document::new();
                for (name, _) in fields.iter().take(self.below(4)) {
                    document.insert(*name, self.expression(depth - 1));
                }
                Bson::Document(document)
            }
            _ => self.value(1),
        }
    }

    fn named(&mut self, depth: usize) -> Bson {
        let mut names = NAMED[self.below(NAMED.len())].split_whitespace();
        let operator = names.next().unwrap();
        let mut operands = Document::new();
        for (position, name) in names.enumerate() {
            if position > 1 && self.below(3) == 0 {
                continue;
            }
            let operand = match name {
                "vars" => Bson::Document(doc! { "x": self.expression(depth) }),
                "as" => Bson::String(["x", "this", "X", ""][self.below(4)].to_owned()),
                "branches" => {
                    let (case, then) = (self.expression(depth), self.expression(depth));
                    Bson::Array(vec![Bson::Document(doc! { "case": case, "then": then })])
                }
                "inputs" | "defaults" => {
                    Bson::Array((0..2).map(|_| self.expression(depth)).collect())
                }
                "useLongestLength" => Bson::Boolean(true),
                "sortBy" => [
                    Bson::Int32(1),
                    Bson::Int32(-1),
                    Bson::Document(doc! { "a": 1, "b.c": -1 }),
                ][self.below(3)]
                .clone(),
                "p" => Bson::Array(vec![Bson::Double(0.5)]),
                "method" => Bson::String("approximate".to_owned()),
                "unit" | "format" | "timezone" | "startOfWeek" | "to" | "options"
                    if self.below(2) == 0 =>
                {
                    Bson::String(self.text().to_owned())
                }
                _ => self.expression(depth),
            };
            operands.insert(name, operand);
        }
        Bson::Document(doc! { operator: operands })
    }
}

#[test]
fn any_expression_over_any_document_ends_with_a_valid_value_or_an_error() {
    let seed = std::env::var("CS_SEED").map_or(20_261_120, |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let mut source = Source(Rng::new(seed));
    let (mut values, mut refused, mut failed) = (0, 0, 0);
    for _ in 0..30_000 {
        let expression = source.expression(4);
        let holder = RawDocumentBuf::try_from(&doc! { "e": expression }).unwrap();
        let operand = Elements::new(holder.as_bytes()).find_name(b"e").unwrap();
        let Ok(parsed) = Expression::parse(operand, &Scope::new()) else {
            refused += 1;
            continue;
        };
        for _ in 0..3 {
            let document = RawDocumentBuf::try_from(&source.document(3)).unwrap();
            let mut environment = Environment::new(document.as_bytes()).now(1_600_000_000_000);
            match parsed.evaluate(&mut environment) {
                Ok(Some(value)) => {
                    let mut builder = DocumentBuilder::new();
                    value.append_to(b"r", &mut builder).unwrap();
                    let bytes = builder.finish();
                    if let Err(error) = validate_document(&bytes) {
                        panic!("{error}: {holder:?} over {document:?}");
                    }
                    values += 1;
                }
                Ok(None) => values += 1,
                Err(error) => {
                    assert!(error.code().is_some(), "{error:?}");
                    failed += 1;
                }
            }
        }
    }
    eprintln!("{values} values, {failed} failed, {refused} refused");
    assert!(values > 5_000 && failed > 1_000, "most of it should run");
}

#[test]
fn any_bytes_for_an_expression_end_with_a_value_or_an_error() {
    let seed = 7;
    let mut source = Source(Rng::new(seed));
    for _ in 0..3_000 {
        // A document of values, some of which look like operators.
        let mut document = source.document(3);
        let names: Vec<&str> = CALLS.split_whitespace().collect();
        let name = names[source.below(names.len())];
        document.insert(name, source.value(2));
        let holder = RawDocumentBuf::try_from(&doc! { "e": document }).unwrap();
        let operand = Elements::new(holder.as_bytes()).find_name(b"e").unwrap();
        if let Ok(parsed) = Expression::parse(operand, &Scope::new()) {
            let _ = parsed.evaluate(&mut Environment::new(holder.as_bytes()));
        }
    }
}

/// An expression within itself so many times.
fn nested(levels: usize, inner: &dyn Fn(Bson) -> Bson) -> RawDocumentBuf {
    let expression = (0..levels).fold(Bson::String("$a".to_owned()), |held, _| inner(held));
    RawDocumentBuf::try_from(&doc! { "e": expression }).unwrap()
}

#[test]
fn the_deepest_expressions_are_evaluated_and_deeper_ones_refused() {
    let wraps: [&dyn Fn(Bson) -> Bson; 3] = [
        &|held| Bson::Document(doc! { "$not": held }),
        &|held| Bson::Array(vec![held]),
        &|held| Bson::Document(doc! { "a": held }),
    ];
    for wrap in wraps {
        let run = |levels| {
            let holder = nested(levels, wrap);
            let operand = Elements::new(holder.as_bytes()).find_name(b"e").unwrap();
            let parsed = Expression::parse(operand, &Scope::new())?;
            let mut environment = Environment::new(holder.as_bytes());
            parsed
                .evaluate(&mut environment)
                .map(|value| value.is_some())
        };
        assert!(run(99).is_ok());
        assert_eq!(run(150).unwrap_err().code(), Some(15));
    }
}
