//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677).
//!
//! ```text
//! client → n,,n=user,r=nonce
//! server → r=nonce+ours,s=salt,i=iterations
//! client → c=biws,r=nonce+ours,p=proof
//! server → v=signature
//! ```
//!
//! ## Invariants
//! * The nonce is ours and new in each exchange, so that no message can be played again.
//! * What the client says it bound to (`c=`) is what it said first: nobody in between changed it.
//! * Proofs are compared in constant time. For an unknown user everything is computed as well.
//! * An exchange is finished once, well or badly.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::fault::SecurityFault;

/// The one mechanism that there is.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The longest message of an exchange; real ones have some 150 bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1024;
/// As long as MongoDB's.
pub(super) const SALT_BYTES: usize = 28;
const KEY_BYTES: usize = 32;
/// Of random bytes; in the message it is base64 of them.
const NONCE_BYTES: usize = 24;
/// Drivers send 24 to 44 characters; less could be guessed.
const MIN_CLIENT_NONCE: usize = 16;
const MAX_CLIENT_NONCE: usize = 256;
/// The longest password, in bytes, before and after it is prepared.
pub(super) const MAX_PASSWORD_BYTES: usize = 1024;

/// What proves that somebody knows a password, without being it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    pub(super) iterations: u32,
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) stored_key: [u8; KEY_BYTES],
    pub(super) server_key: [u8; KEY_BYTES],
}

/// Keys are not for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those of a password, under a new salt. Takes milliseconds of a core, on purpose.
    ///
    /// # Errors
    /// The password is empty, too long, or has characters that none may have.
    pub fn of(password: &str, iterations: u32) -> Result<Self, SecurityFault> {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt)?;
        Self::derive(password, iterations, salt)
    }

    pub(super) fn derive(
        password: &str,
        iterations: u32,
        salt: [u8; SALT_BYTES],
    ) -> Result<Self, SecurityFault> {
        let refused = |why| SecurityFault::new(SecurityFault::BAD_VALUE, why);
        if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
            return Err(refused("a password has 1 to 1024 bytes"));
        }
        let prepared = stringprep::saslprep(password)
            .map_err(|_| refused("the password has characters that SASLprep forbids"))?;
        let prepared = Zeroizing::new(prepared.into_owned());
        let mut salted = Zeroizing::new([0; KEY_BYTES]);
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared.as_bytes(), &salt, iterations, &mut *salted);
        let client_key = Zeroizing::new(keyed(&*salted, b"Client Key"));
        Ok(Self {
            iterations,
            salt,
            stored_key: Sha256::digest(*client_key).into(),
            server_key: keyed(&*salted, b"Server Key"),
        })
    }

    /// Those that an unknown user seems to have: the same each time, and fitting no password.
    pub(super) fn pretended(secret: &[u8], who: &str, iterations: u32) -> Self {
        let derive = |what: &str| keyed(secret, format!("{what}\0{who}").as_bytes());
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&derive("salt")[..SALT_BYTES]);
        Self {
            iterations,
            salt,
            stored_key: derive("stored key"),
            server_key: derive("server key"),
        }
    }
}

/// What the client said first.
#[derive(Debug)]
pub(super) struct ClientFirst {
    /// Up to and with the second comma.
    gs2_header: String,
    bare: String,
    pub(super) user: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads the first message.
    pub(super) fn read(payload: &[u8]) -> Result<Self, SecurityFault> {
        Self::parse(payload).ok_or_else(SecurityFault::authentication)
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return None;
        }
        let text = std::str::from_utf8(payload).ok()?;
        // `n`: the client cannot bind to the channel; `y`: it could, and thinks we cannot,
        // which is so. `p=…` asks for what was not offered. Nobody acts for another (`a=`).
        let bare = text
            .strip_prefix("n,,")
            .or_else(|| text.strip_prefix("y,,"))?;
        let (user, rest) = bare.strip_prefix("n=")?.split_once(',')?;
        let nonce = rest.strip_prefix("r=")?;
        let is_length_right = (MIN_CLIENT_NONCE..=MAX_CLIENT_NONCE).contains(&nonce.len());
        // Extensions behind the nonce would be mandatory ones that we do not know.
        let is_printable = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        (is_length_right && nonce.bytes().all(is_printable)).then_some(())?;
        Some(Self {
            gs2_header: text[..text.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            user: unescape(user)?,
            nonce: nonce.to_owned(),
        })
    }
}

/// A name with `=2C` and `=3D` for comma and equals sign.
fn unescape(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        name.push(match after.get(..2)? {
            "2C" | "2c" => ',',
            "3D" | "3d" => '=',
            _ => return None,
        });
        rest = &after[2..];
    }
    name.push_str(rest);
    (!name.is_empty()).then_some(name)
}

/// An exchange that waits for the proof.
#[derive(Debug)]
pub(super) struct Exchange {
    first: ClientFirst,
    server_first: String,
    nonce: String,
    credentials: Credentials,
    /// The user is there. What follows does not ask before the end.
    is_known: bool,
}

impl Exchange {
    /// Answers the first message.
    pub(super) fn begin(
        first: ClientFirst,
        credentials: Credentials,
        is_known: bool,
    ) -> Result<Self, SecurityFault> {
        let mut ours = [0; NONCE_BYTES];
        random(&mut ours)?;
        let nonce = format!("{}{}", first.nonce, STANDARD.encode(ours));
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(credentials.salt),
            credentials.iterations
        );
        Ok(Self {
            first,
            server_first,
            nonce,
            credentials,
            is_known,
        })
    }

    /// What the client is told now.
    pub(super) fn challenge(&self) -> &[u8] {
        self.server_first.as_bytes()
    }

    /// Judges the proof; what the client is told if it is right.
    pub(super) fn finish(self, payload: &[u8]) -> Result<Vec<u8>, SecurityFault> {
        self.judge(payload)
            .ok_or_else(SecurityFault::authentication)
    }

    fn judge(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return None;
        }
        let text = std::str::from_utf8(payload).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let (binding, nonce) = without_proof.strip_prefix("c=")?.split_once(",r=")?;
        let is_bound = binding == STANDARD.encode(&self.first.gs2_header);
        let is_ours = nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let mut client_key: [u8; KEY_BYTES] = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let message = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let signature = keyed(&self.credentials.stored_key, message.as_bytes());
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let found: [u8; KEY_BYTES] = Sha256::digest(client_key).into();
        client_key.zeroize();
        let is_proof = found.ct_eq(&self.credentials.stored_key);
        let answer = keyed(&self.credentials.server_key, message.as_bytes());
        let all = Choice::from(u8::from(is_bound))
            & is_ours
            & is_proof
            & Choice::from(u8::from(self.is_known));
        bool::from(all).then(|| format!("v={}", STANDARD.encode(answer)).into_bytes())
    }
}

/// HMAC-SHA-256.
pub(super) fn keyed(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    // A key of any length is one; the error is of other kinds of MACs.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        Err(_) => [0; KEY_BYTES],
    }
}

/// Fills with what nobody can foresee.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), SecurityFault> {
    getrandom::fill(bytes)
        .map_err(|error| SecurityFault::new(1, format!("the system has no random bytes: {error}")))
}

#[cfg(test)]
mod tests;
