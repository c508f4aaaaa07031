//! What can be wrong with rule sources: the place, the thing, the way out.

use std::fmt;
use std::path::PathBuf;

/// A place in a rule file; lines and columns count from 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The file as it was named to the loader.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing wrong with rule sources.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}; check that it exists and is readable", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is larger than any rule file should be.
    #[error("{file}: {size} bytes of rules, more than the {limit} that are read; split the file")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        size: usize,
        /// [`crate::FILE_LIMIT`].
        limit: usize,
    },
    /// A file is not text.
    #[error("{file}: not UTF-8 from byte {offset} on; save it as UTF-8")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The first bad byte.
        offset: usize,
    },
    /// Parentheses or bindings nest deeper than the parser can be trusted with.
    #[error("{place}: nested deeper than {limit} levels; split the term")]
    TooDeep {
        /// Where the limit is passed.
        place: Place,
        /// [`crate::DEPTH_LIMIT`].
        limit: usize,
    },
    /// A rule is larger than matchers are made for.
    #[error("rule `{rule}` at {place}: more than {limit} {what}; split the rule")]
    TooComplex {
        /// The rule.
        rule: String,
        /// Where it starts.
        place: Place,
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// The set has more rules than ids.
    #[error("{count} rules, more than the {limit} that a set can hold; load fewer files")]
    TooManyRules {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// ISLE's parser refused the text.
    #[error("{place}: {message}; see isle-rules/README.md for the syntax")]
    Syntax {
        /// Where.
        place: Place,
        /// What ISLE says.
        message: String,
    },
    /// ISLE's type checker refused the rule.
    #[error("{place}: {message}; `egraft_rules::prelude()` lists every term and its type")]
    Type {
        /// Where.
        place: Place,
        /// What ISLE says.
        message: String,
    },
    /// ISLE itself failed.
    #[error(
        "{file}: the ISLE front end failed: {message}; take rules out until it passes, and report the last one"
    )]
    FrontEnd {
        /// The file, or all of them.
        file: String,
        /// What it said.
        message: String,
    },
    /// A rule file declares something.
    #[error(
        "{place}: `{form}` in a rule file; only `rule` may stand here, terms come from the prelude"
    )]
    NotARule {
        /// Where.
        place: Place,
        /// The form.
        form: &'static str,
    },
    /// A rule has no name.
    #[error("{place}: a rule without a name; write `(rule name_of_it (simplify ...) ...)`")]
    NoName {
        /// Where.
        place: Place,
    },
    /// A name is taken.
    #[error("{place}: rule `{rule}` is defined at {first} already; choose another name")]
    DuplicateName {
        /// The name.
        rule: String,
        /// The second rule.
        place: Place,
        /// The first rule.
        first: Place,
    },
    /// A rule has no reason.
    #[error("{place}: rule `{rule}` has no reason; write `;; why it holds` on the line above it")]
    NoReason {
        /// The rule.
        rule: String,
        /// Where.
        place: Place,
    },
    /// The left side does not start at an op.
    #[error("{place}: rule `{rule}` does not match an op at its root; write `({root} (op ...))`")]
    RootNotOp {
        /// The rule.
        rule: String,
        /// Where.
        place: Place,
        /// The term that belongs at the root.
        root: &'static str,
    },
    /// The rule uses ISLE in a way that has no meaning here.
    #[error("{place}: rule `{rule}`: {what}; {way_out}")]
    Unsupported {
        /// The rule.
        rule: String,
        /// Where.
        place: Place,
        /// What.
        what: String,
        /// What to write instead.
        way_out: &'static str,
    },
    /// No choice of types makes both sides well typed.
    #[error(
        "{place}: rule `{rule}`: no types fit both sides ({lhs} => {rhs}); compare each op's types with `egraft_rules::prelude()`"
    )]
    NoTypes {
        /// The rule.
        rule: String,
        /// Where.
        place: Place,
        /// The left side.
        lhs: String,
        /// The right side.
        rhs: String,
    },
}

/// Everything found wrong with rule sources; never empty.
#[derive(Debug)]
pub struct RuleErrors(pub Vec<RuleError>);

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

impl From<RuleError> for RuleErrors {
    fn from(error: RuleError) -> RuleErrors {
        RuleErrors(vec![error])
    }
}
