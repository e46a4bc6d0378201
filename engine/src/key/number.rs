//! Numbers in keys. See FORMAT.md, section 2.
//!
//! A positive number is a lead byte that holds its binary exponent (followed
//! by two bytes where it does not fit), then the bits after the leading one in
//! groups of seven, each in the upper bits of a byte whose lowest bit says
//! that more follow; trailing zero groups are left out. A decimal that 64 bits
//! do not hold has nine groups, of which the last says "more", and then its
//! tail: decimal exponent and 34-digit coefficient. A negative number is the
//! mirror image of its absolute value.

use crate::values::{Magnitude, Number, RawValue, Tail};

const NAN: u8 = 0x14;
const NEGATIVE_INFINITY: u8 = 0x15;
/// Leads zero; `ZERO + n` and `ZERO - n` lead a number and its negative.
const ZERO: u8 = 0x58;
/// Distance from [`ZERO`] where the exponent is negative: two bytes of it follow.
const SMALL: u8 = 1;
/// Distance of exponent 0; exponents to 63 are in the lead byte.
const WHOLE: u8 = 2;
/// Distance where the exponent exceeds 63: two bytes of it follow.
const LARGE: u8 = WHOLE + 64;
const POSITIVE_INFINITY: u8 = 0x9B;

const GROUP_BITS: u32 = 7;
/// Sixty-three bits after the leading one are nine groups.
const GROUPS: usize = 9;
/// Groups, lead byte, exponent and tail.
const MAX_LEN: usize = GROUPS + 3 + 2 + 16;

const _: () = assert!(ZERO + LARGE + 1 == POSITIVE_INFINITY);
const _: () = assert!(ZERO - LARGE - 1 == NEGATIVE_INFINITY);

pub(super) fn append(value: RawValue<'_>, key: &mut Vec<u8>) {
    match value.number().unwrap_or(Number::Nan) {
        Number::Nan => key.push(NAN),
        Number::Infinite { negative: true } => key.push(NEGATIVE_INFINITY),
        Number::Infinite { negative: false } => key.push(POSITIVE_INFINITY),
        Number::Zero => key.push(ZERO),
        Number::Finite {
            negative,
            magnitude,
        } => finite(negative, &magnitude, key),
    }
}

fn finite(negative: bool, magnitude: &Magnitude, key: &mut Vec<u8>) {
    let mut buffer = [0_u8; MAX_LEN];
    let len = encode(magnitude, &mut buffer);
    let bytes = &mut buffer[..len];
    if negative {
        let distance = bytes[0] - ZERO;
        super::descend(bytes);
        bytes[0] = ZERO - distance;
    }
    key.extend_from_slice(bytes);
}

/// Encodes a positive number and returns how many bytes it took.
fn encode(magnitude: &Magnitude, buffer: &mut [u8; MAX_LEN]) -> usize {
    let Magnitude {
        exponent,
        mantissa,
        tail,
    } = *magnitude;
    let mut len = 1;
    if let Ok(whole @ 0..=63) = u8::try_from(exponent) {
        buffer[0] = ZERO + WHOLE + whole;
    } else {
        buffer[0] = ZERO + if exponent < 0 { SMALL } else { LARGE };
        buffer[1..3].copy_from_slice(&biased(exponent).to_be_bytes());
        len = 3;
    }
    // The leading one is understood.
    let mut bits = mantissa << 1;
    for group in 1..=GROUPS {
        // The upper seven bits, moved up by the mark of the byte.
        #[allow(clippy::cast_possible_truncation)]
        let seven = ((bits >> (64 - GROUP_BITS)) as u8) << 1;
        bits <<= GROUP_BITS;
        let more = bits != 0 || tail.is_some();
        buffer[len] = seven | u8::from(more);
        len += 1;
        if !more {
            return len;
        }
        debug_assert!(group < GROUPS || tail.is_some());
    }
    if let Some(Tail {
        exponent,
        coefficient,
    }) = tail
    {
        buffer[len..len + 2].copy_from_slice(&biased(exponent).to_be_bytes());
        buffer[len + 2..len + 18].copy_from_slice(&coefficient.to_be_bytes());
        len += 18;
    }
    len
}

/// An exponent as an unsigned number in the same order. All lie within ±21,000.
fn biased(exponent: i32) -> u16 {
    u16::try_from(exponent + 0x8000).unwrap_or(if exponent < 0 { 0 } else { u16::MAX })
}

/// Reads back what [`append`] wrote, byte by byte.
pub(super) fn read(next: &mut dyn FnMut() -> Option<u8>) -> Option<Number> {
    let lead = next()?;
    let negative = lead < ZERO;
    Some(match lead {
        NAN => Number::Nan,
        NEGATIVE_INFINITY => Number::Infinite { negative: true },
        POSITIVE_INFINITY => Number::Infinite { negative: false },
        ZERO => Number::Zero,
        _ => {
            let distance = lead.abs_diff(ZERO);
            let mut upright = || next().map(|byte| if negative { !byte } else { byte });
            let magnitude = magnitude(distance, &mut upright)?;
            Number::Finite {
                negative,
                magnitude,
            }
        }
    })
}

fn magnitude(distance: u8, next: &mut dyn FnMut() -> Option<u8>) -> Option<Magnitude> {
    let exponent = match distance {
        SMALL | LARGE => unbiased(next)?,
        whole => i32::from(whole - WHOLE),
    };
    let (mut mantissa, mut shift, mut more, mut groups) = (1_u64 << 63, 63, true, 0);
    while more && groups < GROUPS {
        let byte = next()?;
        shift -= GROUP_BITS;
        mantissa |= u64::from(byte >> 1) << shift;
        more = byte & 1 == 1;
        groups += 1;
    }
    let mut tail = None;
    if more {
        let exponent = unbiased(next)?;
        let mut coefficient = 0;
        for _ in 0..16 {
            coefficient = (coefficient << 8) | u128::from(next()?);
        }
        tail = Some(Tail {
            exponent,
            coefficient,
        });
    }
    Some(Magnitude {
        exponent,
        mantissa,
        tail,
    })
}

fn unbiased(next: &mut dyn FnMut() -> Option<u8>) -> Option<i32> {
    let (upper, lower) = (next()?, next()?);
    Some(i32::from(u16::from_be_bytes([upper, lower])) - 0x8000)
}
