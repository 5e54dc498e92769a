//! Tables, for a terminal and as Markdown.

/// How tables are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns aligned by blanks.
    Text,
    /// Markdown tables.
    Markdown,
}

/// Rows of text under a header. Short rows are filled up with empty cells.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(header: &[&str]) -> Self {
        Self {
            header: header.iter().map(|cell| (*cell).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Appends a row; cells that are missing are empty.
    pub(crate) fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, each row in a line.
    pub(crate) fn render(&self, format: Format) -> String {
        let all_rows = || std::iter::once(&self.header).chain(&self.rows);
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| {
                all_rows()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or_default()
                    .max(3)
            })
            .collect();
        let mut out = String::new();
        for (index, row) in all_rows().enumerate() {
            out.push_str(&self.render_row(row, &widths, format));
            if index == 0 {
                out.push_str(&self.rule(&widths, format));
            }
        }
        out
    }

    fn render_row(&self, row: &[String], widths: &[usize], format: Format) -> String {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if self.is_numeric(column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        match format {
            Format::Text => format!("{}\n", cells.join("  ").trim_end()),
            Format::Markdown => format!("| {} |\n", cells.join(" | ")),
        }
    }

    fn rule(&self, widths: &[usize], format: Format) -> String {
        let cells: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, width)| match format {
                Format::Text => "─".repeat(*width),
                Format::Markdown if self.is_numeric(column) => format!("{}:", "-".repeat(width - 1)),
                Format::Markdown => "-".repeat(*width),
            })
            .collect();
        match format {
            Format::Text => format!("{}\n", cells.join("  ")),
            Format::Markdown => format!("| {} |\n", cells.join(" | ")),
        }
    }

    /// Columns whose cells all begin with a digit are aligned to the right.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self
            .rows
            .iter()
            .map(|row| &row[column])
            .filter(|cell| !cell.is_empty())
            .peekable();
        cells.peek().is_some() && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
    }
}
