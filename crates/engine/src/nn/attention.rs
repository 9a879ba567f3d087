//! Causal attention with grouped queries, sequence by sequence: rows of different sequences never see each other.
//!
//! A row that decodes walks its cache with dot products, one task a row and key head; rows of a prompt use dense
//! products, one task a head and block of rows.

use std::cell::RefCell;

use super::cache::KvCache;
use super::config::Config;
use super::gemm::{Matrix, multiply};
use super::ops::{add_scaled, dot, softmax};
use super::parallel::for_each_chunk;

/// Rows of one task of the dense way: its scores for 8192 positions are 2 MiB, about a core's own cache.
const BLOCK_ROWS: usize = 64;

thread_local! {
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
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
    pub(super) cache: &'a KvCache,
}

/// Attends for every row of every span, in order, into the rows of `out`. `heads` is scratch.
pub(super) fn attend(
    config: &Config,
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
            attend_dense(config, block, span, out, heads);
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
        attend_row(config, block, span, row, index % config.kv_heads, out);
    });
    let mut results = &heads[..];
    for (_, out) in narrow {
        let (result, after) = results.split_at(out.len());
        out.copy_from_slice(result);
        results = after;
    }
}

/// One row, and all query heads that share one key head.
fn attend_row(config: &Config, block: usize, span: &Span<'_>, row: usize, kv_head: usize, out: &mut [f32]) {
    let width = config.head_width;
    let positions = span.start + row + 1;
    let (keys, values) = span.cache.head(block, kv_head, positions);
    let queries = &span.queries[row * span.stride + kv_head * out.len()..][..out.len()];
    let scale = scale(config);
    SCORES.with_borrow_mut(|scores| {
        scores.resize(positions, 0.0);
        for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
                *score = scale * dot(query, key);
            }
            softmax(scores);
            out.fill(0.0);
            for (score, value) in scores.iter().zip(values.chunks_exact(width)) {
                add_scaled(out, *score, value);
            }
        }
    });
}

/// All rows of one span, head by head in blocks of rows.
fn attend_dense(config: &Config, block: usize, span: &Span<'_>, out: &mut [f32], heads: &mut Vec<f32>) {
    let width = config.head_width;
    let blocks = span.rows.div_ceil(BLOCK_ROWS);
    let padded = blocks * BLOCK_ROWS;
    heads.resize(config.heads * padded * width, 0.0);
    for_each_chunk(heads, BLOCK_ROWS * width, |index, out| {
        let (head, first) = (index / blocks, index % blocks * BLOCK_ROWS);
        let rows = BLOCK_ROWS.min(span.rows - first);
        let positions = span.start + first + rows;
        let (keys, values) = span
            .cache
            .head(block, head / (config.heads / config.kv_heads), positions);
        let queries = Matrix::rows(&span.queries[first * span.stride + head * width..], span.stride);
        SCORES.with_borrow_mut(|scores| {
            scores.resize(rows * positions, 0.0);
            let keys = Matrix::transposed(keys, width);
            multiply(
                (rows, width, positions),
                scale(config),
                queries,
                keys,
                scores,
                positions,
            );
            for (row, scores) in scores.chunks_exact_mut(positions).enumerate() {
                let (seen, future) = scores.split_at_mut(span.start + first + row + 1);
                softmax(seen);
                future.fill(0.0);
            }
            let scores = Matrix::rows(scores, positions);
            multiply(
                (rows, positions, width),
                1.0,
                scores,
                Matrix::rows(values, width),
                out,
                width,
            );
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
