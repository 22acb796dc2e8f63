//! Rotary positions as a configuration describes them, in old and new spellings.

use super::config::{ConfigError, Keys};
use crate::engine::nn::{
    Rotary,
    rotary::{self, LONG, Switched},
};
use tch::{Device, Kind, Tensor};

/// Rotary positions as a configuration describes them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rope {
    pub(super) theta: f64,
    pub(super) scaling: Scaling,
    /// How many frequencies turn with time, height and width, if positions have these axes.
    pub(super) sections: Option<[i64; 3]>,
    /// Whether the axes take turns, as since Qwen3-VL, instead of following each other.
    pub(super) interleaved: bool,
}

/// What is done to the frequencies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scaling {
    /// Nothing.
    None,
    /// All are divided.
    Linear(f64),
    /// Llama 3.1's: slow ones are divided, fast ones are not.
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
    /// LongRoPE's (Ding et al. 2024): each is divided by its own number, another one where a
    /// sequence is longer than `original`.
    Long { short: Vec<f64>, long: Vec<f64>, original: usize, scale: f64 },
}

impl Rope {
    /// From `rope_parameters`, or from `rope_theta` and `rope_scaling`, for heads of `width` features
    /// at so many positions.
    pub(super) fn read(
        text: &Keys<'_>,
        theta: f64,
        (width, positions): (i64, i64),
    ) -> Result<Self, ConfigError> {
        let theta = text.number("rope_theta", theta)?;
        check_whole_heads(text)?;
        let Some(table) = text.table(&["rope_parameters", "rope_scaling"])? else {
            return Ok(Self { theta, scaling: Scaling::None, sections: None, interleaved: false });
        };
        let theta = table.number("rope_theta", theta)?;
        check_whole_heads(&table)?;
        let key = if table.has("rope_type") { "rope_type" } else { "type" };
        let scaling = match table.text(key)?.unwrap_or("default") {
            // Dynamic scaling acts beyond the longest sequence, which is never exceeded here.
            "default" | "mrope" | "dynamic" => Scaling::None,
            "linear" => Scaling::Linear(table.number("factor", 1.0)?),
            "llama3" => Scaling::Llama3 {
                factor: table.number("factor", 8.0)?,
                low: table.number("low_freq_factor", 1.0)?,
                high: table.number("high_freq_factor", 4.0)?,
                original: table.number("original_max_position_embeddings", 8192.0)?,
            },
            // The second is what the first configurations called it.
            "longrope" | "su" => long(text, &table, positions)?,
            _ => {
                let supported = "`default`, `mrope`, `dynamic`, `linear`, `llama3` or `longrope`";
                return Err(table.unsupported(key, supported));
            }
        };
        let sections = match table.integers("mrope_section")? {
            None => None,
            Some(list) => Some(
                <[i64; 3]>::try_from(list)
                    .map_err(|_| table.unsupported("mrope_section", "three sections"))?,
            ),
        };
        if sections.is_some() && matches!(scaling, Scaling::Long { .. }) {
            return Err(table.unsupported("mrope_section", "no sections beside `longrope`"));
        }
        let name = if text.has("rope_parameters") { "rope_parameters" } else { "rope_scaling" };
        if sections.is_some_and(|sections| sections.iter().sum::<i64>() != width / 2) {
            let supported = "sections of half the width of a head together";
            return Err(text.unsupported(name, supported));
        }
        if let Scaling::Long { short, long, .. } = &scaling
            && [short, long].into_iter().any(|list| list.len() as i64 != width / 2)
        {
            let supported = "`short_factor` and `long_factor` of half the width of a head each";
            return Err(text.unsupported(name, supported));
        }
        let interleaved = table.flag("mrope_interleaved")?.unwrap_or(false);
        Ok(Self { theta, scaling, sections, interleaved })
    }

    /// How heads of `width` features turn.
    pub(super) fn rotary(&self, width: i64, kind: Kind, device: Device) -> Rotary {
        let plain = rotary::frequencies(width, self.theta, device);
        let frequencies = match &self.scaling {
            Scaling::None => plain,
            Scaling::Linear(factor) => plain / *factor,
            Scaling::Llama3 { factor, low, high, original } => {
                let waves = plain.reciprocal() * std::f64::consts::TAU;
                let slow = &plain / *factor;
                let smooth = (waves.reciprocal() * *original - *low) / (high - low);
                let between = (smooth.ones_like() - &smooth) * &slow + &smooth * &plain;
                let chosen = slow.where_self(&waves.gt(original / low), &between);
                plain.where_self(&waves.lt(original / high), &chosen)
            }
            Scaling::Long { short, long, scale, .. } => {
                let waves = rotary::wave_lengths(width, self.theta, device);
                let stretched = |by: &[f64]| {
                    let by: Vec<f32> = by.iter().map(|&by| by as f32).collect();
                    (Tensor::from_slice(&by).to_device(device) * &waves).reciprocal()
                };
                let (short, long) = (stretched(short), stretched(long));
                return Rotary::switched(Switched { short, long, scale: *scale, kind });
            }
        };
        let rotary = Rotary::of_frequencies(frequencies, kind);
        match self.sections {
            Some(sections) => rotary.by_axis(3, |frequency| self.axis(sections, frequency)),
            None => rotary,
        }
    }

    /// What is added to the places of a sequence that may become so long.
    pub(super) fn shift(&self, length: usize) -> i64 {
        match self.scaling {
            Scaling::Long { original, .. } if length > original => LONG,
            _ => 0,
        }
    }

    /// With which axis a frequency turns.
    fn axis(&self, [time, height, width]: [i64; 3], frequency: i64) -> i64 {
        match self.interleaved {
            true if frequency % 3 == 1 && frequency < 3 * height => 1,
            true if frequency % 3 == 2 && frequency < 3 * width => 2,
            true => 0,
            false if frequency < time => 0,
            false => 1 + i64::from(frequency >= time + height),
        }
    }
}

/// The keys of LongRoPE, whose vectors are longer by what the reference derives from the positions
/// unless a key says otherwise.
fn long(text: &Keys<'_>, table: &Keys<'_>, positions: i64) -> Result<Scaling, ConfigError> {
    let key = "original_max_position_embeddings";
    let original = if table.has(key) { table } else { text }.size(key, None)?;
    let list = |key: &str| {
        let list = table.numbers(key)?.ok_or_else(|| table.missing(key))?;
        match list.iter().all(|&by| by > 0.0) {
            true => Ok(list),
            false => Err(table.unsupported(key, "numbers above 0")),
        }
    };
    let (short, long) = (list("short_factor")?, list("long_factor")?);
    let factor = table.number("factor", positions as f64 / original as f64)?;
    let scale = match factor > 1.0 && original > 1 {
        true => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        false => 1.0,
    };
    let scale = table.number("attention_factor", scale)?;
    Ok(Scaling::Long { short, long, original: original as usize, scale })
}

/// Fails where only a part of each head turns with its position.
fn check_whole_heads(keys: &Keys<'_>) -> Result<(), ConfigError> {
    match keys.number("partial_rotary_factor", 1.0)? {
        1.0 => Ok(()),
        _ => Err(keys.unsupported("partial_rotary_factor", "1")),
    }
}
