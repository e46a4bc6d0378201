//! Trigonometric and hyperbolic functions of decimals, and their inverses; see
//! `functions` for how exact they are.

use num_bigint::{BigInt, Sign};

use super::Decimal;
use super::fixed::Scale;
use super::functions::{PLACES, TINY, ln_fixed, ln_wide};

/// Functions of an angle or to one, and their hyperbolic kin.
impl Decimal {
    /// Angle within a quarter turn around zero, and which quarter it was in.
    fn reduce(self) -> (BigInt, u32, Scale) {
        let extra = self.magnitude().unwrap_or_default().max(0).unsigned_abs();
        let scale = Scale::new(PLACES + extra);
        let quarter = scale.pi() / 2;
        let x = self.to_fixed(&scale);
        // The nearest multiple of a quarter turn.
        let doubled: BigInt = &x * 2 + &quarter;
        let period: BigInt = &quarter * 2;
        let mut turns = &doubled / &period;
        if doubled.sign() == Sign::Minus && &turns * &period != doubled {
            turns -= 1;
        }
        let rest = x - &turns * quarter;
        let four = BigInt::from(4);
        let which: BigInt = ((turns % &four) + &four) % &four;
        (rest, u32::try_from(&which).unwrap_or_default(), scale)
    }

    fn sine_and_cosine(self) -> (BigInt, BigInt, Scale) {
        let (rest, quarter, scale) = self.reduce();
        let (sin, cos) = scale.sin_cos(&rest);
        let (sin, cos) = match quarter {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
        (sin, cos, scale)
    }

    /// The sine.
    #[must_use]
    pub fn sin(self) -> Self {
        if !matches!(self, Self::Finite { .. }) {
            return Self::Nan;
        }
        if self.is_tiny() {
            return self;
        }
        let (sin, _, scale) = self.sine_and_cosine();
        Self::from_fixed(&sin, &scale, 0)
    }

    /// The cosine.
    #[must_use]
    pub fn cos(self) -> Self {
        if !matches!(self, Self::Finite { .. }) {
            return Self::Nan;
        }
        if self.is_tiny() {
            return Self::from_i64(1);
        }
        let (_, cos, scale) = self.sine_and_cosine();
        Self::from_fixed(&cos, &scale, 0)
    }

    /// The tangent.
    #[must_use]
    pub fn tan(self) -> Self {
        if !matches!(self, Self::Finite { .. }) {
            return Self::Nan;
        }
        if self.is_tiny() {
            return self;
        }
        let (sin, cos, scale) = self.sine_and_cosine();
        if cos.sign() == Sign::NoSign {
            return Self::Nan;
        }
        Self::from_fixed(&scale.divide(&sin, &cos), &scale, 0)
    }

    /// The arc sine, of a number from minus one to one.
    #[must_use]
    pub fn asin(self) -> Self {
        if self.is_tiny() {
            return self;
        }
        let scale = Scale::new(PLACES);
        let x = self.to_fixed(&scale);
        let other = scale.root(&(scale.one() - scale.multiply(&x, &x)));
        Self::from_fixed(&scale.angle(&x, &other), &scale, 0)
    }

    /// The arc cosine, of a number from minus one to one.
    #[must_use]
    pub fn acos(self) -> Self {
        if self.is_one() {
            return Self::ZERO;
        }
        let scale = Scale::new(PLACES);
        let x = self.to_fixed(&scale);
        let other = scale.root(&(scale.one() - scale.multiply(&x, &x)));
        Self::from_fixed(&scale.angle(&other, &x), &scale, 0)
    }

    /// The arc tangent.
    #[must_use]
    pub fn atan(self) -> Self {
        self.atan2(Self::from_i64(1))
    }

    /// The angle of the point whose height is this number.
    #[must_use]
    pub fn atan2(self, x: Self) -> Self {
        if self.is_nan() || x.is_nan() {
            return Self::Nan;
        }
        let scale = Scale::new(PLACES);
        let signed = |angle: BigInt| {
            let angle = Self::from_fixed(&angle, &scale, 0);
            if self.is_negative() {
                angle.abs().negate()
            } else {
                angle
            }
        };
        let pi = || scale.pi();
        match (self.is_infinite(), x.is_infinite()) {
            (true, true) if x.is_negative() => return signed(pi() * 3 / 4),
            (true, true) => return signed(pi() / 4),
            (true, false) => return signed(pi() / 2),
            (false, true) if x.is_negative() => return signed(pi()),
            (false, true) => return Self::ZERO.with_sign(self.is_negative()),
            (false, false) => {}
        }
        if self.is_zero() {
            return if x.is_negative() { signed(pi()) } else { self };
        }
        if x.is_zero() {
            return signed(pi() / 2);
        }
        let gap = self.magnitude().unwrap_or_default() - x.magnitude().unwrap_or_default();
        if gap < TINY && !x.is_negative() {
            return self.divide(x);
        }
        if gap > 60 {
            return signed(pi() / 2);
        }
        if gap < -60 {
            return signed(pi());
        }
        // Both brought near one.
        let near = |value: Self| match value {
            Self::Finite {
                negative,
                coefficient,
                exponent,
            } => Self::Finite {
                negative,
                coefficient,
                exponent: exponent - x.magnitude().unwrap_or_default(),
            },
            other => other,
        };
        let angle = scale.angle(&near(self).to_fixed(&scale), &near(x).to_fixed(&scale));
        Self::from_fixed(&angle, &scale, 0)
    }

    /// The hyperbolic sine.
    #[must_use]
    pub fn sinh(self) -> Self {
        if self.is_tiny() || !matches!(self, Self::Finite { .. }) {
            return self;
        }
        match self.halves() {
            Some((up, down, scale)) => Self::from_fixed(&((up - down) / 2), &scale, 0),
            None => self.abs().half_exp().with_sign(self.is_negative()),
        }
    }

    /// The hyperbolic cosine.
    #[must_use]
    pub fn cosh(self) -> Self {
        match self {
            Self::Nan => return self,
            Self::Infinite { .. } => return self.abs(),
            Self::Finite { .. } => {}
        }
        match self.halves() {
            Some((up, down, scale)) => Self::from_fixed(&((up + down) / 2), &scale, 0).stripped(),
            None => self.abs().half_exp(),
        }
    }

    /// The hyperbolic tangent.
    #[must_use]
    pub fn tanh(self) -> Self {
        if self.is_nan() || self.is_tiny() {
            return self;
        }
        match self.halves() {
            Some((up, down, scale)) => {
                Self::from_fixed(&scale.divide(&(&up - &down), &(up + down)), &scale, 0)
            }
            None => Self::from_i64(1).with_sign(self.is_negative()),
        }
    }

    /// `e^self` and `e^-self`, unless they are too far apart to be taken together.
    fn halves(self) -> Option<(BigInt, BigInt, Scale)> {
        if self.is_infinite() || self.magnitude().is_some_and(|power| power > 1) {
            return None;
        }
        let scale = Scale::new(PLACES + 50);
        let x = self.to_fixed(&scale);
        // Below a hundred: e^x = (e^(x/64))^64 stays within the kernel's reach.
        let mut up = scale.exp(&(&x >> 6));
        for _ in 0..6 {
            up = scale.multiply(&up, &up);
        }
        let down = scale.divide(scale.one(), &up);
        Some((up, down, scale))
    }

    /// The inverse of the hyperbolic sine.
    #[must_use]
    pub fn asinh(self) -> Self {
        if self.is_tiny() || !matches!(self, Self::Finite { .. }) {
            return self;
        }
        let size = self.abs();
        let scale = Scale::new(PLACES);
        let result = if size.magnitude().is_some_and(|power| power > 30) {
            // The root of x^2 + 1 is x.
            ln_fixed(size, &scale) + scale.ln(&(scale.one() * 2))
        } else {
            let x = size.to_fixed(&scale);
            let root = scale.root(&(scale.multiply(&x, &x) + scale.one()));
            ln_wide(&(x + root), &scale)
        };
        Self::from_fixed(&result, &scale, 0).with_sign(self.is_negative())
    }

    /// The inverse of the hyperbolic cosine, of a number not below one.
    #[must_use]
    pub fn acosh(self) -> Self {
        if !matches!(self, Self::Finite { .. }) {
            return self;
        }
        let scale = Scale::new(PLACES);
        let result = if self.magnitude().is_some_and(|power| power > 30) {
            ln_fixed(self, &scale) + scale.ln(&(scale.one() * 2))
        } else {
            let x = self.to_fixed(&scale);
            let root = scale.root(&(scale.multiply(&x, &x) - scale.one()));
            ln_wide(&(x + root), &scale)
        };
        Self::from_fixed(&result, &scale, 0)
    }

    /// The inverse of the hyperbolic tangent, of a number from minus one to one.
    #[must_use]
    pub fn atanh(self) -> Self {
        if self.is_tiny() {
            return self;
        }
        if self.abs().is_one() {
            return Self::Infinite {
                negative: self.is_negative(),
            };
        }
        let scale = Scale::new(PLACES);
        let x = self.to_fixed(&scale);
        let quotient = scale.divide(&(scale.one() + &x), &(scale.one() - &x));
        Self::from_fixed(&(ln_wide(&quotient, &scale) / 2), &scale, 0)
    }
}
