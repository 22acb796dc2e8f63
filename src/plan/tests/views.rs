//! What people and scripts see.

use super::*;
use serde_json::{Map, Value};

/// Two members, of which the first has run, on a machine that has measured something.
fn with_outlook(see: impl FnOnce(&Outlook<'_>)) {
    let first = with_control(quickstart());
    let mut second = first.clone();
    second.training.learning_rate = 2e-6;
    let ran = graph_of(&first);
    let known = Known {
        stored: ran.nodes().take(6).map(|node| node.key).collect(),
        earlier: ran.nodes().map(EarlierStage::from).collect(),
        ..Known::default()
    };
    let mut measured = Measured::default();
    for (kind, samples, seconds) in [
        ("explore", 4000, 8.0),
        ("train", 1000, 3.5),
        ("evaluate", 1400, 2.0),
        ("monitor", 3200, 5.0),
    ] {
        measured.add(kind, samples, seconds, samples * 100);
    }
    let lengths = SourceFacts { prompt_tokens: 26.0, response_tokens: 20.0 };
    measured.sources.insert("builtin:mini-vista".into(), lengths);
    let members = [("slow", first), ("fast", second)];
    let summaries = members.each_ref().map(|(name, recipe)| {
        let rate = Value::from(recipe.training.learning_rate);
        let values = Map::from_iter([("training.learning_rate".to_owned(), rate)]);
        MemberSummary { name: (*name).into(), values }
    });
    let graph = lower(&members.map(|(name, recipe)| member(name, recipe)), &facts());
    see(&Outlook::new(&graph, summaries.into(), &known, &measured));
}

#[test]
fn text() {
    with_outlook(|outlook| insta::assert_snapshot!(view::text(outlook, None)));
}

#[test]
fn on_a_terminal_a_long_reason_is_cut() {
    with_outlook(|outlook| {
        let whole = view::text(outlook, None);
        let lines = |text: &str| text.lines().map(|line| line.chars().count()).collect::<Vec<_>>();
        let table = 1 + outlook.graph.len();
        assert!(lines(&whole)[..table].iter().any(|length| *length > 90));
        let cut = view::text(outlook, Some(90));
        assert!(lines(&cut)[..table].iter().all(|length| *length <= 90), "{cut}");
        assert!(
            cut.contains("reads `warm-up train`,") && cut.contains('…') && !whole.contains('…')
        );
        assert_eq!(view::text(outlook, Some(500)), whole);
    });
}

#[test]
fn a_grid_is_put_together_by_kind() {
    let first = with_control(Recipe {
        training: Training { iterations: 3, ..quickstart().training },
        ..quickstart()
    });
    let ran = graph_of(&first);
    let known = Known {
        stored: ran.nodes().filter(|node| node.role.iteration < 2).map(|node| node.key).collect(),
        earlier: ran.nodes().map(EarlierStage::from).collect(),
        ..Known::default()
    };
    let mut measured = Measured::default();
    measured.add("explore", 4000, 8.0, 400);
    let members: Vec<Member> = (0..20_u32)
        .map(|index| {
            let mut recipe = first.clone();
            recipe.training.interval = 0.5 / f64::from(index % 10 + 1);
            recipe.seed = u64::from(index / 10);
            member(&format!("member {index}"), recipe)
        })
        .collect();
    let summary = |member: &Member| MemberSummary { name: member.name.clone(), values: Map::new() };
    let summaries = members.iter().map(summary).collect();
    let graph = lower(&members, &facts());
    let outlook = Outlook::new(&graph, summaries, &known, &measured).with_workers(4);
    insta::assert_snapshot!(view::text(&outlook, None));
    let json: Value = serde_json::from_str(&view::json(&outlook)).unwrap();
    let samples = |name: &str| json["totals"][name]["samples"].as_u64().unwrap();
    let once: u64 = outlook.stages().filter_map(|stage| stage.estimate.samples).sum();
    assert_eq!(samples("apart") - samples("saved"), once);
}

#[test]
fn json() {
    with_outlook(|outlook| insta::assert_snapshot!(view::json(outlook)));
}

#[test]
fn dot() {
    with_outlook(|outlook| insta::assert_snapshot!(view::dot(outlook)));
}

#[test]
fn mermaid() {
    with_outlook(|outlook| insta::assert_snapshot!(view::mermaid(outlook)));
}

#[test]
fn a_drawing_is_well_formed_whatever_the_names() {
    let recipe = with_control(quickstart());
    let graph = graph_of(&recipe);
    let drawing = view::Drawing { graph: &graph, title: "<&\"\u{1}", subtitle: "a < b" };
    let svg = view::svg(drawing, |nodes| view::Label {
        text: format!("<{}>", nodes.len()),
        hint: String::new(),
        tone: view::Tone::Bad,
    });
    assert_eq!(svg.matches("&lt;1&gt;</text>").count(), graph.len());
    assert!(svg.contains("&lt;&amp;&quot; </text>"));
    assert!(!svg.contains("NaN"));
}

#[test]
fn a_grid_is_drawn_as_large_as_its_largest_member() {
    let members: Vec<Member> = (0..50)
        .map(|seed| member(&format!("seed {seed}"), Recipe { seed, ..quickstart() }))
        .collect();
    let graph = lower(&members, &facts());
    let label = |nodes: &[&Node]| view::Label {
        text: nodes.len().to_string(),
        hint: String::new(),
        tone: view::Tone::Open,
    };
    let drawing = view::Drawing { graph: &graph, title: "grid", subtitle: "" };
    let boxes = view::svg(drawing, label).matches("class=\"box\"").count();
    assert_eq!(boxes, graph_of(&quickstart()).len());
}
