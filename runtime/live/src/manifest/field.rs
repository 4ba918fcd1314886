//! One description of a manifest's fields, from which everything else follows: what is read, which names are known, which
//! are refused for now, the defaults, the JSON Schema and the reference page.
//!
//! For: the `written!` macro turns a struct with documented fields into that description and its reader, so the five cannot
//! drift apart. Never says what a manifest means: that is `build`'s.

use std::ops::Deref;

use serde_json::Value as Json;

use super::problem::{Report, Spot, quoted};
use super::tree::{Node, Value};

/// Something a manifest can hold.
pub(super) trait Written: Sized {
    /// What may be written there.
    fn shape() -> Shape;
    /// Reads it. Every mistake inside goes to the report; `None` exactly if there was one.
    fn read(node: &Node, report: &mut Report) -> Option<Self>;
}

/// What may be written in a field.
pub(super) enum Shape {
    /// A scalar, or something free: how the reference calls it, and its schema.
    Leaf(String, Json),
    /// A list, perhaps not empty.
    List(Box<Shape>, bool),
    /// A mapping of free names to values.
    Map(Box<Shape>),
    /// A mapping of known names.
    Object(&'static Object),
    /// One of these.
    Either(Vec<Shape>),
}

/// A mapping of known names.
pub(super) struct Object {
    /// Its heading in the reference.
    pub(super) title: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// In the order of the reference.
    pub(super) fields: &'static [Field],
    /// Names that a later version will know, and what for.
    pub(super) later: &'static [(&'static str, &'static str)],
    /// Fields of which exactly one must be there; empty: no such rule.
    pub(super) one_of: &'static [&'static str],
}

/// One field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) need: Need,
    pub(super) shape: fn() -> Shape,
}

/// What it means to leave a field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// As if this had been written.
    Default(&'static str),
}

/// A value and where it was written; for a default, where its mapping begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) spot: Spot,
    /// False for a default.
    pub(super) given: bool,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A field is not to be had; the report says why.
pub(super) struct Reported;

/// The fields of one mapping while they are read.
pub(super) struct Fields<'n> {
    node: &'n Node,
    object: &'static Object,
    /// An unknown name may have been meant for a field that is missing: saying both would be twice.
    unknown: bool,
}

impl<'n> Fields<'n> {
    /// Refuses what is no mapping, and every name that is not known.
    pub(super) fn of(node: &'n Node, object: &'static Object, report: &mut Report) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            let example = object.fields.first().map_or("name", |field| field.name);
            report.field(
                node.spot,
                format!("expected a mapping, found {}", node.said()),
                format!("write fields below it, such as `{example}: …`"),
            );
            return None;
        };
        let mut unknown = false;
        for (key, _) in entries {
            if object.fields.iter().any(|field| field.name == key.name) {
                continue;
            }
            if let Some((_, what)) = object.later.iter().find(|(name, _)| *name == key.name) {
                report.within(&key.name, |report| {
                    report.field(key.spot, "not in this version", format!("remove it ({what})"));
                });
                continue;
            }
            let names = object.fields.iter().map(|field| field.name);
            unknown = true;
            report.field(
                key.spot,
                format!("unknown field {}", quoted(&key.name)),
                nearest_hint(&key.name, names, "it takes"),
            );
        }
        Some(Fields { node, object, unknown })
    }

    fn entry(&self, name: &str) -> Option<(Spot, &'n Node)> {
        match &self.node.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key.spot, node)),
            _ => None,
        }
    }

    pub(super) fn optional<T: Written>(
        &self,
        name: &'static str,
        report: &mut Report,
    ) -> Result<Option<At<T>>, Reported> {
        let Some((key, node)) = self.entry(name) else { return Ok(None) };
        report.within(name, |report| {
            if node.is_null() {
                report.field(key, "has no value", "give it one, or remove the line");
                return Err(Reported);
            }
            T::read(node, report).map(|value| Some(At { value, spot: node.spot, given: true })).ok_or(Reported)
        })
    }

    pub(super) fn required<T: Written>(&self, name: &'static str, report: &mut Report) -> Result<At<T>, Reported> {
        let written = self.optional(name, report)?;
        if written.is_none() && !self.unknown {
            let about = self.object.fields.iter().find(|field| field.name == name).map_or("", |field| field.about);
            let meaning = about.split('.').next().unwrap_or_default().trim();
            report.field(self.node.spot, format!("`{name}` is missing"), format!("add `{name}: …` ({meaning})"));
        }
        written.ok_or(Reported)
    }

    pub(super) fn default<T: Written>(
        &self,
        name: &'static str,
        text: &str,
        report: &mut Report,
    ) -> Result<At<T>, Reported> {
        if let Some(written) = self.optional(name, report)? {
            return Ok(written);
        }
        let spot = self.node.spot;
        let node = if text == "{}" { Node { spot, value: Value::Map(Vec::new()) } } else { Node::plain(text, spot) };
        let read = report.within(name, |report| T::read(&node, report));
        read.map(|value| At { value, spot, given: false }).ok_or(Reported)
    }

    /// Exactly one of the object's `one_of` must be there.
    pub(super) fn one_of(&self, report: &mut Report) {
        let names = self.object.one_of;
        let mut given: Vec<(&str, Spot)> =
            names.iter().filter_map(|name| self.entry(name).map(|(spot, _)| (*name, spot))).collect();
        given.sort_by_key(|(_, spot)| *spot);
        let choices = listed(names.iter().copied(), "or");
        match given.as_slice() {
            [] => report.field(self.node.spot, format!("needs {choices}"), "add exactly one of them"),
            [_] => {}
            [(first, _), .., (last, spot)] => {
                report.field(
                    *spot,
                    format!("both `{first}` and `{last}` are there"),
                    format!("keep exactly one of {choices}"),
                );
            }
        }
    }
}

