//! Bytes as text: which encoding they are in, and whether they are text at all.
//!
//! A byte order mark decides, then what the caller or an HTML page says, then UTF-8 where the bytes are that, then a guess
//! by the bytes' statistics, as browsers make it. What is no character becomes U+FFFD, and the caller is told; where there is
//! much of it, it is no text.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

/// A text, and how it was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// The encoding's name in the WHATWG's Encoding Standard.
    pub(crate) encoding: &'static str,
    /// How many places held no character.
    pub(crate) damaged: usize,
}

/// One place in so many may hold no character, or a control character.
const DAMAGE: usize = 100;

/// How far into a page its declaration is looked for: HTML, 13.2.3.2.
const PRESCAN: usize = 1024;

/// The text of these bytes; line ends are line feeds. `declared` is what is to be taken for granted.
///
/// # Errors
/// What the bytes are instead, for a person.
pub(crate) fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> Result<Decoded, String> {
    if let Some(kind) = foreign(bytes) {
        return Err(format!("{kind}, not text"));
    }
    let mark = Encoding::for_bom(bytes);
    let encoding = match (mark, declared) {
        (Some((encoding, _)), _) | (None, Some(encoding)) => encoding,
        (None, None) => {
            if let Some(at) = memchr::memchr(0, bytes) {
                return Err(format!("not text: there is a zero byte at {at}"));
            }
            guess(bytes)
        }
    };
    let (text, _, _) = encoding.decode(bytes);
    let damaged = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    let controls = text.chars().filter(|c| is_control(*c)).count();
    let chars = text.chars().count();
    if text.contains('\0') || (damaged + controls) * DAMAGE > chars.max(DAMAGE) {
        return Err(format!(
            "not text: {} of {chars} characters are none, even in the likeliest encoding, {} (--encoding names another)",
            damaged + controls,
            encoding.name()
        ));
    }
    Ok(Decoded {
        text: text.replace("\r\n", "\n").replace('\r', "\n"),
        encoding: encoding.name(),
        damaged,
    })
}

/// The encoding of bytes that have no mark.
fn guess(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let guessed = detector.guess(None, Utf8Detection::Allow);
    if guessed != UTF_8 && guessed != ISO_2022_JP && is_nearly_utf8(bytes) {
        return UTF_8;
    }
    guessed
}

/// Whether bytes are UTF-8 but for some damage: one wrong byte would make all of it gibberish in another encoding.
fn is_nearly_utf8(bytes: &[u8]) -> bool {
    let (mut right, mut wrong) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        right += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    right > wrong * 20
}

/// The encoding that a page names itself, in a `meta` element or an XML declaration.
pub(crate) fn declared_in_page(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(PRESCAN)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = ["charset=", "encoding="]
        .iter()
        .find_map(|name| head.split_once(name).map(|(_, value)| value))?;
    let label = value
        .trim_start_matches(['"', '\'', ' '])
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')))
        .next()?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // Whoever wrote this in ASCII did not mean UTF-16, and what is UTF-8 is, whatever is said.
    let not_it = encoding == UTF_16LE || encoding == UTF_16BE;
    if not_it || (encoding != ISO_2022_JP && std::str::from_utf8(bytes).is_ok()) {
        return Some(UTF_8);
    }
    Some(encoding)
}

/// What is no text, by its first bytes.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x89, b'P', b'N', b'G', ..] => "a PNG image",
        [0xff, 0xd8, 0xff, ..] => "a JPEG image",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "a GIF image",
        [b'P', b'K', 3, 4, ..] => {
            "a ZIP archive (or EPUB, DOCX and the like, which pandoc -t markdown makes text of)"
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "an old Office document",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "a bzip2 archive",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "an xz archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a Zstandard archive",
        [0x7f, b'E', b'L', b'F', ..] => "a program",
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => "UTF-32",
        [b'{', b'\\', b'r', b't', b'f', ..] => "RTF (pandoc -t markdown makes text of it)",
        [b'%', b'!', b'P', b'S', ..] => "PostScript",
        _ => return None,
    })
}

