//! Attention: grouped queries, causal or not, over packed sequences or a cache.

use super::cache::Cache;
use tch::{Device, Tensor};

/// The heads of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub queries: i64,
    /// Key and value heads; query head `h` reads key head `h / (queries / keys)`.
    pub keys: i64,
    /// Features of a head.
    pub width: i64,
}

impl Heads {
    /// Views `[T, (queries + 2 keys) * width]`, queries, keys and values side by side, as heads.
    pub fn split(&self, projected: &Tensor) -> Tensor {
        projected.view([-1, self.queries + 2 * self.keys, self.width])
    }
}

/// What a decoder layer's queries look at.
pub enum Attend<'a> {
    /// The tokens before them in their own packed sequence.
    Packed(&'a Layout),
    /// The same; each layer's keys and values `[T, 2 keys, width]` are pushed for a cache.
    Prefill(&'a Layout, &'a mut Vec<Tensor>),
    /// One new token a row, and all that the cache holds of its row.
    Cached(&'a mut Cache),
}

impl Attend<'_> {
    /// Causal attention of layer `layer` over `[T, queries + 2 keys, width]`, already turned;
    /// gives `[T, queries * width]`.
    pub fn forward(&mut self, layer: usize, heads: Heads, qkv: &Tensor) -> Tensor {
        match self {
            Self::Packed(layout) => packed(qkv, heads, layout, true),
            Self::Prefill(layout, kept) => {
                kept.push(qkv.narrow(1, heads.queries, 2 * heads.keys));
                packed(qkv, heads, layout, true)
            }
            Self::Cached(cache) => cache.attend(layer, qkv),
        }
    }
}

/// Sequences of similar length, padded to the longest for one kernel call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    rows: i64,
    length: i64,
}

/// How the sequences of a packed stream `[T, D]` lie in it. Everything that works on single tokens
/// runs on the stream without padding; for attention, sequences of similar length are gathered into
/// rows. Padding is at the end of a row, where causality alone hides it from real tokens.
pub struct Layout {
    buckets: Vec<Bucket>,
    /// From rows to the stream, and back; `None` if the stream already is the rows.
    indices: Option<(Tensor, Tensor)>,
}

/// A row may be this much shorter than the longest of its bucket. Every bucket costs some kernel
/// calls, every padded token some arithmetic.
const SHORTEST_SHARE: f64 = 0.75;

impl Layout {
    /// Sequences of these lengths one after the other; rows are padded to a multiple of `multiple`.
    pub fn new(lengths: &[usize], multiple: usize, device: Device) -> Self {
        let places = starts(lengths).zip(lengths);
        let places = places.map(|(start, length)| (start..start + length).collect()).collect();
        Self::of_rows(places, lengths.iter().sum(), multiple, SHORTEST_SHARE, device)
    }

    /// Groups of tokens that see each other and no others, each by the places of its tokens in a
    /// stream of `total`. Nothing is padded, so that attention may look both ways.
    pub fn groups(groups: Vec<Vec<usize>>, total: usize, device: Device) -> Self {
        Self::of_rows(groups, total, 1, 1.0, device)
    }

    /// Sequences that may have beginnings in common, each by the places of its tokens in a stream
    /// of `total`: what is common is in the stream once, and each token sees its own beginning and
    /// nothing else.
    pub fn branching(sequences: Vec<Vec<usize>>, total: usize, device: Device) -> Self {
        Self::of_rows(sequences, total, 1, SHORTEST_SHARE, device)
    }

    fn of_rows(
        mut sequences: Vec<Vec<usize>>,
        total: usize,
        multiple: usize,
        shortest_share: f64,
        device: Device,
    ) -> Self {
        sequences.sort_by_key(|row| std::cmp::Reverse(row.len()));
        let (mut buckets, mut to_rows, mut to_stream) = (Vec::new(), Vec::new(), vec![0; total]);
        let mut rest = &sequences[..];
        while let Some(longest) = rest.first() {
            let length = longest.len().next_multiple_of(multiple);
            let shortest = (length as f64 * shortest_share) as usize;
            let rows = rest.partition_point(|row| row.len().next_multiple_of(multiple) >= shortest);
            for row in &rest[..rows] {
                for (token, &place) in row.iter().enumerate() {
                    to_stream[place] = (to_rows.len() + token) as i64;
                }
                // Padding repeats the sequence's last token; nothing ever reads its result.
                let padded = (0..length).map(|token| row[token.min(row.len() - 1)] as i64);
                to_rows.extend(padded);
            }
            buckets.push(Bucket { rows: rows as i64, length: length as i64 });
            rest = &rest[rows..];
        }
        let in_place = to_rows.iter().enumerate().all(|(place, &token)| place as i64 == token);
        let indices = (!in_place || to_rows.len() != total).then(|| {
            let on_device = |index: &[i64]| Tensor::from_slice(index).to_device(device);
            (on_device(&to_rows), on_device(&to_stream))
        });
        Self { buckets, indices }
    }

    /// How many tokens attention works on, padding included.
    pub fn padded_tokens(&self) -> i64 {
        self.buckets.iter().map(|bucket| bucket.rows * bucket.length).sum()
    }
}

