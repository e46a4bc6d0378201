//! Rules for documents: a schema of users and orders, a validator in MongoDB's language,
//! numbered ids, and a migration from one version of the schema to the next.
//!
//! ```sh
//! cargo run -p collection-store --example schemas
//! ```

use std::error::Error;
use std::ops::ControlFlow;

use bson::{Bson, doc};
use collection_store::{Database, ErrorKind, OperationContext, Result, Schema, SchemaField};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open_in_memory()?;
    users(&database)?;
    orders(&database)?;
    migration(&database)?;
    Ok(())
}

/// Values are coerced, defaults filled in, and every fault is told at once.
fn users(database: &Database) -> Result<()> {
    database.register_validator("adult", |age: &Bson| match age.as_i32() {
        Some(18..) => Ok(()),
        _ => Err("too young".into()),
    });
    let users = database.collection("users");
    users.set_schema(
        Schema::new()
            .field(
                "email",
                SchemaField::string()
                    .required()
                    .pattern("^[^@ ]+@[^@ ]+$")
                    .unique(),
            )
            .field("name", SchemaField::string().required().min(2).max(50))
            .field(
                "age",
                SchemaField::int().coerce().max(150).validator("adult"),
            )
            .field(
                "role",
                SchemaField::string()
                    .one_of(["user", "admin"])
                    .default("user"),
            )
            .field("since", SchemaField::date().default_from("now"))
            .field("address.city", SchemaField::string())
            .field("tags", SchemaField::array_of(SchemaField::string()).max(10))
            .strict(),
    )?;
    users.insert_one(doc! { "email": "ada@example.org", "name": "Ada", "age": "36" })?;
    let found = users.find_one(doc! { "age": { "$gte": "25" } })?;
    let found = found.ok_or_else(|| failed("she is there"))?;
    let is_number = found.get_i32("age").is_ok_and(|age| age == 36);
    check(is_number, "her age is a number now")?;
    println!("stored: {}", bson::Document::try_from(&*found)?);

    let wrong = doc! { "name": "B", "age": 12, "role": "boss", "tags": ["x", 5], "shoe": 43 };
    let Err(error) = users.validate_document(wrong) else {
        return Err(failed("it is wrong"));
    };
    println!("refused, code {:?}:", error.code());
    for fault in error.faults() {
        println!("  {fault}; found {}", fault.found);
    }
    check(error.faults().len() == 6, "every fault is told")
}

/// Orders are numbered, and judged by a validator.
fn orders(database: &Database) -> Result<()> {
    let orders = database.collection("orders");
    let options = doc! {
        "primaryKey": "number",
        "idGeneration": "autoIncrement",
        "validator": { "$jsonSchema": {
            "required": ["customer", "lines"],
            "properties": { "lines": { "bsonType": "array", "minItems": 1 } },
        } },
    };
    orders.create_with(&OperationContext::new(), options)?;
    for customer in ["ada", "grace"] {
        let lines = vec![doc! { "sku": "tea", "quantity": 2 }];
        let number = orders.insert_one(doc! { "customer": customer, "lines": lines })?;
        println!("order {number} of {customer}");
    }
    if let Err(error) = orders.insert_one(doc! { "customer": "nobody", "lines": [] }) {
        let details = error.details().map(|it| bson::Document::try_from(&**it));
        println!("{error}: {}", details.transpose()?.unwrap_or_default());
    }
    // From now on bad orders are written, and counted.
    orders.modify(doc! { "validationAction": "warn" })?;
    orders.insert_one(doc! { "customer": "nobody", "lines": [] })?;
    let warnings = database.stats()?.operations.validation_warnings;
    println!("warnings: {warnings}");
    check(warnings == 1, "it was counted")
}

/// Prices become amounts with a currency: at once for readers, bit by bit on disk.
fn migration(database: &Database) -> Result<()> {
    let products = database.collection("products");
    products.insert_many((0..5000).map(|id| doc! { "_id": id, "price": id }))?;
    database.register_migration("products", 0, |mut product| {
        let amount = product.remove("price").ok_or("it has no price")?;
        product.insert("price", doc! { "amount": amount, "currency": "EUR" });
        Ok(product)
    });
    products.set_schema_version(1)?;
    println!(
        "{} cost 7 already",
        products.count(doc! { "price.amount": 7 })?
    );
    let report = products.migrate(|report| {
        println!("{} documents", report.migrated);
        ControlFlow::Continue(())
    })?;
    println!("migrated {}, done: {}", report.migrated, report.is_done);
    check(
        report.migrated == 5000 && report.is_done,
        "all are migrated",
    )
}

fn failed(what: &str) -> collection_store::Error {
    collection_store::Error::new(ErrorKind::Internal, format!("expected that {what}"))
}

fn check(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(failed(what)) }
}
