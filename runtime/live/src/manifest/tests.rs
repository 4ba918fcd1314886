#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value as Json;
use trimtab_control::config::{OnFailure, Step as Limit};
use trimtab_control::time::Span;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

fn text_of(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let spot = problem.place.spot;
        let place = if spot.line > 0 { format!("{}:{}", spot.line, spot.column) } else { "file".into() };
        writeln!(text, "{place}: {}\n    {}", problem.message, problem.hint).unwrap();
    }
    text
}

/// Each wrong manifest beside the problems it must give: NAME.yaml and NAME.txt. `TRIMTAB_BLESS=1` writes what is given.
#[test]
fn wrong_manifests_say_what_is_wrong_and_where() {
    let mut differ = Vec::new();
    let files = yaml_files(&root().join("tests/fixtures/manifests/wrong"));
    assert!(files.len() >= 40);
    for file in files {
        let folder = file.parent().unwrap().to_string_lossy().into_owned();
        let problems = load(std::slice::from_ref(&file)).all_problems();
        assert!(
            problems.iter().all(|problem| !problem.hint.is_empty() && *problem.place.file == *file.to_string_lossy())
        );
        let given = text_of(&problems).replace(&format!("{folder}/"), "");
        let golden = file.with_extension("txt");
        if std::env::var_os("TRIMTAB_BLESS").is_some() {
            fs::write(&golden, &given).unwrap();
        }
        if given.is_empty() || fs::read_to_string(&golden).unwrap_or_default() != given {
            differ.push(format!("{}\n{given}", file.display()));
        }
    }
    assert!(differ.is_empty(), "not as expected:\n{}", differ.join("\n"));
}

fn good() -> Vec<PathBuf> {
    let mut files = yaml_files(&root().join("tests/fixtures/manifests/good"));
    files.extend(yaml_files(&root().join("deploy/examples")));
    files
}

#[test]
fn good_manifests_and_examples_load() {
    for file in good() {
        let loaded = load(std::slice::from_ref(&file));
        assert_eq!(text_of(&loaded.all_problems()), "", "{}", file.display());
        assert!(!loaded.documents.is_empty());
    }
}

#[test]
fn everything_written_is_built() {
    let file = root().join("tests/fixtures/manifests/good/everything.yaml");
    let loaded = load(std::slice::from_ref(&file));
    let scaler = loaded.documents[0].outcome.as_ref().unwrap();
    let config = &scaler.config;
    assert_eq!(config.id.to_string(), "team-a/everything");
    assert_eq!((config.interval, scaler.actuator), (Span::seconds(90), Actuator::Observe));
    let zero = config.pools[0].zero.as_ref().unwrap();
    assert_eq!((zero.wake_on.len(), zero.wake_on[0].above, zero.wake_replicas), (1, 0.5, 2));
    assert_eq!(config.stages[0].module.config, r#"{"target":8,"tolerance":1.0,"a/b":[1e3,16,null,"1","yes"]}"#);
    assert!(matches!(&config.stages[0].on_failure, OnFailure::Fallback(module) if module.policy == "queue-depth"));
    assert_eq!(config.guardrails.scale_down.max_step, Limit::Count(2));
    let TargetSpec::Process(process) = &scaler.targets[0].1 else { panic!("a process") };
    assert_eq!(process.working_dir.as_deref(), Some(file.with_file_name("data").as_path()));
    assert_eq!(scaler.sources.len(), 3);
    assert!(scaler.signals().contains(&"gateway-queue") && scaler.signals().contains(&"ttft"));
    let places = &scaler.places["load"];
    assert!(
        places.config("/tolerance").to_string().ends_with("everything.yaml:56:38"),
        "{}",
        places.config("/tolerance")
    );
    assert_eq!(places.config("/a~1b/3/nothing").spot, places.config("/a~1b/3").spot);
    assert!(places.fallback("").spot.line == 57);
    let shadow = config.stages[0].shadow.as_ref().unwrap();
    assert_eq!((shadow.policy.as_str(), &shadow.config), ("concurrency-next", &config.stages[0].module.config));
    assert_eq!((places.shadow.spot.line, scaler.journal), (59, Some(64 << 20)));
}

#[test]
fn defaults_are_those_of_the_reference() {
    let loaded = load(&[root().join("tests/fixtures/manifests/good/least.yaml")]);
    let scaler = loaded.documents[0].outcome.as_ref().unwrap();
    let (config, pool) = (&scaler.config, &scaler.config.pools[0]);
    assert_eq!((config.id.to_string().as_str(), config.interval), ("default/least", Span::seconds(15)));
    assert_eq!(
        (pool.name.as_str(), pool.min, pool.gpus_per_replica, pool.startup),
        ("default", 1, 1, Span::seconds(180))
    );
    let rules = &config.guardrails;
    assert_eq!((rules.stale_after, rules.silent_after, rules.min_coverage), (None, None, 0.9));
    assert_eq!((rules.scale_up, rules.cooldown), (None, Span::seconds(300)));
    assert_eq!((rules.scale_down.max_step, rules.scale_down.per), (Limit::Percent(10), Span::seconds(60)));
    assert_eq!(
        (config.stages[0].module.policy.as_str(), config.stages[0].module.config.as_str()),
        ("concurrency", "{}")
    );
}

/// The tree of a document as JSON, for a validator that knows nothing of our reader.
fn as_json(text: &str) -> Vec<Json> {
    tree::documents(&"x".into(), text)
        .into_iter()
        .filter_map(|text| text.root)
        .map(|root| {
            let mut out = String::new();
            json::canonical(&root, &mut out);
            let strict = out.replace(",]", "]").replace(",}", "}");
            serde_json::from_str(&strict).unwrap_or(Json::Null)
        })
        .collect()
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for file in good() {
        for document in as_json(&fs::read_to_string(&file).unwrap()) {
            let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", file.display());
        }
    }
}

/// Mistakes that a schema cannot see: they need arithmetic, a data base, other documents or other fields.
const BEYOND_A_SCHEMA: &[&str] = &[
    "interval-too-short",
    "interval-too-long",
    "min-over-max",
    "zero-without-grant",
    "wake-replicas-over-max",
    "wake-on-engine-signal",
    "pools-same-name",
    "stages-same-name",
    "metrics-stray-path",
    "percent-over-hundred",
    "silent-before-stale",
    "ports-reversed",
    "ports-not-ports",
    "ports-too-few",
    "process-without-port",
    "time-zone",
    "config-infinite",
    "config-key-with-lines",
    "stale-under-interval",
    "drain-grace-over-timeout",
    "port-out-of-range",
    "tls-over-http",
    "header-reserved",
    "signal-impossible",
    "same-workload-twice",
    "tenant-twice",
    "journal-too-small",
    "control-characters",
];

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for file in yaml_files(&root().join("tests/fixtures/manifests/wrong")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let loaded = load(std::slice::from_ref(&file));
        if loaded.documents.is_empty() || loaded.all_problems().iter().any(|problem| problem.stage != Step::Manifest) {
            continue;
        }
        let refused = as_json(&text).iter().any(|document| !validator.is_valid(document));
        let beyond = BEYOND_A_SCHEMA.contains(&name.as_str());
        assert!(refused || beyond, "the schema takes {name}");
        assert!(!(refused && beyond) || name == "control-characters", "{name} is no exception any more");
    }
}