/// Where each sequence begins in a stream.
pub fn starts(lengths: &[usize]) -> impl Iterator<Item = usize> + '_ {
    lengths.iter().scan(0, |next, &length| {
        let start = *next;
        *next += length;
        Some(start)
    })
}

/// Attention of the tokens of each group of [`Layout::groups`] to all of their group, over
/// `[T, queries + 2 keys, width]`; gives `[T, queries * width]`.
pub fn within_groups(qkv: &Tensor, heads: Heads, layout: &Layout) -> Tensor {
    packed(qkv, heads, layout, false)
}

fn packed(qkv: &Tensor, heads: Heads, layout: &Layout, causal: bool) -> Tensor {
    let stream = qkv.flatten(1, -1);
    let rows = match &layout.indices {
        Some((to_rows, _)) => stream.index_select(0, to_rows),
        None => stream,
    };
    let mut start = 0;
    let mut outputs = Vec::with_capacity(layout.buckets.len());
    for bucket in &layout.buckets {
        let tokens = bucket.rows * bucket.length;
        let part = rows.narrow(0, start, tokens);
        let qkv = part.view([bucket.rows, bucket.length, -1, heads.width]);
        outputs.push(attention(&qkv, heads, causal));
        start += tokens;
    }
    let output = match outputs.len() {
        1 => outputs.remove(0),
        _ => Tensor::cat(&outputs, 0),
    };
    match &layout.indices {
        Some((_, to_stream)) => output.index_select(0, to_stream),
        None => output,
    }
}

/// Attention inside each row of `[B, L, queries + 2 keys, width]`; gives `[B * L, queries * width]`.
pub fn attention(qkv: &Tensor, heads: Heads, causal: bool) -> Tensor {
    let by_head = qkv.transpose(1, 2);
    let query = by_head.narrow(1, 0, heads.queries);
    let key = by_head.narrow(1, heads.queries, heads.keys);
    let value = by_head.narrow(1, heads.queries + heads.keys, heads.keys);
    let grouped = heads.keys != heads.queries;
    let mixed = Tensor::scaled_dot_product_attention(
        &query,
        &key,
        &value,
        None::<&Tensor>,
        0.0,
        causal,
        None,
        grouped,
    );
    mixed.transpose(1, 2).reshape([-1, heads.queries * heads.width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::kind::FLOAT_CPU;

    #[test]
    fn packed_sequences_do_not_see_each_other() {
        let heads = Heads { queries: 4, keys: 2, width: 8 };
        let lengths = [5, 17, 3, 16, 9];
        let stream = Tensor::randn([50, 8, 8], FLOAT_CPU);
        for multiple in [1, 16] {
            let layout = Layout::new(&lengths, multiple, Device::Cpu);
            let together = packed(&stream, heads, &layout, true);
            for (start, &length) in starts(&lengths).zip(&lengths) {
                let (start, length) = (start as i64, length as i64);
                let alone = attention(&stream.narrow(0, start, length).unsqueeze(0), heads, true);
                let error = (together.narrow(0, start, length) - alone).abs().max();
                assert!(error.double_value(&[]) < 1e-6);
            }
        }
    }

    #[test]
    fn branches_see_their_beginning_and_not_each_other() {
        let heads = Heads { queries: 4, keys: 2, width: 8 };
        let rows = vec![
            vec![0, 1, 2, 3, 4, 5],
            vec![0, 1, 2, 3, 4, 6, 7, 8],
            vec![0, 1, 9],
            vec![10, 11, 12, 13, 14],
        ];
        let stream = Tensor::randn([15, 8, 8], FLOAT_CPU);
        let layout = Layout::branching(rows.clone(), 15, Device::Cpu);
        let together = packed(&stream, heads, &layout, true);
        for row in rows {
            let places: Vec<i64> = row.into_iter().map(|place| place as i64).collect();
            let places = Tensor::from_slice(&places);
            let alone = attention(&stream.index_select(0, &places).unsqueeze(0), heads, true);
            let error = (together.index_select(0, &places) - alone).abs().max();
            assert!(error.double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn groups_look_both_ways_and_nowhere_else() {
        let heads = Heads { queries: 2, keys: 2, width: 4 };
        let stream = Tensor::randn([9, 6, 4], FLOAT_CPU);
        let groups = vec![vec![0, 4, 8], vec![1, 2, 3, 5], vec![7, 6]];
        let together =
            within_groups(&stream, heads, &Layout::groups(groups.clone(), 9, Device::Cpu));
        for group in groups {
            let places: Vec<i64> = group.into_iter().map(|place| place as i64).collect();
            let places = Tensor::from_slice(&places);
            let alone = attention(&stream.index_select(0, &places).unsqueeze(0), heads, false);
            let error = (together.index_select(0, &places) - alone).abs().max();
            assert!(error.double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn equal_lengths_need_no_gathering_and_similar_ones_little_padding() {
        assert!(Layout::new(&[7, 7, 7], 1, Device::Cpu).indices.is_none());
        let layout = Layout::new(&[100, 10, 90, 11, 12], 1, Device::Cpu);
        assert_eq!(layout.padded_tokens(), 2 * 100 + 3 * 12);
    }
}
