//! Expressions.

use bson::rawdoc;
use collection_store::expression::{Environment, Expression, Scope};
use collection_store::values::{DocumentBuilder, Elements, validate_document};

/// The field `e` of the input as an expression, over the whole of it.
pub(super) fn expression(input: &[u8]) {
    if validate_document(input).is_err() {
        return;
    }
    let Some(operand) = Elements::new(input).find_name(b"e") else {
        return;
    };
    let Ok(expression) = Expression::parse(operand, &Scope::new()) else {
        return;
    };
    let evaluate = || {
        let mut environment = Environment::new(input).now(1_600_000_000_000);
        let value = expression.evaluate(&mut environment).ok()?;
        let mut builder = DocumentBuilder::new();
        if let Some(value) = value {
            value.append_to(b"r", &mut builder).ok()?;
        }
        Some(builder.finish())
    };
    let Some(bytes) = evaluate() else { return };
    if let Err(error) = validate_document(&bytes) {
        // What is put into one document more may be a level too deep, or too long.
        let is_limit = matches!(
            error.reason,
            collection_store::values::Reason::TooDeep | collection_store::values::Reason::TooLarge
        );
        assert!(is_limit, "a value is not valid: {error}");
    }
    assert_eq!(evaluate(), Some(bytes), "the same, twice");
}

pub(super) fn expression_seeds() -> Vec<Vec<u8>> {
    let documents = [
        rawdoc! { "a": [1, 2.5, "x"], "e": { "$map": { "input": "$a", "as": "v", "in": { "$multiply": ["$$v", 2] } } } },
        rawdoc! { "d": bson::DateTime::from_millis(7), "e": { "$dateTrunc": { "date": "$d", "unit": "week", "binSize": 2, "timezone": "Europe/London" } } },
        rawdoc! { "s": "a-b", "e": { "$regexFindAll": { "input": { "$toUpper": "$s" }, "regex": "[A-Z](-)?", "options": "i" } } },
        rawdoc! { "n": 7_i64, "e": { "$cond": [{ "$gt": ["$n", 5] }, { "$convert": { "input": "$n", "to": "string" } }, { "$reduce": { "input": [1, 2], "initialValue": [], "in": { "$concatArrays": ["$$value", ["$$this"]] } } }] } },
        rawdoc! { "o": { "k": 1 }, "e": { "$sortArray": { "input": { "$objectToArray": { "$mergeObjects": ["$o", { "z": "$$ROOT" }] } }, "sortBy": { "k": -1 } } } },
        rawdoc! { "e": { "$dateToString": { "date": { "$dateFromString": { "dateString": "2020-02-29 10:20" } }, "format": "%Y-%j %z" } } },
    ];
    documents.map(|document| document.into_bytes()).into()
}
