//! `find`, `sort`, `projection`, `count` and `distinct`.

use bson::RawDocumentBuf;
use collection_store::filter::{Filter, FilterMode};
use collection_store::values::{Elements, OwnedValue, RawValue, compare};
use collection_store::{Collection, Database, Error, ErrorKind, Find};

use crate::case::{Case, Verdict, show, show_all};
use crate::same::Marks;

/// A number that the API takes without a sign.
pub(crate) fn unsigned(case: &Case<'_>, name: &str) -> Result<Option<u64>, Error> {
    let Some(number) = case.number(name) else {
        return Ok(None);
    };
    let negative = |_| Error::new(ErrorKind::BadValue, format!("{name} is negative"));
    u64::try_from(number).map(Some).map_err(negative)
}

fn query(collection: &Collection, case: &Case<'_>) -> Result<Find, Error> {
    let mut find = collection.find(case.document("filter").unwrap());
    if let Some(sort) = case.document("sort") {
        find = find.sort(sort);
    }
    if let Some(projection) = case.document("projection") {
        find = find.projection(projection);
    }
    if let Some(skip) = unsigned(case, "skip")? {
        find = find.skip(skip);
    }
    if let Some(limit) = case.number("limit") {
        // A negative one is the same limit in one batch, of which the API knows nothing.
        find = find.limit(limit.unsigned_abs());
    }
    Ok(find)
}

fn id(document: &RawDocumentBuf) -> RawValue<'_> {
    Elements::new(document.as_bytes())
        .find_name(b"_id")
        .unwrap()
}

/// What is wrong if the two forms of the filter do not answer alike.
fn forms_differ(case: &Case<'_>) -> Option<String> {
    let source = case.document("filter")?;
    let [compiled, interpreted] = [FilterMode::Compiled, FilterMode::Interpreted].map(|mode| {
        let filter = Filter::compile_with(&source, mode)?;
        let documents = case.documents("docs");
        let answers = documents.iter().map(|document| filter.matches(document));
        answers.collect::<Result<Vec<bool>, Error>>()
    });
    let same = match (&compiled, &interpreted) {
        (Ok(left), Ok(right)) => left == right,
        (Err(left), Err(right)) => left.code() == right.code(),
        _ => false,
    };
    (!same)
        .then(|| format!("filter {source:?}: compiled {compiled:?}, interpreted {interpreted:?}"))
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    if let Some(complaint) = forms_differ(case) {
        return Verdict::wrong(complaint);
    }
    let collection = case.set_up(database);
    let found: Result<Vec<RawDocumentBuf>, Error> = query(&collection, case)
        .and_then(Find::run)
        .and_then(Iterator::collect);
    let found = match found {
        Ok(found) => found,
        Err(error) => return case.judge_error(&error),
    };
    if let Err(verdict) = case.expects_no_error() {
        return verdict;
    }
    let marks = Marks::of(case);
    let expected = case.values("result");
    let is_sorted = case
        .get("sort")
        .is_some_and(|sort| sort.elements().unwrap().count() > 0);
    let is_cut = case.get("skip").is_some() || case.get("limit").is_some();
    let is_right = if !is_sorted && is_cut {
        found.len() == expected.len()
    } else if case.get("projection").is_some() {
        let expected = case.documents("result");
        if is_sorted {
            marks.all(&found, &expected)
        } else {
            marks.as_sets(&found, &expected)
        }
    } else {
        let ids: Vec<RawValue<'_>> = found.iter().map(id).collect();
        if is_sorted {
            ids.len() == expected.len()
                && ids.iter().zip(&expected).all(|(a, b)| marks.value(*a, *b))
        } else {
            marks.values_as_sets(&ids, &expected)
        }
    };
    if is_right {
        return Verdict::Right;
    }
    Verdict::wrong(format!(
        "filter {} projection {} sort {} expected {} found {}",
        case.get("filter").map_or_else(String::new, show),
        case.get("projection").map_or_else(String::new, show),
        case.get("sort").map_or_else(String::new, show),
        case.get("result").map_or_else(String::new, show),
        show_all(&found)
    ))
}

pub(crate) fn judge_count(database: &Database, case: &Case<'_>) -> Verdict {
    let collection = case.set_up(database);
    let counted = query(&collection, case).and_then(Find::count);
    match counted {
        Err(error) => case.judge_error(&error),
        Ok(count) => match case.expects_no_error() {
            Err(verdict) => verdict,
            Ok(()) if i64::try_from(count).ok() == case.number("result") => Verdict::Right,
            Ok(()) => Verdict::wrong(format!(
                "expected {:?}, found {count}",
                case.number("result")
            )),
        },
    }
}

pub(crate) fn judge_distinct(database: &Database, case: &Case<'_>) -> Verdict {
    let collection = case.set_up(database);
    let filter = case.document("filter").unwrap();
    let found = match collection.distinct(case.text("key"), filter) {
        Err(error) => return case.judge_error(&error),
        Ok(found) => found,
    };
    if let Err(verdict) = case.expects_no_error() {
        return verdict;
    }
    let found: Vec<OwnedValue> = found
        .iter()
        .map(|value| OwnedValue::try_from(value).unwrap())
        .collect();
    let values: Vec<RawValue<'_>> = found.iter().map(OwnedValue::as_raw).collect();
    // Of equal values the first is kept, and what is first depends on the order of the
    // documents: ours is that of `_id`.
    let mut expected = case.values("result");
    expected.sort_by(|a, b| compare(*a, *b));
    let is_equal = |(a, b): (&RawValue<'_>, &RawValue<'_>)| compare(*a, *b).is_eq();
    if values.len() == expected.len() && values.iter().zip(&expected).all(is_equal) {
        return Verdict::Right;
    }
    let values: Vec<String> = values.into_iter().map(show).collect();
    Verdict::wrong(format!(
        "expected {}, found {}",
        case.get("result").map_or_else(String::new, show),
        values.join(" ")
    ))
}
