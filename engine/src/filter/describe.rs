//! How a filter is carried out, for people.

use std::fmt;

use super::{Filter, FilterMode};

/// How a filter is carried out, in words and numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterPlan {
    /// Which form answers: [`Interpreted`](FilterMode::Interpreted) also where
    /// compiling was asked for and is not possible.
    pub mode: FilterMode,
    /// The fields that the pass looks for, in the order of the filter.
    pub fields: Vec<String>,
    /// Whether something waits until all of them are found.
    pub has_later_part: bool,
}

impl fmt::Display for FilterPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mode {
            FilterMode::Interpreted => write!(f, "interpreted"),
            FilterMode::Compiled if self.fields.is_empty() && !self.has_later_part => {
                write!(f, "without conditions")
            }
            FilterMode::Compiled => {
                write!(f, "compiled, one pass for {}", self.fields.join(", "))?;
                if self.has_later_part {
                    write!(f, ", then what combines them or is dear")?;
                }
                Ok(())
            }
        }
    }
}

impl Filter {
    /// How it is carried out.
    ///
    /// ```
    /// use collection_store::filter::{Filter, FilterMode};
    /// let filter = Filter::compile(&bson::rawdoc! { "a.b": 1, "a.c": 2, "d": 3 })?;
    /// assert_eq!(filter.plan().mode, FilterMode::Compiled);
    /// assert_eq!(filter.plan().fields, ["a", "d"]);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    #[must_use]
    pub fn plan(&self) -> FilterPlan {
        let compiled = match self.mode {
            FilterMode::Compiled => self.compiled(),
            FilterMode::Interpreted => None,
        };
        let Some(compiled) = compiled else {
            return FilterPlan {
                mode: FilterMode::Interpreted,
                fields: Vec::new(),
                has_later_part: false,
            };
        };
        let text = |name| String::from_utf8_lossy(name).into_owned();
        FilterPlan {
            mode: FilterMode::Compiled,
            fields: compiled.fields().map(text).collect(),
            has_later_part: compiled.has_later_part(),
        }
    }
}
