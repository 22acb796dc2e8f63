//! Other spellings of tensor names: one place that turns what is found in a checkpoint into the
//! names that a model walks over.

use super::{Parameters, file::Stored};
use std::collections::BTreeMap;
use tch::Tensor;

/// How the names of a checkpoint become those of a model. Names of the model itself are unchanged
/// by it, so that what was written under them is read again.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Beginnings and what stands for them; the first that fits is replaced.
    pub beginnings: &'static [(&'static str, &'static str)],
    /// Dotted parts anywhere in a name and what stands for them, one after the other.
    pub parts: &'static [(&'static str, &'static str)],
    /// Ends of names of tensors that are computed here instead of read.
    pub computed: &'static [&'static str],
    /// Tensors that hold the rows of several.
    pub fused: Vec<Fused>,
}

/// A tensor whose rows are those of several tensors of the model.
#[derive(Clone, Debug)]
pub struct Fused {
    /// Its dotted part of the name.
    pub part: &'static str,
    /// What stands for that part in the name of each.
    pub of: &'static [&'static str],
    /// How the rows lie in it.
    pub rows: Rows,
}

/// How the rows of several tensors lie in one.
#[derive(Clone, Debug)]
pub enum Rows {
    /// One tensor after the other, of these heights.
    Stacked(Vec<i64>),
    /// By key head, as in InternLM2: the rows of `repeats` query heads, of the key, of the value.
    Grouped {
        /// Query heads that read one key head.
        repeats: i64,
        /// Key heads.
        keys: i64,
        /// Rows of a head.
        width: i64,
    },
}

impl Rows {
    fn total(&self) -> i64 {
        match self {
            Self::Stacked(heights) => heights.iter().sum(),
            Self::Grouped { repeats, keys, width } => (repeats + 2) * keys * width,
        }
    }

    fn height(&self, index: usize) -> i64 {
        match self {
            Self::Stacked(heights) => heights[index],
            Self::Grouped { repeats, keys, width } => {
                keys * width * if index == 0 { *repeats } else { 1 }
            }
        }
    }

    /// The rows of the tensor `index`.
    fn of(&self, whole: &Tensor, index: usize) -> Tensor {
        match self {
            Self::Stacked(heights) => {
                whole.narrow(0, heights[..index].iter().sum(), heights[index])
            }
            Self::Grouped { repeats, keys, width } => {
                let (first, heads) =
                    if index == 0 { (0, *repeats) } else { (repeats + index as i64 - 1, 1) };
                let rest = &whole.size()[1..];
                let split = [&[*keys, repeats + 2, *width], rest].concat();
                let joined = [&[keys * heads * width], rest].concat();
                whole.view(&split[..]).narrow(1, first, heads).reshape(joined)
            }
        }
    }
}

impl Rows {
    /// The whole of its tensors, as they lie in a checkpoint.
    fn joined(&self, parts: &[Tensor]) -> Tensor {
        match self {
            Self::Stacked(_) => Tensor::cat(parts, 0),
            Self::Grouped { keys, width, .. } => {
                let rest = parts[0].size()[1..].to_vec();
                let by_key =
                    |part: &Tensor| part.reshape([&[*keys, -1, *width], &rest[..]].concat());
                let parts: Vec<Tensor> = parts.iter().map(by_key).collect();
                Tensor::cat(&parts, 1).reshape([&[self.total()], &rest[..]].concat())
            }
        }
    }
}

/// A part of a fused tensor.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    rows: Rows,
    index: usize,
}

impl Slice {
    pub(super) fn shape(&self, whole: &[i64]) -> Vec<i64> {
        [&[self.rows.height(self.index)], &whole[1..]].concat()
    }

    pub(super) fn of(&self, whole: &Tensor) -> Tensor {
        self.rows.of(whole, self.index)
    }
}

/// What a checkpoint calls the tensors of a model, for writing them as it has them.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// Tensors of the checkpoint with those of the model that they hold, in the order of their rows.
    found: BTreeMap<String, Vec<(String, Option<Slice>)>>,
}

impl Spelling {
    pub(super) fn add(&mut self, found: &str, name: &str, slice: Option<&Slice>) {
        let parts = self.found.entry(found.to_owned()).or_default();
        parts.push((name.to_owned(), slice.cloned()));
        parts.sort_by_key(|(_, slice)| slice.as_ref().map_or(0, |slice| slice.index));
    }

