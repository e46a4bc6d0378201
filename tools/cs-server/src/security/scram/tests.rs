use super::super::scram_client::Client;
use super::*;

const ITERATIONS: u32 = 4096;

fn exchange(client: &Client) -> Exchange {
    let credentials = Credentials::derive("pencil", ITERATIONS, [7; SALT_BYTES]).unwrap();
    let first = ClientFirst::read(&client.first()).unwrap();
    Exchange::begin(first, credentials, true).unwrap()
}

#[test]
fn the_example_of_rfc_7677_holds() {
    // Its salt has 16 bytes, ours have 28: the keys are computed here.
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"pencil", &salt, 4096, &mut salted);
    let credentials = Credentials {
        iterations: 4096,
        salt: [0; SALT_BYTES],
        stored_key: Sha256::digest(keyed(&salted, b"Client Key")).into(),
        server_key: keyed(&salted, b"Server Key"),
    };
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let exchange = Exchange {
        first: ClientFirst::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap(),
        server_first: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
        nonce: nonce.to_owned(),
        credentials,
        is_known: true,
    };
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let answer = exchange.finish(format!("c=biws,r={nonce},p={proof}").as_bytes());
    assert_eq!(
        answer.unwrap(),
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
}

#[test]
fn the_right_password_comes_in_and_the_server_proves_that_it_knows_it() {
    let client = Client::new("a=b,c", "pencil");
    let exchange = exchange(&client);
    assert_eq!(exchange.first.user, "a=b,c");
    let (last, expected) = client.last(exchange.challenge());
    assert_eq!(exchange.finish(&last).unwrap(), expected);
}

#[test]
fn a_wrong_password_is_refused() {
    let client = Client::new("user", "pencils");
    let exchange = exchange(&client);
    let (last, _) = client.last(exchange.challenge());
    assert_eq!(exchange.finish(&last), Err(SecurityFault::authentication()));
}

#[test]
fn an_unknown_user_is_refused_even_with_a_proof_that_fits() {
    let client = Client::new("user", "pencil");
    let mut exchange = exchange(&client);
    exchange.is_known = false;
    let (last, _) = client.last(exchange.challenge());
    assert_eq!(exchange.finish(&last), Err(SecurityFault::authentication()));
}

#[test]
fn a_message_of_an_earlier_exchange_is_refused() {
    let client = Client::new("user", "pencil");
    let earlier = exchange(&client);
    let (last, _) = client.last(earlier.challenge());
    assert!(earlier.finish(&last).is_ok());
    assert!(
        exchange(&client).finish(&last).is_err(),
        "the same nonce of the client, ours is new"
    );
}

#[test]
fn a_nonce_that_is_only_the_clients_is_refused() {
    let client = Client::new("user", "pencil");
    let exchange = exchange(&client);
    let challenge = format!("r={},s=AAAA,i=4096", client.nonce);
    let (last, _) = client.last(challenge.as_bytes());
    assert!(exchange.finish(&last).is_err());
}

#[test]
fn every_truncation_and_every_changed_byte_of_the_last_message_is_refused() {
    let client = Client::new("user", "pencil");
    let challenged = exchange(&client);
    let (last, expected) = client.last(challenged.challenge());
    for length in 0..last.len() {
        assert_eq!(challenged.judge(&last[..length]), None, "{length} bytes");
    }
    for position in 0..last.len() {
        let mut changed = last.clone();
        changed[position] ^= 1;
        assert_eq!(challenged.judge(&changed), None, "byte {position}");
    }
    assert_eq!(
        challenged.judge(&last),
        Some(expected),
        "the test could have seen it pass"
    );
}

#[test]
fn a_channel_that_was_downgraded_on_the_way_is_refused() {
    // The client said `y` (it could bind), somebody in between made it `n`.
    let mut client = Client::new("user", "pencil");
    client.header = "y,,".to_owned();
    let mut tampered = client.first();
    tampered[0] = b'n';
    let first = ClientFirst::read(&tampered).unwrap();
    let credentials = Credentials::derive("pencil", ITERATIONS, [7; SALT_BYTES]).unwrap();
    let exchange = Exchange::begin(first, credentials, true).unwrap();
    let (last, _) = client.last(exchange.challenge());
    assert!(exchange.finish(&last).is_err());
}

#[test]
fn a_first_message_that_is_not_one_is_refused() {
    let nonce = "r=0123456789abcdef";
    assert!(ClientFirst::parse(format!("n,,n=u,{nonce}").as_bytes()).is_some());
    assert!(ClientFirst::parse(format!("y,,n=u,{nonce}").as_bytes()).is_some());
    let long = format!("n,,n={},{nonce}", "u".repeat(MAX_PAYLOAD_BYTES));
    for wrong in [
        "",
        "n",
        "n,,",
        "n,,n=u",
        &format!("p=tls-unique,,n=u,{nonce}"),
        &format!("n,a=other,n=u,{nonce}"),
        &format!("n,,m=ext,n=u,{nonce}"),
        &format!("n,,n=,{nonce}"),
        &format!("n,,n=a=b,{nonce}"),
        &format!("n,,n=a=2,{nonce}"),
        &format!("n,,n=a=2\u{e9},{nonce}"),
        &format!("n,,n=u,{nonce},x=1"),
        "n,,n=u,r=short",
        &format!("n,,n=u,{nonce} blank"),
        &long,
    ] {
        assert!(ClientFirst::parse(wrong.as_bytes()).is_none(), "{wrong:?}");
    }
    assert!(ClientFirst::parse(b"n,,n=\xff,r=0123456789abcdef").is_none());
}

#[test]
fn what_is_pretended_for_an_unknown_user_stays_the_same_and_tells_users_apart() {
    let of = |who: &str| Credentials::pretended(b"secret", who, 15_000);
    assert_eq!(of("admin.a"), of("admin.a"));
    assert_ne!(of("admin.a").salt, of("admin.b").salt);
    assert_ne!(
        of("admin.a"),
        Credentials::pretended(b"other", "admin.a", 15_000)
    );
}

#[test]
fn passwords_are_prepared_and_impossible_ones_refused() {
    let derive = |password: &str| Credentials::derive(password, 1, [1; SALT_BYTES]);
    // U+2168 is IX, a soft hyphen is nothing (RFC 4013).
    assert_eq!(derive("\u{2168}"), derive("IX"));
    assert_eq!(derive("I\u{ad}X"), derive("IX"));
    assert!(derive("").is_err() && derive("\u{7}").is_err());
    assert!(derive(&"x".repeat(MAX_PASSWORD_BYTES)).is_ok());
    assert!(derive(&"x".repeat(MAX_PASSWORD_BYTES + 1)).is_err());
}

#[test]
fn two_users_with_one_password_have_different_keys() {
    let (one, other) = (
        Credentials::of("same", 1).unwrap(),
        Credentials::of("same", 1).unwrap(),
    );
    assert_ne!(one.stored_key, other.stored_key);
}

#[test]
fn keys_are_not_printed() {
    let credentials = Credentials::derive("pencil", 1, [0xab; SALT_BYTES]).unwrap();
    assert_eq!(
        format!("{credentials:?}"),
        "Credentials { iterations: 1, .. }"
    );
}