#[test]
fn the_reference_page_is_the_description() {
    let page = root().join("docs/manifest.md");
    if std::env::var_os("TRIMTAB_BLESS").is_some() {
        fs::write(&page, reference()).unwrap();
    }
    assert_eq!(fs::read_to_string(page).unwrap(), reference(), "TRIMTAB_BLESS=1 writes it anew");
}

const LEAST: &str = "apiVersion: trimtab.dev/v1alpha1\nkind: InferenceScaler\nmetadata: {name: NAME}\nspec:\n  \
                     pools: [{maxReplicas: 2, dryRun: {}}]\n  policies: [{name: concurrency}]\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).unwrap();
    }

    fn load(&self) -> Loaded {
        load(&[self.0.path().to_path_buf()])
    }
}

fn folder() -> Folder {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("a.yaml", &LEAST.replace("NAME", "a"));
    folder.write("b.yml", &LEAST.replace("NAME", "b"));
    folder.write(".hidden.yaml", "nonsense");
    folder.write("notes.txt", "nonsense");
    folder
}

fn names(standing: &Standing) -> Vec<String> {
    standing.scalers().map(|scaler| format!("{}:{}", scaler.config.id.name, scaler.config.pools[0].max)).collect()
}

#[test]
fn a_wrong_edit_keeps_the_last_good_version() {
    let folder = folder();
    let mut standing = Standing::start(folder.load()).unwrap();
    assert_eq!(names(&standing), ["a:2", "b:2"]);
    for wrong in
        ["", "spec: [", "metadata: {name: a}\nspec: {}\n", "kind: Tenant\nmetadata: {name: other}\n", "x: \u{7}"]
    {
        folder.write("a.yaml", wrong);
        let changes = standing.refresh(folder.load());
        assert!(!changes.problems.is_empty() && changes.changed.is_empty() && changes.ended.is_empty(), "{wrong:?}");
        assert_eq!(names(&standing), ["a:2", "b:2"]);
    }
    folder.write("a.yaml", &LEAST.replace("NAME", "a").replace("maxReplicas: 2", "maxReplicas: 3"));
    let changes = standing.refresh(folder.load());
    assert_eq!((changes.changed.len(), changes.problems.len()), (1, 0));
    assert_eq!(names(&standing), ["a:3", "b:2"]);
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_away() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("mounted");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("a.yaml");
    fs::write(&file, LEAST.replace("NAME", "a")).unwrap();
    let mut standing = Standing::start(load(std::slice::from_ref(&file))).unwrap();
    // Neither there nor not there: what leads to it is no folder any more.
    fs::rename(&folder, place.path().join("aside")).unwrap();
    fs::write(&folder, "not a folder").unwrap();
    let changes = standing.refresh(load(std::slice::from_ref(&file)));
    assert_eq!((changes.ended.len(), changes.problems.len()), (0, 1));
    assert_eq!(names(&standing), ["a:2"]);
    fs::remove_file(&folder).unwrap();
    assert_eq!(standing.refresh(load(&[file])).ended.len(), 1);
}

