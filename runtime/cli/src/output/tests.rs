//! Tests of what people read.

use super::*;

#[test]
fn a_table_aligns_text_left_and_numbers_right_and_ends_lines_cleanly() {
    let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right), ("", Align::Left)]);
    table.row(["a".to_owned(), "12".to_owned(), "x".to_owned()]);
    table.row(["longer".to_owned(), "3".to_owned()]);
    assert_eq!(table.render(), "NAME     N\na       12  x\nlonger   3\n");
}

#[test]
fn control_characters_from_elsewhere_are_escaped() {
    assert_eq!(clean("a\x1b[31mb\r\nc"), "a\\u{1b}[31mb\\r\nc");
}

#[test]
fn numbers_spans_and_sizes_say_what_matters() {
    let cases = [(12.0, "12"), (0.123_456, "0.1235"), (3.25, "3.25"), (1234.56, "1234.6")];
    for (value, text) in cases {
        assert_eq!(number(value), text);
    }
    for (value, text) in [(0.42, "0.4s"), (12.4, "12s"), (200.0, "3m 20s"), (7500.0, "2h 5m")] {
        assert_eq!(seconds(value), text);
    }
    assert_eq!(bytes(900), "900 B");
    assert_eq!(bytes(40 * 1024), "40.0 KiB");
}

#[test]
fn without_colours_text_is_untouched() {
    assert_eq!(Paint::PLAIN.bad("x"), "x");
    assert_eq!(Paint { on: true }.bad("x"), "\x1b[31mx\x1b[0m");
}
