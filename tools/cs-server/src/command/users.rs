//! Commands that change users. What they do is [`crate::security`]'s.

use bson::{Document, RawDocumentBuf};

use super::{CommandSpec, Context, Privilege};
use crate::error::Result;
use crate::reply::Reply;
use crate::security::{USER_COMMANDS, manage};

/// The family: one for each of [`USER_COMMANDS`].
pub(super) const COMMANDS: &[CommandSpec] = &{
    let mut specs = [spec(0); USER_COMMANDS.len()];
    let mut position = 0;
    while position < specs.len() {
        specs[position] = spec(position);
        position += 1;
    }
    specs
};

const fn spec(position: usize) -> CommandSpec {
    CommandSpec::new(
        USER_COMMANDS[position].name,
        Privilege::UserAdmin,
        USER_COMMANDS[position].fields,
        run,
    )
}

fn run(context: &mut Context<'_>) -> Result<Reply> {
    let name = context.spec.name;
    let Some(command) = USER_COMMANDS.iter().find(|command| command.name == name) else {
        return Ok(Reply::ok());
    };
    let body = Document::try_from(context.body)?;
    let reply = manage(&context.server.users, command, context.database, &body)?;
    if name != "usersInfo" {
        let by = context.connection.user.as_ref().map(|(user, _)| user.id());
        let connection = context.connection.id;
        let about = body.get_str(name).unwrap_or_default();
        let database = context.database;
        tracing::info!(target: "audit", connection, by, command = name, user = ?about, database, "users changed");
    }
    Ok(RawDocumentBuf::try_from(&reply)?.into())
}
