//! JSON documents as text: members of a few kinds, then words up to the length
//! asked for. They compress as such documents do, not as one repeated text would.

use oorandom::Rand64;

const SYLLABLES: [&str; 16] = [
    "ar", "be", "con", "di", "el", "fo", "ga", "hin", "is", "ka", "lo", "mer", "no", "per", "ra",
    "ten",
];
const CITIES: [&str; 8] = [
    "Aachen", "Bergen", "Cork", "Dresden", "Evora", "Fes", "Ghent", "Hobart",
];

/// A document of exactly `len` bytes, at least 256. Bytes 7 to 22 are its id,
/// for the caller to fill.
pub(super) fn text(random: &mut Rand64, len: usize) -> Vec<u8> {
    assert!(len >= 256, "there is room for the members");
    let name = format!("{} {}", word(random), word(random));
    let email = format!("{}@{}.example", word(random), word(random));
    let mut text = format!(
        "{{\"id\":\"{:016x}\",\"name\":\"{name}\",\"email\":\"{email}\",\"age\":{},\"score\":{:.3},\
         \"active\":{},\"city\":\"{}\",\"note\":\"",
        random.rand_u64(),
        18 + random.rand_range(0..70),
        random.rand_float() * 100.0,
        random.rand_range(0..2) == 1,
        CITIES[random.rand_range(0..8) as usize],
    );
    let end = "\"}";
    while text.len() + end.len() < len {
        text.push_str(&word(random));
        text.push(' ');
    }
    text.truncate(len - end.len());
    text.push_str(end);
    text.into_bytes()
}

/// Two or three syllables.
fn word(random: &mut Rand64) -> String {
    let syllables = 2 + random.rand_range(0..2);
    (0..syllables)
        .map(|_| SYLLABLES[random.rand_range(0..16) as usize])
        .collect()
}
