//! Text for a terminal: lines that are wrapped where the terminal ends, and what stands out in bold.

use std::io::IsTerminal as _;

use console::style;
use textwrap::Options;

/// Wider lines are hard to read.
const WIDEST: usize = 100;
/// Narrower ones hold no sentence.
const NARROWEST: usize = 40;

/// The terminal of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns of a line.
    pub columns: usize,
    /// Whether it shows what stands out in bold.
    pub bold: bool,
}

impl Screen {
    /// The terminal that standard output is, of which at most a hundred columns are used. `None` where it is a file or
    /// another program, for which lines stay as long as they are.
    pub fn of_stdout() -> Option<Self> {
        std::io::stdout().is_terminal().then(|| Self {
            columns: usize::from(console::Term::stdout().size().1).clamp(NARROWEST, WIDEST),
            bold: console::colors_enabled(),
        })
    }
}

/// Lines one below the other.
#[derive(Debug)]
pub(super) struct Page {
    width: usize,
    bold: bool,
    text: String,
}

impl Page {
    /// For `screen`, or for a reader without one.
    pub(super) fn new(screen: Option<Screen>) -> Self {
        Self {
            width: screen.map_or(usize::MAX, |screen| screen.columns),
            bold: screen.is_some_and(|screen| screen.bold),
            text: String::new(),
        }
    }

    /// A line that stands out.
    pub(super) fn headline(&mut self, text: &str) {
        for line in textwrap::wrap(text, Options::new(self.width)) {
            self.push(&style(line).bold().force_styling(self.bold).to_string());
        }
    }

    /// A line that begins `indent` columns from the left, and so do those that it is wrapped into.
    pub(super) fn line(&mut self, indent: usize, text: &str) {
        let indent = " ".repeat(indent);
        let options = Options::new(self.width).initial_indent(&indent).subsequent_indent(&indent);
        for line in textwrap::wrap(text, options) {
            self.push(&line);
        }
    }

    /// A line to be copied: in one piece, however long it is.
    pub(super) fn command(&mut self, text: &str) {
        self.push(&format!("  {text}"));
    }

    /// `1. name` in bold and what is to be said of it.
    pub(super) fn entry(&mut self, number: u32, name: &str, rest: &str) {
        let head = format!("{number}. {name}");
        let options = Options::new(self.width).subsequent_indent("   ");
        let text = format!("{head}{rest}");
        let mut lines = textwrap::wrap(&text, options).into_iter();
        if let Some(first) = lines.next() {
            match first.strip_prefix(head.as_str()) {
                Some(after) => {
                    let head = style(&head).bold().force_styling(self.bold);
                    self.push(&format!("{head}{after}"));
                }
                None => self.push(&first),
            }
        }
        for line in lines {
            self.push(&line);
        }
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn push(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }
}
