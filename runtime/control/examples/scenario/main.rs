//! Plays one scenario and prints its decisions as JSON: `cargo run -p trimtab-control --example scenario -- FILE`.
//!
//! For: comparing builds. A debug and a release build print the same bytes. Never decides anything itself.

#![allow(clippy::print_stdout)] // printing is what it is for

mod script;

fn main() -> std::process::ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: scenario FILE");
        return std::process::ExitCode::from(2);
    };
    let played =
        std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}")).and_then(|text| script::play(&text));
    match played {
        Ok(played) => {
            for decision in &played.decisions {
                match serde_json::to_string(decision) {
                    Ok(line) => println!("{line}"),
                    Err(error) => eprintln!("{error}"),
                }
            }
            std::process::ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            std::process::ExitCode::FAILURE
        }
    }
}
