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
    /// The tokens before them as well; in a model's last layer only some places look.
    At(&'a Layout, &'a Places),
}

impl Attend<'_> {
    /// Causal attention of layer `layer` over `[T, queries + 2 keys, width]`, already turned;
    /// gives `[T, queries * width]`.
    ///
    /// # Panics
    /// At places, of which [`attention_at`] takes the queries apart.
    pub fn forward(&mut self, layer: usize, heads: Heads, qkv: &Tensor) -> Tensor {
        match self {
            Self::At(..) => panic!("places look apart from what they look at"),
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
    /// nothing else. Beside it, the given places of the stream, each of them once.
    pub fn branching(
        sequences: Vec<Vec<usize>>,
        total: usize,
        places: &[usize],
        device: Device,
    ) -> (Self, Places) {
        let rows = Rows::new(sequences, total, 1, SHORTEST_SHARE);
        let places = rows.places(places, device);
        (rows.layout(total, device), places)
    }

    fn of_rows(
        sequences: Vec<Vec<usize>>,
        total: usize,
        multiple: usize,
        shortest_share: f64,
        device: Device,
    ) -> Self {
        Rows::new(sequences, total, multiple, shortest_share).layout(total, device)
    }

    /// How many tokens attention works on, padding included.
    pub fn padded_tokens(&self) -> i64 {
        self.buckets.iter().map(|bucket| bucket.rows * bucket.length).sum()
    }

    /// What each bucket has of rows that were gathered, `[tokens, features]`, as
    /// `[rows, heads, length, width]`.
    fn by_bucket(&self, rows: &Tensor, width: i64) -> impl Iterator<Item = Tensor> {
        let starts = self.buckets.iter().scan(0, |start, bucket| {
            *start += bucket.rows * bucket.length;
            Some(*start - bucket.rows * bucket.length)
        });
        self.buckets.iter().zip(starts).map(move |(&Bucket { rows: count, length }, start)| {
            let part = rows.narrow(0, start, count * length);
            part.view([count, length, -1, width]).transpose(1, 2)
        })
    }

    /// `[T, ..]` as `[tokens, features]`, padding included.
    fn gathered(&self, stream: &Tensor) -> Tensor {
        let stream = stream.flatten(1, -1);
        match &self.indices {
            Some((to_rows, _)) => stream.index_select(0, to_rows),
            None => stream,
        }
    }
}

/// A [`Layout`] in numbers.
struct Rows {
    buckets: Vec<Bucket>,
    /// For each token of the rows its place in the stream.
    to_rows: Vec<i64>,
    /// For each place in the stream a token of the rows.
    to_stream: Vec<i64>,
}

impl Rows {
    fn new(
        mut sequences: Vec<Vec<usize>>,
        total: usize,
        multiple: usize,
        shortest_share: f64,
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
        Self { buckets, to_rows, to_stream }
    }

    fn layout(self, total: usize, device: Device) -> Layout {
        let Self { buckets, to_rows, to_stream } = self;
        let in_place = to_rows.iter().enumerate().all(|(place, &token)| place as i64 == token);
        let indices = (!in_place || to_rows.len() != total)
            .then(|| (on_device(&to_rows, device), on_device(&to_stream, device)));
        Layout { buckets, indices }
    }

    fn places(&self, places: &[usize], device: Device) -> Places {
        let (mut to_slots, mut to_places) = (Vec::new(), vec![0; places.len()]);
        let mut hidden = Vec::with_capacity(self.buckets.len());
        let mut start = 0;
        for bucket in &self.buckets {
            let of_rows = self.asked(bucket, start, places);
            let slots = of_rows.iter().map(Vec::len).max().unwrap_or(0);
            let mut values = Vec::with_capacity(of_rows.len() * slots * bucket.length as usize);
            for row in &of_rows {
                for slot in 0..slots {
                    // What fills a row up looks at all of it; nothing ever reads what it sees.
                    let (place, last) = row.get(slot).copied().unwrap_or((0, bucket.length));
                    if slot < row.len() {
                        to_places[place] = to_slots.len() as i64;
                    }
                    to_slots.push(place as i64);
                    let seen = |at| if at <= last { 0.0 } else { f32::NEG_INFINITY };
                    values.extend((0..bucket.length).map(seen));
                }
            }
            let shape = [bucket.rows, 1, slots as i64, bucket.length];
            hidden.push(Tensor::from_slice(&values).view(shape).to_device(device));
            start += bucket.rows * bucket.length;
        }
        let index: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        Places {
            index: on_device(&index, device),
            to_slots: on_device(&to_slots, device),
            to_places: on_device(&to_places, device),
            hidden,
        }
    }

    /// For each row of a bucket, which begins at a token of the rows, the places in it: their
    /// numbers, and how far from the row's beginning they are.
    fn asked(&self, bucket: &Bucket, start: i64, places: &[usize]) -> Vec<Vec<(usize, i64)>> {
        let mut of_rows = vec![Vec::new(); bucket.rows as usize];
        for (number, &place) in places.iter().enumerate() {
            let token = self.to_stream[place] - start;
            if (0..bucket.rows * bucket.length).contains(&token) {
                of_rows[(token / bucket.length) as usize].push((number, token % bucket.length));
            }
        }
        of_rows
    }
}

fn on_device(index: &[i64], device: Device) -> Tensor {
    Tensor::from_slice(index).to_device(device)
}

/// Some places of a packed stream, each once, which alone look at what is before them.
pub struct Places {
    /// Where in the stream they are, `[P]`.
    pub index: Tensor,
    /// The place that each slot of each row is for, in the order of rows; rows of a bucket have the
    /// same number of slots.
    to_slots: Tensor,
    /// A slot of each place.
    to_places: Tensor,
    /// For each bucket what slots do not look at: 0 where they do and else minus infinity,
    /// `[rows, 1, slots, length]`.
    hidden: Vec<Tensor>,
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
    let rows = layout.gathered(qkv);
    let each = layout.by_bucket(&rows, heads.width);
    let output = one_after_the_other(each.map(|it| by_head(&it, heads, causal)).collect());
    match &layout.indices {
        Some((_, to_stream)) => output.index_select(0, to_stream),
        None => output,
    }
}

/// Attention of the queries of some places, `[P, queries, width]`, to the keys and values of the
/// tokens before them in their own sequence, `[T, 2 keys, width]`; gives `[P, queries * width]`.
pub fn attention_at(
    (query, keys_values): (&Tensor, &Tensor),
    heads: Heads,
    (layout, places): (&Layout, &Places),
) -> Tensor {
    let rows = layout.gathered(keys_values);
    let query = query.index_select(0, &places.to_slots);
    let (mut start, mut outputs) = (0, Vec::with_capacity(layout.buckets.len()));
    for (keys_values, hidden) in layout.by_bucket(&rows, heads.width).zip(&places.hidden) {
        let (count, _, slots, _) = hidden.size4().expect("what is hidden has four dimensions");
        if slots > 0 {
            let query = query.narrow(0, start, count * slots);
            let query = query.view([count, slots, -1, heads.width]).transpose(1, 2);
            let key = keys_values.narrow(1, 0, heads.keys);
            let value = keys_values.narrow(1, heads.keys, heads.keys);
            let hidden = Some(hidden.to_kind(query.kind()));
            outputs.push(mixed((&query, &key, &value), heads, hidden.as_ref(), false));
            start += count * slots;
        }
    }
    one_after_the_other(outputs).index_select(0, &places.to_places)
}

fn one_after_the_other(mut parts: Vec<Tensor>) -> Tensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(&parts, 0),
    }
}

