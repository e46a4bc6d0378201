//! Typed collections: users and orders, their rules and indexes, composite keys, and a
//! transaction over both.
//!
//! ```text
//! cargo run --release -p collection-store --example users_and_orders
//! ```

use bson::DateTime;
use collection_store::{Database, Document, ErrorKind};
use serde::{Deserialize, Serialize};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
#[document(collection = "users", composite = "city, -age")]
struct User {
    #[serde(rename = "_id")]
    #[document(id)]
    id: i32,
    #[document(unique, pattern = "^[^@ ]+@[^@ ]+$")]
    email: String,
    #[document(min = 0, max = 150)]
    age: i32,
    city: String,
    tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
struct Item {
    sku: String,
    #[document(min = 1)]
    count: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
#[document(collection = "orders", unique_composite = "customer, number")]
struct Order {
    customer: i32,
    number: i32,
    placed: DateTime,
    #[document(nested, min = 1)]
    items: Vec<Item>,
    #[document(min = 0.0)]
    total: f64,
}

fn user(id: i32, name: &str, age: i32, city: &str) -> User {
    User {
        id,
        email: format!("{name}@example.org"),
        age,
        city: city.into(),
        tags: Vec::new(),
    }
}

fn order(customer: i32, number: i32, total: f64) -> Order {
    let (sku, count) = ("tea".into(), number);
    Order {
        customer,
        number,
        placed: DateTime::from_millis(1_700_000_000_000),
        items: vec![Item { sku, count }],
        total,
    }
}

pub(crate) fn main() -> Outcome {
    let database = Database::open_in_memory()?;
    let (users, orders) = (database.typed::<User>(), database.typed::<Order>());
    users.ensure()?; // the collection, its rules, its indexes
    orders.ensure()?;

    let all = [
        user(1, "ada", 36, "London"),
        user(2, "grace", 85, "Arlington"),
        user(3, "alan", 41, "London"),
    ];
    users.insert_many(&all)?;

    // What breaks a rule or a unique index stays out.
    let refused = users.insert_one(&user(4, "not an address", 20, "Bonn"));
    let refused = refused.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::DocumentValidation));
    let refused = users.insert_one(&user(4, "ada", 20, "Bonn"));
    let refused = refused.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::DuplicateKey));

    // Conditions and changes are made of fields: a misspelt one does not compile.
    let it = User::fields();
    let grown = users.find(it.age.gte(18) & it.city.eq("London"));
    let grown: Vec<User> = grown
        .sort(it.age.ascending())
        .run()?
        .collect::<Result<_, _>>()?;
    assert_eq!(grown, [all[0].clone(), all[2].clone()]);
    users.update_one(it.id.eq(1), [it.age.inc(1), it.tags.push("maths")])?;
    let ada = users.find_by_id(1)?;
    println!("{ada:?}");
    assert_eq!(ada.map(|ada| ada.age), Some(37));

    // A composite index, by as many of its fields as are given: here all of a city, the
    // eldest first.
    let londoners = users.untyped();
    let londoners = londoners.find_by_composite("city_1_age_-1", ["London".into()])?;
    let ids: Result<Vec<i32>, _> = londoners.map(|user| Ok(user?.get_i32("_id")?)).collect();
    let ids = ids.map_err(|error: Box<dyn std::error::Error>| error)?;
    assert_eq!(ids, [3, 1]);

    // An order and its customer's tag: both or neither.
    database.with_transaction(|transaction| {
        transaction
            .typed::<Order>()
            .insert_one(&order(1, 1, 12.5))?;
        let users = transaction.typed::<User>();
        users.update_one(it.id.eq(1), it.tags.add_to_set("customer"))?;
        Ok(())
    })?;
    let failed = database.with_transaction(|transaction| {
        let users = transaction.typed::<User>();
        users.update_one(it.id.eq(1), it.tags.push("never"))?;
        // This number is taken.
        transaction.typed::<Order>().insert_one(&order(1, 1, 99.0))
    });
    assert!(failed.is_err());
    assert_eq!(users.count(it.tags.contains("customer"))?, 1);
    assert_eq!(users.count(it.tags.contains("never"))?, 0);

    for number in 2..=5 {
        orders.insert_one(&order(1, number, f64::from(number)))?;
    }
    let it = Order::fields();
    let large = it.customer.eq(1) & it.items.any(|item| item.count.gte(4));
    let count = orders.count(large)?;
    println!("{count} large orders");
    assert_eq!(count, 2);
    Ok(())
}
