//! `cargo xtask tidy`: the rules of this repository that no compiler checks.
//!
//! A rule is a function from the files of the repository to findings, so that each is tested on files made up for it.
//! Every file is looked at that git tracks or would track; nothing is built, and the network is not used. A rule that
//! finds nothing to check says so, for else it would be silent when what it reads has moved.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

mod arrows;
mod commands;
mod documents;
mod places;
mod sources;
mod tree;

use tree::Tree;

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// From the top of the repository, with forward slashes.
    path: String,
    /// From 1.
    line: usize,
    /// What is wrong there.
    what: String,
    /// What to do about it.
    remedy: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}\n    {}",
            self.path, self.line, self.what, self.remedy
        )
    }
}

/// A rule adds what it finds.
type Rule = fn(&Tree, &mut Vec<Finding>);

const RULES: &[Rule] = &[
    sources::length,
    sources::opening,
    sources::unfinished,
    sources::ignored_tests,
    sources::allowed_lints,
    places::machine_paths,
    places::registry_hosts,
    arrows::arrows,
    documents::present,
    documents::crates_explained,
    documents::twins,
    commands::named,
];

/// Checks everything and prints what was found.
///
/// # Errors
/// The files cannot be listed or read.
pub(crate) fn run(top: &Path) -> Result<ExitCode, String> {
    let tree = Tree::read(top)?;
    let mut findings = Vec::new();
    for rule in RULES {
        rule(&tree, &mut findings);
    }
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        crate::print(&format!("{finding}\n"))?;
    }
    let files = tree.len();
    if findings.is_empty() {
        crate::print(&format!(
            "tidy: {files} files, {} rules, nothing to mend\n",
            RULES.len()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    crate::print(&format!("tidy: {} to mend in {files} files\n", findings.len()))?;
    Ok(ExitCode::FAILURE)
}

/// What a rule finds in files made up for it, as `path:line`.
#[cfg(test)]
fn places_found(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let mut findings = Vec::new();
    rule(&Tree::of(files), &mut findings);
    assert!(
        findings
            .iter()
            .all(|finding| !finding.what.is_empty() && !finding.remedy.is_empty()),
        "{findings:?}"
    );
    findings
        .iter()
        .map(|finding| format!("{}:{}", finding.path, finding.line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_place_fault_and_remedy() {
        let finding = Finding::new("a/b.rs", 7, "is wrong", "mend it");
        assert_eq!(finding.to_string(), "a/b.rs:7: is wrong\n    mend it");
    }

    #[test]
    fn the_rules_do_not_find_themselves() {
        let top = crate::top().unwrap();
        let tree = Tree::read(&top).unwrap();
        let mut findings = Vec::new();
        for rule in [places::machine_paths, places::registry_hosts, sources::unfinished] {
            rule(&tree, &mut findings);
        }
        let ours: Vec<_> = findings
            .iter()
            .filter(|finding| finding.path.starts_with("xtask/"))
            .collect();
        assert!(
            ours.is_empty(),
            "the patterns of the rules find themselves: {ours:?}"
        );
    }
}
