//! Colours of the picture: told apart also by those who see fewer (Okabe and
//! Ito, "Color Universal Design", 2008); red is kept for damage.

use super::svg::Category;

/// Of owners, in order of their pages.
const OWNERS: [&str; 5] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9"];
/// Of what is summed up behind them: all other owners, the system trees.
const OTHERS: [&str; 2] = ["#8a7f5c", "#7a5aa6"];
/// From young to old.
pub(super) const AGES: [&str; 7] = [
    "#4a0c0c", "#8c1d18", "#c9462c", "#e8854a", "#f3b873", "#f9dfa9", "#fdf5d8",
];

/// What belongs to no tree.
pub(super) struct Plain {
    map: &'static str,
    meta: &'static str,
    pending: &'static str,
    pub(super) free: &'static str,
    damaged: &'static str,
    unknown: &'static str,
}

/// See [`Plain`].
pub(super) const PLAIN: Plain = Plain {
    map: "#333333",
    meta: "#000000",
    pending: "#c9c9c9",
    free: "#f0f0f0",
    damaged: "#ff0000",
    unknown: "#e8c9e8",
};

/// The colour of each category.
#[derive(Debug)]
pub(super) struct Colours {
    owners: Vec<&'static str>,
}

impl Colours {
    /// Owners that have a colour of their own.
    pub(super) const OWNERS: usize = OWNERS.len();

    /// For a legend of so many places: the owners, then what is summed up.
    pub(super) fn new(places: usize) -> Self {
        let owners = OWNERS.iter().chain(&OTHERS).copied().take(places).collect();
        Self { owners }
    }

    pub(super) fn of(&self, category: Category) -> String {
        let plain = match category {
            Category::Tree(place, kind) => {
                let colour = self.owners.get(place).copied().unwrap_or(OTHERS[0]);
                return match kind {
                    1 => shade(colour, -0.5),
                    2 => shade(colour, 0.45),
                    _ => colour.to_owned(),
                };
            }
            Category::Map => PLAIN.map,
            Category::Meta => PLAIN.meta,
            Category::Pending => PLAIN.pending,
            Category::Free => PLAIN.free,
            Category::Damaged => PLAIN.damaged,
            Category::Unknown => PLAIN.unknown,
        };
        plain.to_owned()
    }
}

/// The colour, nearer to white (above 0) or to black (below).
pub(super) fn shade(colour: &str, by: f64) -> String {
    let part = |at: usize| {
        let part = colour
            .get(at..at + 2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let part = f64::from(part.unwrap_or(0));
        let towards = if by > 0.0 { 255.0 } else { 0.0 };
        (part + (towards - part) * by.abs()).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", part(1), part(3), part(5))
}
