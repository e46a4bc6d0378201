//! The client's side of SCRAM-SHA-256, for tests, which also have to do it wrongly.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::scram::keyed;

/// A client that knows a name and a password.
pub(crate) struct Client {
    user: String,
    password: String,
    pub(crate) nonce: String,
    pub(crate) header: String,
}

impl Client {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.replace('=', "=3D").replace(',', "=2C"),
            password: password.to_owned(),
            nonce: "fyko+d2lbbFgONRv9qkxdawL".to_owned(),
            header: "n,,".to_owned(),
        }
    }

    fn bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    pub(crate) fn first(&self) -> Vec<u8> {
        format!("{}{}", self.header, self.bare()).into_bytes()
    }

    /// The last message, and the signature that the server has to show.
    pub(crate) fn last(&self, server_first: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let server_first = std::str::from_utf8(server_first).unwrap();
        let parts: Vec<&str> = server_first.split(',').collect();
        let nonce = parts[0].strip_prefix("r=").unwrap();
        let salt = STANDARD
            .decode(parts[1].strip_prefix("s=").unwrap())
            .unwrap();
        let iterations = parts[2].strip_prefix("i=").unwrap().parse().unwrap();
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, iterations, &mut salted);
        let key = keyed(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(key).into();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(&self.header));
        let message = format!("{},{server_first},{without_proof}", self.bare());
        let mut proof = keyed(&stored, message.as_bytes());
        for (byte, mask) in proof.iter_mut().zip(key) {
            *byte ^= mask;
        }
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        let signature = keyed(&keyed(&salted, b"Server Key"), message.as_bytes());
        let expected = format!("v={}", STANDARD.encode(signature));
        (last.into_bytes(), expected.into_bytes())
    }
}
