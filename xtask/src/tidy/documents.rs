//! Rules about documents: they are all there, every crate is explained, and the two READMEs say the same.

use super::Finding;
use super::tree::{Tree, numbered};

/// What a newcomer looks for at the top.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// The README, and the same in Chinese.
const TWINS: [&str; 2] = ["README.md", "README.zh-CN.md"];

/// Every document is there and says something.
pub(super) fn present(tree: &Tree, findings: &mut Vec<Finding>) {
    for path in DOCUMENTS {
        if tree.text(path).is_none_or(|text| text.trim().is_empty()) {
            findings.push(Finding::new(path, 1, "is missing or empty", "write it"));
        }
    }
}

/// Every crate has its place in the map.
pub(super) fn crates_explained(tree: &Tree, findings: &mut Vec<Finding>) {
    const MAP: &str = "ARCHITECTURE.md";
    let map = tree.text(MAP).unwrap_or_default();
    for (path, _) in tree.files().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let folder = path.trim_end_matches("/Cargo.toml");
        if folder.starts_with("crates/") && !map.contains(&format!("`{folder}`")) {
            findings.push(Finding::new(
                MAP,
                1,
                format!("says nothing about {folder}"),
                format!("add what `{folder}` is for and what must never be in it"),
            ));
        }
    }
}

/// The two READMEs have the same headings, level by level, and the same code, byte by byte.
pub(super) fn twins(tree: &Tree, findings: &mut Vec<Finding>) {
    let [ours, theirs] = TWINS.map(|path| Outline::of(tree.text(path).unwrap_or_default()));
    let [path, other] = TWINS;
    compare(findings, "heading", &ours.headings, &theirs.headings, |level| {
        format!("a heading of level {level}")
    });
    compare(findings, "code block", &ours.blocks, &theirs.blocks, |block| {
        format!("the code {block:?}")
    });
    for (path, outline) in [(path, &ours), (other, &theirs)] {
        if let Some(line) = outline.open_block {
            findings.push(Finding::new(
                path,
                line,
                "a code block is not closed",
                "close it with ```",
            ));
        }
    }
}

/// Reports the first place where the twins part; what follows would only be its echo.
fn compare<T: PartialEq>(
    findings: &mut Vec<Finding>,
    what: &str,
    ours: &[(usize, T)],
    theirs: &[(usize, T)],
    show: impl Fn(&T) -> String,
) {
    let [path, other] = TWINS;
    for index in 0..ours.len().max(theirs.len()) {
        let number = index + 1;
        let finding = match (ours.get(index), theirs.get(index)) {
            (Some((_, a)), Some((_, b))) if a == b => continue,
            (Some((line, a)), Some((there, b))) => {
                let remedy = format!("{path}:{line} has {}; make them equal", show(a));
                Finding::new(other, *there, format!("{what} {number} is {}", show(b)), remedy)
            }
            (Some((line, a)), None) => {
                let remedy = format!("add to {other} what stands in {path}:{line}");
                Finding::new(
                    other,
                    1,
                    format!("{what} {number} is missing: {}", show(a)),
                    remedy,
                )
            }
            (None, Some((there, b))) => {
                let remedy = format!("add to {path} what stands in {other}:{there}");
                Finding::new(
                    path,
                    1,
                    format!("{what} {number} is missing: {}", show(b)),
                    remedy,
                )
            }
            (None, None) => return,
        };
        findings.push(finding);
        return;
    }
}

/// What two translations of a text have in common, each with its line.
#[derive(Debug, Default)]
struct Outline {
    /// The levels of the headings.
    headings: Vec<(usize, usize)>,
    /// The fenced blocks, from the word behind the opening fence.
    blocks: Vec<(usize, String)>,
    /// Where a block opens that nothing closes.
    open_block: Option<usize>,
}

