//! `policy inspect`: what a module is.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};
use trimtab_control::policy::MetricNeed;
use trimtab_sandbox::{Admitted, Description};

use crate::output::{Align, Console, OutputArgs, Paint, Table, bytes, clean, seconds};

const EXAMPLES: &str = "Examples:
  trimtab policy inspect concurrency
  trimtab policy inspect latency-guard.wasm -o json | jq .description.configSchema";

/// Show a module's digest, imports, description, schema and needs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The module: a file, or a name in ./policies.d or among the bundled ones
    #[arg(value_name = "FILE|NAME")]
    module: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct Page<'a> {
    digest: &'a str,
    bytes: usize,
    world: Option<&'a str>,
    imports: &'a [String],
    exports: &'a [String],
    description: Value,
    /// For the configuration `{}`; null where the policy refuses that.
    needs: Option<Vec<Value>>,
}

impl Args {
    pub(crate) fn run(self, console: &Console) -> anyhow::Result<ExitCode> {
        let found = super::find(&self.module)?;
        let admitted = super::admit(&found)?;
        let needs = admitted.prepare("{}").ok().map(|p| p.needs);
        if self.output.json() {
            let about = admitted.inspection();
            console.print_json(&Page {
                digest: &about.digest,
                bytes: about.bytes,
                world: about.world.as_deref(),
                imports: &about.imports,
                exports: &about.exports,
                description: description(admitted.description()),
                needs: needs.map(|needs| needs.iter().map(need).collect()),
            })?;
        } else {
            console.print(&render(&found.place, &admitted, needs.as_deref(), console.paint()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// As the admin port writes it: the schema as a document, not as text in text.
fn description(about: &Description) -> Value {
    let schema: Value = serde_json::from_str(&about.config_schema).unwrap_or(Value::Null);
    let attributes: serde_json::Map<String, Value> =
        about.attributes.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    json!({"name": about.name, "version": about.version, "summary": about.summary, "configSchema": schema,
        "stateVersion": about.state_version, "attributes": attributes})
}

fn need(need: &MetricNeed) -> Value {
    json!({"signal": need.signal, "by": need.by, "within": need.within, "across": need.across,
        "stepSeconds": need.step.as_seconds(), "windowSeconds": need.window.as_seconds(), "required": need.required})
}

fn render(place: &str, admitted: &Admitted, needs: Option<&[MetricNeed]>, paint: Paint) -> String {
    let (about, form) = (admitted.description(), admitted.inspection());
    let heading = clean(&format!("{} {}", about.name, about.version));
    let mut out = format!("{}  {}\n{}\n\n", paint.strong(&heading), paint.faint(place), clean(&about.summary));
    let mut facts = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("digest", form.digest.clone());
    fact("size", bytes(form.bytes));
    fact("world", form.world.clone().unwrap_or_else(|| "none".to_owned()));
    fact("imports", or_none(&form.imports));
    fact("exports", or_none(&form.exports));
    fact("state version", about.state_version.to_string());
    out.push_str(&facts.render());
    let _ = writeln!(out, "\n{}", paint.strong("Needs, with an empty configuration"));
    out.push_str(&needs_table(needs));
    let _ = writeln!(out, "\n{}", paint.strong("Configuration"));
    out.push_str(&schema_table(&about.config_schema));
    out
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn needs_table(needs: Option<&[MetricNeed]>) -> String {
    let Some(needs) = needs else { return "  the policy does not accept an empty configuration\n".to_owned() };
    if needs.is_empty() {
        return "  none\n".to_owned();
    }
    let columns = ["SIGNAL", "BY", "WITHIN", "ACROSS", "WINDOW", ""].map(|name| (name, Align::Left));
    let mut table = Table::indented(&columns, 2);
    let or_default = |text: &str| if text.is_empty() { "default".to_owned() } else { text.to_owned() };
    for need in needs {
        let window = if need.window.0 == 0 { "newest".to_owned() } else { seconds(need.window.as_seconds()) };
        let required = if need.required { "required" } else { "optional" };
        table.row([
            need.signal.clone(),
            need.by.join(","),
            or_default(&need.within),
            or_default(&need.across),
            window,
            required.to_owned(),
        ]);
    }
    table.render()
}

/// The top-level keys of the schema: what a person writes in a manifest.
fn schema_table(schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or(Value::Null);
    let Some(properties) = schema["properties"].as_object().filter(|p| !p.is_empty()) else {
        return "  any\n".to_owned();
    };
    let mut table = Table::indented(&[("KEY", Align::Left), ("DEFAULT", Align::Left), ("", Align::Left)], 2);
    for (key, about) in properties {
        let default = about.get("default").map_or_else(|| "-".to_owned(), ToString::to_string);
        table.row([key.clone(), default, about["description"].as_str().unwrap_or_default().to_owned()]);
    }
    table.render()
}
