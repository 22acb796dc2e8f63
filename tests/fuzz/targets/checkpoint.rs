//! What a checkpoint has beside its weights.

use super::{content, files, said};
use image::{Rgb, RgbImage};
use mstar::data::{
    Dialect, Tokenizer,
    checkpoint::Companions,
    processor::{Processor, ProcessorFiles},
    settings::Settings,
    text::{ChatTemplate, Message, Part, SpecialTokens, VocabularyFiles, vocabulary},
};
use std::path::Path;

const TEXT: &str = "What is 2 + 3?\n  Ünïcode 🙂 <image> </s> \u{0}x";

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]))
}

fn read_and_write(tokenizer: &Tokenizer) {
    for text in ["", "a", TEXT, &"a".repeat(300)] {
        let Ok(tokens) = tokenizer.encode(text) else { continue };
        let _text = tokenizer.decode(&tokens);
        let _pieces = tokenizer.pieces(&tokens);
    }
    let _framed = tokenizer.encode_with_frame(TEXT);
    let (_wild, _none) = (tokenizer.decode(&[0, 7, u32::MAX]), tokenizer.id("<image>"));
    let _size = tokenizer.size();
}

pub(crate) fn tokenizer(bytes: &[u8], _: &Path) -> String {
    let Some(files) = files(bytes) else { return "no object".to_owned() };
    let tokenizer = files.get("tokenizer.json").map(content);
    let config = files.get("tokenizer_config.json").map(content);
    let config = config.map(|it| Settings::from_bytes("tokenizer_config.json", &it)).transpose();
    let Ok(config) = config else { return "no settings".to_owned() };
    let made = vocabulary(&VocabularyFiles {
        tokenizer: tokenizer.as_deref(),
        sentencepiece: None,
        config: config.as_ref(),
        rows: None,
    });
    if let Ok((tokenizer, _)) = &made {
        read_and_write(tokenizer);
    }
    said(&made)
}

pub(crate) fn sentencepiece(bytes: &[u8], _: &Path) -> String {
    let config = Settings::empty("tokenizer_config.json");
    let made = vocabulary(&VocabularyFiles {
        tokenizer: None,
        sentencepiece: Some(bytes),
        config: Some(&config),
        rows: None,
    });
    if let Ok((tokenizer, _)) = &made {
        read_and_write(tokenizer);
    }
    said(&made)
}

pub(crate) fn template(bytes: &[u8], _: &Path) -> String {
    let text = String::from_utf8_lossy(bytes);
    let made = ChatTemplate::new("chat_template.jinja", &text);
    let Ok(template) = &made else { return said(&made) };
    let message = |role: &str, content| Message { role: role.to_owned(), content };
    let messages = [
        message("user", vec![Part::Image, Part::text(TEXT)]),
        message("assistant", vec![Part::text("5")]),
    ];
    let special = SpecialTokens { begin: Some("<s>".to_owned()), ..SpecialTokens::default() };
    let plain = template.render(&messages, &special, None, true);
    let with_pictures = template.render(&messages, &special, Some(&mut || "<p>".into()), false);
    [said(&plain), said(&with_pictures)].concat()
}

pub(crate) fn dialect(bytes: &[u8], _: &Path) -> String {
    let Some(files) = files(bytes) else { return "no object".to_owned() };
    let named = |name| files.get(name).map(|value| (name, content(value)));
    let companions = Companions::of(Companions::NAMES.into_iter().filter_map(named));
    let made = Dialect::new(&companions);
    let Ok(dialect) = &made else { return said(&made) };
    let (small, thin) = (picture(40, 30), picture(3, 70));
    let none = dialect.question(TEXT, &[]);
    let one = dialect.question("q", &[&small]);
    let both = dialect.question("q", &[&small, &thin]);
    let _seen = dialect.see(&[&thin]);
    let answer = dialect.answer(TEXT);
    [said(&none), said(&one), said(&both), said(&answer)].concat()
}

pub(crate) fn preprocessor(bytes: &[u8], _: &Path) -> String {
    let Some(files) = files(bytes) else { return "no object".to_owned() };
    let read = |name: &str| {
        files.get(name).map(|value| Settings::from_bytes(name, &content(value))).transpose()
    };
    let (Ok(config), Ok(preprocessor), Ok(processor)) =
        (read("config.json"), read("preprocessor_config.json"), read("processor_config.json"))
    else {
        return "no settings".to_owned();
    };
    let config = config.unwrap_or_else(|| Settings::empty("config.json"));
    let made = Processor::new(&ProcessorFiles { config, preprocessor, processor });
    let Ok(processor) = &made else { return said(&made) };
    let side = |name: &str| files.get(name).and_then(|it| it.as_u64()).unwrap_or(9);
    let (width, height) = (side("width") % 4097, side("height") % 4097);
    let longest = if width * height > 1 << 16 { 1 << 16 } else { width * height };
    let height = height.min(longest.checked_div(width).unwrap_or(9));
    let image = picture(width as u32, height as u32);
    let seen = processor.process(&image);
    if let Ok(seen) = &seen {
        let _images = processor.images(seen);
    }
    let bounded = processor.clone().within(side("within")).process(&image);
    [said(&seen), said(&bounded)].concat()
}
