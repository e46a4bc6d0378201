//! `$percentile` and `$median`: the number at a rank, of all that came.

use crate::aggregate::parse::refused;
use crate::error::Result;
use crate::expression::{Expression, Scope, Value};
use crate::values::{Elements, Kind, Numeric, RawValue};

/// The operand.
#[derive(Clone, Debug)]
pub(super) struct Percentile {
    pub(super) input: Expression,
    ranks: Vec<f64>,
    is_median: bool,
}

/// Takes a value, if it is a number; NaN is none.
pub(super) fn take(numbers: &mut Vec<f64>, value: RawValue<'_>) {
    let number = Numeric::of(value).map(Numeric::to_f64);
    numbers.extend(number.filter(|number| !number.is_nan()));
}

impl Percentile {
    pub(super) fn parse(name: &str, operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        let is_median = name == "$median";
        if operand.kind() != Kind::Document {
            let code = if is_median { 7_436_100 } else { 7_429_703 };
            return Err(refused(code, format!("{name} expects a document")));
        }
        let (mut input, mut ranks, mut method) = (None, None, None);
        for field in Elements::new(operand.bytes()) {
            match field.name {
                b"input" => input = Some(Expression::parse(field.value, scope)?),
                b"method" => method = field.value.text(),
                b"p" if !is_median => ranks = Some(ranks_of(field.value, scope)?),
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(refused(40415, format!("{name} does not know '{other}'")));
                }
            }
        }
        let missing = |what: &str| refused(40414, format!("{name} expects '{what}'"));
        let input = input.ok_or_else(|| missing("input"))?;
        let ranks = match (ranks, is_median) {
            (_, true) => vec![0.5],
            (Some(ranks), false) => ranks,
            (None, false) => return Err(missing("p")),
        };
        match method {
            Some(b"approximate") => {}
            Some(_) => {
                let message = format!("{name} knows the method 'approximate' only");
                return Err(refused(2, message));
            }
            None => return Err(missing("method")),
        }
        Ok(Self {
            input,
            ranks,
            is_median,
        })
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are between 0 and the count"
    )]
    pub(super) fn result(&self, mut numbers: Vec<f64>) -> Result<Value<'static>> {
        numbers.sort_unstable_by(f64::total_cmp);
        let at_rank = |rank: f64| {
            let place = (rank * numbers.len() as f64).ceil() as usize;
            let number = numbers.get(place.saturating_sub(1));
            number.map_or_else(Value::null, |number| Value::double(*number))
        };
        if self.is_median {
            return Ok(at_rank(0.5));
        }
        Value::array(self.ranks.iter().map(|rank| at_rank(*rank)).collect())
    }
}

fn ranks_of(value: RawValue<'_>, scope: &Scope) -> Result<Vec<f64>> {
    let refuse = |code, what: &str| refused(code, format!("the 'p' of $percentile {what}"));
    let expression = Expression::parse(value, &scope.folding())?;
    let Some(Some(constant)) = expression.as_constant() else {
        return Err(refuse(7_750_300, "must be constant"));
    };
    if constant.kind() != Kind::Array {
        return Err(refuse(7_750_301, "must be an array"));
    }
    let mut ranks = Vec::new();
    for element in constant.elements() {
        let number = element.raw().and_then(Numeric::of).map(Numeric::to_f64);
        let number = number.ok_or_else(|| refuse(7_750_302, "must be numbers"))?;
        if !(0.0..=1.0).contains(&number) {
            return Err(refuse(7_750_303, "must lie between 0 and 1"));
        }
        ranks.push(number);
    }
    if ranks.is_empty() {
        return Err(refuse(7_750_301, "must not be empty"));
    }
    Ok(ranks)
}
