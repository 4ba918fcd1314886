//! Holds `src/bindings.rs` to `wit/policy.wit`: the generated file is committed, so that a guest builds without proc
//! macros, and this test fails when the two part. `TRIMTAB_BLESS=1 cargo test -p trimtab-sdk --test bindings` rewrites it.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

const HEADER: &str =
    "// Made from wit/policy.wit by tests/bindings.rs of this crate; see there for how to make it again.\n";

fn generate(wit: &Path) -> String {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("the contract parses");
    let world = resolve.select_world(&[package], Some("scaling-policy")).expect("the world is there");
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some("export_bindings".into()),
        default_bindings_module: Some("$crate::bindings".into()),
        disable_run_ctors_once_workaround: true,
        additional_derive_attributes: vec!["PartialEq".into(), "Default".into()],
        additional_derive_ignore: vec!["level".into()],
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("the generator takes the contract");
    let (_, bytes) = files.iter().next().expect("one file");
    format!("{HEADER}{}", String::from_utf8(bytes.to_vec()).expect("source text"))
}

#[test]
fn the_committed_bindings_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = here.join("src/bindings.rs");
    let fresh = generate(&here.join("../../wit"));
    if std::env::var_os("TRIMTAB_BLESS").is_some() {
        std::fs::write(&committed, &fresh).expect("the source tree can be written");
    }
    let found = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(found == fresh, "src/bindings.rs is not what wit/policy.wit gives; run this test with TRIMTAB_BLESS=1");
}
