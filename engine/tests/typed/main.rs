//! Typed collections: what a struct declares holds, and what it says of its fields is true.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::{Bson, DateTime, doc, oid::ObjectId};
use collection_store::typed::Condition;
use collection_store::{Database, Document, ErrorKind, UpdateOptions};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
struct Item {
    sku: String,
    #[document(min = 1)]
    count: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
#[serde(rename_all = "camelCase")]
struct Address {
    city: String,
    zip_code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Document)]
#[serde(rename_all = "camelCase")]
#[document(
    collection = "orders",
    composite = "customer, -placed_at",
    unique_composite = "customer, number"
)]
struct Order {
    #[serde(rename = "_id")]
    #[document(id)]
    id: i64,
    #[document(index, pattern = "^[a-z]+$", max = 20)]
    customer: String,
    number: u32,
    #[document(ttl = 3600)]
    placed_at: DateTime,
    #[document(min = 0.0)]
    total: f64,
    #[document(nested)]
    ship_to: Address,
    #[document(nested, min = 1)]
    items: Vec<Item>,
    #[serde(default)]
    notes: Vec<String>,
    coupon: Option<String>,
    #[document(nested)]
    bill_to: Option<Address>,
    #[serde(skip)]
    _cached: u8,
}

fn order(id: i64, customer: &str) -> Order {
    Order {
        id,
        customer: customer.into(),
        number: u32::try_from(id).unwrap(),
        placed_at: DateTime::from_millis(1_700_000_000_000 + id),
        total: 10.0 * id as f64,
        ship_to: Address {
            city: if id % 2 == 0 { "Bonn" } else { "Lyon" }.into(),
            zip_code: (id > 2).then(|| format!("{id:05}")),
        },
        items: vec![Item {
            sku: "tea".into(),
            count: i32::try_from(id).unwrap(),
        }],
        notes: Vec::new(),
        coupon: None,
        bill_to: None,
        _cached: 0,
    }
}

fn orders() -> (Database, collection_store::Collection<Order>) {
    let database = Database::open_in_memory().unwrap();
    let orders = database.typed::<Order>();
    orders.ensure().unwrap();
    let all: Vec<_> = (1..=4)
        .map(|id| order(id, if id < 3 { "ada" } else { "bob" }))
        .collect();
    orders.insert_many(&all).unwrap();
    (database, orders)
}

fn ids(orders: &collection_store::Collection<Order>, condition: Condition<Order>) -> Vec<i64> {
    let found = orders.find(condition).run().unwrap();
    found.map(|order| order.unwrap().id).collect()
}

#[test]
fn what_goes_in_comes_out() {
    let (_database, orders) = orders();
    assert_eq!(orders.name(), "orders");
    assert_eq!(orders.find_by_id(3_i64).unwrap(), Some(order(3, "bob")));
    assert_eq!(orders.count(Condition::all()).unwrap(), 4);
}

#[test]
fn conditions_are_the_filters_that_they_say() {
    let (_database, orders) = orders();
    let it = Order::fields();
    assert_eq!(ids(&orders, it.customer.eq("ada")), [1, 2]);
    assert_eq!(ids(&orders, !it.customer.eq("ada")), [3, 4]);
    assert_eq!(ids(&orders, it.customer.ne("ada") & it.total.lt(40)), [3]);
    assert_eq!(ids(&orders, it.id.eq(1) | it.id.gt(3)), [1, 4]);
    assert_eq!(ids(&orders, it.number.is_in([2_u32, 3])), [2, 3]);
    assert_eq!(ids(&orders, it.number.not_in([2_u32, 3])), [1, 4]);
    assert_eq!(ids(&orders, it.customer.matches("^B", "i")), [3, 4]);
    assert_eq!(ids(&orders, it.ship_to.city.eq("Bonn")), [2, 4]);
    assert_eq!(ids(&orders, it.ship_to.zip_code.is_none()), [1, 2]);
    assert_eq!(ids(&orders, it.ship_to.zip_code.is_some()), [3, 4]);
    let large = it.items.any(|item| item.sku.eq("tea") & item.count.gte(3));
    assert_eq!(ids(&orders, large), [3, 4]);
    assert_eq!(ids(&orders, it.items.has_len(1)), [1, 2, 3, 4]);
    assert_eq!(it.ship_to.zip_code.path(), "shipTo.zipCode");
    // The untyped kind is taken too.
    let found = orders.find_one(doc! { "shipTo.city": "Bonn" }).unwrap();
    assert_eq!(found.unwrap().id, 2);
}

