//! Families of figures, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::figures::{Counter, Gauge, Histogram};
use super::text::Text;

/// The most series of one family; further ones are counted and not shown.
pub const MAX_SERIES: usize = 1000;

/// Figures by name. Clones are the same registry.
///
/// ```
/// use collection_store::monitor::Registry;
///
/// let registry = Registry::default();
/// let hits = registry.counter("app_hits_total", "pages that were asked for", &[("page", "/")]);
/// hits.add(2);
/// assert!(registry.text().ends_with("app_hits_total counter\napp_hits_total{page=\"/\"} 2\n"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<&'static str, Family>>>);

#[derive(Debug)]
struct Family {
    help: &'static str,
    /// By labels as they are written.
    series: BTreeMap<String, Series>,
}

#[derive(Clone, Debug)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Series {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Registry {
    /// The counter of this name and these labels. By convention, its name ends in `_total`.
    #[must_use]
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Counter {
        match self.series(name, help, labels, || Series::Counter(Counter::default())) {
            Series::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge of this name and these labels.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.series(name, help, labels, || Series::Gauge(Gauge::default())) {
            Series::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram of this name and these labels. By convention, its name ends in `_seconds`.
    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Histogram {
        match self.series(name, help, labels, || {
            Series::Histogram(Histogram::default())
        }) {
            Series::Histogram(histogram) => histogram,
            _ => Histogram::default(),
        }
    }

    /// The series, made if it is not there. One too many, or one of another kind than its
    /// family, is not kept: figures are not worth an error.
    fn series(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Series,
    ) -> Series {
        let labels = Text::labels(labels);
        let mut families = self.0.lock();
        let family = families.entry(name).or_insert_with(|| Family {
            help,
            series: BTreeMap::new(),
        });
        if let Some(found) = family.series.get(&labels) {
            return found.clone();
        }
        let made = make();
        let is_full = family.series.len() >= MAX_SERIES;
        let first = family.series.values().next();
        let is_of_kind = first.is_none_or(|first| first.kind() == made.kind());
        if !is_full && is_of_kind {
            family.series.insert(labels, made.clone());
        }
        made
    }

    /// All of them in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Text::default();
        self.write(&mut text);
        text.finish()
    }

    pub(crate) fn write(&self, text: &mut Text) {
        for (name, family) in &*self.0.lock() {
            let Some(first) = family.series.values().next() else {
                continue;
            };
            text.family(name, family.help, first.kind());
            for (labels, series) in &family.series {
                match series {
                    Series::Counter(counter) => text.value(name, labels, counter.get()),
                    Series::Gauge(gauge) => text.value(name, labels, gauge.get()),
                    Series::Histogram(histogram) => text.histogram(name, labels, histogram),
                }
            }
        }
    }
}
