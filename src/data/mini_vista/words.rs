//! The words of the task; a word's place in the list is its token id.

/// The file that `Tokenizer::from_bytes` and Hugging Face `tokenizers` read for this task.
pub const TOKENIZER_JSON: &[u8] = include_bytes!("tokenizer.json");

/// Stands for one patch of the picture in a prompt; the last id.
pub const IMAGE_TOKEN: &str = "<image>";

/// The largest number that is a word; every answer and intermediate result stays below or at it.
pub(super) const LARGEST_NUMBER: u32 = 199;

pub(super) const COLOURS: [&str; 4] = ["red", "green", "blue", "yellow"];
pub(super) const SHAPES: [&str; 3] = ["square", "circle", "triangle"];

const MARKS: [&str; 3] = ["<pad>", "<sep>", "<eos>"];
const REST: [&str; 22] = [
    "object",
    "?",
    "bar",
    "digit",
    "count",
    "then",
    "and",
    "of",
    "area",
    "perimeter",
    "width",
    "height",
    "rectangle",
    "each",
    "cost",
    "box",
    ";",
    "=",
    "+",
    "-",
    "x",
    "answer",
];

/// All 233 words in the order of their ids: `<pad>` 0, `<sep>` 1, `<eos>` 2, the number n at 3 + n,
/// the words proper, and `<image>` 232.
pub fn words() -> Vec<String> {
    let numbers = (0..=LARGEST_NUMBER).map(|number| number.to_string());
    let fixed = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    fixed(&MARKS)
        .into_iter()
        .chain(numbers)
        .chain(fixed(&COLOURS))
        .chain(fixed(&SHAPES))
        .chain(fixed(&REST))
        .chain([IMAGE_TOKEN.to_owned()])
        .collect()
}
