//! Logging in: the conversation of one connection, by `saslStart` and `saslContinue`, or begun
//! with the first hello (`speculativeAuthenticate`).

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};

use super::fault::SecurityFault;
use super::scram::{ClientFirst, Exchange, MECHANISM};
use super::users::{User, Users};

/// A connection that failed so often is closed.
pub const MAX_FAILED_LOGINS: u32 = 5;

type Result<T> = std::result::Result<T, SecurityFault>;

/// What a step of a login came to.
#[derive(Debug)]
pub struct LoginReply {
    /// `conversationId`, `done` and `payload`.
    pub document: Document,
    /// Who has just come in.
    pub user: Option<User>,
}

/// The logins of one connection.
#[derive(Debug, Default)]
pub struct Login {
    state: State,
    conversations: i32,
    failures: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// The proof is awaited.
    Challenged {
        exchange: Box<Exchange>,
        user: Option<Box<User>>,
        skips_empty: bool,
    },
    /// The client was told our proof, and has to say that it saw it.
    Proven(Box<User>),
}

impl Login {
    /// How often it failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Begins a conversation; one that was under way ends.
    ///
    /// # Errors
    /// Another mechanism than SCRAM-SHA-256 (334), or a message that is none (18).
    pub fn start(
        &mut self,
        users: &Users,
        database: &str,
        mechanism: &str,
        payload: &[u8],
        skips_empty: bool,
    ) -> Result<LoginReply> {
        self.state = State::Idle;
        if mechanism != MECHANISM {
            let message = format!("the one mechanism is {MECHANISM}, not {mechanism:?}");
            let code = SecurityFault::MECHANISM_UNAVAILABLE;
            return Err(self.failed(SecurityFault::new(code, message)));
        }
        let first = ClientFirst::read(payload).map_err(|fault| self.failed(fault))?;
        let (credentials, user) = users.login(database, &first.user)?;
        let exchange = Exchange::begin(first, credentials, user.is_some())?;
        self.conversations = self.conversations.wrapping_add(1);
        let reply = self.reply(exchange.challenge(), false);
        self.state = State::Challenged {
            exchange: Box::new(exchange),
            user: user.map(Box::new),
            skips_empty,
        };
        Ok(LoginReply {
            document: reply,
            user: None,
        })
    }

    /// Goes on with the conversation.
    ///
    /// # Errors
    /// There is none (17), or who speaks is not who was said (18). Either way it has ended.
    pub fn proceed(&mut self, conversation: i64, payload: &[u8]) -> Result<LoginReply> {
        let state = std::mem::take(&mut self.state);
        if i64::from(self.conversations) != conversation {
            return Err(self.failed(no_conversation()));
        }
        match state {
            State::Idle => Err(self.failed(no_conversation())),
            State::Challenged {
                exchange,
                user,
                skips_empty,
            } => {
                let answer = exchange
                    .finish(payload)
                    .map_err(|fault| self.failed(fault))?;
                // The exchange succeeds only for a user that is there.
                let user = user.ok_or_else(|| self.failed(SecurityFault::authentication()))?;
                let document = self.reply(&answer, skips_empty);
                match skips_empty {
                    true => Ok(self.came_in(document, user)),
                    false => {
                        self.state = State::Proven(user);
                        Ok(LoginReply {
                            document,
                            user: None,
                        })
                    }
                }
            }
            State::Proven(user) if payload.is_empty() => {
                let document = self.reply(&[], true);
                Ok(self.came_in(document, user))
            }
            State::Proven(_) => Err(self.failed(SecurityFault::authentication())),
        }
    }

    /// Forgets what was under way.
    pub fn reset(&mut self) {
        self.state = State::Idle;
    }

    fn came_in(&mut self, document: Document, user: Box<User>) -> LoginReply {
        self.failures = 0;
        LoginReply {
            document,
            user: Some(*user),
        }
    }

    fn failed(&mut self, fault: SecurityFault) -> SecurityFault {
        self.failures = self.failures.saturating_add(1);
        fault
    }

    fn reply(&self, payload: &[u8], done: bool) -> Document {
        doc! {
            "conversationId": self.conversations,
            "done": done,
            "payload": Binary { subtype: BinarySubtype::Generic, bytes: payload.to_vec() },
        }
    }
}

fn no_conversation() -> SecurityFault {
    SecurityFault::new(SecurityFault::PROTOCOL_ERROR, "No SASL session state found")
}

#[cfg(test)]
mod tests;
