//! Messages that name the place, say what is wrong, and the fix.
//!
//! For: every error a verb gives a person. Never carries a backtrace or a debug form to the terminal.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::output::{Console, Paint, clean};

/// Something a person has to mend.
#[derive(Debug)]
pub(crate) struct Failure {
    /// File, workload, policy, address: where.
    place: String,
    /// What is wrong there.
    what: String,
    /// What to do about it; may be empty.
    fix: String,
    /// 1: failed; 2: wrong usage.
    code: u8,
}

impl Failure {
    /// The verb was used rightly and could not do its work: exit code 1.
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { place: place.into(), what: what.into(), fix: fix.into(), code: 1 }
    }

    /// The verb was not used rightly: exit code 2.
    pub(crate) fn usage(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { code: 2, ..Failure::new(place, what, fix) }
    }

    /// The same, as one of the problems of `-o json`.
    pub(crate) fn into_problem(self, stage: &str) -> Problem {
        Problem { place: self.place, stage: stage.to_owned(), message: self.what, hint: self.fix }
    }

    /// The exit code that an error leads to.
    pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
        error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(1, |f| f.code)
    }

    /// Writes an error, and the fix where one is known, on standard error.
    pub(crate) fn report(error: &anyhow::Error, console: &Console) {
        let paint = console.paint_errors();
        console.note(&format!("{} {}", paint.bad("error:"), clean(&format!("{error:#}"))));
        if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>())
            && !failure.fix.is_empty()
        {
            console.note(&format!("  {} {}", paint.strong("fix:"), clean(&failure.fix)));
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for Failure {}

/// What `check` and `policy check` answer with `-o json`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Problems {
    /// Empty: nothing is wrong.
    pub(crate) problems: Vec<Problem>,
}

/// One thing that would be refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// `file:line:column`, or the file.
    pub(crate) place: String,
    /// Which step refused it.
    pub(crate) stage: String,
    /// What is wrong.
    pub(crate) message: String,
    /// The fix; may be empty.
    pub(crate) hint: String,
}

/// What is wrong with manifests, in the form of `-o json`.
pub(crate) fn problems(found: &[trimtab_live::manifest::Problem]) -> Vec<Problem> {
    let problem = |p: &trimtab_live::manifest::Problem| Problem {
        place: p.place.to_string(),
        stage: p.stage.as_str().to_owned(),
        message: p.message.clone(),
        hint: p.hint.clone(),
    };
    found.iter().map(problem).collect()
}

/// A block for each problem: place, what is wrong, which step found it, the fix.
pub(crate) fn show(problems: &[Problem], paint: Paint) -> String {
    let mut text = String::new();
    for problem in problems {
        let stage = paint.faint(&clean(&format!("[{}]", problem.stage)));
        let _ = writeln!(text, "{}: {} {stage}", paint.strong(&clean(&problem.place)), clean(&problem.message));
        if !problem.hint.is_empty() {
            let _ = writeln!(text, "  {} {}", paint.strong("fix:"), clean(&problem.hint));
        }
    }
    text
}
