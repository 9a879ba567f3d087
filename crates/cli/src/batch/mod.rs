//! Thousands of answers: items in, results out, a line each, restartable at any moment.
//!
//! | module | does |
//! |---|---|
//! | [`lines`] | lines of a file larger than memory |
//! | [`item`], [`key`] | a line as an item: what it asks for, what it is known by |
//! | [`index`] | which items there are and what became of them, 12 bytes an item |
//! | [`input`] | the two passes over the input |
//! | [`output`], [`record`] | results as they are read again, mended, written |
//! | [`writer`] | the thread that flushes them to the disk |
//! | [`pilot`] | what is asked next and how much at once |
//! | [`judge`] | whether an attempt is the last one of its item |
//! | [`budget`] | what may still be spent |
//! | [`sources`] | who answers an item |
//! | [`run`] | all of it together |
//! | [`estimate`] | `--dry-run` |
//! | [`progress`] | what is seen of it |
//!
//! The output is the checkpoint: what is in it is done, and nothing else is kept anywhere. No item is asked for before all
//! ids are known to be different, and no item is written twice.

pub(crate) mod budget;
pub(crate) mod estimate;
pub(crate) mod index;
pub(crate) mod input;
pub(crate) mod item;
pub(crate) mod judge;
pub(crate) mod key;
pub(crate) mod lines;
pub(crate) mod output;
pub(crate) mod pilot;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod sources;
pub(crate) mod tally;
pub(crate) mod writer;
