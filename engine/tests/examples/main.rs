//! The examples do what they say: each checks itself.

#[path = "../../examples/listeners.rs"]
mod listeners;
#[path = "../../examples/schemas.rs"]
mod schemas;
#[path = "../../examples/sessions.rs"]
mod sessions;
#[path = "../../examples/updates.rs"]
mod updates;
#[path = "../../examples/users_and_orders.rs"]
mod users_and_orders;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn listeners_hear_of_commits() -> Outcome {
    listeners::main()
}

#[test]
fn sessions_end_by_themselves() -> Outcome {
    sessions::main()
}

#[test]
fn updates_are_atomic() -> Outcome {
    updates::main()
}

#[test]
fn users_and_orders_are_typed() -> Outcome {
    users_and_orders::main()
}

#[test]
fn schemas_judge_and_migrate() -> Outcome {
    schemas::main()
}
