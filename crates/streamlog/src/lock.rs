//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whoever panicked with the lock held left a state that is whole: every change is a few assignments.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
