//! The rule that dependencies between our crates go one way, as drawn in ARCHITECTURE.md.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Finding;
use super::tree::Tree;

/// Which of our crates each of our crates may depend on. A new arrow is the rarest of changes.
const TABLE: &[(&str, &[&str])] = &[
    ("aurora-sse", &[]),
    ("aurora-chat", &["aurora-sse"]),
    ("aurora-client", &["aurora-chat", "aurora-sse"]),
    ("aurora-streamlog", &[]),
    ("aurora-local", &["aurora-chat"]),
    ("aurora-render", &[]),
    (
        "aurora-gateway",
        &[
            "aurora-client",
            "aurora-streamlog",
            "aurora-chat",
            "aurora-sse",
            "aurora-local",
        ],
    ),
    (
        "aurora-llm",
        &[
            "aurora-sse",
            "aurora-chat",
            "aurora-client",
            "aurora-streamlog",
            "aurora-local",
            "aurora-render",
            "aurora-gateway",
        ],
    ),
    ("aurora-testkit", &[]),
    ("xtask", &[]),
];

/// What the tests of every crate may use besides.
const TESTKIT: &str = "aurora-testkit";

/// Arrows that must be optional, so that a build without the engine is possible.
const OPTIONAL: &[(&str, &str)] = &[("aurora-gateway", "aurora-local"), ("aurora-llm", "aurora-local")];

/// Every arrow between our crates is in the table.
pub(super) fn arrows(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut packages = 0;
    for (path, text) in tree.files().filter(|(path, _)| is_member(path)) {
        packages += 1;
        match DeTable::parse(text) {
            Ok(manifest) => check(path, text, manifest.get_ref(), findings),
            Err(error) => {
                let line = line_of(text, &error.span().unwrap_or_default());
                findings.push(Finding::new(
                    path,
                    line,
                    error.message(),
                    "write it as cargo reads it",
                ));
            }
        }
    }
    if packages == 0 {
        findings.push(Finding::new(
            "Cargo.toml",
            1,
            "no package is where this rule looks for them",
            "teach is_member in xtask/src/tidy/arrows.rs where they are now",
        ));
    }
}

/// Whether the file is the manifest of a package of the workspace. Fuzz targets and benchmarks against peers are
/// outside of it, and nothing depends on them.
fn is_member(path: &str) -> bool {
    let folder = path.strip_suffix("/Cargo.toml").unwrap_or_default();
    folder == "xtask"
        || folder
            .strip_prefix("crates/")
            .is_some_and(|name| !name.contains('/'))
}

fn check(path: &str, text: &str, manifest: &DeTable<'_>, findings: &mut Vec<Finding>) {
    let name = table(manifest, "package")
        .and_then(|package| entry(package, "name"))
        .and_then(|name| name.as_str());
    let name = name.unwrap_or_default();
    let Some((_, allowed)) = TABLE.iter().find(|(package, _)| *package == name) else {
        findings.push(Finding::new(
            path,
            1,
            format!("the package {name:?} is not in the table of arrows"),
            "add it to ARCHITECTURE.md and to the table in xtask/src/tidy/arrows.rs, with what it may depend on",
        ));
        return;
    };
    for section in sections(manifest) {
        for (key, value) in section.entries {
            let wanted = package_of(key.get_ref(), value.get_ref());
            let line = line_of(text, &key.span());
            let known = TABLE.iter().any(|(package, _)| *package == wanted);
            let permitted = allowed.contains(&wanted) || (section.of_tests && wanted == TESTKIT);
            if known && !permitted {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{name} may not depend on {wanted}"),
                    "move what is needed to a crate both may depend on, or pass it in from above",
                ));
            } else if known
                && !section.of_tests
                && OPTIONAL.contains(&(name, wanted))
                && !is_optional(value.get_ref())
            {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{name} depends on {wanted} in every build"),
                    "write optional = true and open it with a feature",
                ));
            }
        }
    }
}

/// One table of dependencies.
struct Section<'a, 'i> {
    entries: &'a DeTable<'i>,
    of_tests: bool,
}

