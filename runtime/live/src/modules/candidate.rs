//! A version that may serve, and where it came from.
//!
//! For: modules inside the binary, which are compiled when somebody first asks for them, so that a daemon starts with the
//! work that its workloads need, and holds no machine code that nobody runs. Never refuses a module for its own reasons.

use std::fmt;
use std::sync::{Arc, OnceLock};

use trimtab_sandbox::{Admitted, Refusal, Sandbox, digest_of};

use super::Origin;

/// A version that may serve. Cheap to clone.
#[derive(Clone)]
pub struct Candidate(Form);

#[derive(Clone)]
enum Form {
    Directory(Admitted),
    Bundled(Arc<Bundled>),
}

struct Bundled {
    digest: String,
    bytes: &'static [u8],
    sandbox: Sandbox,
    admitted: OnceLock<Result<Admitted, Refusal>>,
}

impl Candidate {
    /// A module of a policies directory, which was admitted when it was found.
    pub(super) fn found(admitted: Admitted) -> Candidate {
        Candidate(Form::Directory(admitted))
    }

    /// A module inside the binary.
    pub(super) fn bundled(bytes: &'static [u8], sandbox: &Sandbox) -> Candidate {
        let (sandbox, admitted) = (sandbox.clone(), OnceLock::new());
        Candidate(Form::Bundled(Arc::new(Bundled { digest: digest_of(bytes), bytes, sandbox, admitted })))
    }

    /// `sha256:HEX` of its bytes.
    pub fn digest(&self) -> &str {
        match &self.0 {
            Form::Directory(admitted) => admitted.digest(),
            Form::Bundled(bundled) => &bundled.digest,
        }
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        match self.0 {
            Form::Directory(_) => Origin::Directory,
            Form::Bundled(_) => Origin::Bundled,
        }
    }

    /// The module itself. May compile it, and blocks as long as that takes: never on a tick's way.
    pub fn admitted(&self) -> Result<&Admitted, Refusal> {
        match &self.0 {
            Form::Directory(admitted) => Ok(admitted),
            Form::Bundled(bundled) => {
                let admitted = bundled.admitted.get_or_init(|| bundled.sandbox.admit(bundled.bytes));
                admitted.as_ref().map_err(Clone::clone)
            }
        }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.origin(), self.digest())
    }
}
