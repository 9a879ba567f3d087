//! What a file or a pipe holds: text, or an image that is known by its first bytes.

use std::io::Read;

use aurora_chat::Part;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The largest text.
const MAX_TEXT: usize = 16 << 20;

/// The largest image: what most providers take.
const MAX_IMAGE: usize = 20 << 20;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Text(String),
    Image(Image),
}

/// An image as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// The whole image as a `data:` address (RFC 2397).
    pub(super) url: String,
}

impl Image {
    /// The part of a message, as the chat completions API wants it.
    pub(super) fn into_part(self) -> Part {
        match json!({"type": "image_url", "image_url": {"url": self.url}}) {
            Value::Object(part) => Part::Other(part),
            _ => unreachable!("it is written as an object one line above"),
        }
    }
}

/// Reads all of it.
///
/// # Errors
/// What is wrong with it, for a person: it cannot be read, is too large, or is neither text nor an image.
pub(super) fn read(from: impl Read) -> Result<Input, String> {
    let mut bytes = Vec::new();
    from.take(MAX_IMAGE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    match media_type(&bytes) {
        Some(media) => image(media, &bytes).map(Input::Image),
        None => text(bytes).map(Input::Text),
    }
}

/// The kinds of images that models are made for, by their signatures: PNG (specification, 5.2), JPEG (SOI and the marker
/// after it), GIF (89a, 17), WebP (RIFF container).
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn image(media: &str, bytes: &[u8]) -> Result<Image, String> {
    if bytes.len() > MAX_IMAGE {
        return Err(format!(
            "an image larger than the limit of {} MiB",
            MAX_IMAGE >> 20
        ));
    }
    let mut url = format!("data:{media};base64,");
    STANDARD.encode_string(bytes, &mut url);
    Ok(Image { url })
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > MAX_TEXT {
        return Err(format!("larger than the limit of {} MiB", MAX_TEXT >> 20));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(format!(
            "neither text nor a PNG, JPEG, GIF or WebP image: there is a zero byte at {at}"
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not UTF-8 text: byte {at} begins no character (iconv -f … -t UTF-8 converts it)")
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_text_within_the_limit_is_read() {
        assert_eq!(read("käse".as_bytes()), Ok(Input::Text("käse".to_owned())));
        assert!(read(&b"a\0b"[..]).is_err_and(|what| what.contains("zero byte at 1")));
        assert!(read(&b"ab\xff"[..]).is_err_and(|what| what.contains("byte 2")));
        assert!(read(io::repeat(b'a')).is_err_and(|what| what.contains("16 MiB")));
        assert!(read(io::repeat(b'a').take(MAX_TEXT as u64)).is_ok());
    }

    #[test]
    fn images_are_known_by_their_first_bytes_and_sent_whole() {
        for (bytes, url) in [
            (&b"\x89PNG\r\n\x1a\n\0"[..], "data:image/png;base64,iVBORw0KGgoA"),
            (b"\xff\xd8\xff\xe0", "data:image/jpeg;base64,/9j/4A=="),
            (b"GIF89a", "data:image/gif;base64,R0lGODlh"),
            (
                b"RIFF\x01\x02\x03\x04WEBP",
                "data:image/webp;base64,UklGRgECAwRXRUJQ",
            ),
        ] {
            assert_eq!(read(bytes), Ok(Input::Image(Image { url: url.to_owned() })));
        }
        for text in ["GIF8 is short", "RIFF", "PNG"] {
            assert!(matches!(read(text.as_bytes()), Ok(Input::Text(_))), "{text}");
        }
        let large = b"GIF89a".chain(io::repeat(0));
        assert!(read(large).is_err_and(|what| what.contains("20 MiB")));
    }
}
