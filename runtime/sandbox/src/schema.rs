//! A policy's JSON Schema, and what it says of a configuration.
//!
//! For: messages that name the key and the fix, before the guest is asked. Never resolves a reference outside the
//! schema (no files, no network), never runs a pattern that can take more than linear time.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::limits::Limits;
use crate::refusal::{ConfigIssue, Refusal, Stage};
use crate::text::clean;

/// Issues reported at once.
const MAX_ISSUES: usize = 32;
/// Bytes of a pointer.
const PATH_BYTES: usize = 256;

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
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
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
                issues.push(self.issue(&path, &error.to_string()));
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

/// A key as one step of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