/// The known name that `word` was probably meant to be.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 100 {
        return None;
    }
    let fold = |name: &str| name.to_ascii_lowercase().replace(['_', ' ', '-'], "");
    let folded = fold(word);
    known
        .map(|name| (strsim::damerau_levenshtein(&folded, &fold(name)), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// "did you mean …?", or all there is.
pub(super) fn nearest_hint<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone, all: &str) -> String {
    match nearest(word, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{all} {}", listed(known, "or")),
    }
}

/// "`a`, `b` and `c`", or with another word before the last.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A struct as it is written in a manifest: its description (`Written::shape`) and its reader.
///
/// Each field: doc comment, Rust name, type, name in the manifest, and `required`, `optional` or `default("…")`.
/// `check` names a function `(&Self, Spot, &mut Report)` that runs once every field was read without a problem.
macro_rules! written {
    (
        $(#[doc = $about:literal])+
        struct $name:ident as $title:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $key:literal $need:ident $(($default:literal))?; )*
        }
        $(later { $($later:literal: $what:literal),* $(,)? })?
        $(one of { $($one:literal),* $(,)? })?
        $(check $check:path)?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub(in crate::manifest) struct $name {
            $( $(#[doc = $doc])+ pub(in crate::manifest) $field: written!(@type $need $type), )*
        }

        impl $name {
            pub(in crate::manifest) const OBJECT: &'static crate::manifest::field::Object = &crate::manifest::field::Object {
                title: $title,
                about: concat!($($about, "\n"),+),
                fields: &[$( crate::manifest::field::Field {
                    name: $key,
                    about: concat!($($doc, "\n"),+),
                    need: written!(@need $need $(($default))?),
                    shape: <$type as crate::manifest::field::Written>::shape,
                } ),*],
                later: &[$($(($later, $what)),*)?],
                one_of: &[$($($one),*)?],
            };
        }

        impl crate::manifest::field::Written for $name {
            fn shape() -> crate::manifest::field::Shape {
                crate::manifest::field::Shape::Object(Self::OBJECT)
            }

            fn read(node: &crate::manifest::tree::Node, report: &mut crate::manifest::problem::Report) -> Option<Self> {
                let before = report.found();
                let fields = crate::manifest::field::Fields::of(node, Self::OBJECT, report)?;
                $( let $field = fields.$need::<$type>($key $(, $default)?, report); )*
                $( let _: &[&str] = &[$($one),*]; if report.found() == before { fields.one_of(report); } )?
                let read = $name { $( $field: $field.ok()? ),* };
                if report.found() > before {
                    return None;
                }
                $( $check(&read, node.spot, report); )?
                (report.found() == before).then_some(read)
            }
        }
    };
    (@type required $type:ty) => { crate::manifest::field::At<$type> };
    (@type default $type:ty) => { crate::manifest::field::At<$type> };
    (@type optional $type:ty) => { Option<crate::manifest::field::At<$type>> };
    (@need required) => { crate::manifest::field::Need::Required };
    (@need optional) => { crate::manifest::field::Need::Optional };
    (@need default ($default:literal)) => { crate::manifest::field::Need::Default($default) };
}

/// An enum of plain words, some of them for a later version.
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        enum $name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+ }
        $(later { $($later:literal),* $(,)? })?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::manifest) enum $name { $( $(#[doc = $doc])+ $variant ),+ }

        impl crate::manifest::field::Written for $name {
            fn shape() -> crate::manifest::field::Shape {
                let words = [$($word),+];
                let later: &[&str] = &[$($($later),*)?];
                let mut said = words.map(|word| format!("`{word}`")).join(", ");
                if !later.is_empty() {
                    said = format!("{said} (not in this version: {})", later.join(", "));
                }
                crate::manifest::field::Shape::Leaf(said, serde_json::json!({ "enum": words }))
            }

            fn read(node: &crate::manifest::tree::Node, report: &mut crate::manifest::problem::Report) -> Option<Self> {
                let word = crate::manifest::scalar::word(node, &[$($word),+], &[$($($later),*)?], report)?;
                [$(($word, $name::$variant)),+].into_iter().find(|(name, _)| *name == word).map(|(_, value)| value)
            }
        }
    };
}

pub(super) use {words, written};