/// The tables of dependencies of a manifest, those of single platforms too.
fn sections<'a, 'i>(manifest: &'a DeTable<'i>) -> Vec<Section<'a, 'i>> {
    let targets = table(manifest, "target")
        .into_iter()
        .flat_map(|targets| targets.values());
    let platforms = targets.filter_map(|target| target.get_ref().as_table());
    let mut sections = Vec::new();
    for holder in std::iter::once(manifest).chain(platforms) {
        for (key, of_tests) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            sections.extend(table(holder, key).map(|entries| Section { entries, of_tests }));
        }
    }
    sections
}

/// The package that a dependency is, which may be known under another name here.
fn package_of<'a>(key: &'a str, value: &'a DeValue<'_>) -> &'a str {
    value
        .as_table()
        .and_then(|table| entry(table, "package"))
        .and_then(DeValue::as_str)
        .unwrap_or(key)
}

fn is_optional(value: &DeValue<'_>) -> bool {
    value
        .as_table()
        .and_then(|table| entry(table, "optional"))
        .and_then(DeValue::as_bool)
        == Some(true)
}

fn table<'a, 'i>(holder: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    entry(holder, key).and_then(|value| value.as_table())
}

fn entry<'a, 'i>(holder: &'a DeTable<'i>, key: &str) -> Option<&'a DeValue<'i>> {
    holder
        .iter()
        .find(|(name, _)| name.get_ref() == key)
        .map(|(_, value)| Spanned::get_ref(value))
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()[..span.start.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::super::places_found;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        places_found(arrows, &[("crates/a/Cargo.toml", text)])
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found_in_every_form() {
        for arrow in [
            "[dependencies]\naurora-gateway.workspace = true",
            "[dependencies]\naurora-gateway = { path = \"../gateway\" }",
            "[dependencies]\nserver = { package = \"aurora-gateway\", path = \"../gateway\" }",
            "[build-dependencies]\naurora-gateway.workspace = true",
            "[dev-dependencies]\naurora-gateway.workspace = true",
            "[target.'cfg(unix)'.dependencies]\naurora-gateway.workspace = true",
            "[dependencies]\naurora-testkit.workspace = true",
        ] {
            let text = format!("[package]\nname = \"aurora-client\"\n{arrow}\n");
            assert_eq!(found(&text), ["crates/a/Cargo.toml:4"], "{arrow}");
        }
    }

    #[test]
    fn arrows_in_the_table_the_testkit_of_tests_and_foreign_packages_are_fine() {
        let text = "[package]\nname = \"aurora-client\"\n[dependencies]\naurora-chat.workspace = true\nbytes = \"1\"\n\
                    [dev-dependencies]\naurora-testkit.workspace = true\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn the_engine_is_optional_where_it_must_be() {
        let manifest = |value: &str| {
            format!("[package]\nname = \"aurora-gateway\"\n[dependencies]\naurora-local = {value}\n")
        };
        assert_eq!(
            found(&manifest("{ workspace = true }")),
            ["crates/a/Cargo.toml:4"]
        );
        assert!(found(&manifest("{ workspace = true, optional = true }")).is_empty());
    }

    #[test]
    fn a_package_without_a_row_a_broken_manifest_and_no_package_at_all_are_found() {
        assert_eq!(
            found("[package]\nname = \"aurora-new\"\n"),
            ["crates/a/Cargo.toml:1"]
        );
        assert_eq!(found("[package]\nname = \n"), ["crates/a/Cargo.toml:2"]);
        assert_eq!(
            places_found(arrows, &[("elsewhere/a/Cargo.toml", "")]),
            ["Cargo.toml:1"]
        );
    }

    #[test]
    fn the_table_has_no_cycle() {
        // Rows may only point at rows from which there is no way back.
        fn reaches(from: &str, to: &str) -> bool {
            let row = TABLE.iter().find(|(name, _)| *name == from).unwrap();
            row.1.iter().any(|next| *next == to || reaches(next, to))
        }
        for (name, _) in TABLE {
            assert!(!reaches(name, name), "{name}");
        }
    }
}
