//! A sentencepiece `.model` as it is: the few fields of its protobuf that say how text is cut, turned
//! into the `tokenizer.json` that means the same.
//!
//! Only pairs that are merged (BPE) over text that is not rewritten first are read, which is what
//! InternLM2 and the Llama family use.

use super::VocabularyError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longer pieces are not merged from others in any model that text made.
const LONGEST_PIECE: usize = 512;

const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const BYTE: u64 = 6;

struct Piece<'a> {
    text: &'a str,
    score: f32,
    kind: u64,
}

struct Model<'a> {
    pieces: Vec<Piece<'a>>,
    merges_pairs: bool,
    byte_fallback: bool,
    rewrites: bool,
    prefix: bool,
    one_space: bool,
}

/// The `tokenizer.json` of a sentencepiece model; a text gets its begin token where `begins`.
pub(super) fn to_json(bytes: &[u8], begins: bool) -> Result<Value, VocabularyError> {
    let model = read(bytes).ok_or_else(|| torn("it is cut off or no protobuf"))?;
    if !model.merges_pairs {
        return Err(torn("its model is not BPE"));
    }
    if model.rewrites {
        return Err(torn("it rewrites text by a table before it cuts it"));
    }
    if model.pieces.iter().any(|piece| piece.text.len() > LONGEST_PIECE) {
        return Err(torn("it holds a piece of more than 512 bytes"));
    }
    let mut ids = BTreeMap::new();
    for (id, piece) in model.pieces.iter().enumerate() {
        if ids.insert(piece.text, id).is_some() {
            return Err(torn("it holds a piece twice"));
        }
    }
    let of_kind = |kind: u64| model.pieces.iter().find(move |piece| piece.kind == kind);
    let unknown = of_kind(UNKNOWN).ok_or_else(|| torn("it has no piece for what is unknown"))?;
    let added = model.pieces.iter().enumerate().filter_map(|(id, piece)| {
        let special = matches!(piece.kind, UNKNOWN | CONTROL);
        (special || piece.kind == USER_DEFINED).then(|| {
            json!({ "id": id, "content": piece.text, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": special })
        })
    });
    let begin = ids.get("<s>").filter(|_| begins);
    Ok(json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": normalizer(&model),
        "pre_tokenizer": null,
        "post_processor": begin.map(|id| beginning("<s>", *id)),
        "decoder": decoder(&model),
        "model": {
            "type": "BPE", "unk_token": unknown.text, "fuse_unk": true,
            "byte_fallback": model.byte_fallback, "ignore_merges": false,
            "vocab": ids, "merges": merges(&model.pieces, &ids),
        },
    }))
}

fn torn(reason: &str) -> VocabularyError {
    VocabularyError::Sentencepiece { reason: reason.into() }
}

fn normalizer(model: &Model<'_>) -> Value {
    let mut steps = Vec::new();
    if model.one_space {
        steps.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    if model.prefix {
        steps.push(json!({ "type": "Prepend", "prepend": "▁" }));
    }
    steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" }));
    json!({ "type": "Sequence", "normalizers": steps })
}

fn decoder(model: &Model<'_>) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if model.prefix {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// What puts the begin token before a text.
fn beginning(token: &str, id: usize) -> Value {
    let begin = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    json!({
        "type": "TemplateProcessing",
        "single": [begin, text("A")],
        "pair": [begin, text("A"), begin, text("B")],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}

/// Every way to make a piece of two others, the better pieces first.
fn merges<'a>(pieces: &[Piece<'a>], ids: &BTreeMap<&'a str, usize>) -> Vec<(&'a str, &'a str)> {
    let mut merges = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.kind != BYTE && piece.kind != CONTROL) {
        let mut ways = Vec::new();
        for (at, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(at);
            if let (Some(&first), Some(&second)) = (ids.get(left), ids.get(right)) {
                ways.push((first, second, left, right));
            }
        }
        ways.sort_unstable();
        merges.extend(ways.into_iter().map(|(_, _, left, right)| (piece.score, left, right)));
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    merges.into_iter().map(|(_, left, right)| (left, right)).collect()
}

fn read(bytes: &[u8]) -> Option<Model<'_>> {
    let mut model = Model {
        pieces: Vec::new(),
        merges_pairs: false,
        byte_fallback: false,
        rewrites: false,
        prefix: true,
        one_space: true,
    };
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Field::Bytes(piece)) => model.pieces.push(read_piece(piece)?),
            (2, Field::Bytes(trainer)) => {
                let mut fields = Fields(trainer);
                while !fields.0.is_empty() {
                    match fields.next()? {
                        (3, Field::Number(kind)) => model.merges_pairs = kind == 2,
                        (35, Field::Number(flag)) => model.byte_fallback = flag != 0,
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                let mut fields = Fields(normalizer);
                while !fields.0.is_empty() {
                    match fields.next()? {
                        (2, Field::Bytes(table)) => model.rewrites = !table.is_empty(),
                        (3, Field::Number(flag)) => model.prefix = flag != 0,
                        (4, Field::Number(flag)) => model.one_space = flag != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (!model.pieces.is_empty()).then_some(model)
}

fn read_piece(bytes: &[u8]) -> Option<Piece<'_>> {
    let mut piece = Piece { text: "", score: 0.0, kind: 1 };
    let mut fields = Fields(bytes);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Field::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?,
            (2, Field::Float(score)) => piece.score = score,
            (3, Field::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    Some(piece)
}

/// The fields of a protobuf message that are left to read.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}
