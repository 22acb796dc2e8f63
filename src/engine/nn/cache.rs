//! The key-value cache of generation: slots for prompts, and slots for rows that share them.
//!
//! The `K` samples of a prompt share its keys and values, stored once in a *group*; each sample is a
//! *row* with its own slot for the response. Rows come and go one by one: two tables say which
//! group's seat a row sits in and which row sits in a seat.
//!
//! A row's numbers do not depend, to the last bit, on which rows are beside it: lengths are padded
//! to multiples of [`LENGTH_MULTIPLE`] and row counts to multiples of [`ROW_MULTIPLE`], because
//! smaller matrices go through other kernels with another order of summation.

use super::attention::{Heads, starts};
use tch::{Device, Kind, Tensor};

/// Lengths of keys are padded to a multiple of this.
pub const LENGTH_MULTIPLE: usize = 32;
/// Numbers of rows are padded to a multiple of this.
pub const ROW_MULTIPLE: usize = 16;

/// The size of a cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheShape {
    /// Decoder layers.
    pub layers: usize,
    /// Their heads.
    pub heads: Heads,
    /// Slots for prompts.
    pub groups: usize,
    /// Rows of a prompt.
    pub samples: usize,
    /// Slots for rows.
    pub rows: usize,
    /// The longest prompt, in tokens.
    pub prompt_length: usize,
    /// The longest response, in tokens.
    pub response_length: usize,
}

struct LayerCache {
    /// `[groups, keys, width, P]`.
    prompt_keys: Tensor,
    /// `[groups, keys, P, width]`.
    prompt_values: Tensor,
    /// `[rows, keys, L, width]`.
    keys: Tensor,
    /// `[rows, keys, L, width]`.
    values: Tensor,
}

/// Which rows take the next step. Free slots among them carry any numbers; nobody reads those.
pub struct Step<'a> {
    /// For each row slot in use, its seat: `group * samples + sample`.
    pub seats: &'a [i64],
    /// For each seat of the groups in use, the row that sits there; any row for an empty seat.
    pub rows: &'a [i64],
    /// For each row slot, how many tokens of its response are in the cache.
    pub lengths: &'a [i64],
}

struct StepTensors {
    seats: Tensor,
    rows: Tensor,
    /// Where this step's keys and values go, as rows of `[rows * keys * L, width]`.
    targets: Tensor,
    /// `[n, 1, P + length]`: 0 where a row may look, minus infinity elsewhere.
    bias: Tensor,
    count: i64,
    groups: i64,
    length: i64,
}

/// Keys and values of all layers.
pub struct Cache {
    layers: Vec<LayerCache>,
    shape: CacheShape,
    device: Device,
    prompt_length: i64,
    response_length: i64,
    /// `[rows, P + L]`.
    bias: Tensor,
    step: Option<StepTensors>,
}

impl Cache {
    /// An empty cache.
    pub fn new(shape: CacheShape, kind: Kind, device: Device) -> Self {
        let CacheShape { heads: Heads { keys, width, .. }, .. } = shape;
        let prompt_length = shape.prompt_length.next_multiple_of(LENGTH_MULTIPLE) as i64;
        let response_length = shape.response_length.next_multiple_of(LENGTH_MULTIPLE) as i64;
        let (groups, rows) = (shape.groups as i64, shape.rows as i64);
        let zeros = |size: [i64; 4]| Tensor::zeros(size, (kind, device));
        let layer = |_| LayerCache {
            prompt_keys: zeros([groups, keys, width, prompt_length]),
            prompt_values: zeros([groups, keys, prompt_length, width]),
            keys: zeros([rows, keys, response_length, width]),
            values: zeros([rows, keys, response_length, width]),
        };
        Self {
            layers: (0..shape.layers).map(layer).collect(),
            shape,
            device,
            prompt_length,
            response_length,
            bias: Tensor::zeros([rows, prompt_length + response_length], (kind, device)),
            step: None,
        }
    }

    /// Stores prompts that were prefilled together: `kept[layer]` is `[T, 2 keys, width]` of a
    /// stream of sequences of the given lengths, of which the first `groups.len()` are stored.
    pub fn store_prompts(&mut self, kept: &[Tensor], lengths: &[usize], groups: &[i64]) {
        let capacity = self.prompt_length as usize;
        let index: Vec<i64> = starts(lengths)
            .zip(lengths)
            .take(groups.len())
            .flat_map(|(start, &length)| {
                (0..capacity).map(move |token| (start + token.min(length - 1)) as i64)
            })
            .collect();
        let index = self.tensor(&index);
        let groups = self.tensor(groups);
        let Heads { keys, width, .. } = self.shape.heads;
        for (layer, kept) in self.layers.iter_mut().zip(kept) {
            let rows = kept.index_select(0, &index).view([-1, capacity as i64, 2 * keys, width]);
            let by_head = rows.transpose(1, 2);
            let new_keys = by_head.narrow(1, 0, keys).transpose(2, 3);
            let _ = layer.prompt_keys.index_copy_(0, &groups, &new_keys);
            let _ = layer.prompt_values.index_copy_(0, &groups, &by_head.narrow(1, keys, keys));
        }
    }

