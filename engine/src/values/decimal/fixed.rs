//! Elementary functions over whole numbers that stand for multiples of a
//! power of ten.
//!
//! A [`Scale`] says which: a number `x` stands for `x / 10^places`. All errors
//! are some units of the last place, and there are many more places than the
//! 34 digits that are kept at the end.

use num_bigint::{BigInt, Sign};

/// How many places follow the point.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    places: u32,
    one: BigInt,
}

impl Scale {
    pub(super) fn new(places: u32) -> Self {
        Self {
            places,
            one: BigInt::from(10).pow(places),
        }
    }

    pub(super) fn places(&self) -> u32 {
        self.places
    }

    pub(super) fn one(&self) -> &BigInt {
        &self.one
    }

    /// The nearest number of 113 binary digits, times the power of ten by which
    /// the number itself is meant to be multiplied: what a function would have
    /// given that works in IEEE's quadruple precision.
    pub(super) fn to_quadruple(&self, value: &BigInt, power: i32) -> BigInt {
        const DIGITS: u64 = 113;
        let ten = |power: i32| BigInt::from(10).pow(power.max(0).unsigned_abs());
        if value.sign() == Sign::NoSign {
            return BigInt::ZERO;
        }
        let numerator = BigInt::from(value.magnitude().clone()) * ten(power);
        let denominator = &self.one * ten(-power);
        // One more bit than is kept at first, or two.
        let shift = DIGITS + 1 + denominator.bits();
        let scaled = &numerator << shift;
        let drop = (scaled.bits() - denominator.bits()).saturating_sub(DIGITS);
        let divisor = &denominator << drop;
        let mut quotient = &scaled / &divisor;
        let mut divisor = divisor;
        let mut drop = drop;
        if quotient.bits() > DIGITS {
            divisor <<= 1;
            drop += 1;
            quotient = &scaled / &divisor;
        }
        let rest: BigInt = (&scaled - &quotient * &divisor) * 2;
        let is_odd = quotient.bit(0);
        if rest > divisor || (rest == divisor && is_odd) {
            quotient += 1;
        }
        // Back: quotient * 2^(drop - shift) / 10^power, in units of the last place.
        let numerator = (quotient << drop) * &self.one * ten(-power);
        let rounded = (numerator >> shift) / ten(power);
        if value.sign() == Sign::Minus {
            -rounded
        } else {
            rounded
        }
    }

    pub(super) fn multiply(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * b / &self.one
    }

    pub(super) fn divide(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * &self.one / b
    }

    pub(super) fn root(&self, a: &BigInt) -> BigInt {
        if a.sign() != Sign::Plus {
            return BigInt::ZERO;
        }
        (a * &self.one).sqrt()
    }

    /// `1/n + 1/(3 n^3) + …` or, with alternating signs, the arc tangent of `1/n`.
    fn inverse_series(&self, n: u32, alternating: bool) -> BigInt {
        let square = u64::from(n) * u64::from(n);
        let mut power = &self.one / n;
        let mut sum = BigInt::ZERO;
        let mut odd = 1_u32;
        while power != BigInt::ZERO {
            let term = &power / odd;
            if alternating && odd % 4 == 3 {
                sum -= term;
            } else {
                sum += term;
            }
            power /= square;
            odd += 2;
        }
        sum
    }

    /// Half the circumference of the unit circle, by Machin's formula.
    pub(super) fn pi(&self) -> BigInt {
        (self.inverse_series(5, true) * 4 - self.inverse_series(239, true)) * 4
    }

    fn ln_2(&self) -> BigInt {
        // ln 2 = 18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749)
        self.inverse_series(26, false) * 18 - self.inverse_series(4801, false) * 2
            + self.inverse_series(8749, false) * 8
    }

    pub(super) fn ln_10(&self) -> BigInt {
        // ln 10 = 46 artanh(1/31) + 34 artanh(1/49) + 20 artanh(1/161)
        self.inverse_series(31, false) * 46
            + self.inverse_series(49, false) * 34
            + self.inverse_series(161, false) * 20
    }

