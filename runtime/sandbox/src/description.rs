//! What a policy says of itself, checked.
//!
//! For: names and texts that are safe to show, and a schema that is JSON. Never checks a configuration: `schema` does.

use serde::{Serialize, Serializer};
use trimtab_control::sample::Labels;

use crate::bindings::trimtab::policy::types as wit;
use crate::limits::Limits;
use crate::refusal::{Refusal, Stage};
use crate::text::clean;

/// Bytes of a policy's name.
const NAME_BYTES: usize = 64;
/// Open texts of a description.
const MAX_ATTRIBUTES: usize = 32;

/// See the WIT record `description`. Texts are cleaned and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Lower case letters, digits and dashes.
    pub name: String,
    /// Free text.
    pub version: String,
    /// One line.
    pub summary: String,
    /// JSON Schema as text; empty: any configuration.
    #[serde(serialize_with = "as_json")]
    pub config_schema: String,
    /// Version of the state's form.
    pub state_version: u32,
    /// Open texts.
    #[serde(serialize_with = "as_object")]
    pub attributes: Labels,
}

impl Description {
    pub(crate) fn check(from: wit::Description, limits: &Limits) -> Result<Self, Refusal> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let unusable = from.name.is_empty() || from.name.len() > NAME_BYTES || !from.name.bytes().all(legal);
        if unusable && limits.controls.description {
            let name = clean(&from.name, NAME_BYTES);
            let message =
                format!("its name `{name}` is not made of 1 to {NAME_BYTES} lower case letters, digits, dashes");
            return Err(Refusal::new(Stage::Describe, "bad-answer", message));
        }
        if from.config_schema.len() > limits.schema_bytes {
            let (size, most) = (from.config_schema.len(), limits.schema_bytes);
            let message = format!("its config schema has {size} bytes, and may have {most}");
            return Err(Refusal::new(Stage::Describe, "bad-schema", message));
        }
        let attribute =
            |(name, value): (String, String)| (clean(&name, limits.note_bytes), clean(&value, limits.note_bytes));
        Ok(Description {
            name: from.name,
            version: clean(&from.version, NAME_BYTES),
            summary: clean(&from.summary, limits.text_bytes),
            config_schema: from.config_schema,
            state_version: from.state_version,
            attributes: from.attributes.into_iter().take(MAX_ATTRIBUTES).map(attribute).collect(),
        })
    }
}

/// The schema as the JSON it is; null where there is none.
fn as_json<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<serde_json::Value>(text).unwrap_or(serde_json::Value::Null).serialize(to)
}

fn as_object<S: Serializer>(labels: &Labels, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(labels.iter().map(|(name, value)| (name, value)))
}
