use super::*;
use proptest::prelude::*;
use serde_json::json;

fn compile(text: &str) -> Result<Script, String> {
    Script::compile("a.rhai", text).map_err(|error| {
        let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{error}{hint}")
    })
}

fn reward(body: &str) -> Result<Value, String> {
    let script = compile(&format!("fn reward(response) {{\n{body}\n}}")).expect(body);
    let response = json!({ "text": "one two", "tokens": 3, "answer": null });
    script.call(Moment::Reward, &[response]).map_err(|error| error.to_string())
}

#[test]
fn functions_serve_their_moments() {
    let text = "fn correct(answer, gold) { twice(answer) == gold }\nfn twice(x) { x + x }\n\
                fn metric(responses) { #{ n: responses.len(), \"mean-len\": 1.5 } }";
    let script = compile(text).unwrap();
    assert_eq!(script.moments(), [Moment::Correct, Moment::Metric].into());
    assert!(script.has(Moment::Correct) && !script.has(Moment::Reward));
    let said = script.call(Moment::Correct, &[json!("ab"), json!("abab")]);
    assert_eq!(said, Ok(json!(true)));
    let said = script.call(Moment::Metric, &[json!([1, 2])]);
    assert_eq!(said, Ok(json!({ "n": 2, "mean-len": 1.5 })));
    assert!(script.call(Moment::Reward, &[json!(1)]).is_err());
    assert!(script.call(Moment::Correct, &[json!(1)]).is_err());
    assert_eq!(script.digest(), Digest::of(text.as_bytes()));
}

#[test]
fn scripts_that_are_none_are_told_with_their_place() {
    for (text, told) in [
        (
            "fn reward(a, b) { 1 }",
            "a.rhai:1:4: `reward` takes 1 parameter, not 2 (write `fn reward(response)`)",
        ),
        (
            "\n fn correct() { true }",
            "a.rhai:2:5: `correct` takes 2 parameters, not 0 (write `fn correct(answer, gold)`)",
        ),
        (
            "fn reward(a) { 1 }\nfn reward(a, b) { 2 }",
            "a.rhai:1:4: `reward` takes 1 parameter, not 2 (write `fn reward(response)`)",
        ),
        ("fn rewards(a) { 1 }", "a.rhai:1:4: nothing calls `rewards` (did you mean `reward`?)"),
        (
            "fn keep(c) { true }\nlet x = 1;",
            "a.rhai:2:1: a script holds functions and nothing beside them (put it into a function: a constant is `fn limit() { 40 }`)",
        ),
    ] {
        assert_eq!(compile(text).unwrap_err(), told);
    }
    for text in ["fn keep(c) { true", "import \"x\" as y;", "fn keep(c) { eval(c) }"] {
        let told = compile(text).unwrap_err();
        assert!(told.starts_with("a.rhai:1:"), "{told}");
    }
    assert!(compile("fn keep(c) { rewards(c) }\nfn rewards(c) { true }").is_ok());
    assert!(compile(&format!("//{}", "x".repeat(300_000))).is_err());
}

#[test]
fn what_goes_wrong_is_told_where_it_does() {
    for (body, told) in [
        ("throw \"no\";", "a.rhai:2:1: it throws: no"),
        ("response.txt.len()", "a.rhai:2:10: there is no `txt` here"),
        (
            "if response.tokens > 2 { \"good\" } else { 1 }",
            "a.rhai:1:4: `reward` gives a string, not a finite number",
        ),
        ("0.0 / 0.0", "a.rhai:1:4: `reward` gives `NaN`, not a finite number"),
        (
            "response.text - 1",
            "a.rhai:2:15: types do not fit, or there is no such function: `- (string, i64)`",
        ),
        ("1 / 0", "a.rhai:2:3: division by zero: 1 / 0"),
    ] {
        assert_eq!(reward(body).unwrap_err(), told, "{body}");
    }
    assert_eq!(reward("response.tokens * -0.5"), Ok(json!(-1.5)));
}

#[test]
fn nothing_grows_or_runs_without_end() {
    for (body, told) in [
        ("loop {}", "it takes too long"),
        ("let s = \"x\"; loop { s += s; }", "it makes too much data"),
        ("\"x\".pad(100000000, \"y\").len()", "it makes too much data"),
        ("let a = []; a.pad(100000000, 1); 1", "it makes too much data"),
        ("sleep(9)", "there is no `sleep`"),
        ("exit(1)", "there is no `exit`"),
        ("reward(response)", "its calls go too deep"),
        ("let f = |x| 1; print(f); f.call(2)", ""),
    ] {
        let said = reward(body);
        match told {
            "" => assert_eq!(said, Ok(json!(1)), "{body}"),
            _ => assert!(said.as_ref().is_err_and(|it| it.contains(told)), "{body}: {said:?}"),
        }
    }
}

#[test]
fn a_large_split_is_counted_and_deep_data_is_dropped() {
    let text = "fn metric(rs) { let long = rs.filter(|r| r.tokens > 5);\n#{ long: long.len() } }";
    let responses: Vec<Value> = (0..1200)
        .map(|at| json!({ "tokens": at % 10, "text": "x".repeat(300), "a": 1, "b": 2, "c": 3 }))
        .collect();
    let said = compile(text).unwrap().call(Moment::Metric, &[responses.into()]);
    assert_eq!(said, Ok(json!({ "long": 480 })));
    let deep = "fn metric(rs) { let m = 1; let n = 0; while n < 3000 { m = [#{ m: m }]; n += 1; } throw \"too much data\"; }";
    let said = compile(deep).unwrap().call(Moment::Metric, &[json!([])]);
    assert!(said.is_err_and(|it| it.message.contains("too much data")));
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_told(text in "(fn |keep|\\(|c|\\)|\\{|\\}|\"|`|#|[a-z0-9 ;.ä\n]){0,30}") {
        if let Err(error) = Script::compile("a.rhai", &text) {
            prop_assert!(!error.message.is_empty());
            prop_assert!(Fault::from(error).to_text().contains('^'));
        }
    }
}
