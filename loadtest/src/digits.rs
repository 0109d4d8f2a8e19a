//! Decimal digits in place: what changes from message to message is written over a template.
//!
//! Invariant: a number that is wider than its place loses its high digits, as a counter does.

/// Writes `value` right-aligned and zero-filled over all of `to`.
pub fn put(to: &mut [u8], mut value: u64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
    }
}

/// The number that ASCII digits stand for; `None` if one of them is none.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_and_read_back() {
        let mut text = [b'x'; 6];
        put(&mut text, 1_234_567);
        assert_eq!((&text, number(&text)), (b"234567", Some(234_567)));
        put(&mut text, 7);
        assert_eq!(&text, b"000007");
        assert_eq!(number(b"00x007"), None);
    }
}