/// Whether a character is one that texts do not have. Tabs, line and page breaks are text; so, in old ones, are backspaces and
/// the escape sequences of terminals.
fn is_control(c: char) -> bool {
    c.is_control()
        && !matches!(
            c,
            '\t' | '\n' | '\r' | '\u{8}' | '\u{b}' | '\u{c}' | '\u{1b}' | '\u{85}'
        )
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, GB18030, SHIFT_JIS, WINDOWS_1252};

    use super::*;

    const CHINESE: &str = "红楼梦第一回：甄士隐梦幻识通灵，贾雨村风尘怀闺秀。此开卷第一回也。作者自云：因曾历过一番梦幻之后，故将真事隐去。";
    const TRADITIONAL: &str = "紅樓夢第一回：甄士隱夢幻識通靈，賈雨村風塵懷閨秀。此開卷第一回也。作者自云：因曾歷過一番夢幻之後，故將真事隱去。";
    const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。";
    const FRENCH: &str = "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux se fermaient.";

    #[test]
    fn encodings_are_found_by_their_bytes() {
        for (text, encoding) in [
            (CHINESE, GB18030),
            (TRADITIONAL, BIG5),
            (JAPANESE, SHIFT_JIS),
            (JAPANESE, EUC_JP),
            (JAPANESE, ISO_2022_JP),
            (FRENCH, WINDOWS_1252),
            (CHINESE, UTF_8),
        ] {
            let (bytes, _, lost) = encoding.encode(text);
            assert!(!lost, "{}", encoding.name());
            let decoded = decode(&bytes, None).unwrap();
            assert_eq!(
                (decoded.text.as_str(), decoded.damaged),
                (text, 0),
                "{}",
                encoding.name()
            );
        }
    }

    #[test]
    fn a_byte_order_mark_decides_and_is_left_out() {
        let utf16: Vec<u8> = "\u{feff}雪\r\nx"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let swapped: Vec<u8> = "\u{feff}雪\rx"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [utf16, swapped, "\u{feff}雪\nx".into()] {
            assert_eq!(decode(&bytes, None).unwrap().text, "雪\nx");
        }
    }

    #[test]
    fn some_damage_is_told_and_does_not_change_the_encoding() {
        let mut bytes = CHINESE.repeat(4).into_bytes();
        bytes.insert(300, 0xff);
        bytes.insert(30, 0xff);
        let decoded = decode(&bytes, None).unwrap();
        assert_eq!((decoded.encoding, decoded.damaged), ("UTF-8", 2));
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, what) in [
            (&b"\x89PNG\r\n"[..], "PNG"),
            (b"PK\x03\x04\x14", "ZIP"),
            (b"a\0b", "zero byte at 1"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"\x01\x02\x03\x04\x05\x06 some\x07\x0e\x0f", "not text"),
        ] {
            let error = decode(bytes, None).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        // Whatever noise is taken for, it is no text.
        let mut state = 1u32;
        let noise: Vec<u8> = (0..4096)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 | 1
            })
            .collect();
        assert!(decode(&noise, None).is_err());
    }

    #[test]
    fn a_page_may_say_what_it_is() {
        // Not 雪 alone, whose bytes happen to be UTF-8 too.
        let (bytes, _, _) = GB18030.encode("<meta charset=\"gb2312\"><p>雪停了</p>");
        assert_eq!(declared_in_page(&bytes).map(Encoding::name), Some("GBK"));
        let decoded = decode(&bytes, declared_in_page(&bytes)).unwrap();
        assert!(decoded.text.contains("雪停了"), "{}", decoded.text);
        assert_eq!(
            declared_in_page(b"<?xml version='1.0' encoding='ISO-8859-1'?>\xe9").map(Encoding::name),
            Some("windows-1252")
        );
        assert_eq!(
            declared_in_page("<meta charset=big5>雪".as_bytes()).map(Encoding::name),
            Some("UTF-8")
        );
        assert_eq!(declared_in_page(b"<p>charset"), None);
    }
}
