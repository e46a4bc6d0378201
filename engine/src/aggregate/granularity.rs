//! Preferred numbers, to which `$bucketAuto` can round its boundaries.

use super::parse::refused;
use crate::error::Result;
use crate::expression::Value;
use crate::values::{Decimal, Numeric, OwnedValue, RawValue};

const R5: [u16; 5] = [10, 16, 25, 40, 63];
const R10: [u16; 10] = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800];
const R20: [u16; 20] = [
    100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800,
    900,
];
const R40: [u16; 40] = [
    100, 106, 112, 118, 125, 132, 140, 150, 160, 170, 180, 190, 200, 212, 224, 236, 250, 265, 280,
    300, 315, 335, 355, 375, 400, 425, 450, 475, 500, 530, 560, 600, 630, 670, 710, 750, 800, 850,
    900, 950,
];
const R80: [u16; 80] = [
    100, 103, 106, 109, 112, 115, 118, 122, 125, 128, 132, 136, 140, 145, 150, 155, 160, 165, 170,
    175, 180, 185, 190, 195, 200, 206, 212, 218, 224, 230, 236, 243, 250, 258, 265, 272, 280, 290,
    300, 307, 315, 325, 335, 345, 355, 365, 375, 387, 400, 412, 425, 437, 450, 462, 475, 487, 500,
    515, 530, 545, 560, 580, 600, 615, 630, 650, 670, 690, 710, 730, 750, 775, 800, 825, 850, 875,
    900, 925, 950, 975,
];
const E6: [u16; 6] = [10, 15, 22, 33, 47, 68];
const E12: [u16; 12] = [10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82];
const E24: [u16; 24] = [
    10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91,
];
/// Powers of ten beyond which no double lies.
const SCALES: i32 = 330;

/// What boundaries are rounded to.
#[derive(Debug)]
pub(super) enum Granularity {
    PowersOfTwo,
    /// The numbers of one decade.
    Series(Vec<u16>),
}

/// The E series of so many numbers a decade, in three digits.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 100 and 1000"
)]
fn e_series(count: u16) -> Vec<u16> {
    let number = |at: u16| match (count, at) {
        // The one that the standard rounds up.
        (192, 185) => 920,
        _ => (100.0 * 10_f64.powf(f64::from(at) / f64::from(count))).round() as u16,
    };
    (0..count).map(number).collect()
}

impl Granularity {
    pub(super) fn parse(value: RawValue<'_>) -> Result<Self> {
        let Some(name) = value.text() else {
            let message = "$bucketAuto expects 'granularity' as a string";
            return Err(refused(40261, message));
        };
        Ok(Self::Series(match name {
            b"POWERSOF2" => return Ok(Self::PowersOfTwo),
            b"R5" => R5.to_vec(),
            b"R10" => R10.to_vec(),
            b"R20" => R20.to_vec(),
            b"R40" => R40.to_vec(),
            b"R80" => R80.to_vec(),
            b"1-2-5" => vec![10, 20, 50],
            b"E6" => E6.to_vec(),
            b"E12" => E12.to_vec(),
            b"E24" => E24.to_vec(),
            b"E48" => e_series(48),
            b"E96" => e_series(96),
            b"E192" => e_series(192),
            other => {
                let name = String::from_utf8_lossy(other);
                let message = format!("$bucketAuto does not know the granularity '{name}'");
                return Err(refused(40257, message));
            }
        }))
    }

    /// Whether a value may be grouped by.
    pub(super) fn check(value: RawValue<'_>) -> Result<()> {
        let Some(number) = Numeric::of(value) else {
            let message = format!(
                "$bucketAuto with a granularity groups by numbers only, found {}",
                value.kind().name()
            );
            return Err(refused(40258, message));
        };
        let number = number.to_f64();
        if number.is_nan() {
            return Err(refused(40259, "$bucketAuto with a granularity found NaN"));
        }
        if number < 0.0 {
            let message = "$bucketAuto with a granularity found a negative number";
            return Err(refused(40260, message));
        }
        Ok(())
    }

    /// The next preferred number above.
    pub(super) fn up(&self, value: &OwnedValue) -> Result<OwnedValue> {
        self.round(value, true)
    }

    /// The next preferred number below.
    pub(super) fn down(&self, value: &OwnedValue) -> Result<OwnedValue> {
        self.round(value, false)
    }

