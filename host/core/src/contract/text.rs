//! Text that a guest gives, bounded.

/// Cuts a text to a length in bytes, at a character's end. What was cut off takes no memory any
/// more: texts that are kept are counted by their length.
pub fn truncate(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_characters_end_and_what_is_cut_off_is_given_back() {
        let long = "x".repeat(50 << 20);
        let cases = [
            ("short", 5, "short"),
            ("shorter", 5, "short…"),
            ("häuser", 2, "h…"),
            ("", 0, ""),
            (&*long, 3, "xxx…"),
        ];
        for (text, bytes_max, cut) in cases {
            let kept = truncate(text.to_owned(), bytes_max);
            assert_eq!(kept, cut);
            assert!(kept.capacity() <= cut.len() + 64, "{}", kept.capacity());
        }
    }
}
