#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use super::*;

#[test]
fn a_full_name_is_cut_at_its_first_dot() {
    let namespace = Namespace::parse("shop.fs.chunks").unwrap();
    assert_eq!(
        (&*namespace.database, &*namespace.collection),
        ("shop", "fs.chunks")
    );
    assert_eq!(namespace.to_string(), "shop.fs.chunks");
}

#[test]
fn names_that_are_not_allowed_and_the_servers_own_are_refused() {
    for (database, collection) in [
        ("", "c"),
        ("a b", "c"),
        ("a/b", "c"),
        (INTERNAL_DATABASE, "users"),
        ("shop", ""),
        ("shop", "$cmd"),
        ("shop", "system.users"),
        ("shop", "a\0b"),
    ] {
        let error = Namespace::new(database, collection).unwrap_err();
        assert_eq!(
            error.code,
            code::INVALID_NAMESPACE,
            "{database}.{collection}"
        );
    }
    assert_eq!(Namespace::parse("nothing").unwrap_err().code, 73);
}
