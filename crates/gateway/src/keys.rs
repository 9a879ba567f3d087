//! The keys of this server: who may ask, how often, and for how many answers at once.
//!
//! Keys are known by their SHA-256 only, so neither the configuration nor memory holds one. A presented key is compared
//! with all of them, in a time that says nothing about where they differ. A server without keys lets everybody in; it
//! listens on loopback only.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aurora_chat::dialect::openai::ErrorBody;
use aurora_streamlog::Owner;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::Refusal;
use crate::caller::Caller;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

const MINUTE: Duration = Duration::from_secs(60);

/// A key that a client may present, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it is called in the log.
    pub name: String,
    /// SHA-256 of the key's bytes.
    pub sha256: [u8; 32],
    /// How many answers may be begun in a minute, and at once when there was quiet before. No limit by default.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many answers may be under way at once. No limit by default.
    pub max_streams: Option<NonZeroUsize>,
}

impl Key {
    /// What [`Key::sha256`] is for this key. White space around a key is not part of it.
    #[must_use]
    pub fn hash(key: &[u8]) -> [u8; 32] {
        Sha256::digest(key.trim_ascii()).into()
    }
}

/// All keys.
#[derive(Debug)]
pub(crate) struct Keyring(Vec<Arc<Holder>>);

/// Whoever has a key, and what they have used of what it allows.
#[derive(Debug)]
pub(crate) struct Holder {
    key: Key,
    /// When the budget of requests will be whole again.
    whole_at: Mutex<Option<Instant>>,
    streams: Option<Arc<Semaphore>>,
}

/// The right to one answer, for as long as it is under way.
#[derive(Debug, Default)]
pub(crate) struct Permit {
    _stream: Option<OwnedSemaphorePermit>,
}

impl Keyring {
    pub(crate) fn new(keys: &[Key]) -> Self {
        let holder = |key: &Key| {
            Arc::new(Holder {
                key: key.clone(),
                whole_at: Mutex::new(None),
                streams: key.max_streams.map(|max| Arc::new(Semaphore::new(max.get()))),
            })
        };
        Self(keys.iter().map(holder).collect())
    }

    /// Who asks: 401 if a key is needed and there is none, or not one of ours.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if self.0.is_empty() {
            return Ok(Caller::anyone());
        }
        let Some(presented) = presented(headers) else {
            return Err(unauthorized(
                "this server needs an API key: send it as Authorization: Bearer KEY or as x-api-key: KEY",
            ));
        };
        let hash = Key::hash(presented);
        let mut found = None;
        for holder in &self.0 {
            if same(&hash, &holder.key.sha256) {
                found = Some(holder);
            }
        }
        let holder = found.ok_or_else(|| unauthorized("the API key is not one of this server's keys"))?;
        let mut owner = [0; 16];
        owner.copy_from_slice(&hash[..16]);
        Ok(Caller::holding(Owner::from_bytes(owner), Arc::clone(holder)))
    }
}

impl Holder {
    /// The key's name.
    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }

    /// Takes one answer out of what the key allows; 429 if there is nothing left.
    pub(crate) fn admit(&self, now: Instant) -> Result<Permit, Refusal> {
        let stream = match &self.streams {
            None => None,
            Some(streams) => match Arc::clone(streams).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    let limit = self.key.max_streams.map_or(0, NonZeroUsize::get);
                    let message =
                        format!("this key allows {limit} answers at once, and so many are under way");
                    return Err(too_many("too_many_streams", message, Duration::from_secs(1)));
                }
            },
        };
        if let Some(limit) = self.key.requests_per_minute {
            self.spend(limit, now)?;
        }
        Ok(Permit { _stream: stream })
    }

    /// The generic cell rate algorithm: a request pushes the time at which the budget is whole again by its share of a
    /// minute, and that time may lie a minute ahead at most.
    fn spend(&self, limit: NonZeroU32, now: Instant) -> Result<(), Refusal> {
        let share = MINUTE / limit.get();
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = whole_at.map_or(now, |at| at.max(now)) + share;
        if let Some(wait) = next
            .checked_duration_since(now + MINUTE)
            .filter(|wait| !wait.is_zero())
        {
            let message = format!("this key allows {limit} requests a minute");
            return Err(too_many("rate_limit_exceeded", message, wait));
        }
        *whole_at = Some(next);
        Ok(())
    }
}

