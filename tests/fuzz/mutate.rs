//! Makes inputs of inputs: bytes turned, lengths falsified, pieces moved, words put in, and JSON
//! changed as JSON.

use rand::{Rng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Inputs are never longer.
const LONGEST: usize = 1 << 18;

/// Numbers at which arithmetic breaks.
const NUMBERS: [i64; 24] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    64,
    127,
    255,
    256,
    1024,
    4095,
    4096,
    16_384,
    32_767,
    65_535,
    65_536,
    16_777_216,
    268_435_456,
    2_147_483_647,
    2_147_483_648,
    4_294_967_295,
    i64::MAX,
    i64::MIN,
];

/// Pieces of the languages that are read.
const WORDS: [&str; 62] = [
    "\0",
    "\u{feff}",
    "\u{202e}",
    "ß",
    "🙂",
    "\u{fffd}",
    "\r\n",
    "\t",
    "\"",
    "\\",
    "\\u0000",
    "''",
    "null",
    "true",
    "-0.0",
    "1e308",
    "1e-308",
    "nan",
    "inf",
    "1e999",
    "[[",
    "]]",
    "{{",
    "}}",
    "{% for x in messages %}",
    "{% endfor %}",
    "{% if ",
    "{% endif %}",
    "{{ messages|tojson }}",
    "range(999999999)",
    "~",
    "|",
    "[::-1]",
    "[:9]",
    " * 99999999",
    " ** 999",
    " // 0",
    " % 0",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "(((((((((((((((((((((((((((((((((((",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":",
    "../../x",
    "/etc/passwd",
    "<image>",
    "<|image_1|>",
    "</s>",
    "[axis]\n",
    "[[member]]\n",
    "[[test]]\n",
    "extends = \"x\"\n",
    "seed = [0, 1]\n",
    " = 99999999999999999999\n",
    "0x7fffffffffffffff",
    "<<",
    ">> 99",
    "while true {}",
    "let a = []; loop { a.push(a) }",
    "fn f(x) { f(x) }",
    "x.pad(999999999, 1)",
    "(a+)+$",
    "999999999999999999",
];

