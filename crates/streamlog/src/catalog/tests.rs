//! The rules of keeping, told the time.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const OWNER: Owner = Owner::from_bytes([1; 16]);
const OTHER: Owner = Owner::from_bytes([2; 16]);

fn id(n: u8) -> StreamId {
    StreamId::from_bytes([n; 16])
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + SECOND * u32::try_from(seconds).unwrap()
}

/// Keeps ten seconds, a thousand bytes, and two tombstones.
fn catalog() -> Catalog<u8> {
    Catalog::new(Limits {
        keep: 10 * SECOND,
        max_bytes: 1000,
        tombstones: 2,
    })
}

fn admit(catalog: &mut Catalog<u8>, n: u8, bytes: u64) -> Result<(), Error> {
    catalog.check_room(&id(n), bytes)?;
    catalog.admit(id(n), OWNER, n, bytes);
    Ok(())
}

fn expired(catalog: &mut Catalog<u8>, now: SystemTime) -> Vec<u8> {
    std::iter::from_fn(|| catalog.expire(now)).collect()
}

fn found(catalog: &Catalog<u8>, n: u8, owner: &Owner, now: u64) -> String {
    match catalog.find(&id(n), owner, at(now)) {
        Ok(value) => format!("{value}"),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn a_finished_stream_expires_at_its_time_and_an_open_one_never() {
    let mut catalog = catalog();
    admit(&mut catalog, 1, 10).unwrap();
    admit(&mut catalog, 2, 10).unwrap();
    catalog.finish(&id(1), at(100));
    assert_eq!(found(&catalog, 1, &OWNER, 109), "1");
    assert_eq!(expired(&mut catalog, at(109)), [0; 0]);
    assert_eq!(found(&catalog, 1, &OWNER, 110), "Expired", "before any sweep");
    assert_eq!(expired(&mut catalog, at(110)), [1]);
    assert_eq!(found(&catalog, 1, &OWNER, 110), "Expired");
    assert_eq!(expired(&mut catalog, at(1_000_000_000)), [0; 0]);
    assert_eq!(found(&catalog, 2, &OWNER, 1_000_000_000), "2");
}

#[test]
fn nobody_else_learns_that_a_stream_is_or_was_there() {
    let mut catalog = catalog();
    admit(&mut catalog, 1, 10).unwrap();
    assert_eq!(found(&catalog, 1, &OTHER, 0), "Unknown");
    catalog.finish(&id(1), at(0));
    assert_eq!(found(&catalog, 1, &OTHER, 10), "Unknown");
    assert_eq!(expired(&mut catalog, at(10)), [1]);
    assert_eq!(found(&catalog, 1, &OTHER, 10), "Unknown");
    assert_eq!(found(&catalog, 9, &OWNER, 10), "Unknown");
    assert!(matches!(
        catalog.remove(&id(1), &OTHER, at(10)),
        Err(Error::Unknown)
    ));
    assert!(matches!(
        catalog.remove(&id(1), &OWNER, at(10)),
        Err(Error::Expired)
    ));
    // An owner of all ones or zeros is as any other.
    for bits in [0, 0xff] {
        assert_eq!(found(&catalog, 9, &Owner::from_bytes([bits; 16]), 10), "Unknown");
    }
}

#[test]
fn room_is_made_of_the_oldest_finished() {
    let mut catalog = catalog();
    for n in 1..=4 {
        admit(&mut catalog, n, 250).unwrap();
    }
    for n in [2, 3, 1] {
        catalog.finish(&id(n), at(u64::from(n)));
    }
    assert_eq!(expired(&mut catalog, at(4)), [0; 0], "full is not over");
    catalog.grow(&id(4), 1);
    assert_eq!(expired(&mut catalog, at(4)), [1]);
    admit(&mut catalog, 5, 600).unwrap();
    assert_eq!(expired(&mut catalog, at(4)), [2, 3]);
    assert_eq!(
        catalog.usage(),
        Usage {
            bytes: 851,
            live_bytes: 851,
            max_bytes: 1000,
            live: 2,
            finished: 0
        }
    );
}

#[test]
fn open_streams_alone_can_fill_it() {
    let mut catalog = catalog();
    admit(&mut catalog, 1, 600).unwrap();
    admit(&mut catalog, 2, 400).unwrap();
    assert!(
        matches!(admit(&mut catalog, 3, 1), Err(Error::Full { retry_after }) if retry_after > Duration::ZERO)
    );
    assert!(matches!(admit(&mut catalog, 1, 1), Err(Error::Exists)));
    assert_eq!(expired(&mut catalog, at(1_000_000)), [0; 0]);
    catalog.grow(&id(2), -1);
    admit(&mut catalog, 3, 1).unwrap();
    catalog.finish(&id(1), at(0));
    admit(&mut catalog, 4, 600).unwrap();
    assert_eq!(expired(&mut catalog, at(0)), [1]);
}

#[test]
fn the_oldest_tombstones_are_forgotten() {
    let mut catalog = catalog();
    for n in 1..=3 {
        admit(&mut catalog, n, 10).unwrap();
        catalog.finish(&id(n), at(u64::from(n)));
    }
    assert_eq!(expired(&mut catalog, at(100)), [1, 2, 3]);
    let found = [1, 2, 3].map(|n| found(&catalog, n, &OWNER, 100));
    assert_eq!(found, ["Unknown", "Expired", "Expired"]);
}

#[test]
fn a_removed_stream_was_never_there() {
    let mut catalog = catalog();
    admit(&mut catalog, 1, 10).unwrap();
    catalog.finish(&id(1), at(0));
    assert_eq!(catalog.remove(&id(1), &OWNER, at(1)).unwrap(), 1);
    assert_eq!(found(&catalog, 1, &OWNER, 1), "Unknown");
    assert_eq!(catalog.usage().bytes, 0);
    catalog.grow(&id(1), 5);
    catalog.finish(&id(1), at(2));
    catalog.orphan(&id(1));
    assert_eq!(
        (catalog.usage().bytes, catalog.orphans()),
        (0, vec![]),
        "late news of it change nothing"
    );
}

#[test]
fn an_orphan_is_adopted_once() {
    let mut catalog = catalog();
    admit(&mut catalog, 1, 10).unwrap();
    assert!(matches!(catalog.adopt(&id(1)), Err(Error::NotOrphaned)));
    assert!(matches!(catalog.adopt(&id(2)), Err(Error::Unknown)));
    catalog.orphan(&id(1));
    assert_eq!(catalog.orphans(), [id(1)]);
    assert_eq!(*catalog.adopt(&id(1)).unwrap(), 1);
    assert!(matches!(catalog.adopt(&id(1)), Err(Error::NotOrphaned)));
    catalog.finish(&id(1), at(0));
    catalog.orphan(&id(1));
    assert_eq!(catalog.orphans(), [], "a finished stream needs no writer");
}

#[test]
fn a_stream_kept_beyond_any_clock_is_kept() {
    let mut catalog: Catalog<u8> = Catalog::new(Limits {
        keep: Duration::MAX,
        max_bytes: 1000,
        tombstones: 2,
    });
    admit(&mut catalog, 1, 10).unwrap();
    catalog.finish(&id(1), at(0));
    assert_eq!(expired(&mut catalog, at(1_000_000_000)), [0; 0]);
}