/// The key that a request presents.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let key = bearer.or_else(|| headers.get(X_API_KEY).map(http::HeaderValue::as_bytes))?;
    Some(key.trim_ascii()).filter(|key| !key.is_empty())
}

/// Whether two hashes are the same. There is no first byte at which to stop early.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

fn unauthorized(message: &str) -> Refusal {
    let mut body = ErrorBody::new("authentication_error", message);
    body.code = Some("invalid_api_key".to_owned());
    Refusal::new(401, body)
}

fn too_many(code: &str, message: String, wait: Duration) -> Refusal {
    let mut body = ErrorBody::new("rate_limit_error", message);
    body.code = Some(code.to_owned());
    Refusal::new(429, body).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, secret: &str) -> Key {
        Key {
            name: name.to_owned(),
            sha256: Key::hash(secret.as_bytes()),
            requests_per_minute: None,
            max_streams: None,
        }
    }

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        [(name.clone(), value.parse().expect("a header value"))]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_key_opens_its_own_streams_only() {
        let keyring = Keyring::new(&[key("a", "alpha-key"), key("b", "beta-key")]);
        let caller = |name: &HeaderName, value: &str| keyring.caller(&headers(name, value));
        let alpha = caller(&AUTHORIZATION, "Bearer alpha-key").expect("a key");
        let same = caller(&X_API_KEY, "alpha-key").expect("a key");
        let lower = caller(&AUTHORIZATION, "bearer  alpha-key").expect("a key");
        let beta = caller(&AUTHORIZATION, "Bearer beta-key").expect("a key");
        assert_eq!((alpha.owner, lower.owner), (same.owner, same.owner));
        assert_ne!(alpha.owner, beta.owner);
        assert_ne!(alpha.owner, Owner::ANYONE);
        for value in [
            "Bearer ",
            "Bearer gamma",
            "Basic alpha-key",
            "alpha-key",
            "Bearer alpha-key2",
            "Bearer alpha-ke",
        ] {
            let refusal = caller(&AUTHORIZATION, value).expect_err("no key of ours");
            assert_eq!(refusal.status(), 401, "{value}");
            assert!(!refusal.body().message.contains("alpha"), "{value}");
        }
        assert_eq!(
            keyring.caller(&HeaderMap::new()).expect_err("no key").status(),
            401
        );
    }

    #[test]
    fn a_server_without_keys_asks_for_none() {
        let caller = Keyring::new(&[])
            .caller(&HeaderMap::new())
            .expect("everybody may come in");
        assert_eq!(caller.owner, Owner::ANYONE);
    }

    #[test]
    fn the_rate_allows_a_burst_and_then_a_trickle() {
        let limited = Key {
            requests_per_minute: NonZeroU32::new(3),
            ..key("a", "alpha")
        };
        let keyring = Keyring::new(&[limited]);
        let holder = &keyring.0[0];
        let start = Instant::now();
        for _ in 0..3 {
            holder.admit(start).expect("within the burst");
        }
        let refusal = holder.admit(start).expect_err("the burst is spent");
        assert_eq!((refusal.status(), refusal.wait()), (429, Some(20)));
        holder
            .admit(start + Duration::from_secs(20))
            .expect("a third of a minute later");
        assert!(holder.admit(start + Duration::from_secs(39)).is_err());
        let later = start + Duration::from_secs(600);
        let admitted = (0..10).filter(|_| holder.admit(later).is_ok()).count();
        assert_eq!(admitted, 3, "quiet does not save up more than a burst");
    }

    #[test]
    fn answers_at_once_are_counted_until_they_end() {
        let limited = Key {
            max_streams: NonZeroUsize::new(2),
            ..key("a", "alpha")
        };
        let keyring = Keyring::new(&[limited]);
        let now = Instant::now();
        let first = keyring.0[0].admit(now).expect("one");
        let _second = keyring.0[0].admit(now).expect("two");
        let refusal = keyring.0[0].admit(now).expect_err("three");
        assert_eq!((refusal.status(), refusal.wait()), (429, Some(1)));
        drop(first);
        assert!(keyring.0[0].admit(now).is_ok());
    }
}