/// Attention inside each row of `[B, L, queries + 2 keys, width]`; gives `[B * L, queries * width]`.
pub fn attention(qkv: &Tensor, heads: Heads, causal: bool) -> Tensor {
    by_head(&qkv.transpose(1, 2), heads, causal)
}

/// The same of `[B, queries + 2 keys, L, width]`.
fn by_head(qkv: &Tensor, heads: Heads, causal: bool) -> Tensor {
    let query = qkv.narrow(1, 0, heads.queries);
    let key = qkv.narrow(1, heads.queries, heads.keys);
    let value = qkv.narrow(1, heads.queries + heads.keys, heads.keys);
    mixed((&query, &key, &value), heads, None, causal)
}

/// `[B, queries, L, width]` and twice `[B, keys, M, width]`; gives `[B * L, queries * width]`.
fn mixed(
    (query, key, value): (&Tensor, &Tensor, &Tensor),
    heads: Heads,
    hidden: Option<&Tensor>,
    causal: bool,
) -> Tensor {
    let grouped = heads.keys != heads.queries;
    let mixed =
        Tensor::scaled_dot_product_attention(query, key, value, hidden, 0.0, causal, None, grouped);
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
        let asked = [13, 5, 0, 9, 8, 4];
        let (layout, places) = Layout::branching(rows.clone(), 15, &asked, Device::Cpu);
        let together = packed(&stream, heads, &layout, true);
        let query = stream.narrow(1, 0, heads.queries).index_select(0, &places.index);
        let keys_values = stream.narrow(1, heads.queries, 2 * heads.keys);
        let at_places = attention_at((&query, &keys_values), heads, (&layout, &places));
        let error = (together.index_select(0, &places.index) - at_places).abs().max();
        assert!(error.double_value(&[]) < 1e-6);
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
