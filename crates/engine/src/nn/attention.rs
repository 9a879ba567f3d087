//! Causal attention with grouped queries, sequence by sequence: rows of different sequences never see each other.
//!
//! A row that decodes walks its past with dot products, one task a row and key head; rows of a prompt use dense
//! products, one task a head and block of rows. Both go page by page, so a row's result is the same to the last bit in
//! whatever pieces its prompt was fed.

use std::cell::RefCell;

use super::cache::{KvStore, PAGE};
use super::config::Config;
use super::gemm::{LEAST_ROWS, Matrix, multiply, multiply_add};
use super::ops::{add_scaled, dot, softmax};
use super::parallel::for_each_chunk;

/// Rows of one task of the dense way: its scores for 8192 positions are 2 MiB, about a core's own cache.
const BLOCK_ROWS: usize = 64;

/// Buffers of one task.
#[derive(Debug, Default)]
struct Scratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    /// One head's keys or values in a page.
    page: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The rows of one sequence in a step.
pub(super) struct Span<'a> {
    /// Their queries, `stride` values from row to row.
    pub(super) queries: &'a [f32],
    pub(super) stride: usize,
    /// The position of the first row; the others follow.
    pub(super) start: usize,
    pub(super) rows: usize,
    /// Whether they take the dense way.
    pub(super) dense: bool,
    pub(super) sequence: usize,
}

/// Attends for every row of every span, in order, into the rows of `out`. `heads` is scratch.
pub(super) fn attend(
    config: &Config,
    store: &KvStore,
    block: usize,
    spans: &[Span<'_>],
    out: &mut [f32],
    heads: &mut Vec<f32>,
) {
    let width = config.query_width();
    let mut rest = out;
    let mut narrow = Vec::with_capacity(spans.len());
    for span in spans {
        let (out, after) = rest.split_at_mut(span.rows * width);
        rest = after;
        if span.dense {
            attend_dense(config, store, block, span, out, heads);
        } else {
            narrow.push((span, out));
        }
    }
    // Decoding rows of all sequences share one round of the pool. Their results are gathered in one buffer, because
    // rows of prompts may lie between them.
    let rows: Vec<(&Span<'_>, usize)> = narrow
        .iter()
        .flat_map(|(span, _)| (0..span.rows).map(move |row| (*span, row)))
        .collect();
    heads.resize(rows.len() * width, 0.0);
    let group = config.heads / config.kv_heads * config.head_width;
    for_each_chunk(heads, group, |index, out| {
        let (span, row) = rows[index / config.kv_heads];
        attend_row(config, store, (block, index % config.kv_heads), span, row, out);
    });
    let mut results = &heads[..];
    for (_, out) in narrow {
        let (result, after) = results.split_at(out.len());
        out.copy_from_slice(result);
        results = after;
    }
}

/// One row, and all query heads that share one key head.
fn attend_row(
    config: &Config,
    store: &KvStore,
    (block, kv_head): (usize, usize),
    span: &Span<'_>,
    row: usize,
    out: &mut [f32],
) {
    let width = config.head_width;
    let positions = span.start + row + 1;
    let queries = &span.queries[row * span.stride + kv_head * out.len()..][..out.len()];
    let scale = scale(config);
    SCRATCH.with_borrow_mut(|Scratch { scores, page, .. }| {
        scores.resize(out.len() / width * positions, 0.0);
        for (index, first) in (0..positions).step_by(PAGE).enumerate() {
            let end = positions.min(first + PAGE);
            page.resize((end - first) * width, 0.0);
            store.keys(span.sequence, index, block, kv_head, page);
            for (query, scores) in queries
                .chunks_exact(width)
                .zip(scores.chunks_exact_mut(positions))
            {
                for (score, key) in scores[first..end].iter_mut().zip(page.chunks_exact(width)) {
                    *score = scale * dot(query, key);
                }
            }
        }
        scores.chunks_exact_mut(positions).for_each(softmax);
        out.fill(0.0);
        for (index, first) in (0..positions).step_by(PAGE).enumerate() {
            let end = positions.min(first + PAGE);
            page.resize((end - first) * width, 0.0);
            store.values(span.sequence, index, block, kv_head, page);
            for (out, scores) in out.chunks_exact_mut(width).zip(scores.chunks_exact(positions)) {
                for (score, value) in scores[first..end].iter().zip(page.chunks_exact(width)) {
                    add_scaled(out, *score, value);
                }
            }
        }
    });
}

/// All rows of one span, head by head in blocks of rows.
fn attend_dense(
    config: &Config,
    store: &KvStore,
    block: usize,
    span: &Span<'_>,
    out: &mut [f32],
    heads: &mut Vec<f32>,
) {
    let width = config.head_width;
    let blocks = span.rows.div_ceil(BLOCK_ROWS);
    let padded = blocks * BLOCK_ROWS;
    heads.resize(config.heads * padded * width, 0.0);
    for_each_chunk(heads, BLOCK_ROWS * width, |index, out| {
        let (head, first) = (index / blocks, index % blocks * BLOCK_ROWS);
        let kv_head = head / (config.heads / config.kv_heads);
        let rows = BLOCK_ROWS.min(span.rows - first);
        // Empty rows after them, so that the products see sizes of one kind.
        let padded = rows.next_multiple_of(LEAST_ROWS);
        let pages = (span.start + first + rows).div_ceil(PAGE);
        let positions = pages * PAGE;
        SCRATCH.with_borrow_mut(|scratch| {
            let Scratch {
                queries,
                scores,
                page,
            } = scratch;
            queries.clear();
            for row in first..first + rows {
                queries.extend_from_slice(&span.queries[row * span.stride + head * width..][..width]);
            }
            queries.resize(padded * width, 0.0);
            scores.resize(padded * positions, 0.0);
            page.resize(PAGE * width, 0.0);
            for index in 0..pages {
                store.keys(span.sequence, index, block, kv_head, page);
                multiply(
                    (padded, width, PAGE),
                    scale(config),
                    Matrix::rows(queries, width),
                    Matrix::transposed(page, width),
                    &mut scores[index * PAGE..],
                    positions,
                );
            }
            for (row, scores) in scores.chunks_exact_mut(positions).enumerate() {
                let seen = if row < rows {
                    span.start + first + row + 1
                } else {
                    0
                };
                let (seen, future) = scores.split_at_mut(seen);
                softmax(seen);
                future.fill(0.0);
            }
            let out = &mut out[..padded * width];
            out.fill(0.0);
            for index in 0..pages {
                store.values(span.sequence, index, block, kv_head, page);
                multiply_add(
                    (padded, PAGE, width),
                    1.0,
                    Matrix::rows(&scores[index * PAGE..], positions),
                    Matrix::rows(page, width),
                    out,
                    width,
                );
            }
        });
    });
    for (row, out) in out.chunks_exact_mut(config.query_width()).enumerate() {
        for (head, out) in out.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(&heads[(head * padded + row) * width..][..width]);
        }
    }
}

fn scale(config: &Config) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
    let width = config.head_width as f32;
    1.0 / width.sqrt()
}
