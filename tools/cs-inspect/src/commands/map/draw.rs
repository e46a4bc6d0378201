//! Pieces of SVG.

use std::fmt::Write;

/// Around everything, in pixels.
pub(super) const MARGIN: u64 = 20;
/// Height of a line of text.
pub(super) const LINE: u64 = 18;

/// Entries of a legend, one behind the other, in as many lines as it takes.
pub(super) struct Flow {
    x: u64,
    /// Where the next line begins.
    pub(super) y: u64,
    width: u64,
}

impl Flow {
    pub(super) fn new(width: u64, y: u64) -> Self {
        Self {
            x: MARGIN,
            y,
            width,
        }
    }

    pub(super) fn entry(&mut self, body: &mut String, colours: &[String], label: &str) {
        let needed = colours.len() as u64 * 14 + 8 + label.chars().count() as u64 * 7 + 16;
        if self.x > MARGIN && self.x + needed > self.width - MARGIN {
            self.newline();
        }
        let mut x = self.x;
        for colour in colours {
            let place = [x as f64, (self.y - 10) as f64, 12.0, 12.0];
            let _ = write!(
                body,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{colour}\" stroke=\"#999999\" stroke-width=\"0.5\"/>",
                place[0], place[1], place[2], place[3]
            );
            x += 14;
        }
        text(body, x + 4, self.y, label, "");
        self.x += needed;
    }

    pub(super) fn newline(&mut self) {
        if self.x > MARGIN {
            self.x = MARGIN;
            self.y += LINE;
        }
    }

    pub(super) fn note(&mut self, body: &mut String, note: &str) {
        text(body, MARGIN, self.y, note, " fill=\"#666666\"");
        self.y += LINE;
    }
}

pub(super) fn text(body: &mut String, x: u64, y: u64, text: &str, style: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{x}\" y=\"{y}\"{style}>{}</text>",
        escape(text)
    );
}

pub(super) fn rect(body: &mut String, [x, y, width, height]: [f64; 4], colour: &str) {
    let _ = write!(
        body,
        "<rect x=\"{x:.4}\" y=\"{y:.4}\" width=\"{width:.4}\" height=\"{height:.4}\" fill=\"{colour}\"/>"
    );
}

/// Names may hold anything.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            // XML knows no others below the blank.
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}
