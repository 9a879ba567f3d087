//! The units people write in flags and in the configuration file: durations, deadlines, sizes, web addresses.
//!
//! Pure text in, values out. Every parser has a bound, and says in its error what would be right.

use std::ops::RangeInclusive;
use std::time::Duration;

use aurora_client::OnDrop;

use crate::args::EditKeys;

/// The longest duration that is accepted: far beyond any use, and small enough that adding it to a clock is safe.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads `500ms`, `1.5s`, `2m`, `1h`, or a bare number of seconds.
///
/// # Errors
/// A message that shows the forms that are understood; also for anything over 366 days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit.trim_start() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(not_a_duration(text)),
    };
    let number: f64 = number.parse().map_err(|_| not_a_duration(text))?;
    match Duration::try_from_secs_f64(number * seconds_per_unit) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) | Err(_) => Err(format!("\"{text}\" is too long; at most 366 days")),
    }
}

/// Reads a deadline: a duration, or `off` or 0 for none.
///
/// # Errors
/// As for [`duration`].
pub(crate) fn deadline(text: &str) -> Result<Option<Duration>, String> {
    if text.trim() == "off" {
        return Ok(None);
    }
    let duration = duration(text).map_err(|error| format!("{error}; off is none"))?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// Reads a number of bytes: `16MiB`, `64KiB`, `1GiB`, `2MB`, or a bare number. At least 1.
///
/// # Errors
/// A message that shows the forms that are understood.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let wrong = || format!("\"{text}\" is not a size; write it like 16MiB, 64KiB or 1048576");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let bytes_per_unit: usize = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    match number.checked_mul(bytes_per_unit) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        Some(_) | None => Err(wrong()),
    }
}

/// Reads a whole number in a range.
///
/// # Errors
/// A message that names the range.
pub(crate) fn whole(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.trim().parse().ok();
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        format!(
            "\"{text}\" is not a whole number from {} to {}",
            range.start(),
            range.end()
        )
    })
}

/// Writes a duration the way [`duration`] reads it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// Writes a deadline the way [`deadline`] reads it.
pub(crate) fn show_deadline(deadline: Option<Duration>) -> String {
    deadline.map_or_else(|| "off".to_owned(), show_duration)
}

/// Writes a size the way [`size`] reads it.
pub(crate) fn show_size(bytes: usize) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        _ => bytes.to_string(),
    }
}

/// Reads a variable that turns something on or off.
///
/// # Errors
/// A message that names the choices.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(format!("\"{text}\" is neither \"on\" nor \"off\"")),
    }
}

/// The keys at the prompt of a chat.
///
/// # Errors
/// A message that names the choices.
pub(crate) fn edit_keys(text: &str) -> Result<EditKeys, String> {
    match text {
        "emacs" => Ok(EditKeys::Emacs),
        "vi" => Ok(EditKeys::Vi),
        _ => Err(format!("\"{text}\" is neither \"emacs\" nor \"vi\"")),
    }
}

/// As [`edit_keys`] reads it.
pub(crate) fn show_edit_keys(keys: EditKeys) -> &'static str {
    match keys {
        EditKeys::Emacs => "emacs",
        EditKeys::Vi => "vi",
    }
}

/// What is done about an answer whose connection is lost.
///
/// # Errors
/// A message that names the choices.
pub(crate) fn on_drop(text: &str) -> Result<OnDrop, String> {
    match text {
        "stop" => Ok(OnDrop::Stop),
        "continue" => Ok(OnDrop::Continue),
        _ => Err(format!("\"{text}\" is neither \"stop\" nor \"continue\"")),
    }
}

/// As [`on_drop`] reads it.
pub(crate) fn show_on_drop(on_drop: OnDrop) -> &'static str {
    match on_drop {
        OnDrop::Continue => "continue",
        _ => "stop",
    }
}

