//! Where every value of a YAML text is, and how large it would be with its aliases expanded.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::formats::node::Place;

/// Deepest nesting; `serde_yaml` itself stops at 128.
const MAX_DEPTH: usize = 64;

/// A node's own weight, in bytes, as it is held in memory.
const NODE_WEIGHT: u64 = 64;

/// What aliases may add: a hundred thousand jobs that share some texts, but no "billion laughs".
const MAX_EXPANSION: u64 = 64 << 20;

/// The places of a document's values, as an arena.
#[derive(Debug, Default)]
pub(super) struct Spans {
    spans: Vec<NodeSpan>,
    root: u32,
}

#[derive(Debug)]
struct NodeSpan {
    at: Place,
    weight: u64,
    part: Part,
}

/// The parts of a value. An anchored value that is not complete yet is `Open`.
#[derive(Debug)]
enum Part {
    Open,
    Scalar(Box<Scalar>),
    List(Vec<u32>),
    /// Keys and values in turn.
    Map(Vec<u32>),
    Alias(u32),
}

/// A value without parts, as it is written.
#[derive(Debug)]
pub(super) struct Scalar {
    /// Where it begins, with its tag and anchor.
    pub(super) at: Place,
    /// Behind its last character; exact if it is plain.
    pub(super) end: Place,
    /// Its text.
    pub(super) written: Box<str>,
    /// It has no quotes, and is no block.
    pub(super) is_plain: bool,
    /// It has a tag other than `!!str`.
    pub(super) has_tag: bool,
    pub(super) anchor: Anchor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    None,
    /// No alias refers to it (so far).
    Idle,
    Used,
}

impl Scalar {
    /// There is no text, but there may be a tag or an anchor.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Nothing is written: its place is that of whatever comes next.
    pub(super) fn is_blank(&self) -> bool {
        self.is_plain && self.is_empty() && self.anchor == Anchor::None && !self.has_tag
    }
}

/// Why a text has no spans.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: Place,
    pub(super) words: String,
    pub(super) hint: Option<&'static str>,
}

impl SyntaxError {
    fn new(at: Place, words: impl Into<String>) -> Self {
        Self { at, words: words.into(), hint: None }
    }
}

impl Spans {
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    pub(super) fn place(&self, index: u32) -> Place {
        self.get(index).map(|span| span.at).unwrap_or_default()
    }

    /// The `n`-th part of the list or mapping at `index`, looking through aliases; itself if there is none.
    pub(super) fn part(&self, index: u32, n: usize) -> u32 {
        let mut at = index;
        loop {
            match self.get(at).map(|span| &span.part) {
                Some(Part::Alias(target)) => at = *target,
                Some(Part::List(parts) | Part::Map(parts)) => return parts.get(n).copied().unwrap_or(at),
                Some(Part::Open | Part::Scalar(_)) | None => return at,
            }
        }
    }

    /// The scalar at `index`, looking through aliases.
    pub(super) fn scalar(&self, index: u32) -> Option<&Scalar> {
        let mut at = index;
        loop {
            match self.get(at).map(|span| &span.part) {
                Some(Part::Alias(target)) => at = *target,
                Some(Part::Scalar(scalar)) => return Some(scalar),
                Some(Part::Open | Part::List(_) | Part::Map(_)) | None => return None,
            }
        }
    }

    fn get(&self, index: u32) -> Option<&NodeSpan> {
        self.spans.get(index as usize)
    }
}

/// Spans every value of the one document in `text`.
pub(super) fn parse(text: &str) -> Result<Spans, SyntaxError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        builder.take(event, span)?;
    }
    builder.finish()
}

