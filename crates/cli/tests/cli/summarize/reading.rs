//! What is read and what is refused, before anything is asked: kinds of files, encodings, pages, flags that do not fit.

use std::fs;

use aurora_testkit::{Script, documents};
use serde_json::json;

use super::{Setting, first_words, prompt, text};

#[test]
fn what_cannot_be_read_costs_no_request_and_is_named() {
    let setting = Setting::new(Script::with(first_words));
    setting.home.file("good.txt", "Text.");
    setting.home.file("empty.txt", "");
    setting.home.file("blank.txt", " \n\n");
    setting.home.file("image.txt", b"\x89PNG\r\n\x1a\n\0");
    setting.home.file("binary", b"a\0b");
    setting.home.file("broken.pdf", b"%PDF-1.4\nnonsense");
    let picture = "q 100 0 0 100 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u{7f} EI Q";
    setting.home.file("picture.pdf", documents::pdf(&[picture]));
    fs::create_dir(setting.home.path().join("folder")).unwrap();
    for (args, what) in [
        (&["missing.txt"][..], "missing.txt: No such file"),
        (&["good.txt", "empty.txt"], "empty.txt: is empty"),
        (&["good.txt", "blank.txt"], "blank.txt: has no text"),
        (&["image.txt"], "image.txt: a PNG image"),
        (&["binary"], "binary: not text"),
        (&["broken.pdf"], "broken.pdf: a PDF that is damaged"),
        (&["picture.pdf"], "picture.pdf: a PDF that has pictures"),
        (&["folder"], "folder: is a folder"),
        (&["-", "-"], "can be read once"),
        (&["https://example.org/"], "addresses are not fetched"),
        (&["good.txt", "--part-tokens", "9000"], "--part-tokens 9000"),
        (&["good.txt", "--words", "9000"], "no room for a summary"),
        (&["good.txt", "--encoding", "klingon"], "no encoding"),
        (&["good.txt", "-c"], "--continue"),
        (&["good.txt", "-f", "good.txt"], "--file"),
        (&["good.txt", "--record", "x"], "--record"),
    ] {
        let run = setting.run(args);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{args:?} {run:?}");
        assert!(run.err.contains(what), "{args:?} {run:?}");
        let run = setting.run(&[args, &["--json"]].concat());
        let lines = run.json();
        assert_eq!(
            (run.code, &lines.last().unwrap()["error"]["kind"]),
            (Some(2), &json!("usage")),
            "{run:?}"
        );
    }
    assert_eq!(setting.asked(), 0);
    let empty = setting
        .home
        .pipe(b"", &setting.args(&setting.upstream.url(), &[]));
    assert_eq!(empty.code, Some(2), "{empty:?}");
    assert!(empty.err.contains("standard input: is empty"), "{empty:?}");
}

#[test]
fn pages_pdfs_and_old_encodings_are_read() {
    let setting = Setting::new(Script::with(first_words));
    let page = "<html><head><title>T</title><script>x()</script></head><body><nav>Menu</nav><h1>Boats</h1><p>They &amp; sails.";
    setting.home.file("page.html", page);
    let page = "BT /F1 24 Tf 72 720 Td (Boats) Tj ET BT /F1 11 Tf 72 680 Td (They sail.) Tj ET";
    setting.home.file("boats.pdf", documents::pdf(&[page]));
    setting.home.file(
        "old.txt",
        b"caf\xe9 et th\xe9 au lait, d\xe9j\xe0 vu, \xe0 bient\xf4t".as_slice(),
    );
    setting.home.file("gb.txt", b"\xba\xec\xc2\xa5\xc3\xce\xb5\xda\xd2\xbb\xbb\xd8\xa3\xac\xb4\xcb\xbf\xaa\xbe\xed\xb5\xda\xd2\xbb\xbb\xd8\xd2\xb2\xa1\xa3".as_slice());
    for (args, expected) in [
        (&["page.html"][..], "# Boats\n\nThey & sails."),
        (&["boats.pdf"], "# Boats\n\nThey sail."),
        (&["old.txt"], "café et thé au lait, déjà vu, à bientôt"),
        (&["gb.txt"], "红楼梦第一回，此开卷第一回也。"),
        (
            &["gb.txt", "--encoding", "gb18030"],
            "红楼梦第一回，此开卷第一回也。",
        ),
    ] {
        let run = setting.run(&[args, &["--no-cache"]].concat());
        assert_eq!(run.code, Some(0), "{args:?} {run:?}");
        let requests = setting.upstream.requests();
        assert_eq!(text(requests.last().unwrap()), expected, "{args:?}");
    }
    let url = setting.upstream.url();
    let run = setting.home.pipe(b"From a pipe.", &setting.args(&url, &["-"]));
    assert_eq!(run.out, "- From a pipe.\n", "{run:?}");
}

#[test]
fn what_of_a_document_is_not_read_is_said() {
    let setting = Setting::new(Script::with(first_words));
    let page = "BT /F1 11 Tf 72 680 Td (They sail.) Tj ET";
    let scan = "q 600 0 0 700 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u{7f} EI Q";
    setting
        .home
        .file("scans.pdf", documents::pdf(&[page, scan, scan]));
    let run = setting.run(&["scans.pdf"]);
    assert_eq!(
        (run.code, run.out.as_str()),
        (Some(0), "- They sail.\n"),
        "{run:?}"
    );
    let remark = "scans.pdf: of its 3 pages 2 are pictures";
    assert!(run.err.contains(remark), "{run:?}");
}

#[test]
#[ignore = "needs AURORA_TEST_BOOK, the path of a book's text, which .ci/run sets"]
fn every_word_of_a_book_is_read_once() {
    let book = std::env::var_os("AURORA_TEST_BOOK").expect("AURORA_TEST_BOOK is set");
    let setting = Setting::new(Script::with(first_words));
    let run = setting.run(&[book.to_str().unwrap(), "--part-tokens", "1024", "-j", "8"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.starts_with("- "), "{run:?}");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let book = words(fs::read_to_string(book).unwrap().trim_start_matches('\u{feff}'));
    let requests = setting.upstream.requests();
    let parts = requests
        .iter()
        .filter(|request| prompt(request).starts_with("Here is a text"));
    let mut parts: Vec<(usize, String)> = parts
        .map(|request| words(&text(request)))
        .map(|part| (book.find(&part).expect("it stands in the book"), part))
        .collect();
    parts.sort();
    assert!(parts.len() > 50, "{}", parts.len());
    let read: Vec<&str> = parts.iter().map(|(_, part)| part.as_str()).collect();
    assert!(read.join(" ") == book, "{} parts are not the book", parts.len());
}
