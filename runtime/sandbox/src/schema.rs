//! A policy's JSON Schema, and what it says of a configuration.
//!
//! For: messages that name the key and the fix, before the guest is asked. The schema is a guest's, and it is the host
//! that works with it: references are followed within it and never in a circle, what they expand to is bounded, and
//! patterns take linear time and little memory. Never resolves a reference outside the schema (no files, no network).

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::limits::Limits;
use crate::refusal::{ConfigIssue, Refusal, Stage};
use crate::text::clean;

/// Issues reported at once.
const MAX_ISSUES: usize = 32;
/// Bytes of a pointer.
const PATH_BYTES: usize = 256;

/// Values in a schema, what its references stand for counted each time: a few references to references are a schema of
/// any size.
const MAX_NODES: usize = 10_000;
/// References within references.
const MAX_REFERENCES: usize = 16;
/// Patterns, and bytes that one may take when it is compiled.
const MAX_PATTERNS: usize = 64;
const PATTERN_BYTES: usize = 256 << 10;
/// Alternatives of which a message says why each does not fit.
const MAX_ALTERNATIVES: usize = 4;

/// A compiled schema.
pub(crate) struct ConfigSchema {
    schema: Value,
    validator: Validator,
    max_text: usize,
}

impl ConfigSchema {
    /// Compiles the text of a description; none where it is empty.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Option<Self>, Refusal> {
        if text.is_empty() {
            return Ok(None);
        }
        let bad = |error: String| {
            let message = clean(&format!("its config schema is not usable: {error}"), limits.text_bytes);
            Refusal::new(Stage::Describe, "bad-schema", message)
                .hint("give a JSON Schema (draft 2020-12), or an empty text")
        };
        let schema: Value = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
        if limits.controls.schema {
            Size { root: &schema, nodes: 0, patterns: 0, trail: Vec::new() }.add(&schema).map_err(bad)?;
        }
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(patterns)
            .build(&schema)
            .map_err(|e| bad(e.to_string()))?;
        Ok(Some(ConfigSchema { schema, validator, max_text: limits.text_bytes }))
    }

    /// Everything that is wrong, in the order of the schema.
    pub(crate) fn check(&self, config: &Value) -> Result<(), Vec<ConfigIssue>> {
        let mut issues = Vec::new();
        for error in self.validator.iter_errors(config).take(MAX_ISSUES) {
            let path = error.instance_path().to_string();
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
                let known = self.known_keys(&error.schema_path().to_string());
                for key in unexpected {
                    issues.push(self.issue(&format!("{path}/{}", escape(key)), &format!("unknown key; {known}")));
                }
            } else if matches!(error.kind(), ValidationErrorKind::FalseSchema)
                && error.schema_path().to_string().ends_with("/additionalProperties")
                && let Some(Value::Object(object)) = config.pointer(&path)
            {
                // A schema without properties: the library says so once for the whole object, and names no key.
                for key in object.keys() {
                    issues.push(self.issue(&format!("{path}/{}", escape(key)), "unknown key; there are none"));
                }
            } else {
                issues.push(self.issue(&path, &told(&error)));
            }
        }
        issues.truncate(MAX_ISSUES);
        if issues.is_empty() { Ok(()) } else { Err(issues) }
    }

    fn issue(&self, path: &str, message: &str) -> ConfigIssue {
        ConfigIssue { path: clean(path, PATH_BYTES), message: clean(message, self.max_text) }
    }

    /// The keys that the schema knows beside the `additionalProperties` at this place.
    fn known_keys(&self, place: &str) -> String {
        let object = place.rsplit_once('/').map_or("", |(object, _)| object);
        let properties = self.schema.pointer(&format!("{object}/properties")).and_then(Value::as_object);
        match properties {
            Some(keys) if !keys.is_empty() => {
                format!("there are {}", keys.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            _ => "there are none".to_owned(),
        }
    }
}

/// What an error says; of alternatives, why each of them does not fit.
fn told(error: &ValidationError<'_>) -> String {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return error.to_string();
    };
    let firsts = context.iter().take(MAX_ALTERNATIVES).filter_map(|errors| errors.first());
    let reasons: Vec<String> = firsts.map(ToString::to_string).collect();
    if reasons.is_empty() {
        error.to_string()
    } else {
        format!("fits none of the alternatives: {}", reasons.join("; "))
    }
}

/// How large a schema is for whoever compiles it and checks with it.
struct Size<'a> {
    root: &'a Value,
    nodes: usize,
    patterns: usize,
    /// The references being followed.
    trail: Vec<&'a str>,
}

