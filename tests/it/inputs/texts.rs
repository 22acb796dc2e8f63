//! Chat templates, placeholders, token ids and sentencepiece models.

use super::{read, rows};
use mstar::data::{
    Tokenizer,
    processor::{Extent, Grid, Processor, ProcessorFiles},
    settings::Settings,
    text::{
        ChatTemplate, GenerationDefaults, Message, Part, Prompter, VocabularyFiles, vocabulary,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    kind: String,
    turns: Vec<(String, Vec<Option<String>>)>,
    text: String,
    tokens: Vec<i64>,
    pictures: Vec<(usize, usize, usize)>,
}

fn processor(kind: &str) -> Processor {
    let settings = |name: &str, text: &str| Settings::from_bytes(name, text.as_bytes()).unwrap();
    Processor::new(&ProcessorFiles {
        config: settings("config.json", &format!(r#"{{"model_type": "{kind}"}}"#)),
        preprocessor: Some(settings("preprocessor_config.json", r#"{"image_feature_size": 2}"#)),
        processor: Some(settings("processor_config.json", r#"{"image_seq_len": 2}"#)),
    })
    .unwrap()
}

fn prompter(kind: &str) -> Prompter {
    let config = read(&format!("tokenizer_config_{kind}.json"));
    let config = Settings::from_bytes("tokenizer_config.json", &config).unwrap();
    let json = read(&format!("tokenizer_{kind}.json"));
    let (tokenizer, special) = vocabulary(&VocabularyFiles {
        tokenizer: Some(&json),
        sentencepiece: None,
        config: Some(&config),
        rows: None,
    })
    .unwrap();
    let template = ChatTemplate::from_settings(&config).unwrap();
    Prompter { processor: processor(kind), tokenizer, special, template }
}

fn picture(&(rows, columns, placeholders): &(usize, usize, usize)) -> Extent {
    Extent { grid: Grid { rows, columns }, placeholders }
}

#[test]
fn conversations_become_the_tokens_of_their_references() {
    let goldens: Vec<Golden> = rows("prompts");
    let mut wrong = Vec::new();
    for golden in &goldens {
        let prompter = prompter(&golden.kind);
        let part = |part: &Option<String>| part.as_ref().map_or(Part::Image, Part::text);
        let messages: Vec<Message> = golden
            .turns
            .iter()
            .map(|(role, parts)| Message {
                role: role.clone(),
                content: parts.iter().map(part).collect(),
            })
            .collect();
        let text = prompter.text(&messages, true).unwrap();
        if text != golden.text {
            wrong.push(format!("{}: {text:?}, not {:?}", golden.kind, golden.text));
            continue;
        }
        let pictures: Vec<Extent> = golden.pictures.iter().map(picture).collect();
        let prompt = prompter.prompt(&text, &pictures).unwrap();
        let expected: usize = pictures.iter().map(|picture| picture.placeholders).sum();
        assert_eq!(prompt.slots.len(), expected, "{}", golden.kind);
        let mut tokens: Vec<i64> = prompt.tokens.iter().map(|&token| i64::from(token)).collect();
        if golden.kind == "phi3_v" {
            prompt.slots.iter().for_each(|&slot| tokens[slot] = -1);
        }
        if tokens != golden.tokens {
            wrong.push(format!("{}: other tokens for {:?}", golden.kind, golden.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}

#[derive(Deserialize)]
struct Pieces {
    model: String,
    text: String,
    tokens: Vec<u32>,
    back: String,
}

fn sentencepiece(bytes: &[u8]) -> Tokenizer {
    let config = Settings::from_bytes("tokenizer_config.json", br#"{"add_bos_token": true}"#);
    let config = config.unwrap();
    let files = VocabularyFiles {
        tokenizer: None,
        sentencepiece: Some(bytes),
        config: Some(&config),
        rows: None,
    };
    vocabulary(&files).unwrap().0
}

#[test]
fn sentencepiece_models_cut_as_sentencepiece_does() {
    let goldens: Vec<Pieces> = rows("sentencepiece");
    let mut wrong = Vec::new();
    for golden in &goldens {
        let tokenizer = sentencepiece(&read(&golden.model));
        let tokens = tokenizer.encode(&golden.text).unwrap();
        if tokens != golden.tokens {
            wrong.push(format!(
                "{}: {:?}: {tokens:?} {:?}",
                golden.model, golden.text, golden.tokens
            ));
        }
        let framed = tokenizer.encode_with_frame(&golden.text).unwrap();
        assert_eq!(framed, [&[tokenizer.id("<s>").unwrap()], tokens.as_slice()].concat());
        if golden.model == "llama.model" && tokenizer.decode(&tokens).unwrap() != golden.back {
            wrong.push(format!("{}: {:?} does not come back", golden.model, golden.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}

#[test]
fn faults_of_texts_say_what_is_wrong() {
    let qwen = prompter("qwen2_vl");
    let message = |text: &str| Message { role: "user".into(), content: vec![Part::text(text)] };
    let told =
        |text: &str, pictures: &[Extent]| qwen.prompt(text, pictures).unwrap_err().to_string();
    let stray = qwen.text(&[message("what is <|image_pad|>?")], true).unwrap();
    assert_eq!(told(&stray, &[]), "the prompt has 1 places for pictures, but 0 are given");
    assert_eq!(
        told("a <|image_pad|> b", &[picture(&(2, 2, 1)), picture(&(2, 2, 1))]),
        "the prompt has 1 places for pictures, but 2 are given"
    );

    let error = ChatTemplate::new("chat_template.jinja", "{% for m in %}").unwrap_err();
    assert!(error.to_string().starts_with("the chat template of `chat_template.jinja` does not"));
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let endless = ChatTemplate::new("chat_template.jinja", endless).unwrap();
    let error = endless.render(&[], &qwen.special, None, true).unwrap_err().to_string();
    assert!(error.contains("fuel"), "{error}");

    let strict = prompter("minicpmv");
    let stranger = Message { role: "stranger".into(), content: vec![Part::text("?")] };
    let error = strict.text(&[stranger], true).unwrap_err().to_string();
    assert!(error.contains("who is stranger"), "{error}");

    let json = read("tokenizer_qwen2_vl.json");
    let files = |config: Settings, rows: Option<usize>| {
        let files = VocabularyFiles {
            tokenizer: Some(&json),
            sentencepiece: None,
            config: Some(&config),
            rows,
        };
        vocabulary(&files).unwrap_err().to_string()
    };
    let config = |text: &str| Settings::from_bytes("tokenizer_config.json", text.as_bytes());
    let misfit = r#"{"added_tokens_decoder": {"3": {"content": "<|im_end|>"}}}"#;
    let told = files(config(misfit).unwrap(), None);
    assert!(told.contains("gives `<|im_end|>` the id 3, but the tokenizer gives it"), "{told}");
    let told = files(config("{}").unwrap(), Some(100));
    assert!(told.ends_with("but the embedding has 100 rows"), "{told}");
}

#[test]
fn internvls_own_conversation_is_built_in() {
    let settings = |text: &str| Settings::from_bytes("config.json", text.as_bytes()).unwrap();
    let config = settings(r#"{"model_type": "internvl_chat", "template": "internlm2-chat"}"#);
    let files = ProcessorFiles { config: config.clone(), preprocessor: None, processor: None };
    let processor = Processor::new(&files).unwrap();
    let template = Prompter::internvl_template(&config).unwrap();
    let prompter = Prompter { processor, template, ..prompter("internvl") };
    let message = |role: &str, content: Vec<Part>| Message { role: role.into(), content };
    let asked = message("user", vec![Part::Image, Part::text("what?")]);
    let text = prompter.text(&[message("system", vec![Part::text("Hi.")]), asked], true).unwrap();
    let expected = "<|im_start|>system\nHi.<|im_end|><|im_start|>user\n<image>\nwhat?<|im_end|>\
        <|im_start|>assistant\n";
    assert_eq!(text, expected);
    let prompt = prompter.prompt(&text, &[picture(&(1, 2, 5))]).unwrap();
    assert_eq!(prompt.slots.len(), 5);
    assert_eq!(prompt.slots[4], prompt.slots[0] + 4);

    let other = settings(r#"{"template": "phi3-chat"}"#);
    let error = Prompter::internvl_template(&other).unwrap_err().to_string();
    assert_eq!(
        error,
        "`template` of `config.json` is `\"phi3-chat\"`; expected `internlm2-chat` or `internvl2_5`"
    );
}

#[test]
fn generation_defaults_are_read() {
    let read = |text: &str| {
        let settings = Settings::from_bytes("generation_config.json", text.as_bytes()).unwrap();
        GenerationDefaults::new(&settings)
    };
    let defaults = read(
        r#"{"eos_token_id": [7, 9], "pad_token_id": 0, "do_sample": true, "temperature": 0.01,
            "top_k": 1, "top_p": 0.001, "repetition_penalty": 1.05}"#,
    )
    .unwrap();
    assert_eq!((defaults.end.as_slice(), defaults.padding), ([7, 9].as_slice(), Some(0)));
    assert_eq!((defaults.sample, defaults.top_k), (Some(true), Some(1)));
    assert_eq!((defaults.temperature, defaults.max_new_tokens), (Some(0.01), None));
    assert_eq!(read(r#"{"eos_token_id": 2}"#).unwrap().end, [2]);
    let error = read(r#"{"eos_token_id": "two"}"#).unwrap_err().to_string();
    assert_eq!(
        error,
        "`eos_token_id` of `generation_config.json` is `\"two\"`; expected an id or several"
    );
}
