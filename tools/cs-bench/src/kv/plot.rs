//! Pictures of a report, as SVG: bars of ratios, and lines for `growth`.
//!
//! Invariant: whatever comes from outside is escaped; the text is one
//! well-formed element.

use std::fmt::Write;

use super::report::{Report, is_ours};
use super::statistics::{Ratio, Row, engines, subjects};

const COLOURS: [&str; 8] = [
    "#1b6ca8", "#d1495b", "#3c8d53", "#e09f3e", "#7b5ea7", "#4a4e4d", "#00798c", "#a44a3f",
];
const WIDTH: f64 = 960.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 70.0;
const BAR: f64 = 13.0;
const PANEL: f64 = 240.0;
/// Ratios beyond this, either way, are drawn as this.
const FARTHEST: f64 = 100.0;

/// Draws a report.
pub(super) fn svg(report: &Report) -> String {
    let mut picture = Picture {
        body: String::new(),
        y: 30.0,
    };
    picture.text(20.0, "start", "bold", "Collection Store and its peers");
    picture.y += 22.0;
    let caption = format!(
        "values of {} bytes; ratio above 1: cs is better; logarithmic",
        report.value_bytes
    );
    picture.text(20.0, "start", "normal", &caption);
    picture.y += 20.0;
    picture.bars(&report.ratios);
    picture.growth(&report.rows);
    let height = picture.y + 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n{}</svg>\n",
        picture.body
    )
}

struct Picture {
    body: String,
    /// Where the next thing goes.
    y: f64,
}

impl Picture {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    fn text(&mut self, x: f64, anchor: &str, weight: &str, text: &str) {
        let (y, text) = (self.y, escape(text));
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// One group of bars for each subject and engine of ours, one bar for each peer.
    fn bars(&mut self, ratios: &[Ratio]) {
        let scale = |ratio: f64| ratio.clamp(1.0 / FARTHEST, FARTHEST).log10();
        let half = (WIDTH - LEFT - RIGHT) / 2.0;
        let middle = LEFT + half;
        let mut peers: Vec<&str> = Vec::new();
        let mut last: Option<(&Ratio, f64)> = None;
        let top = self.y;
        for ratio in ratios {
            let is_new = last
                .is_none_or(|(last, _)| (&last.subject, &last.of) != (&ratio.subject, &ratio.of));
            if is_new {
                self.y += 8.0;
            }
            self.y += BAR;
            if is_new {
                let subject = &ratio.subject;
                let label = format!(
                    "{}: {} × {}, {} keys",
                    ratio.of, subject.workload, subject.threads, subject.keys
                );
                self.text(LEFT - 10.0, "end", "normal", &label);
            }
            let place = place_of(&mut peers, &ratio.to);
            let end = middle + half * scale(ratio.ratio) / FARTHEST.log10();
            let (x, width) = (middle.min(end), (end - middle).abs().max(1.0));
            let (y, colour) = (self.y - BAR + 3.0, COLOURS[place % COLOURS.len()]);
            self.add(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                BAR - 2.0
            ));
            let note = format!("{:.2} {}", ratio.ratio, ratio.to);
            if ratio.ratio >= 1.0 {
                self.text(end + 4.0, "start", "normal", &note);
            } else {
                self.text(middle + 4.0, "start", "normal", &note);
            }
            last = Some((ratio, self.y));
        }
        if last.is_some() {
            self.line((middle, top), (middle, self.y + 6.0), "black");
            self.y += 24.0;
        }
    }

    /// One panel for each workload of `growth`, one line for each engine.
    fn growth(&mut self, rows: &[Row]) {
        let grown: Vec<Row> = rows
            .iter()
            .filter(|row| row.subject.workload.starts_with("growth-"))
            .cloned()
            .collect();
        let mut panels: Vec<(String, u64)> = Vec::new();
        for subject in subjects(&grown) {
            let panel = (subject.workload, subject.threads);
            if !panels.contains(&panel) {
                panels.push(panel);
            }
        }
        let names = engines(&grown);
        for (workload, threads) in panels {
            let of_panel: Vec<&Row> = grown
                .iter()
                .filter(|row| (&row.subject.workload, row.subject.threads) == (&workload, threads))
                .collect();
            self.y += 16.0;
            let title =
                format!("{workload} × {threads}: operations a second over keys, both logarithmic");
            self.text(LEFT, "start", "bold", &title);
            self.panel(&of_panel, &names);
        }
    }

    fn panel(&mut self, rows: &[&Row], names: &[String]) {
        let xs = range(rows.iter().map(|row| row.subject.keys as f64));
        let ys = range(rows.iter().map(|row| row.median));
        let (top, bottom) = (self.y + 10.0, self.y + PANEL - 30.0);
        let across = |keys: f64| LEFT + (WIDTH - LEFT - RIGHT - 60.0) * share(keys, xs);
        let down = |rate: f64| bottom - (bottom - top) * share(rate, ys);
        self.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "black");
        self.line((LEFT, top), (LEFT, bottom), "black");
        for rate in [ys.0, ys.1] {
            self.y = down(rate) + 4.0;
            self.text(LEFT - 8.0, "end", "normal", &crate::report::count(rate));
        }
        let mut keys: Vec<u64> = rows.iter().map(|row| row.subject.keys).collect();
        keys.sort_unstable();
        keys.dedup();
        for keys in keys {
            self.y = bottom + 16.0;
            let label = crate::report::count(keys as f64);
            self.text(across(keys as f64), "middle", "normal", &label);
        }
        for (place, name) in names.iter().enumerate() {
            let mut points: Vec<(u64, f64)> = rows
                .iter()
                .filter(|row| row.engine == *name)
                .map(|row| (row.subject.keys, row.median))
                .collect();
            points.sort_unstable_by_key(|(keys, _)| *keys);
            let Some((last_keys, last_rate)) = points.last().copied() else {
                continue;
            };
            let colour = COLOURS[place % COLOURS.len()];
            let path: Vec<String> = points
                .iter()
                .map(|(keys, rate)| format!("{:.1},{:.1}", across(*keys as f64), down(*rate)))
                .collect();
            let width = if is_ours(name) { 3 } else { 1 };
            self.add(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
                path.join(" ")
            ));
            self.y = down(last_rate) + 4.0;
            self.text(across(last_keys as f64) + 6.0, "start", "normal", name);
        }
        self.y = bottom + 30.0;
    }
}

/// Where `name` stands in `names`, which it joins if it is new.
fn place_of<'a>(names: &mut Vec<&'a str>, name: &'a str) -> usize {
    match names.iter().position(|known| *known == name) {
        Some(place) => place,
        None => {
            names.push(name);
            names.len() - 1
        }
    }
}

/// Least and greatest, never 0, which has no logarithm.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, 1e-9), |(least, greatest), value| {
        let value = value.max(1e-9);
        (least.min(value), greatest.max(value))
    })
}

/// Where `value` lies between two others, as its logarithm does.
fn share(value: f64, (least, greatest): (f64, f64)) -> f64 {
    let span = (greatest / least).ln();
    if span > 0.0 {
        ((value.max(1e-9) / least).ln() / span).clamp(0.0, 1.0)
    } else {
        0.5
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML knows no other control characters.
            letter if letter.is_control() && letter != '\n' && letter != '\t' => escaped.push('?'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