    fn round(&self, value: &OwnedValue, is_up: bool) -> Result<OwnedValue> {
        let Some(number) = Numeric::of(value.as_raw()) else {
            return Ok(value.clone());
        };
        let plain = number.to_f64();
        if plain == 0.0 || !plain.is_finite() {
            return Ok(value.clone());
        }
        let rounded = match (self, number) {
            (Self::PowersOfTwo, Numeric::Decimal(_)) => {
                Value::decimal(Decimal::from_f64_exact(power_of_two(plain, is_up)))
            }
            (Self::PowersOfTwo, Numeric::Double(_)) => Value::double(power_of_two(plain, is_up)),
            (Self::PowersOfTwo, _) => whole(power_of_two(plain, is_up)),
            (Self::Series(series), Numeric::Decimal(decimal)) => {
                let found = preferred(series, plain, is_up, at_scale, |other| {
                    Decimal::from_f64(*other).compare(decimal)
                });
                Value::decimal(Decimal::from_f64(found))
            }
            (Self::Series(series), _) => {
                let order = |other: &f64| other.total_cmp(&plain);
                Value::double(preferred(series, plain, is_up, at_scale, order))
            }
        };
        rounded.to_owned_value()
    }
}

/// A number of a series in some decade.
fn at_scale(base: u16, scale: i32) -> f64 {
    match scale {
        0.. => f64::from(base) * 10_f64.powi(scale),
        _ => f64::from(base) / 10_f64.powi(-scale),
    }
}

/// An integer, where the number is one.
#[allow(clippy::cast_possible_truncation, reason = "it is looked at before")]
fn whole(number: f64) -> Value<'static> {
    const ABOVE_INT64: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && number < ABOVE_INT64 {
        Value::integer(number as i64)
    } else {
        Value::double(number)
    }
}

fn power_of_two(number: f64, is_up: bool) -> f64 {
    let exponent = number.log2();
    if is_up {
        (exponent.floor() + 1.0).exp2()
    } else {
        (exponent.ceil() - 1.0).exp2()
    }
}

/// The first number of the series, in any decade, above; or the last below.
fn preferred(
    series: &[u16],
    plain: f64,
    is_up: bool,
    at: impl Fn(u16, i32) -> f64,
    order: impl Fn(&f64) -> std::cmp::Ordering,
) -> f64 {
    #[allow(clippy::cast_possible_truncation, reason = "a double has few decades")]
    let decade = (plain.log10().floor() as i32).clamp(-SCALES, SCALES);
    let first = series.first().copied().unwrap_or(10);
    // Numbers have two digits or three; a decade on either side makes up for rounding.
    let digits = if first >= 100 { 2 } else { 1 };
    let scales = decade - digits - 1..=decade - digits + 1;
    let mut below = at(first, decade - digits - 1);
    for scale in scales {
        for base in series {
            let number = at(*base, scale);
            let order = order(&number);
            if is_up && order.is_gt() {
                return number;
            }
            if !is_up && order.is_ge() {
                return below;
            }
            below = number;
        }
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(name: &str, number: f64) -> (Option<f64>, Option<f64>) {
        let source = bson::rawdoc! { "g": name, "n": number };
        let find = |name: &[u8]| {
            crate::values::Elements::new(source.as_bytes())
                .find_name(name)
                .unwrap()
        };
        let granularity = Granularity::parse(find(b"g")).unwrap();
        let value = OwnedValue::from(find(b"n"));
        let down = granularity.down(&value).unwrap().as_raw().double();
        (down, granularity.up(&value).unwrap().as_raw().double())
    }

    #[test]
    fn numbers_are_rounded_away_from_themselves() {
        assert_eq!(rounded("R5", 10.0), (Some(6.3), Some(16.0)));
        assert_eq!(rounded("1-2-5", 7.0), (Some(5.0), Some(10.0)));
        assert_eq!(rounded("E6", 0.02), (Some(0.015), Some(0.022)));
        assert_eq!(rounded("POWERSOF2", 8.0), (Some(4.0), Some(16.0)));
        assert_eq!(rounded("POWERSOF2", 0.3), (Some(0.25), Some(0.5)));
        assert_eq!(rounded("R80", 99.0), (Some(97.5), Some(100.0)));
    }
}
