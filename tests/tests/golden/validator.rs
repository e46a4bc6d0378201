//! `validator`: documents that a collection accepts, and updates of them.

use bson::{RawDocumentBuf, doc};
use collection_store::values::Kind;
use collection_store::{Database, Error, ErrorKind, OperationContext};

use crate::case::{Case, NAME, Verdict, document, fill, show, show_all};
use crate::same::Marks;
use crate::update;

/// Whether a write was accepted; an error but that of the validator is one.
fn accepted<T>(result: Result<T, Error>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::DocumentValidation => {
            assert_eq!(error.code(), Some(121));
            assert!(error.details().is_some(), "a refusal says why");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn flags(case: &Case<'_>, name: &str) -> Vec<bool> {
    let values = case.values(name).into_iter();
    values.map(|value| value.boolean().unwrap()).collect()
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    let collection = database.collection(NAME);
    collection.drop_collection().unwrap();
    let mut options = RawDocumentBuf::new();
    let validator = case.get("validator").unwrap();
    options.append(
        bson::raw::cstr!("validator"),
        bson::RawBson::try_from(validator.to_bson().unwrap()).unwrap(),
    );
    let level = case.text("validationLevel");
    if !level.is_empty() {
        options.append(bson::raw::cstr!("validationLevel"), level);
    }
    if let Err(error) = collection.create_with(&OperationContext::new(), options) {
        return case.judge_error(&error);
    }
    if let Err(verdict) = case.expects_no_error() {
        return verdict;
    }
    let wrong = |what: &str, found: String| {
        Verdict::wrong(format!(
            "{what}: validator {} docs {} found {found}",
            show(validator),
            show(case.get("docs").unwrap()),
        ))
    };
    if case.get("accepted").is_none() {
        fill(&collection.bypassing_validation(), case.documents("docs"));
    } else {
        let mut found = Vec::new();
        for document in case.documents("docs") {
            match accepted(collection.insert_one(document)) {
                Ok(flag) => found.push(flag),
                Err(error) => return wrong("insert", format!("{error:?}")),
            }
        }
        if found != flags(case, "accepted") {
            return wrong("accepted", format!("{found:?}"));
        }
    }
    let mut found = Vec::new();
    for one in case.documents("updates") {
        let field = |name: &str| {
            let fields = collection_store::values::Elements::new(one.as_bytes());
            fields.find_name(name.as_bytes()).unwrap()
        };
        assert_eq!(field("filter").kind(), Kind::Document);
        let filter = document(field("filter")).unwrap();
        let updated = update::update(
            &collection,
            filter,
            field("update"),
            false,
            &collection_store::UpdateOptions::default(),
        );
        match accepted(updated) {
            Ok(flag) => found.push(flag),
            Err(error) => return wrong("update", format!("{error:?}")),
        }
    }
    if found != flags(case, "updatesAccepted") {
        return wrong("updatesAccepted", format!("{found:?}"));
    }
    if case.get("after").is_some() {
        let after = collection.find(doc! {}).run().unwrap();
        let after: Vec<_> = after.map(|one| one.unwrap()).collect();
        if !Marks::of(case).all(&after, &case.documents("after")) {
            return wrong("after", show_all(&after));
        }
    }
    Verdict::Right
}