/// An input of one or two others.
pub(crate) fn mutated(chance: &mut ChaCha8Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus.choose(chance).cloned().unwrap_or_default();
    for _ in 0..1 + chance.random_range(0..4_u32).pow(2) / 2 {
        if chance.random_bool(0.5)
            && let Ok(mut value) = serde_json::from_slice::<Value>(&bytes)
        {
            change_json(chance, &mut value);
            bytes = value.to_string().into_bytes();
        } else if chance.random_bool(0.4) {
            change_json_line(chance, &mut bytes);
        } else {
            change_bytes(chance, &mut bytes, corpus);
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

fn place(chance: &mut ChaCha8Rng, bytes: &[u8]) -> usize {
    // Headers, where lengths are, come first.
    let bound = if chance.random_bool(0.3) { bytes.len().min(64) } else { bytes.len() };
    chance.random_range(0..=bound)
}

fn range(chance: &mut ChaCha8Rng, bytes: &[u8]) -> std::ops::Range<usize> {
    let from = place(chance, bytes);
    let longest = if chance.random_bool(0.7) { 16 } else { bytes.len() };
    from..(from + chance.random_range(0..=longest)).min(bytes.len())
}

fn change_bytes(chance: &mut ChaCha8Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = place(chance, bytes);
    match chance.random_range(0..11) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << chance.random_range(0..8),
        2 if at < bytes.len() => {
            bytes[at] = *[0, 1, 0x7f, 0x80, 0xff, b'0', b'"'].choose(chance).unwrap_or(&0);
        }
        3 => {
            let piece = range(chance, bytes);
            bytes.drain(piece);
        }
        4 => {
            let piece = bytes[range(chance, bytes)].to_vec();
            for _ in 0..*[1, 1, 2, 100].choose(chance).unwrap_or(&1) {
                bytes.splice(at..at, piece.iter().copied());
                if bytes.len() > LONGEST {
                    break;
                }
            }
        }
        5 => bytes.truncate(at),
        6 => {
            let other = corpus.choose(chance).cloned().unwrap_or_default();
            let piece = other[range(chance, &other)].to_vec();
            let place = range(chance, bytes);
            bytes.splice(place, piece);
        }
        7 => {
            let word = WORDS.choose(chance).map_or("", |word| word);
            bytes.splice(at..at, word.bytes());
        }
        8 => change_number(chance, bytes, at),
        9 => falsify_length(chance, bytes, at),
        _ => swap_lines(chance, bytes),
    }
}

/// Puts another number where one is written in digits.
fn change_number(chance: &mut ChaCha8Rng, bytes: &mut Vec<u8>, at: usize) {
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(from) = bytes[at..].iter().position(digit).map(|it| it + at) else { return };
    let to = bytes[from..].iter().position(|byte| !digit(byte)).map_or(bytes.len(), |it| it + from);
    let number = NUMBERS.choose(chance).copied().unwrap_or(0).to_string();
    bytes.splice(from..to, number.bytes());
}

/// Overwrites 1 to 8 bytes by a number, in either order of bytes.
fn falsify_length(chance: &mut ChaCha8Rng, bytes: &mut [u8], at: usize) {
    let number = match chance.random_bool(0.5) {
        true => NUMBERS.choose(chance).copied().unwrap_or(0),
        false => bytes.len() as i64 + chance.random_range(-9..9),
    };
    let width: usize = 1 << chance.random_range(0..4);
    let mut little = number.to_le_bytes()[..width].to_vec();
    if chance.random_bool(0.5) {
        little.reverse();
    }
    for (byte, new) in bytes[at..].iter_mut().zip(little) {
        *byte = new;
    }
}

fn swap_lines(chance: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> =
        bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() > 1 {
        let (one, other) =
            (chance.random_range(0..lines.len()), chance.random_range(0..lines.len()));
        match chance.random_range(0..3) {
            0 => lines.swap(one, other),
            1 => lines.insert(other, lines[one].clone()),
            _ => {
                let _gone = lines.remove(one);
            }
        }
        *bytes = lines.concat();
    }
}

/// Changes one of the lines that are JSON each, as it were alone.
fn change_json_line(chance: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    let at = place(chance, bytes);
    let from = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let to = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |it| it + at);
    match serde_json::from_slice::<Value>(&bytes[from..to]) {
        Ok(mut value) => {
            change_json(chance, &mut value);
            bytes.splice(from..to, value.to_string().into_bytes());
        }
        Err(_) => change_bytes(chance, bytes, &[]),
    }
}

/// Changes one place of a value, each level of it as likely as the others.
fn change_json(chance: &mut ChaCha8Rng, root: &mut Value) {
    let elsewhere = {
        let mut at = &*root;
        while let Some(below) = child(chance, at) {
            at = below;
            if chance.random_bool(0.3) {
                break;
            }
        }
        at.clone()
    };
    change_below(chance, root, elsewhere);
}

fn change_below(chance: &mut ChaCha8Rng, at: &mut Value, elsewhere: Value) {
    let stops = chance.random_bool(0.25);
    match at {
        Value::Object(fields) if !fields.is_empty() => {
            let index = chance.random_range(0..fields.len());
            let key = fields.keys().nth(index).cloned().unwrap_or_default();
            match stops {
                true => change_fields(chance, fields, &key, elsewhere),
                false => change_below(chance, &mut fields[&key], elsewhere),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = chance.random_range(0..items.len());
            match (stops, chance.random_range(0..3)) {
                (false, _) => change_below(chance, &mut items[index], elsewhere),
                (true, 0) => items.insert(index, elsewhere),
                (true, 1) => items.truncate(index),
                (true, _) => items[index] = elsewhere,
            }
        }
        leaf => *leaf = other_leaf(chance, leaf, elsewhere),
    }
}

fn change_fields(
    chance: &mut ChaCha8Rng,
    fields: &mut serde_json::Map<String, Value>,
    key: &str,
    elsewhere: Value,
) {
    match chance.random_range(0..4) {
        0 => {
            let _gone = fields.remove(key);
        }
        1 => {
            let value = fields.remove(key).unwrap_or_default();
            fields.insert(WORDS.choose(chance).map_or("", |word| word).to_owned(), value);
        }
        2 => {
            fields.insert(key.to_owned(), elsewhere);
        }
        _ => {
            let value = fields[key].clone();
            fields.insert(key.to_owned(), other_leaf(chance, &value, elsewhere));
        }
    }
}

fn child<'v>(chance: &mut ChaCha8Rng, value: &'v Value) -> Option<&'v Value> {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.values().nth(chance.random_range(0..fields.len()))
        }
        Value::Array(items) => items.choose(chance),
        _ => None,
    }
}

fn other_leaf(chance: &mut ChaCha8Rng, leaf: &Value, elsewhere: Value) -> Value {
    match chance.random_range(0..9) {
        0 => elsewhere,
        1 => Value::Null,
        2 => json!(chance.random_bool(0.5)),
        3 => json!([leaf]),
        4 => json!({ "x": leaf }),
        5 => json!(
            [0.0, -1.0, 0.5, 1e-300, 1e300, -1e300, f64::MAX][chance.random_range(0..7_usize)]
        ),
        6 => match leaf.as_str() {
            Some(text) => {
                let mut bytes = text.as_bytes().to_vec();
                change_bytes(chance, &mut bytes, &[]);
                json!(String::from_utf8_lossy(&bytes))
            }
            None => json!(WORDS.choose(chance)),
        },
        7 => match leaf.as_i64() {
            Some(number) => json!(number.wrapping_add(chance.random_range(-2..=2))),
            None => json!(NUMBERS.choose(chance)),
        },
        _ => json!(NUMBERS.choose(chance)),
    }
}