    /// The same tensors by the names of the checkpoint, joined where it has one for several. One that
    /// it does not have keeps its name.
    #[must_use]
    pub fn spelled(&self, parameters: &Parameters) -> Parameters {
        let mut rest: BTreeMap<String, Tensor> =
            parameters.iter().map(|(name, it)| (name.to_owned(), it.detach())).collect();
        let mut spelled = BTreeMap::new();
        for (found, parts) in &self.found {
            let taken: Option<Vec<Tensor>> =
                parts.iter().map(|(name, _)| rest.get(name).map(Tensor::shallow_clone)).collect();
            let Some(taken) = taken else { continue };
            parts.iter().for_each(|(name, _)| drop(rest.remove(name)));
            let whole = match &parts[0].1 {
                Some(slice) => slice.rows.joined(&taken),
                None => taken[0].shallow_clone(),
            };
            spelled.insert(found.clone(), whole);
        }
        spelled.extend(rest);
        Parameters(spelled)
    }
}

impl Names {
    /// What a tensor is called in the model, and which part of it that is; nothing for one that is
    /// not read.
    pub(super) fn of(&self, found: &str, stored: &Stored) -> Vec<(String, Option<Slice>)> {
        if self.computed.iter().any(|end| found.ends_with(end)) {
            return Vec::new();
        }
        let begun = self
            .beginnings
            .iter()
            .find_map(|(from, to)| Some(format!("{to}{}", found.strip_prefix(from)?)));
        let mut name = format!(".{}.", begun.as_deref().unwrap_or(found));
        for (from, to) in self.parts {
            name = name.replacen(&format!(".{from}."), &format!(".{to}."), 1);
        }
        for fused in &self.fused {
            let part = format!(".{}.", fused.part);
            if name.contains(&part) && name.ends_with(".lora_A.weight.") {
                // What an adapter of several maps reads of their input is the same for each.
                let named = |of: &&str| name.replacen(&part, &format!(".{of}."), 1);
                let named = |of| (named(of).trim_matches('.').to_owned(), None);
                return fused.of.iter().map(named).collect();
            }
            if name.contains(&part) && stored.shape.first() == Some(&fused.rows.total()) {
                let named = |(index, of): (usize, &&str)| {
                    let name = name.replacen(&part, &format!(".{of}."), 1);
                    let slice = Slice { rows: fused.rows.clone(), index };
                    (name.trim_matches('.').to_owned(), Some(slice))
                };
                return fused.of.iter().enumerate().map(named).collect();
            }
        }
        vec![(name.trim_matches('.').to_owned(), None)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn grouped_rows_come_apart_by_key_head() {
        // Two key heads of width 1 with two query heads each: q0 q1 k0 v0 q2 q3 k1 v1.
        let rows = Rows::Grouped { repeats: 2, keys: 2, width: 1 };
        let whole = Tensor::arange(8, (Kind::Int64, Device::Cpu)).view([8, 1]);
        let of = |index| Vec::<i64>::try_from(rows.of(&whole, index).flatten(0, 1)).unwrap();
        assert_eq!((of(0), of(1), of(2)), (vec![0, 1, 4, 5], vec![2, 6], vec![3, 7]));
        let parts: Vec<Tensor> = (0..3).map(|index| rows.of(&whole, index)).collect();
        assert_eq!(rows.joined(&parts), whole);
        let rows = Rows::Stacked(vec![3, 5]);
        assert_eq!(rows.joined(&[rows.of(&whole, 0), rows.of(&whole, 1)]), whole);
    }

    #[test]
    fn a_name_is_respelled_from_its_beginning_then_by_parts() {
        let names = Names {
            beginnings: &[("model.visual.", "visual."), ("net.", "model.")],
            parts: &[("attention.wo", "self_attn.o_proj")],
            computed: &[".inv_freq"],
            fused: Vec::new(),
        };
        let stored = Stored { kind: Kind::Float, shape: vec![1], bytes: 0..4 };
        let of = |found| names.of(found, &stored).into_iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(of("net.0.attention.wo.weight"), ["model.0.self_attn.o_proj.weight"]);
        assert_eq!(of("model.visual.a"), ["visual.a"]);
        assert_eq!(of("visual.a"), ["visual.a"]);
        assert!(of("model.rotary.inv_freq").is_empty());
    }
}
