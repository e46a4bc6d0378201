//! Lines of JSON in and out.

use bson::{doc, rawdoc};
use collection_store::json::Form;
use collection_store::{ErrorKind, ImportOptions};

use crate::on_memory_and_file;

#[test]
fn what_is_exported_can_be_imported_and_is_the_same() {
    on_memory_and_file(|database| {
        let source = database.collection("source");
        let documents = (0..2500).map(|n| {
            doc! { "_id": n, "text": format!("line\n{n}"), "n": f64::from(n) / 7.0, "big": 1_i64 }
        });
        source.insert_many(documents).unwrap();
        let (mut text, mut told) = (Vec::new(), Vec::new());
        let count = source
            .export_ndjson(&mut text, Form::Canonical, |written| told.push(written))
            .unwrap();
        assert_eq!((count, told), (2500, vec![1000, 2000, 2500]));

        let target = database.collection("target");
        let mut told = Vec::new();
        let report = target
            .import_ndjson(&*text, &ImportOptions::default(), |inserted| {
                told.push(inserted);
            })
            .unwrap();
        assert_eq!((report.inserted, report.skipped), (2500, 0));
        assert!(told.is_sorted() && told.last() == Some(&2500) && told.len() > 1);
        assert_eq!(target.stats().unwrap().hash, source.stats().unwrap().hash);
    });
}

#[test]
fn an_import_stops_at_the_first_bad_line_and_names_it() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let text = "{\"_id\":1}\n\n{\"_id\":2}\n{oops}\n{\"_id\":3}\n";
        let error = c
            .import_ndjson(text.as_bytes(), &ImportOptions::default(), |_| {})
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BulkWrite);
        assert_eq!((error.written(), error.write_errors()[0].index), (2, 4));
        assert_eq!(c.count(doc! {}).unwrap(), 2);
        let text = "{\"_id\":7}\n{\"_id\":1}\n{\"_id\":8}\n";
        let error = c
            .import_ndjson(text.as_bytes(), &ImportOptions::default(), |_| {})
            .unwrap_err();
        assert_eq!(
            (error.code(), error.write_errors()[0].index),
            (Some(11000), 2)
        );
        assert!(c.find_by_id(7).unwrap().is_some() && c.find_by_id(8).unwrap().is_none());
    });
}

#[test]
fn bad_lines_may_be_left_out() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let text =
            "{\"_id\":1}\n[]\n{\"_id\":1}\n{\"_id\":{\"$numberLong\":\"2\"}}\n{\"_id\":[]}\n";
        let mut options = ImportOptions::default();
        options.skip_bad_lines = true;
        options.kept_errors = 2;
        let report = c.import_ndjson(text.as_bytes(), &options, |_| {}).unwrap();
        assert_eq!(
            (report.inserted, report.skipped, report.errors.len()),
            (2, 3, 2)
        );
        assert_eq!(c.find_by_id(2).unwrap().unwrap(), rawdoc! { "_id": 2_i64 });
    });
}