/// Checks the address of an API (`https://host/v1`) and removes a slash at its end.
///
/// # Errors
/// A message that says which part is missing or must not be there. It does not repeat the address where that holds
/// a user name or a query, since those may be secrets.
pub(crate) fn base_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let rest = strip_scheme(text).ok_or_else(|| {
        let shown = if text.contains(['@', '?']) { "the address" } else { text };
        format!("{shown} is not a web address; it starts with http:// or https://, such as https://api.openai.com/v1")
    })?;
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            "a web address with a user name in it is refused; give the key with api_key_env or \
                    AURORA_API_KEY"
                .to_owned(),
        );
    }
    if text.contains(['?', '#']) {
        return Err(
            "the base address has a query or a fragment; it ends with the version part, such as /v1"
                .to_owned(),
        );
    }
    if authority.is_empty()
        || authority.starts_with(':')
        || text.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(format!(
            "{text:?} is not a web address: no host, or a space in it"
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether the text is meant to be a web address rather than a name.
pub(crate) fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// The host and port of an address that [`base_url`] accepted, in lower case.
pub(crate) fn authority(url: &str) -> String {
    let rest = strip_scheme(url).unwrap_or_default();
    rest.split('/').next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether two accepted addresses have the same scheme, host and port: what may share a key.
pub(crate) fn same_origin(one: &str, other: &str) -> bool {
    origin(one) == origin(other)
}

fn origin(url: &str) -> (bool, String) {
    let secure = url
        .get(..8)
        .is_some_and(|head| head.eq_ignore_ascii_case("https://"));
    let mut authority = authority(url);
    let default_port = if secure { ":443" } else { ":80" };
    if let Some(host) = authority.strip_suffix(default_port) {
        authority = host.to_owned();
    }
    (secure, authority)
}

fn strip_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    })
}

fn not_a_duration(text: &str) -> String {
    format!("\"{text}\" is not a duration; write it like 500ms, 10s, 2m, or 45 for seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_bare_numbers_are_seconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("45"), Ok(Duration::from_secs(45)));
        for wrong in ["", "s", "-1s", "1d", "1 2s", "1e9", "..", "367h s", "off", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
        assert!(duration("99999999h").is_err(), "beyond the bound");
    }

    #[test]
    fn switches_are_on_or_off() {
        assert_eq!(
            (switch("on"), switch("TRUE"), switch(" 1")),
            (Ok(true), Ok(true), Ok(true))
        );
        assert_eq!(
            (switch("off"), switch("no"), switch("0")),
            (Ok(false), Ok(false), Ok(false))
        );
        assert!(switch("maybe").is_err() && switch("").is_err());
    }

    #[test]
    fn zero_and_off_mean_no_deadline() {
        assert_eq!(deadline("off"), Ok(None));
        assert_eq!(deadline("0"), Ok(None));
        assert_eq!(deadline("0ms"), Ok(None));
        assert_eq!(deadline("60s"), Ok(Some(Duration::from_secs(60))));
        assert!(deadline("never").is_err_and(|error| error.contains("off is none")));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["0s", "500ms", "90s", "2m"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        for text in ["1", "1023", "64KiB", "16MiB"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        assert_eq!(show_deadline(None), "off");
    }

    #[test]
    fn sizes_are_bounded_below_and_above() {
        assert_eq!(size("2MB"), Ok(2_000_000));
        for wrong in ["", "0", "1.5MiB", "-1", "16 mib", "99999999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn base_addresses_are_checked_without_repeating_secrets() {
        assert_eq!(
            base_url("http://127.0.0.1:9000/v1/"),
            Ok("http://127.0.0.1:9000/v1".to_owned())
        );
        for wrong in [
            "",
            "127.0.0.1:9000",
            "ftp://host/v1",
            "http://",
            "http:///v1",
            "http://:80/",
            "http://a b/",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong:?} was accepted");
        }
        for secret in [
            "https://me:hunter2@host/v1",
            "https://host/v1?key=hunter2",
            "x://me:hunter2@host",
        ] {
            let error = base_url(secret).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(same_origin(
            "https://api.openai.com/v1",
            "HTTPS://API.openai.com:443/v2"
        ));
        assert!(!same_origin(
            "https://api.openai.com/v1",
            "http://api.openai.com/v1"
        ));
        assert!(!same_origin(
            "http://127.0.0.1:9000/v1",
            "http://127.0.0.1:9001/v1"
        ));
        assert!(!same_origin(
            "https://api.openai.com/v1",
            "https://api.openai.com.evil.example/v1"
        ));
        assert_eq!(authority("http://127.0.0.1:9000/v1"), "127.0.0.1:9000");
    }
}
