//! YAML text as a tree of nodes that know their places.
//!
//! For: every later message can name a line and a column, and scalars keep the form in which they were written. Holds all
//! bounds on hostile text: size, depth, nodes, what aliases may unfold to. Never knows a field's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::problem::{Report, Spot, quoted};

/// Nested lists and mappings.
const DEPTH: usize = 32;
/// Nodes of one file, those that aliases unfold to too.
const NODES: usize = 50_000;
/// Entries of one mapping.
const ENTRIES: usize = 1_000;
/// Bytes of scalars of one file, those that aliases unfold to too.
const BYTES: usize = 4 << 20;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) spot: Spot,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `plain`: without quotes, so it may be a number, a boolean or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the order written, names unique.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) spot: Spot,
    pub(super) name: String,
}

impl Node {
    /// What an unquoted `text` at `spot` would have been.
    pub(super) fn plain(text: &str, spot: Spot) -> Node {
        Node { spot, value: Value::Scalar { text: text.to_owned(), plain: true } }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for "expected X, found …".
    pub(super) fn said(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, plain: true } => quoted(text),
            Value::Scalar { text, plain: false } => format!("the text {}", quoted(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The value of a key; `None` when this is no mapping or has no such key.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Nodes, bytes of text and height of the tree.
    fn measure(&self) -> (usize, usize, usize) {
        let add = |sum: (usize, usize, usize), part: (usize, usize, usize)| {
            (sum.0 + part.0, sum.1 + part.1, sum.2.max(part.2 + 1))
        };
        match &self.value {
            Value::Scalar { text, .. } => (1, text.len(), 0),
            Value::List(items) => items.iter().map(Node::measure).fold((1, 0, 1), add),
            Value::Map(entries) => entries.iter().fold((1, 0, 1), |sum, (key, node)| {
                let (nodes, bytes, height) = node.measure();
                add(sum, (nodes + 1, bytes + key.name.len(), height))
            }),
        }
    }
}

/// A document as text: its tree unless it was empty, and what was wrong with the YAML.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) root: Option<Node>,
    pub(super) report: Report,
    /// False: the file could not be followed beyond this document.
    pub(super) whole: bool,
}

/// All documents of a file. Empty ones are left out; after a syntax error the documents before it are there, and the
/// one that holds it is the last.
pub(super) fn documents(file: &Arc<str>, text: &str) -> Vec<Text> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.strict_indentation = true;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut budget = Budget { nodes: NODES, bytes: BYTES };
    let mut found = Vec::new();
    while let Some(text) = document(file, &mut parser, &mut budget) {
        let whole = text.whole;
        if text.root.as_ref().is_some_and(|root| !root.is_null()) || text.report.found() > 0 {
            found.push(text);
        }
        if !whole {
            break;
        }
    }
    found
}

/// The next document; none at the end of the file.
fn document<'t>(file: &Arc<str>, parser: &mut Parser<'t, StrInput<'t>>, budget: &mut Budget) -> Option<Text> {
    let mut builder =
        Builder { report: Report::new(file), open: Vec::new(), anchors: BTreeMap::new(), root: None, budget };
    loop {
        match parser.next_event()? {
            Ok((Event::StreamEnd, _)) => return None,
            Ok((Event::DocumentEnd, _)) => return Some(builder.finish(true)),
            Ok((event, span)) => {
                if builder.event(event, &span).is_err() {
                    return Some(builder.finish(false));
                }
            }
            Err(error) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                let spot = Spot { line: line as u32, column: column as u32 };
                builder.report.yaml(
                    spot,
                    format!("not YAML: {}", plain_words(&error.info())),
                    yaml_hint(&error.info()),
                );
                return Some(builder.finish(false));
            }
        }
    }
}

/// The parser's own words on one line, bounded; it may repeat text of the file.
fn plain_words(info: &str) -> String {
    let line: String = info.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    line
}

fn yaml_hint(info: &str) -> &'static str {
    let info = info.to_ascii_lowercase();
    if info.contains("tab") {
        "indent with spaces; YAML allows no tabs there"
    } else if info.contains("anchor") {
        "define the anchor with &name above its first use"
    } else if info.contains("quoted") || info.contains("eof") || info.contains("end of") || info.contains("flow") {
        "close the quote or bracket that was opened before this place"
    } else {
        "check indentation, colons, quotes and brackets here and on the lines above"
    }
}

struct Budget {
    nodes: usize,
    bytes: usize,
}

/// The document cannot be followed further; the report says why.
struct Stop;

/// A collection that is not closed yet.
struct Open {
    spot: Spot,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map(Vec<(Key, Node)>, Awaits),
}