#[test]
fn conditions_joined_in_one_way_are_one() {
    let it = Order::fields();
    let joined = it.id.gt(1) & it.id.lt(4) & it.number.eq(2_u32);
    let filter = joined.into_document().unwrap();
    assert_eq!(filter.get_array("$and").unwrap().len(), 3);
}

#[test]
fn changes_are_the_updates_that_they_say() {
    let (_database, orders) = orders();
    let it = Order::fields();
    let changes = [
        it.total.inc(1.5),
        it.total.min(11.0),
        it.coupon.set("x"),
        it.notes.push_all(["a", "b", "a"]),
        it.ship_to.city.set("Oslo"),
        it.items.push(Item {
            sku: "ink".into(),
            count: 7,
        }),
    ];
    // Two operators on one path are refused, as in any update.
    let refused = orders.update_one(it.id.eq(1), changes).unwrap_err();
    assert_eq!(refused.code(), Some(40));
    let changes = [
        it.total.inc(1.5),
        it.coupon.set("x"),
        it.notes.push_all(["a", "b", "a"]),
        it.ship_to.city.set("Oslo"),
    ];
    let updated = orders.update_one(it.id.eq(1), changes).unwrap();
    assert_eq!((updated.matched, updated.modified), (1, 1));
    let one = orders.find_by_id(1_i64).unwrap().unwrap();
    assert_eq!((one.total, one.coupon.as_deref()), (11.5, Some("x")));
    assert_eq!(
        (one.notes, one.ship_to.city.as_str()),
        (vec!["a".into(), "b".into(), "a".into()], "Oslo")
    );
    let changes = [it.coupon.unset(), it.notes.pull("a")];
    orders.update_many(it.customer.eq("ada"), changes).unwrap();
    let one = orders.find_by_id(1_i64).unwrap().unwrap();
    assert_eq!((one.coupon, one.notes), (None, vec!["b".into()]));
    orders
        .update_one(it.id.eq(1), it.placed_at.set_now())
        .unwrap();
    let one = orders.find_by_id(1_i64).unwrap().unwrap();
    assert!(one.placed_at > DateTime::from_millis(1_700_000_000_001));
}

#[test]
fn values_are_replaced_deleted_sorted_and_counted() {
    let (_database, orders) = orders();
    let it = Order::fields();
    let sorted = orders.find(Condition::all());
    let sorted = sorted.sort(it.customer.descending().then(it.total.ascending()));
    let sorted: Vec<_> = sorted
        .skip(1)
        .limit(2)
        .run()
        .unwrap()
        .map(|it| it.unwrap().id)
        .collect();
    assert_eq!(sorted, [4, 1]);
    let mut cities = orders.distinct(&it.ship_to.city, Condition::all()).unwrap();
    cities.sort();
    assert_eq!(cities, ["Bonn", "Lyon"]);
    let replaced = orders.replace_one(it.id.eq(2), &order(2, "eve")).unwrap();
    assert_eq!((replaced.matched, replaced.modified), (1, 1));
    assert!(orders.delete_one(it.customer.eq("eve")).unwrap());
    assert_eq!(orders.delete_many(it.customer.eq("bob")).unwrap(), 2);
    assert_eq!(ids(&orders, Condition::all()), [1]);
    assert_eq!(orders.find(Condition::all()).count().unwrap(), 1);
}

