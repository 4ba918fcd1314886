//! The description of the fields as a JSON Schema (for editors) and as a reference page (for people).
//!
//! For: both are computed from what the reader uses, so neither can say something else. Never knows a single field.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::field::{Need, Object, Shape};
use super::written::{Document, TenantDocument};

/// JSON Schema (2020-12) of one manifest document.
pub fn schema() -> Value {
    // By its kind, so that an editor shows the fields and mistakes of that one alone.
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trimtab manifest",
        "type": "object",
        "if": { "properties": { "kind": { "const": "Tenant" } }, "required": ["kind"] },
        "then": object_schema(TenantDocument::OBJECT),
        "else": object_schema(Document::OBJECT),
    })
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Leaf(_, schema) => schema.clone(),
        Shape::List(item, some) => json!({
            "type": "array", "items": shape_schema(item), "minItems": usize::from(*some), "maxItems": 256,
        }),
        Shape::Map(value) => json!({ "type": "object", "additionalProperties": shape_schema(value) }),
        Shape::Object(object) => object_schema(object),
        Shape::Either(shapes) => json!({ "oneOf": shapes.iter().map(shape_schema).collect::<Vec<_>>() }),
    }
}

fn object_schema(object: &Object) -> Value {
    let mut properties = Map::new();
    for field in object.fields {
        let mut schema = shape_schema(&(field.shape)());
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".into(), json!(words(field.about)));
            if let Need::Default(text) = field.need {
                schema.insert("default".into(), serde_json::from_str(text).unwrap_or_else(|_| json!(text)));
            }
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        object.fields.iter().filter(|field| field.need == Need::Required).map(|field| field.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": words(object.about),
        "properties": properties,
        "additionalProperties": false,
        "required": required,
    });
    if !object.one_of.is_empty()
        && let Value::Object(schema) = &mut schema
    {
        let choices: Vec<Value> = object.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        schema.insert("oneOf".into(), json!(choices));
    }
    schema
}

/// The reference page, `docs/manifest.md`.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut done: Vec<&str> = Vec::new();
    describe(Document::OBJECT, &mut done, &mut page);
    describe(TenantDocument::OBJECT, &mut done, &mut page);
    page
}

const INTRODUCTION: &str = "\
# Manifest reference

Every field of a manifest. This page is computed from the description that `trimtab run` and `trimtab check` read manifests
with; `trimtab schema` prints the same as JSON Schema for editors.

A file may hold several documents; `-f` takes files and folders (their `*.yaml` and `*.yml`). Durations are whole numbers with
units (`250ms`, `15s`, `5m`, `1h`, `1h30m`). Names are 1 to 63 lower-case letters, digits and hyphens. Files named in a
manifest are relative to the manifest's own folder. Unknown fields are errors.
";

fn describe(object: &'static Object, done: &mut Vec<&'static str>, page: &mut String) {
    if done.contains(&object.title) {
        return;
    }
    done.push(object.title);
    // Writing to a string cannot fail.
    let _ = writeln!(page, "\n## {}\n\n{}\n", object.title, words(object.about));
    page.push_str("| field | form | default | meaning |\n| --- | --- | --- | --- |\n");
    let mut inner = Vec::new();
    for field in object.fields {
        let shape = (field.shape)();
        let default = match field.need {
            Need::Required => "required".to_owned(),
            Need::Optional if object.one_of.contains(&field.name) => "one of these".to_owned(),
            Need::Optional => String::new(),
            Need::Default("{}") => "its defaults".to_owned(),
            Need::Default(text) => format!("`{text}`"),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", field.name, form(&shape), words(field.about));
        objects(&shape, &mut inner);
    }
    if !object.one_of.is_empty() {
        let _ = writeln!(
            page,
            "\nExactly one of {} must be there.",
            super::field::listed(object.one_of.iter().copied(), "and")
        );
    }
    for (name, what) in object.later {
        let _ = writeln!(page, "\n`{name}` ({what}) is not in this version.");
    }
    for object in inner {
        describe(object, done, page);
    }
}

fn form(shape: &Shape) -> String {
    match shape {
        Shape::Leaf(said, _) => said.clone(),
        Shape::List(item, _) => format!("list of {}", form(item)),
        Shape::Map(value) => format!("names to {}", form(value)),
        Shape::Object(object) => format!("`{}`", object.title),
        Shape::Either(shapes) => shapes.iter().map(form).collect::<Vec<_>>().join(" or "),
    }
}

fn objects(shape: &Shape, found: &mut Vec<&'static Object>) {
    match shape {
        Shape::Leaf(..) => {}
        Shape::List(inner, _) | Shape::Map(inner) => objects(inner, found),
        Shape::Object(object) => found.push(object),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| objects(shape, found)),
    }
}

/// A doc comment on one line.
fn words(about: &str) -> String {
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}
