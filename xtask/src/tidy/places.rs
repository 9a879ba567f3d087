//! Rules about places: nothing in the repository depends on where it lies or on who serves its packages.

use super::Finding;
use super::tree::{Tree, numbered};

/// Folders at the top of a file system that belong to one machine. Without slashes, so that this file does not find
/// itself.
const MACHINE_FOLDERS: [&str; 5] = ["work", "root", "farm", "home", "Users"];

/// Hosts of package registries, split for the same reason. A mirror is configured where the tool is, never here.
const REGISTRY_HOSTS: [[&str; 2]; 7] = [
    ["pypi", "org"],
    ["pythonhosted", "org"],
    ["npmjs", "org"],
    ["npmjs", "com"],
    ["yarnpkg", "com"],
    ["crates", "io"],
    ["golang", "org"],
];

/// No path of the machine it was written on.
pub(super) fn machine_paths(tree: &Tree, findings: &mut Vec<Finding>) {
    forbid(
        tree,
        findings,
        &MACHINE_FOLDERS.map(|folder| format!("/{folder}/")),
        |path| format!("{path} is a place on one machine"),
        "name the place from the top of the repository, or take it from the environment",
    );
}

/// No address of a package registry, public or private.
pub(super) fn registry_hosts(tree: &Tree, findings: &mut Vec<Finding>) {
    forbid(
        tree,
        findings,
        &REGISTRY_HOSTS.map(|parts| parts.join(".")),
        |host| format!("{host} is the host of a package registry"),
        "leave the choice of a registry to cargo, pip and npm; pin the version of the package instead",
    );
}

/// Lock files are left out: cargo writes the name of the registry there.
fn forbid(
    tree: &Tree,
    findings: &mut Vec<Finding>,
    patterns: &[String],
    what: impl Fn(&str) -> String,
    remedy: &str,
) {
    for (path, text) in tree.files().filter(|(path, _)| !path.ends_with(".lock")) {
        for (line, content) in numbered(text) {
            for pattern in patterns
                .iter()
                .filter(|pattern| content.contains(pattern.as_str()))
            {
                findings.push(Finding::new(path, line, what(pattern), remedy));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::places_found;
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        for folder in MACHINE_FOLDERS {
            let text = format!("fine\ncd /{folder}/somebody\n");
            for path in ["a.rs", "README.md", ".ci/run"] {
                assert_eq!(
                    places_found(machine_paths, &[(path, &text)]),
                    [format!("{path}:2")],
                    "{folder}"
                );
            }
        }
        assert!(
            places_found(
                machine_paths,
                &[("a.md", "/tmp/aurora, /usr/bin/env, crates/work\n")]
            )
            .is_empty()
        );
    }

    #[test]
    fn a_registry_is_found_in_any_file_but_a_lock_file() {
        for parts in REGISTRY_HOSTS {
            let text = format!("index-url = https://{}/simple\n", parts.join("."));
            assert_eq!(places_found(registry_hosts, &[("a.toml", &text)]), ["a.toml:1"]);
            assert!(places_found(registry_hosts, &[("Cargo.lock", &text)]).is_empty());
        }
    }
}