#[test]
fn an_upsert_takes_the_conditions_values() {
    let database = Database::open_in_memory().unwrap();
    let items = database.typed::<Item>();
    assert_eq!(items.name(), "item");
    let it = Item::fields();
    let options = UpdateOptions {
        upsert: true,
        ..UpdateOptions::default()
    };
    let context = collection_store::OperationContext::new();
    let upserted = items
        .update_one_with(&context, it.sku.eq("tea"), it.count.inc(2), &options)
        .unwrap();
    assert!(matches!(
        upserted.upserted_id,
        Some(Bson::ObjectId(ObjectId { .. }))
    ));
    let tea = items.find_one(it.sku.eq("tea")).unwrap().unwrap();
    assert_eq!(tea.count, 2);
}

#[test]
fn what_is_declared_is_made() {
    let (_database, orders) = orders();
    let indexes = orders.untyped().list_indexes().unwrap();
    let keys: Vec<_> = indexes
        .iter()
        .map(|index| format!("{} {}", index.name, index.unique))
        .collect();
    assert_eq!(
        keys,
        [
            "_id_ false",
            "customer_1 false",
            "placedAt_1 false",
            "customer_1_placedAt_-1 false",
            "customer_1_number_1 true"
        ]
    );
    assert_eq!(indexes[2].expire_after_seconds, Some(3600));
    // Again is the same.
    orders.ensure().unwrap();
    let mut twin = order(9, "ada");
    twin.number = 1;
    let refused = orders.insert_one(&twin).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DuplicateKey);
}

#[test]
fn rules_say_what_the_type_says() {
    let schema = Order::declaration().json_schema();
    assert_eq!(
        schema
            .get_array("required")
            .unwrap()
            .iter()
            .filter_map(Bson::as_str)
            .collect::<Vec<_>>(),
        [
            "customer", "number", "placedAt", "total", "shipTo", "items", "notes"
        ]
    );
    let fields = schema.get_document("properties").unwrap();
    let is = |name: &str, rule: bson::Document| {
        assert_eq!(fields.get_document(name).unwrap(), &rule, "{name}");
    };
    is(
        "customer",
        doc! { "bsonType": ["string"], "pattern": "^[a-z]+$", "maxLength": 20 },
    );
    is("number", doc! { "bsonType": ["int", "long"] });
    is(
        "total",
        doc! { "bsonType": ["int", "long", "double"], "minimum": 0.0 },
    );
    is("coupon", doc! { "bsonType": ["string", "null"] });
    is(
        "notes",
        doc! { "bsonType": "array", "items": { "bsonType": ["string"] } },
    );
    let bill_to = fields.get_document("billTo").unwrap();
    assert_eq!(bill_to.get_array("bsonType").unwrap().len(), 2, "or null");
    let items = fields.get_document("items").unwrap();
    assert_eq!(items.get_i32("minItems").unwrap(), 1);
    let item = items.get_document("items").unwrap();
    assert_eq!(
        item.get_document("properties")
            .unwrap()
            .get_document("count")
            .unwrap()
            .get_i32("minimum")
            .unwrap(),
        1
    );
}

#[test]
fn a_document_of_another_type_is_an_error_that_names_it() {
    let (_database, orders) = orders();
    let others = orders.untyped().typed::<Address>();
    let error = others.find_by_id(1_i64).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    assert!(error.to_string().contains("_id 1"), "{error}");
    assert!(error.to_string().contains("Address"), "{error}");
}

#[test]
fn types_work_in_transactions() {
    let (database, orders) = orders();
    database
        .with_transaction(|transaction| {
            let orders = transaction.typed::<Order>();
            orders.insert_one(&order(7, "eve"))?;
            assert!(orders.find_by_id(7_i64)?.is_some());
            Ok(())
        })
        .unwrap();
    assert!(orders.find_by_id(7_i64).unwrap().is_some());
}
