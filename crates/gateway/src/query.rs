//! The part of an address after the question mark.

use http::Uri;

use crate::Refusal;
use crate::route::percent_decode;

/// The first parameter of this name, decoded; `None` where it is missing or empty.
///
/// # Errors
/// It is no text.
pub(crate) fn parameter(uri: &Uri, name: &str) -> Option<Result<String, Refusal>> {
    let value = uri
        .query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(known, _)| *known == name)?
        .1;
    if value.is_empty() {
        return None;
    }
    let refusal = || {
        let message = format!("the parameter {name} is not percent-encoded UTF-8");
        Refusal::invalid(400, message, Some(name), Some("invalid_parameter"))
    };
    Some(percent_decode(&value.replace('+', " ")).ok_or_else(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let uri: Uri = "/x?a=1&b=%2Fx+y&c=&d&e=%zz&a=2".parse().expect("a URI");
        let read = |name| parameter(&uri, name).map(|value| value.map_err(|refusal| refusal.status()));
        assert_eq!(read("a"), Some(Ok("1".to_owned())));
        assert_eq!(read("b"), Some(Ok("/x y".to_owned())));
        assert_eq!(read("c"), None);
        assert_eq!(read("d"), None);
        assert_eq!(read("e"), Some(Err(400)));
        assert_eq!(read("f"), None);
    }
}
