use super::{Leading, leading_bits, multiply, to_limbs, trim};

/// `coefficient * 10^exponent` for exponents from 0, limb by limb.
fn slow(coefficient: u128, exponent: u32) -> Vec<u32> {
    let mut limbs = to_limbs(coefficient);
    for _ in 0..exponent {
        multiply(&mut limbs, 10);
    }
    trim(&mut limbs);
    limbs
}

fn bit_len(limbs: &[u32]) -> usize {
    limbs.len() * 32 - limbs.last().map_or(0, |limb| limb.leading_zeros() as usize)
}

#[test]
fn whole_numbers_are_exact() {
    assert_eq!(
        leading_bits(1, 0),
        Leading {
            exponent: 0,
            mantissa: 1 << 63,
            exact: true
        }
    );
    assert_eq!(
        leading_bits(3, 0),
        Leading {
            exponent: 1,
            mantissa: 3 << 62,
            exact: true
        }
    );
    assert_eq!(
        leading_bits(3, 2),
        Leading {
            exponent: 8,
            mantissa: 300 << 55,
            exact: true
        }
    );
    assert_eq!(leading_bits(300, -2), leading_bits(3, 0));
    assert_eq!(
        leading_bits(25, -2),
        Leading {
            exponent: -2,
            mantissa: 1 << 63,
            exact: true
        }
    );
    assert!(
        leading_bits((1 << 64) + 1, 0)
            == Leading {
                exponent: 64,
                mantissa: 1 << 63,
                exact: false
            }
    );
}

#[test]
fn a_tenth_has_the_bits_of_its_double_and_more() {
    let tenth = leading_bits(1, -1);
    assert!(!tenth.exact);
    assert_eq!(tenth.exponent, -4);
    assert_eq!(tenth.mantissa, 0xCCCC_CCCC_CCCC_CCCC);
}

#[test]
fn large_powers_agree_with_repeated_multiplication() {
    for exponent in [30, 38, 39, 100, 1000, 6111] {
        let limbs = slow(7, exponent);
        let leading = leading_bits(7, exponent.cast_signed());
        assert_eq!(
            leading.exponent as usize,
            bit_len(&limbs) - 1,
            "7E{exponent}"
        );
        assert!(!leading.exact || exponent < 31);
    }
}

#[test]
fn small_powers_invert_large_ones() {
    // c * 10^-e has the bits of the quotient: multiplied back by 10^e, the
    // truncated value lies at or below c and the next one above it.
    for (coefficient, power) in [(1_u128, 28_u32), (123_456_789, 60), (1, 330), (99, 6176)] {
        let leading = leading_bits(coefficient, -power.cast_signed());
        let shift = u32::try_from(63 - leading.exponent).unwrap();
        let target = {
            let mut limbs = to_limbs(coefficient);
            for _ in 0..shift {
                multiply(&mut limbs, 2);
            }
            limbs
        };
        let at = slow(u128::from(leading.mantissa), power);
        let above = slow(u128::from(leading.mantissa) + 1, power);
        let key = |limbs: &Vec<u32>| (limbs.len(), limbs.iter().rev().copied().collect::<Vec<_>>());
        assert!(key(&at) <= key(&target), "{coefficient}E-{power}");
        assert!(key(&target) < key(&above), "{coefficient}E-{power}");
        assert!(!leading.exact);
    }
}
