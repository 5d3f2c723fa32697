//! Primes and divisors by plain trial division: no sieve, no wheel, one number at a time.
//!
//! Division is all of the work, and a 64-bit one takes a processor longer than a 32-bit one whatever the
//! numbers are. So everything exists in both widths, and a range uses the narrow one as far as it fits.

/// How many primes there are in `start..end`.
pub(crate) fn count_primes(start: u64, end: u64) -> u64 {
    // What does not fit 32 bits becomes the largest number that does, and that one is left to the wide half.
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let wide_start = start.max(narrow(end).into());
    let narrow_count = (narrow(start)..narrow(end)).map(|n| u64::from(narrow::is_prime(n))).sum::<u64>();
    narrow_count + (wide_start..end).map(|n| u64::from(wide::is_prime(n))).sum::<u64>()
}

/// How many positive integers divide `n`; 0 for 0.
pub(crate) fn count_divisors(n: u64) -> u64 {
    u32::try_from(n).map_or_else(|_| wide::count_divisors(n), |n| narrow::count_divisors(n).into())
}

macro_rules! trial_division {
    ($width:ident, $integer:ty) => {
        mod $width {
            pub(super) fn is_prime(n: $integer) -> bool {
                if n < 2 {
                    return false;
                }
                if n == 2 {
                    return true;
                }
                if n % 2 == 0 {
                    return false;
                }
                let root = n.isqrt();
                let mut divisor = 3;
                while divisor <= root {
                    if n % divisor == 0 {
                        return false;
                    }
                    divisor += 2;
                }
                true
            }

            pub(super) fn count_divisors(n: $integer) -> $integer {
                let root = n.isqrt();
                let mut count = 0;
                let mut divisor = 1;
                while divisor <= root {
                    if n % divisor == 0 {
                        // The divisor and its partner on the other side of the root.
                        count += if n / divisor == divisor { 1 } else { 2 };
                    }
                    divisor += 1;
                }
                count
            }
        }
    };
}

trial_division!(narrow, u32);
trial_division!(wide, u64);

#[cfg(test)]
mod tests {
    use super::{count_divisors, count_primes, narrow, wide};

    #[test]
    fn each_hundred_thousand_has_as_many_primes_as_the_tables_say() {
        let counts = [0, 1, 2, 3, 4, 5, 6, 7].map(|part| count_primes(part * 100_000, (part + 1) * 100_000));
        assert_eq!(counts, [9592, 8392, 8013, 7863, 7678, 7560, 7445, 7408]);
        assert_eq!(counts.iter().sum::<u64>(), 63951);
    }

    #[test]
    fn a_range_includes_its_start_and_not_its_end() {
        assert_eq!(count_primes(7, 11), 1);
        assert_eq!(count_primes(8, 12), 1);
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_empty() {
        assert_eq!(count_primes(100, 10), 0);
        assert_eq!(count_primes(1 << 40, 10), 0);
    }

    #[test]
    fn zero_and_one_are_not_prime() {
        assert_eq!(count_primes(0, 3), 1);
    }

    #[test]
    fn a_range_across_the_end_of_32_bits_counts_every_number_once() {
        // 4294967291 is the last prime below 2^32, 4294967311 the first above.
        let around = 1_u64 << 32;
        assert_eq!(count_primes(around - 6, around + 16), 2);
        assert_eq!(count_primes(around - 5, around + 15), 1);
        assert_eq!(count_primes(around - 1, around + 16), 1);
        assert_eq!(count_primes(around, around + 16), 1);
    }

    #[test]
    fn both_widths_agree() {
        assert!((0..10_000).all(|n: u32| narrow::is_prime(n) == wide::is_prime(n.into())));
        let divisors = |n: u32| u64::from(narrow::count_divisors(n));
        assert!((0..1_000).all(|n| divisors(n) == wide::count_divisors(n.into())));
    }

    #[test]
    fn the_square_of_a_prime_is_not_prime() {
        assert!(!narrow::is_prime(65_521 * 65_521));
        assert!(!wide::is_prime(65_537 * 65_537));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        assert!(!narrow::is_prime(u32::MAX));
        assert!(!wide::is_prime(u64::MAX));
        assert_eq!(count_primes(u64::MAX - 1, u64::MAX), 0);
        assert_eq!(count_divisors(u32::MAX.into()), 32);
    }

    #[test]
    fn divisors_are_counted() {
        let counts: Vec<u64> = (5_000_000..=5_000_007).map(count_divisors).collect();
        assert_eq!(counts, [56, 8, 16, 8, 18, 8, 32, 8]);
    }

    #[test]
    fn one_has_one_divisor_and_zero_counts_none() {
        assert_eq!((count_divisors(0), count_divisors(1), count_divisors(36)), (0, 1, 9));
    }
}
