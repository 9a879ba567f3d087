//! PDFs of a few objects, as text: what is read of them, and which are refused.

use aurora_testkit::documents::pdf as file;

fn text(file: Vec<u8>) -> Result<String, String> {
    super::text(file).map(|(text, _)| text)
}

#[test]
fn text_is_read_with_its_headings_and_paragraphs() {
    let page = "BT /F1 24 Tf 72 720 Td (A Lighthouse) Tj ET\n\
                BT /F1 11 Tf 72 680 Td 14 TL (The keeper climbed the stairs) Tj T* (every evening and lit the) Tj T* (lamp.) Tj ET\n\
                BT /F1 11 Tf 72 620 Td [(He wr) -20 (ote the w) 30 (eather) -400 (down.)] TJ ET";
    assert_eq!(
        text(file(&[page])).as_deref(),
        Ok(
            "# A Lighthouse\n\nThe keeper climbed the stairs\nevery evening and lit the\nlamp.\n\nHe wrote the weather down.\n"
        )
    );
}

#[test]
fn pages_follow_one_another() {
    let page = |words: &str| format!("BT /F1 11 Tf 72 700 Td ({words}) Tj ET");
    let pages = [
        page("It goes on and"),
        page("on over the page."),
        page("A new one."),
    ];
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    assert_eq!(
        text(file(&pages)).as_deref(),
        Ok("It goes on and\non over the page.\n\nA new one.\n")
    );
}

#[test]
fn files_without_text_are_told_from_damaged_ones() {
    assert!(text(file(&["0 0 m 10 10 l S"])).is_err_and(|what| what.contains("without text")));
    for bytes in [&b"%PDF-1.4\n"[..], b"%PDF-1.4\n1 0 obj\n<<", b""] {
        assert!(text(bytes.to_vec()).is_err(), "{bytes:?}");
    }
    // An inline image, and nothing else.
    let image = "q 100 0 0 100 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u{7f} EI Q";
    assert!(text(file(&[image])).is_err_and(|what| what.contains("pictures")));
}

#[test]
fn pages_that_are_pictures_are_remarked_on() {
    let words = "BT /F1 11 Tf 72 700 Td (Volume 3) Tj ET";
    let picture = |width: u32| format!("q {width} 0 0 700 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u{7f} EI Q");
    let with_words = |picture: String| format!("{picture}\n{words}");
    let long = format!(
        "BT /F1 11 Tf 72 700 Td ({}) Tj ET",
        "Text over a picture. ".repeat(5)
    );
    let remark = |pages: &[String]| {
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        super::text(file(&pages)).unwrap().1
    };
    let scan = with_words(picture(600));
    let plain = words.replace("Volume 3", "The keeper");
    let illustrated = format!("{}\n{plain}", picture(300));
    let written_over = format!("{}\n{long}", picture(600));
    assert_eq!(remark(&[plain, illustrated.clone(), written_over]), None);
    let two = remark(&[scan.clone(), picture(600), illustrated.clone()]).unwrap();
    assert!(two.starts_with("of its 3 pages 2 are pictures"), "{two}");
    let one = remark(&[illustrated, scan]).unwrap();
    assert!(one.starts_with("of its 2 pages 1 is a picture,"), "{one}");
}

#[test]
fn chinese_is_read_as_it_is_written() {
    let hex: String = "灯塔看守人每晚点灯。"
        .encode_utf16()
        .map(|unit| format!("{unit:04X}"))
        .collect();
    let page = format!("BT /F2 12 Tf 72 700 Td <{hex}> Tj ET");
    assert_eq!(text(file(&[&page])).as_deref(), Ok("灯塔看守人每晚点灯。\n"));
}
