//! Cases that are not expected to agree, each with its reason, and how many of each
//! kind pass at least.

/// Identifiers of cases, and why the answer differs.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Why a case is not expected to agree.
pub(crate) fn reason(id: &str) -> Option<&'static str> {
    let mut all = EXCEPTIONS.iter();
    all.find(|(other, _)| *other == id)
        .map(|(_, reason)| *reason)
}

/// How many cases of the corpus pass at least, by the line that they are counted under.
pub(crate) const FLOORS: [(&str, usize); 9] = [
    ("index", 800),
    ("count", 169),
    ("distinct", 257),
    ("find", 6001),
    ("order", 300),
    ("projection", 848),
    ("sort", 1472),
    ("validator", 500),
    ("update", 4464),
];