impl Outline {
    fn of(text: &str) -> Self {
        let mut outline = Self::default();
        for (line, content) in numbered(text) {
            let fence = content.trim_start().strip_prefix("```");
            match (outline.open_block, fence) {
                (None, Some(language)) => {
                    outline.open_block = Some(line);
                    outline.blocks.push((line, format!("{}\n", language.trim())));
                }
                (None, None) => {
                    let level = content.chars().take_while(|c| *c == '#').count();
                    if (1..=6).contains(&level) && content[level..].starts_with(' ') {
                        outline.headings.push((line, level));
                    }
                }
                (Some(_), Some(_)) => outline.open_block = None,
                (Some(_), None) => {
                    if let Some((_, block)) = outline.blocks.last_mut() {
                        block.push_str(content);
                        block.push('\n');
                    }
                }
            }
        }
        outline
    }
}

#[cfg(test)]
mod tests {
    use super::super::places_found;
    use super::*;

    const ENGLISH: &str = "# Title\n\nText.\n\n```sh\n# no heading\nls\n```\n\n## More\n\n```sh\ncd\n```\n";

    fn found(chinese: &str) -> Vec<String> {
        places_found(twins, &[(TWINS[0], ENGLISH), (TWINS[1], chinese)])
    }

    #[test]
    fn a_document_that_is_missing_or_empty_is_found() {
        let all: Vec<(&str, &str)> = DOCUMENTS.iter().map(|path| (*path, "text")).collect();
        assert!(places_found(present, &all).is_empty());
        for path in DOCUMENTS {
            let expected = [format!("{path}:1")];
            let without: Vec<_> = all.iter().filter(|(name, _)| *name != path).copied().collect();
            assert_eq!(places_found(present, &without), expected);
            let empty: Vec<_> = without.iter().copied().chain([(path, " \n")]).collect();
            assert_eq!(places_found(present, &empty), expected);
        }
    }

    #[test]
    fn a_crate_that_the_map_leaves_out_is_found() {
        let files = [
            ("ARCHITECTURE.md", "`crates/a` does a.\n"),
            ("crates/a/Cargo.toml", ""),
            ("crates/b/Cargo.toml", ""),
        ];
        assert_eq!(places_found(crates_explained, &files), ["ARCHITECTURE.md:1"]);
        assert!(places_found(crates_explained, &files[..2]).is_empty());
    }

    #[test]
    fn a_translation_is_fine_where_headings_and_code_are_equal() {
        assert!(
            found("# 标题\n\n文字。\n\n```sh\n# no heading\nls\n```\n\n## 更多\n```sh\ncd\n```\n").is_empty()
        );
    }

    #[test]
    fn a_translation_that_fell_behind_is_found() {
        let code = "```sh\n# no heading\nls\n```\n";
        // A heading less, a heading of another level, a heading more.
        assert_eq!(
            found(&format!("# 标题\n{code}```sh\ncd\n```\n")),
            ["README.zh-CN.md:1"]
        );
        assert_eq!(
            found(&format!("# 标题\n{code}### 更多\n```sh\ncd\n```\n")),
            ["README.zh-CN.md:6"]
        );
        assert_eq!(
            found(&format!("# 标题\n{code}## 更多\n```sh\ncd\n```\n## 还有\n")),
            ["README.md:1"]
        );
        // Other code, another language of it, a block less.
        assert_eq!(
            found("# 标题\n```sh\n# no heading\nls -l\n```\n## 更多\n```sh\ncd\n```\n"),
            ["README.zh-CN.md:2"]
        );
        assert_eq!(
            found(&format!("# 标题\n{code}## 更多\n```bash\ncd\n```\n")),
            ["README.zh-CN.md:7"]
        );
        assert_eq!(found(&format!("# 标题\n{code}## 更多\n")), ["README.zh-CN.md:1"]);
        // A block that nothing closes swallows the rest.
        assert_eq!(
            found(&format!("# 标题\n{code}## 更多\n```sh\ncd\n")),
            ["README.zh-CN.md:7"]
        );
    }
}