    /// Seats new rows, each with the length of its prompt.
    pub fn seat_rows(&mut self, rows: &[i64], prompt_lengths: &[usize]) {
        let width = (self.prompt_length + self.response_length) as usize;
        let mut bias = vec![f32::NEG_INFINITY; rows.len() * width];
        for (row, &length) in bias.chunks_mut(width).zip(prompt_lengths) {
            row[..length].fill(0.0);
        }
        let bias = Tensor::from_slice(&bias).view([-1, width as i64]);
        let bias = bias.to_device(self.device).to_kind(self.bias.kind());
        let rows = self.tensor(rows);
        let _ = self.bias.index_copy_(0, &rows, &bias);
    }

    /// Prepares the next step for all layers.
    pub fn begin(&mut self, step: &Step<'_>) {
        let (count, key_heads) = (step.seats.len(), self.shape.heads.keys);
        let longest = step.lengths.iter().max().map_or(1, |&length| length as usize + 1);
        let length = longest.next_multiple_of(LENGTH_MULTIPLE) as i64;
        let capacity = self.response_length;
        let targets: Vec<i64> = (0..key_heads * count as i64)
            .map(|head| head * capacity + step.lengths[(head / key_heads) as usize])
            .collect();
        let bias_width = self.prompt_length + capacity;
        let open: Vec<i64> = (0..count)
            .map(|row| row as i64 * bias_width + self.prompt_length + step.lengths[row])
            .collect();
        let _ = self.bias.view(-1).index_fill_(0, &self.tensor(&open), 0.0);
        let bias = self.bias.narrow(0, 0, count as i64).narrow(1, 0, self.prompt_length + length);
        self.step = Some(StepTensors {
            seats: self.tensor(step.seats),
            rows: self.tensor(step.rows),
            targets: self.tensor(&targets),
            bias: bias.unsqueeze(1),
            count: count as i64,
            groups: (step.rows.len() / self.shape.samples) as i64,
            length,
        });
    }

    /// Attention of one new token a row, `[n, queries + 2 keys, width]`, over its prompt and its
    /// response so far; gives `[n, queries * width]`.
    pub(super) fn attend(&mut self, layer: usize, qkv: &Tensor) -> Tensor {
        let step = self.step.as_ref().expect("`begin` comes before the layers of a step");
        let layer = &mut self.layers[layer];
        let Heads { queries, keys, width } = self.shape.heads;
        let (repeats, samples) = (queries / keys, self.shape.samples as i64);
        let (n, groups, prompt) = (step.count, step.groups, self.prompt_length);

        let new = |start| qkv.narrow(1, start, keys).reshape([-1, width]);
        let _ = layer.keys.view([-1, width]).index_copy_(0, &step.targets, &new(queries));
        let _ = layer.values.view([-1, width]).index_copy_(0, &step.targets, &new(queries + keys));

        let query = qkv.narrow(1, 0, queries) * (width as f64).powf(-0.5);
        // By groups: `[groups * keys, samples * repeats, ·]`, so that a prompt is read once for all
        // of its rows.
        let to_groups = |rows: &Tensor, features: i64| {
            rows.index_select(0, &step.rows)
                .view([groups, samples, keys, repeats, features])
                .transpose(1, 2)
                .reshape([groups * keys, samples * repeats, features])
        };
        let to_rows = |by_group: &Tensor, features: i64| {
            by_group
                .view([groups, keys, samples, repeats, features])
                .transpose(1, 2)
                .reshape([groups * samples, queries * features])
                .index_select(0, &step.seats)
                .view([n, queries, features])
        };
        let prompt_keys = layer.prompt_keys.narrow(0, 0, groups).view([-1, width, prompt]);
        let prompt_values = layer.prompt_values.narrow(0, 0, groups).view([-1, prompt, width]);
        let own = |cached: &Tensor| {
            let used = cached.narrow(0, 0, n).narrow(2, 0, step.length);
            used.view([n * keys, step.length, width])
        };

        let on_prompt = to_rows(&to_groups(&query, width).bmm(&prompt_keys), prompt);
        let on_own = query
            .reshape([n * keys, repeats, width])
            .bmm(&own(&layer.keys).transpose(1, 2))
            .view([n, queries, step.length]);
        let mut scores = Tensor::cat(&[on_prompt, on_own], -1);
        let shares = scores.g_add_(&step.bias).softmax(-1, None);
        let of_prompt = to_groups(&shares.narrow(-1, 0, prompt), prompt).bmm(&prompt_values);
        let of_own = shares
            .narrow(-1, prompt, step.length)
            .reshape([n * keys, repeats, step.length])
            .bmm(&own(&layer.values))
            .view([n, queries, width]);
        (to_rows(&of_prompt, width) + of_own).view([n, queries * width])
    }

    /// Moves rows and groups to the first slots, in the order given.
    pub fn keep(&mut self, rows: &[i64], groups: &[i64]) {
        let (row_count, group_count) = (rows.len() as i64, groups.len() as i64);
        let (rows, groups) = (self.tensor(rows), self.tensor(groups));
        let move_to_front = |tensor: &Tensor, index: &Tensor, count: i64| {
            tensor.narrow(0, 0, count).copy_(&tensor.index_select(0, index));
        };
        for layer in &self.layers {
            move_to_front(&layer.keys, &rows, row_count);
            move_to_front(&layer.values, &rows, row_count);
            move_to_front(&layer.prompt_keys, &groups, group_count);
            move_to_front(&layer.prompt_values, &groups, group_count);
        }
        move_to_front(&self.bias, &rows, row_count);
    }

    fn tensor(&self, index: &[i64]) -> Tensor {
        Tensor::from_slice(index).to_device(self.device)
    }
}
