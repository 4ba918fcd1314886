//! Text of guests, made safe to store, print and send.
//!
//! For: everything a policy says. Control characters, line breaks and direction overrides become visible escapes, and
//! the length is bounded. Never decides whether a text is shown.

use std::fmt::Write as _;

/// Appended where a text was cut.
const CUT: &str = "…";

/// The text on one line, without characters that change how a terminal or a log shows what follows, in at most
/// `max_bytes` bytes (at least 3: a cut text ends in an ellipsis).
pub fn clean(text: &str, max_bytes: usize) -> String {
    cleaned(text, max_bytes, true).0
}

/// The same, and whether it was cut. `escape` is false in tests alone.
pub(crate) fn cleaned(text: &str, max_bytes: usize, escape: bool) -> (String, bool) {
    let mut out = String::with_capacity(text.len().min(max_bytes));
    let mut escaped = String::new();
    for c in text.chars() {
        escaped.clear();
        if escape && is_unsafe(c) {
            // Writing into a String cannot fail.
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
        if out.len() + escaped.len() > max_bytes {
            while out.len() + CUT.len() > max_bytes && out.pop().is_some() {}
            out.push_str(CUT);
            return (out, true);
        }
        out.push_str(&escaped);
    }
    (out, false)
}

/// Characters that break lines, move cursors, hide or reorder text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn escapes_and_cuts() {
        for (text, max, want) in [
            ("plain", 10, "plain"),
            ("a\nb", 10, "a\\nb"),
            ("\u{1b}[31mred", 20, "\\u{1b}[31mred"),
            ("a\u{202e}b", 20, "a\\u{202e}b"),
            ("abcdefgh", 6, "abc…"),
            ("ééééé", 6, "é…"),
            ("exact", 5, "exact"),
        ] {
            assert_eq!(clean(text, max), want, "{text:?}");
            assert!(clean(text, max).len() <= max);
        }
    }
}