#[test]
fn comments_and_spacing_change_nothing() {
    let folder = folder();
    let mut standing = Standing::start(folder.load()).unwrap();
    folder.write("a.yaml", &format!("# a comment\n\n{}", LEAST.replace("NAME", "a")));
    assert_eq!(standing.refresh(folder.load()), Changes::default());
    assert_eq!(standing.scalers().next().unwrap().place.spot.line, 3);
}

#[test]
fn a_document_that_goes_away_ends() {
    let folder = folder();
    let mut standing = Standing::start(folder.load()).unwrap();
    fs::remove_file(folder.0.path().join("a.yaml")).unwrap();
    let changes = standing.refresh(folder.load());
    assert_eq!(changes.ended.iter().map(ToString::to_string).collect::<Vec<_>>(), ["default/a"]);
    assert_eq!(names(&standing), ["b:2"]);
    let path = folder.0.path().join("b.yml");
    let mut standing = Standing::start(load(std::slice::from_ref(&path))).unwrap();
    fs::remove_file(&path).unwrap();
    let changes = standing.refresh(load(&[path]));
    assert_eq!((changes.ended.len(), changes.problems.len()), (1, 1), "a named file that is gone is said as well");
}

#[test]
fn a_second_document_of_a_name_does_not_replace_the_standing_one() {
    let folder = folder();
    let mut standing = Standing::start(folder.load()).unwrap();
    folder.write("a.yaml", &LEAST.replace("NAME", "b").replace("maxReplicas: 2", "maxReplicas: 7"));
    let changes = standing.refresh(folder.load());
    assert_eq!(
        (text_of(&changes.problems).contains("a second document of default/b"), changes.changed.len()),
        (true, 0)
    );
    assert_eq!(names(&standing), ["b:2"]);
    assert!(Standing::start(folder.load()).is_err());
}

#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    let large = folder.path().join("large.yaml");
    fs::write(&large, " ".repeat((1 << 20) + 1)).unwrap();
    let missing = folder.path().join("missing.yaml");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let said: BTreeMap<PathBuf, &str> = BTreeMap::from([
        (pipe, "not a regular file"),
        (large, "larger than 1 MiB"),
        (missing, "cannot be read"),
        (empty, "no manifest in this folder"),
    ]);
    for (path, words) in said {
        let problems = load(&[path]).all_problems();
        assert!(problems.len() == 1 && problems[0].message.contains(words), "{problems:?}");
    }
}

fn read(text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    loaded.read("x.yaml".into(), text);
    loaded
}

#[test]
fn hostile_text_is_bounded() {
    let wide = format!("a: {{{}}}", (0..5_000).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join(", "));
    let long = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(500_000), "*a, ".repeat(1_000));
    let unknown = (0..900).map(|n| format!("k{n}: 1")).collect::<Vec<_>>().join("\n");
    for text in [wide, long, unknown, "- ".repeat(300_000), "---\n".repeat(100_000), "[".repeat(100_000)] {
        let loaded = read(&text);
        let problems = loaded.all_problems();
        assert!(!problems.is_empty() && problems.len() <= 50);
        assert!(
            problems.iter().all(|problem| problem.message.len() < 4_096 && !problem.message.contains(char::is_control))
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}|[\\[\\]{}:,&*!|>'\"%@`#a \n\t-]{0,200}") {
        let loaded = read(&text);
        prop_assert!(loaded.all_problems().iter().all(|problem| !problem.hint.is_empty()));
    }

    #[test]
    fn no_edit_makes_the_reader_panic(cut in 0usize..1800, insert in "[\\[\\]{}:,&*!|>'\"#0-9a-z \n\t-]{0,12}", gone in 0usize..40) {
        let text = fs::read_to_string(root().join("tests/fixtures/manifests/good/everything.yaml")).unwrap();
        let cut = cut.min(text.len() - 1);
        let end = (cut + gone).min(text.len());
        let edited = format!("{}{insert}{}", &text[..cut], &text[end..]);
        let loaded = read(&edited);
        for document in &loaded.documents {
            prop_assert!(document.outcome.as_ref().err().is_none_or(|problems| !problems.is_empty()));
        }
    }
}