#[derive(Default)]
struct Builder {
    spans: Spans,
    /// Lists and mappings that are not complete: their span, whether they are mappings, and their parts so far.
    open: Vec<(u32, bool, Vec<u32>)>,
    anchors: HashMap<usize, u32>,
    documents: usize,
    /// The weight of everything that is written out.
    written: u64,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let at = place(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let mut error = SyntaxError::new(at, "a second YAML document starts here");
                    error.hint = Some("a `---` line separates documents; put each into a file of its own");
                    return Err(error);
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let weight = NODE_WEIGHT + text.len() as u64;
                self.written += weight;
                let scalar = Scalar {
                    at,
                    end: place(&span.end),
                    written: text.into(),
                    is_plain: style == ScalarStyle::Plain,
                    has_tag: tag.is_some_and(|tag| !is_text(&tag)),
                    anchor: if anchor == 0 { Anchor::None } else { Anchor::Idle },
                };
                self.add(at, weight, Part::Scalar(Box::new(scalar)), anchor)
            }
            Event::SequenceStart(anchor, _) => self.start(at, anchor, false),
            Event::MappingStart(anchor, _) => self.start(at, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), SyntaxError> {
        let target = self.anchors.get(&anchor).copied();
        match target.and_then(|index| self.spans.spans.get_mut(index as usize).map(|span| (index, span))) {
            Some((_, NodeSpan { part: Part::Open, .. })) => {
                Err(SyntaxError::new(at, "an alias refers to a value that contains it"))
            }
            Some((index, span)) => {
                if let Part::Scalar(scalar) = &mut span.part {
                    scalar.anchor = Anchor::Used;
                }
                let weight = span.weight;
                self.add(at, weight, Part::Alias(index), 0)
            }
            None => Err(SyntaxError::new(at, "an alias without an anchor")),
        }
    }

    fn start(&mut self, at: Place, anchor: usize, map: bool) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(SyntaxError::new(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.written += NODE_WEIGHT;
        self.add(at, NODE_WEIGHT, Part::Open, anchor)?;
        let index = u32::try_from(self.spans.spans.len() - 1).unwrap_or(u32::MAX);
        self.open.push((index, map, Vec::new()));
        Ok(())
    }

    fn end(&mut self) {
        let Some((index, map, parts)) = self.open.pop() else { return };
        let weights = parts.iter().filter_map(|&part| self.spans.get(part)).map(|span| span.weight);
        let weight = weights.fold(NODE_WEIGHT, u64::saturating_add);
        if let Some(span) = self.spans.spans.get_mut(index as usize) {
            span.weight = weight;
            span.part = if map { Part::Map(parts) } else { Part::List(parts) };
        }
    }

    /// Adds a span to what is open; the key of a mapping must be a scalar.
    fn add(&mut self, at: Place, weight: u64, part: Part, anchor: usize) -> Result<(), SyntaxError> {
        let index = u32::try_from(self.spans.spans.len()).unwrap_or(u32::MAX);
        match self.open.last_mut() {
            Some((_, true, parts)) if parts.len() % 2 == 0 && !matches!(part, Part::Scalar(_) | Part::Alias(_)) => {
                let mut error = SyntaxError::new(at, "a list or a mapping where a key should be");
                error.hint = Some("put quotes around text that starts with `{` or `[`");
                return Err(error);
            }
            Some((_, _, parts)) => parts.push(index),
            None => self.spans.root = index,
        }
        self.spans.spans.push(NodeSpan { at, weight, part });
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        Ok(())
    }

    fn finish(self) -> Result<Spans, SyntaxError> {
        let Some(root) = self.spans.get(self.spans.root) else {
            return Err(SyntaxError::new(Place::default(), "the file has only comments"));
        };
        if root.weight > self.written.saturating_mul(4).saturating_add(MAX_EXPANSION) {
            let mut error = SyntaxError::new(root.at, "its aliases expand to far more than is written");
            error.hint = Some("write shared fields once, under `defaults`");
            return Err(error);
        }
        Ok(self.spans)
    }
}

fn syntax(error: &ScanError) -> SyntaxError {
    let at = place(error.marker());
    let words = error.info();
    let hint = if words.contains("mapping values are not allowed") {
        Some("put text that contains `: ` in quotes")
    } else if words.contains("tab") {
        Some("indent with spaces")
    } else if words.contains("quoted scalar") {
        Some("a quote is not closed")
    } else {
        None
    };
    SyntaxError { at, words: format!("not valid YAML: {words}"), hint }
}

fn place(marker: &Marker) -> Place {
    Place { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

/// `!!str`, which only says what a text is anyway.
fn is_text(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str"
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