/// What the next node of a mapping is.
enum Awaits {
    Key,
    Value(Key),
    /// The value of a key that was refused.
    Dropped,
}

struct Builder<'b> {
    report: Report,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    budget: &'b mut Budget,
}

impl Builder<'_> {
    fn finish(self, whole: bool) -> Text {
        Text { root: self.root, report: self.report, whole }
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let spot = Spot { line: span.start.line() as u32, column: span.start.col() as u32 + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text(tag.as_deref(), spot);
                self.spend(1, text.len(), spot)?;
                let node = Node { spot, value: Value::Scalar { text: text.into_owned(), plain } };
                self.place(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(spot, anchor, tag.as_deref(), OpenKind::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(spot, anchor, tag.as_deref(), OpenKind::Map(Vec::new(), Awaits::Key))?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { spot, anchor, kind }) = self.open.pop() {
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map(entries, _) => Value::Map(entries),
                    };
                    self.place(Node { spot, value }, anchor)?;
                }
            }
            Event::Alias(anchor) => self.unfold(anchor, spot)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, spot: Spot, anchor: usize, tag: Option<&Tag>, kind: OpenKind) -> Result<(), Stop> {
        self.is_text(tag, spot);
        self.spend(1, 0, spot)?;
        if self.open.len() >= DEPTH {
            self.report.yaml(spot, format!("nested deeper than {DEPTH} levels"), "no manifest needs that; flatten it");
            return Err(Stop);
        }
        self.open.push(Open { spot, anchor, kind });
        Ok(())
    }

    /// An alias stands for a copy of what its anchor named, at the alias' own place on top.
    fn unfold(&mut self, anchor: usize, spot: Spot) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.report.yaml(
                spot,
                "an alias inside the value that it names",
                "an anchor can be used only after its value ended",
            );
            return Err(Stop);
        };
        let (nodes, bytes, height) = node.measure();
        if self.open.len() + height > DEPTH {
            self.report.yaml(spot, format!("nested deeper than {DEPTH} levels"), "unfold fewer aliases");
            return Err(Stop);
        }
        let copy = Node { spot, value: node.value.clone() };
        self.spend(nodes, bytes, spot)?;
        self.place(copy, 0)
    }

    fn spend(&mut self, nodes: usize, bytes: usize, spot: Spot) -> Result<(), Stop> {
        let left = (self.budget.nodes.checked_sub(nodes), self.budget.bytes.checked_sub(bytes));
        let (Some(nodes), Some(bytes)) = left else {
            let message = format!("more than {NODES} values or {BYTES} bytes once aliases are unfolded");
            self.report.yaml(spot, message, "split the file, and use fewer aliases");
            return Err(Stop);
        };
        (self.budget.nodes, self.budget.bytes) = (nodes, bytes);
        Ok(())
    }

    /// True for `!!str`; any other tag but those of the core schema is refused.
    fn is_text(&mut self, tag: Option<&Tag>, spot: Spot) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_custom() && tag.original() != "!" {
            self.report.yaml(spot, format!("unknown tag {}", quoted(&tag.original())), "remove the tag");
        }
        tag.is_yaml_core_schema_tag("str") || tag.original() == "!"
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            let (nodes, bytes, _) = node.measure();
            self.spend(nodes, bytes, node.spot)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { kind: OpenKind::List(items), .. }) => items.push(node),
            Some(Open { kind: OpenKind::Map(entries, awaits), .. }) => match std::mem::replace(awaits, Awaits::Key) {
                Awaits::Key if entries.len() >= ENTRIES => {
                    self.report.yaml(node.spot, format!("more than {ENTRIES} fields in one mapping"), "split it");
                    return Err(Stop);
                }
                Awaits::Key => *awaits = key(node, entries, &mut self.report),
                Awaits::Value(key) => entries.push((key, node)),
                Awaits::Dropped => {}
            },
        }
        Ok(())
    }
}

/// A node in the place of a key.
fn key(node: Node, entries: &[(Key, Node)], report: &mut Report) -> Awaits {
    let Value::Scalar { text: name, plain } = node.value else {
        report.yaml(node.spot, "a list or mapping as a key", "a key is plain text");
        return Awaits::Dropped;
    };
    if plain && name == "<<" {
        report.yaml(
            node.spot,
            "merge keys (`<<`) are not part of YAML 1.2",
            "write the fields out, or alias a whole value",
        );
        return Awaits::Dropped;
    }
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.name == name) {
        let message = format!("{} is there twice, first on line {}", quoted(&name), first.spot.line);
        report.yaml(node.spot, message, "remove one of the two");
        return Awaits::Dropped;
    }
    Awaits::Value(Key { spot: node.spot, name })
}
