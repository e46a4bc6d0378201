//! Atomic and bulk updates: one document, many, many different ones, all or nothing.
//!
//! ```text
//! cargo run --release -p collection-store --example updates
//! ```

use bson::{Document, doc};
use collection_store::{
    BulkWriteOptions, Database, ErrorKind, FindAndModifyOptions, OperationContext, ReturnDocument,
    UpdateOptions, WriteModel,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn main() -> Outcome {
    let database = Database::open_in_memory()?;
    let stock = database.collection("stock");
    stock.insert_many([
        doc! { "_id": "tea", "n": 10, "price": 3.5, "log": [] },
        doc! { "_id": "ink", "n": 2, "price": 9.0, "log": [] },
        doc! { "_id": "pen", "n": 0, "price": 1.2, "log": [] },
    ])?;

    // One document changes as a whole, where the commit is: however many do this at once,
    // none is lost.
    std::thread::scope(|scope| {
        let buyers = (0..4).map(|_| {
            scope.spawn(|| {
                let enough = doc! { "_id": "tea", "n": { "$gte": 1 } };
                let taken = doc! { "$inc": { "n": -1 }, "$push": { "log": "sold" } };
                stock
                    .update_one(enough, taken)
                    .map(|result| result.modified)
            })
        });
        let buyers: Vec<_> = buyers.collect();
        for buyer in buyers {
            assert!(matches!(buyer.join(), Ok(Ok(1))));
        }
    });
    assert_eq!(
        stock.count(doc! { "_id": "tea", "n": 6, "log": { "$size": 4 } })?,
        1
    );

    // Changed and told in one step.
    let options = FindAndModifyOptions::new().return_document(ReturnDocument::After);
    let taken = doc! { "$inc": { "n": -1 } };
    let found = stock.find_one_and_update(doc! { "_id": "ink" }, taken, &options)?;
    let left = found.value.map(|ink| ink.get_i32("n")).transpose()?;
    assert_eq!(left, Some(1));

    // Many: each document is changed as a whole, in commits of bounded size.
    let dearer = stock.update_many(doc! {}, doc! { "$mul": { "price": 1.1 } })?;
    assert_eq!(dearer.modified, 3);

    // There or not.
    let context = OperationContext::new();
    let upsert = UpdateOptions::upsert();
    let paper = doc! { "$inc": { "n": 5 }, "$setOnInsert": { "price": 0.1 } };
    let result = stock.update_one_with(&context, doc! { "_id": "paper" }, paper, &upsert)?;
    assert_eq!(result.upserted_id, Some("paper".into()));

    // Different writes in one call, in order.
    let result = stock.bulk_write(
        [
            WriteModel::insert_one(doc! { "_id": "cup", "n": 1 }),
            WriteModel::update_one(doc! { "_id": "cup" }, doc! { "$inc": { "n": 4 } }),
            WriteModel::replace_one(doc! { "_id": "pen" }, doc! { "n": 7 }),
            WriteModel::delete_many(doc! { "n": { "$lt": 2 } }),
        ],
        &BulkWriteOptions::new(),
    )?;
    println!("{result:?}");
    assert_eq!(
        (result.inserted, result.modified, result.deleted),
        (1, 2, 1)
    );

    // All or nothing: what is done in a transaction is there when it is committed.
    let moved = database.with_transaction(|transaction| {
        let stock = transaction.collection("stock");
        for (id, n) in [("tea", -6), ("cup", 6), ("spoon", 6)] {
            let result = stock.update_one(doc! { "_id": id }, doc! { "$inc": { "n": n } })?;
            if result.matched == 0 {
                // Any error takes all of it back; this one says what is wrong.
                stock.create()?;
            }
        }
        Ok(())
    });
    let kind = moved.err().map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::NamespaceExists));
    assert_eq!(stock.count(doc! { "_id": "tea", "n": 6 })?, 1);

    for document in stock.find(doc! {}).run()? {
        println!("{}", Document::try_from(&document?)?);
    }
    Ok(())
}
