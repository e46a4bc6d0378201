//! The first 64 binary digits of a decimal number, exactly.
//!
//! Most decimals fit 128 bits and need no big arithmetic. The others go
//! through numbers of at most 460 limbs, a bound that the format of decimal128
//! sets: the worst takes some tenths of a millisecond.

/// What [`leading_bits`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leading {
    /// Power of two of the first bit.
    pub(super) exponent: i32,
    /// The first 64 bits; the uppermost is one.
    pub(super) mantissa: u64,
    /// Whether all bits after them are zero.
    pub(super) exact: bool,
}

/// 5^13, the largest power of five below 2^32.
const STEP: u32 = 5_u32.pow(13);
const STEP_POWER: u32 = 13;

/// The first bits of `coefficient * 10^exponent`; the coefficient is not zero.
pub(super) fn leading_bits(coefficient: u128, exponent: i32) -> Leading {
    debug_assert!(coefficient != 0);
    // 10^e = 5^e * 2^e: only the power of five needs arithmetic.
    let power = exponent.unsigned_abs();
    if let Some(five) = 5_u128.checked_pow(power) {
        let whole = if exponent >= 0 {
            coefficient.checked_mul(five)
        } else {
            coefficient.is_multiple_of(five).then(|| coefficient / five)
        };
        if let Some(whole) = whole {
            return top_of_u128(whole, exponent);
        }
    }
    let mut limbs = to_limbs(coefficient);
    if exponent >= 0 {
        each_step(power, |factor| multiply(&mut limbs, factor));
        return top(&limbs, exponent, true);
    }
    // Shifted so far that the quotient keeps more than 64 bits:
    // log2(5) < 2.322, and the coefficient has at least one bit.
    let shift_limbs = (64 + (power * 2322).div_ceil(1000)).div_ceil(32) + 1;
    limbs.splice(0..0, std::iter::repeat_n(0, shift_limbs as usize));
    let mut exact = true;
    each_step(power, |factor| {
        // Dividing by each factor in turn and dropping the remainders gives
        // the same quotient as dividing by their product.
        exact &= divide(&mut limbs, factor) == 0;
    });
    #[allow(clippy::cast_possible_wrap)]
    let scale = exponent - (shift_limbs * 32) as i32;
    top(&limbs, scale, exact)
}

/// Calls `apply` with factors whose product is 5^power.
fn each_step(power: u32, mut apply: impl FnMut(u32)) {
    for _ in 0..power / STEP_POWER {
        apply(STEP);
    }
    apply(5_u32.pow(power % STEP_POWER));
}

fn top_of_u128(whole: u128, scale: i32) -> Leading {
    let shifted = whole << whole.leading_zeros();
    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)]
    Leading {
        exponent: 127 - whole.leading_zeros() as i32 + scale,
        mantissa: (shifted >> 64) as u64,
        exact: shifted as u64 == 0,
    }
}

/// Little-endian limbs without leading zero limbs.
fn to_limbs(value: u128) -> Vec<u32> {
    #[allow(clippy::cast_possible_truncation)]
    let mut limbs: Vec<u32> = (0..4).map(|limb| (value >> (32 * limb)) as u32).collect();
    trim(&mut limbs);
    limbs
}

fn trim(limbs: &mut Vec<u32>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

#[allow(clippy::cast_possible_truncation)]
fn multiply(limbs: &mut Vec<u32>, factor: u32) {
    let mut carry = 0_u64;
    for limb in limbs.iter_mut() {
        let product = u64::from(*limb) * u64::from(factor) + carry;
        *limb = product as u32;
        carry = product >> 32;
    }
    if carry != 0 {
        limbs.push(carry as u32);
    }
}

/// Divides in place and returns the remainder.
#[allow(clippy::cast_possible_truncation)]
fn divide(limbs: &mut Vec<u32>, divisor: u32) -> u64 {
    let divisor = u64::from(divisor);
    let mut remainder = 0_u64;
    for limb in limbs.iter_mut().rev() {
        let part = (remainder << 32) | u64::from(*limb);
        *limb = (part / divisor) as u32;
        remainder = part % divisor;
    }
    trim(limbs);
    remainder
}

/// The first bits of `limbs * 2^scale`, where `exact` says whether nothing was
/// dropped below them already.
fn top(limbs: &[u32], scale: i32, exact: bool) -> Leading {
    // Four limbs hold the first 64 bits wherever in the uppermost they start.
    let taken = limbs.len().min(4);
    let (rest, first) = limbs.split_at(limbs.len() - taken);
    let whole = first
        .iter()
        .rev()
        .fold(0_u128, |whole, limb| (whole << 32) | u128::from(*limb));
    let rest_len = i32::try_from(rest.len()).unwrap_or(i32::MAX / 64);
    let leading = top_of_u128(whole, scale + 32 * rest_len);
    let exact = exact && leading.exact && rest.iter().all(|limb| *limb == 0);
    Leading { exact, ..leading }
}

#[cfg(test)]
mod tests;
