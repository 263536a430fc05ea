//! The parts of a page that can be held against the checkout.

use crate::files::{self, Source};

/// Every page of the book, and the README.
pub(super) fn pages() -> Vec<Source> {
    let mut pages = files::ending(&[".md"]);
    pages.retain(|page| page.path.starts_with("docs/src/") || page.path == "README.md");
    assert!(pages.len() > 10, "the book has chapters");
    pages
}

/// The page of this name in the book.
pub(super) fn page(name: &str) -> Source {
    let path = format!("docs/src/{name}");
    let page = pages().into_iter().find(|page| page.path == path);
    page.unwrap_or_else(|| panic!("{path} is gone"))
}

/// A fenced block: what stands behind the fence, and its text.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
}

/// The page's lines outside of fenced blocks, and the blocks.
pub(super) fn parts(text: &str) -> (Vec<&str>, Vec<Block>) {
    let (mut prose, mut blocks, mut open) = (Vec::new(), Vec::new(), None::<Block>);
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                let (language, text) = (language.trim().to_owned(), String::new());
                open = Some(Block { language, text });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => prose.push(line),
        }
    }
    assert!(open.is_none(), "a fence is not closed: {text:.100}");
    (prose, blocks)
}

/// The code spans of a line.
pub(super) fn spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The targets of a line's links and images.
pub(super) fn links(line: &str) -> Vec<&str> {
    let bare = |at: usize| line[..at].matches('`').count().is_multiple_of(2);
    let targets = line.match_indices("](").filter(|(at, _)| bare(*at));
    let target = |(at, _): (usize, &str)| line[at + 2..].split(')').next().unwrap_or_default();
    targets.map(target).collect()
}

/// The anchors of a page's headings.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let (prose, _) = parts(text);
    let headings = prose.into_iter().filter(|line| line.starts_with('#'));
    headings.map(anchor).collect()
}

fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    title
        .chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The first cells of the rows of a page's tables.
pub(super) fn first_cells(text: &str) -> Vec<String> {
    let (prose, _) = parts(text);
    let rows = prose.into_iter().filter(|line| line.starts_with("| "));
    let first = |row: &str| row.split('|').nth(1).map(|cell| cell.trim().to_owned());
    rows.filter_map(first).collect()
}

#[test]
fn a_page_is_read_as_it_is_shown() {
    let text = "# The `x` of *y*\n[a](b.md#c) `](no)`\n| `k` | v |\n```rust\n# no heading\n```\n";
    let (prose, blocks) = parts(text);
    assert_eq!(prose.len(), 3);
    assert_eq!(
        (blocks.len(), &*blocks[0].language, &*blocks[0].text),
        (1, "rust", "# no heading\n")
    );
    assert_eq!(links(prose[1]), ["b.md#c"]);
    assert_eq!(spans(prose[2]), ["k"]);
    assert_eq!(anchors(text), ["the-x-of-y"]);
    assert_eq!(first_cells(text), ["`k`"]);
}
