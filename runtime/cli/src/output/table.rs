//! Columns of text.
//!
//! For: compact tables without borders, two spaces apart. Never cuts a cell: a pipe into `awk` gets every character.

use super::clean;

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table that is being filled.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    /// A table with these headings; a table whose headings are all empty shows none.
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new(), indent: 0 }
    }

    /// The same, `indent` columns from the left.
    pub(crate) fn indented(columns: &[(&'static str, Align)], indent: usize) -> Table {
        Table { indent, ..Table::new(columns) }
    }

    /// One more row; cells beyond the columns are dropped, missing ones are empty.
    pub(crate) fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let mut row: Vec<String> = cells.into_iter().map(|c| clean(&c).replace('\n', " ")).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// True while no row was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, one line each.
    pub(crate) fn render(&self) -> String {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let headed = heading.iter().any(|h| !h.is_empty());
        let lines: Vec<&Vec<String>> = headed.then_some(&heading).into_iter().chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for line in lines {
            let mut text = " ".repeat(self.indent);
            for (i, cell) in line.iter().enumerate() {
                let pad = " ".repeat(widths[i] - cell.chars().count());
                match self.columns[i].1 {
                    Align::Left => text.extend([cell.as_str(), &pad]),
                    Align::Right => text.extend([pad.as_str(), cell]),
                }
                text.push_str("  ");
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
        out
    }
}