    /// `e^x` of a number whose absolute value is at most three.
    pub(super) fn exp(&self, x: &BigInt) -> BigInt {
        // e^x = (e^(x/256))^256: few terms, eight squarings.
        const HALVINGS: u32 = 8;
        let x = x >> HALVINGS;
        let mut term = self.one.clone();
        let mut sum = self.one.clone();
        let mut n = 1_u32;
        while term != BigInt::ZERO {
            term = self.multiply(&term, &x) / n;
            sum += &term;
            n += 1;
        }
        for _ in 0..HALVINGS {
            sum = self.multiply(&sum, &sum);
        }
        sum
    }

    /// The natural logarithm of a number from a hundredth to a hundred.
    pub(super) fn ln(&self, x: &BigInt) -> BigInt {
        let mut x = x.clone();
        let mut twos = 0;
        let (high, low) = (&self.one * 3 / 2, &self.one * 3 / 4);
        while x > high {
            x /= 2;
            twos += 1;
        }
        while x < low {
            x *= 2;
            twos -= 1;
        }
        // ln x = 2 artanh((x - 1) / (x + 1))
        let z = self.divide(&(&x - &self.one), &(&x + &self.one));
        let square = self.multiply(&z, &z);
        let mut power = z;
        let mut sum = BigInt::ZERO;
        let mut odd = 1_u32;
        while power != BigInt::ZERO {
            sum += &power / odd;
            power = self.multiply(&power, &square);
            odd += 2;
        }
        let sum: BigInt = sum * 2;
        if twos == 0 {
            sum
        } else {
            sum + self.ln_2() * twos
        }
    }

    /// Sine and cosine of a number whose absolute value is at most one.
    pub(super) fn sin_cos(&self, x: &BigInt) -> (BigInt, BigInt) {
        let (mut sin, mut cos) = (BigInt::ZERO, BigInt::ZERO);
        let mut term = self.one.clone();
        let mut n = 0_u32;
        while term != BigInt::ZERO {
            match n % 4 {
                0 => cos += &term,
                1 => sin += &term,
                2 => cos -= &term,
                _ => sin -= &term,
            }
            n += 1;
            term = self.multiply(&term, x) / n;
        }
        (sin, cos)
    }

    /// The arc tangent of a number whose absolute value is at most one.
    pub(super) fn atan(&self, x: &BigInt) -> BigInt {
        // Halving the angle three times leaves a series of few terms.
        const HALVINGS: u32 = 3;
        let mut x = x.clone();
        for _ in 0..HALVINGS {
            let root = self.root(&(&self.one + self.multiply(&x, &x)));
            x = self.divide(&x, &(&self.one + root));
        }
        let square = self.multiply(&x, &x);
        let mut power = x;
        let mut sum = BigInt::ZERO;
        let mut odd = 1_u32;
        while power != BigInt::ZERO {
            if odd % 4 == 1 {
                sum += &power / odd;
            } else {
                sum -= &power / odd;
            }
            power = self.multiply(&power, &square);
            odd += 2;
        }
        sum << HALVINGS
    }

    /// The angle of a point; both coordinates of the same scale, not both zero.
    pub(super) fn angle(&self, y: &BigInt, x: &BigInt) -> BigInt {
        let (size_y, size_x) = (y.magnitude(), x.magnitude());
        if size_y <= size_x {
            let near = self.atan(&self.divide(y, x));
            return match (x.sign(), y.sign()) {
                (Sign::Minus, Sign::Minus) => near - self.pi(),
                (Sign::Minus, _) => near + self.pi(),
                _ => near,
            };
        }
        let quarter: BigInt = self.pi() / 2;
        let near = self.atan(&self.divide(x, y));
        if y.sign() == Sign::Minus {
            -quarter - near
        } else {
            quarter - near
        }
    }
}