impl<'a> Size<'a> {
    fn add(&mut self, value: &'a Value) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("with what its references stand for it has more than {MAX_NODES} values"));
        }
        match value {
            Value::Object(members) => members.iter().try_for_each(|(key, member)| self.add_member(key, member)),
            Value::Array(items) => items.iter().try_for_each(|item| self.add(item)),
            _ => Ok(()),
        }
    }

    fn add_member(&mut self, key: &'a str, member: &'a Value) -> Result<(), String> {
        self.patterns += match (key, member) {
            ("pattern", Value::String(_)) => 1,
            ("patternProperties", Value::Object(patterns)) => patterns.len(),
            _ => 0,
        };
        if self.patterns > MAX_PATTERNS {
            return Err(format!("it has more than {MAX_PATTERNS} patterns"));
        }
        match (key, member) {
            ("$ref", Value::String(reference)) => self.follow(reference),
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => Err(format!("{key} is not supported")),
            _ => self.add(member),
        }
    }

    fn follow(&mut self, reference: &'a str) -> Result<(), String> {
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(target) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            return Err(format!("reference `{reference}` leads nowhere in it; write #/$defs/NAME"));
        };
        if self.trail.contains(&reference) {
            return Err(format!("reference `{reference}` leads to itself"));
        }
        if self.trail.len() >= MAX_REFERENCES {
            return Err(format!("references lead through more than {MAX_REFERENCES} others"));
        }
        self.trail.push(reference);
        self.add(target)?;
        self.trail.pop();
        Ok(())
    }
}

/// A key as one step of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn schemas_that_cost_the_host_too_much_are_refused() {
        let mut definitions = serde_json::Map::new();
        for level in 0..12 {
            let next = serde_json::json!({"$ref": format!("#/$defs/{}", level + 1)});
            definitions.insert(level.to_string(), serde_json::json!({"oneOf": vec![next; 6]}));
        }
        definitions.insert("12".into(), serde_json::json!({"type": "number"}));
        let bomb = serde_json::json!({"$defs": definitions, "$ref": "#/$defs/0"});
        let circle = serde_json::json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"});
        let patterns = serde_json::json!({"allOf": vec![serde_json::json!({"pattern": "a{9}{9}"}); 65]});
        for (schema, said) in [
            (bomb, "more than 10000 values"),
            (circle, "leads to itself"),
            (patterns, "more than 64 patterns"),
            (serde_json::json!({"pattern": "a{1000}{1000}{1000}"}), "is not a \"regex\""),
            (serde_json::json!({"$ref": "file:///etc/passwd"}), "leads nowhere"),
            (serde_json::json!({"$dynamicRef": "#x"}), "not supported"),
        ] {
            let refusal = ConfigSchema::parse(&schema.to_string(), &Limits::default()).err().unwrap();
            assert_eq!((refusal.stage, refusal.code), (Stage::Describe, "bad-schema"));
            assert!(refusal.message.contains(said), "{}", refusal.message);
        }
        let plain = r##"{"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n"}}}"##;
        assert!(ConfigSchema::parse(plain, &Limits::default()).is_ok());
    }

    #[test]
    fn of_alternatives_it_is_said_why_each_does_not_fit() {
        let schema =
            r#"{"properties": {"target": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "auto"}]}}}"#;
        let schema = ConfigSchema::parse(schema, &Limits::default()).unwrap().unwrap();
        let issues = schema.check(&serde_json::json!({"target": 0})).unwrap_err();
        assert_eq!(issues[0].path, "/target");
        assert!(
            issues[0].message.contains("minimum of 0") && issues[0].message.contains("auto"),
            "{}",
            issues[0].message
        );
    }

    #[test]
    fn a_key_that_nothing_allows_is_named() {
        let said = |schema: &str, config: Value| {
            let schema = ConfigSchema::parse(schema, &Limits::default()).unwrap().unwrap();
            let issues = schema.check(&config).unwrap_err();
            issues.into_iter().map(|i| format!("{}: {}", i.path, i.message)).collect::<Vec<_>>()
        };
        let none = r#"{"type":"object","additionalProperties":false}"#;
        assert_eq!(said(none, serde_json::json!({"a/b": 4})), ["/a~1b: unknown key; there are none"]);
        let one = r#"{"type":"object","properties":{"x":{}},"additionalProperties":false}"#;
        assert_eq!(said(one, serde_json::json!({"y": 4})), ["/y: unknown key; there are x"]);
    }
}
