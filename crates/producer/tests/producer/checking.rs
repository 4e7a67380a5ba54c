//! What a person is told about a file, and where.

use crate::files::{Files, places};
use veobatch_core::{AspectRatio, BatchId, Credits, Cron, GenerationType, Prices, Resolution, Start, Window};
use veobatch_producer::{BatchOptions, Setting, check};

#[test]
fn the_example_of_the_documentation_becomes_two_jobs() {
    let files = Files::new();
    let yaml = files.write(
        "jobs.yaml",
        r#"batch: garden            # else the file's name
defaults: { model: veo3_fast, aspect_ratio: "16:9", resolution: 1080p }
jobs:
  - id: cat-01
    prompt: A small cat plays in a sunny garden, high definition
  - prompt: The person in the picture waves and smiles
    images: [https://example.com/me.jpg]
"#,
    );
    let checked = check(&[yaml]).unwrap();
    assert_eq!(checked.batches(), [BatchId::parse("garden").unwrap()]);
    assert_eq!(checked.total(), 2);
    assert_eq!(checked.estimate(&Prices::default()).credits, Credits::whole(130));
    let jobs = checked.preview(10);
    assert_eq!(jobs[0].0.to_string(), "garden/cat-01");
    assert_eq!(jobs[0].1.resolution, Resolution::P1080);
    assert_eq!(jobs[1].0.job.as_str().len(), 16);
    assert_eq!(jobs[1].1.images, ["https://example.com/me.jpg"]);
}

#[test]
fn the_services_own_spellings_are_understood_in_every_format() {
    let line = r#"{"prompt":"x","aspectRatio":"9:16","imageUrls":["https://e.com/a"],"generationType":"REFERENCE_2_VIDEO","seeds":12345,"enableTranslation":false,"maxAttempts":2,"extra":{"z":1,"a":{"y":1,"b":2}}}"#;
    let files = Files::new();
    for name in ["a.jsonl", "b.json", "c.yaml", "d"] {
        let checked = check(&[files.write(name, line)]).unwrap();
        let (_, spec) = checked.preview(1).remove(0);
        assert_eq!(spec.aspect_ratio, AspectRatio::Portrait, "{name}");
        assert_eq!(spec.generation_type, Some(GenerationType::Reference));
        assert_eq!((spec.seed, spec.enable_translation, spec.policy.max_attempts), (Some(12345), Some(false), 2));
        assert_eq!(serde_json::to_string(&spec.extra).unwrap(), r#"{"a":{"b":2,"y":1},"z":1}"#);
    }
}

/// One problem in the second line, at this column, told in these words.
fn assert_told(line: &str, column: u64, words: &str) {
    let files = Files::new();
    let problems = check(&[files.write("a.jsonl", format!("{{\"prompt\": \"fine\"}}\r\n{line}\r\n"))]).unwrap_err();
    let shown = problems.to_string();
    assert_eq!(places(&problems), [(2, column)], "{line}: {shown}");
    assert!(shown.contains(words), "{line}: {shown}");
}

#[test]
fn every_mistake_in_a_value_is_told_with_its_place() {
    for (line, column, words) in [
        (r#"{"prompt": "x""#, 14, "not valid JSON"),
        (r#"{"prompt": "x",}"#, 16, "trailing comma"),
        (r#"{"prompt": "x", "aspct_ratio": "16:9"}"#, 17, "did you mean `aspect_ratio`?"),
        (r#"{"prompt": "x", "prompt": "y"}"#, 17, "given twice"),
        (r#"{"prompt": "x", "seed": 12345, "seeds": 12345}"#, 32, "given twice"),
        (r#"{"id": "a"}"#, 1, "no prompt"),
        (r#"{"prompt": "  "}"#, 12, "empty"),
        (r#"{"prompt": 7}"#, 12, "must be text, not a number: \"7\" (put it into quotes"),
        (r#"{"prompt": "ä", "duration": "8"}"#, 29, "write it without quotes: 8"),
        (r#"{"prompt": "x", "duration": 5}"#, 29, "4, 6 or 8"),
        (r#"{"prompt": "x", "seed": 9999}"#, 25, "from 10000 to 99999"),
        (r#"{"prompt": "x", "seed": 12345.5}"#, 25, "whole number"),
        (r#"{"prompt": "x", "resolution": 1080}"#, 31, "did you mean `1080p`?"),
        (r#"{"prompt": "x", "resolution": "4K"}"#, 31, "did you mean `4k`?"),
        (r#"{"prompt": "x", "aspect_ratio": "1:1"}"#, 33, "16:9, 9:16 or Auto"),
        (r#"{"prompt": "x", "generation_type": "TEXT"}"#, 36, "TEXT_2_VIDEO"),
        (r#"{"prompt": "x", "enable_translation": "yes"}"#, 39, "write true, without quotes"),
        (r#"{"prompt": "x", "priority": 40000}"#, 29, "from -32768 to 32767"),
        (r#"{"prompt": "x", "max_attempts": 0}"#, 33, "from 1 to 10"),
        (r#"{"prompt": "x", "watermark": []}"#, 30, "text, not a list"),
        (r#"{"prompt": "x", "model": ""}"#, 26, "empty"),
    ] {
        assert_told(line, column, words);
    }
}

#[test]
fn what_does_not_fit_together_is_told_with_its_place() {
    for (line, column, words) in [
        (r#"{"prompt": "x", "images": ["cat.png"]}"#, 28, "file path"),
        (r#"{"prompt": "x", "images": "data:image/png;base64,AA"}"#, 27, "data: URL"),
        (r#"{"prompt": "x", "images": ["http://localhost/a"]}"#, 28, "on this machine"),
        (r#"{"prompt": "x", "images": ["https://e.com/1", 2]}"#, 47, "list of URLs"),
        (
            r#"{"prompt": "x", "images": ["https://e.com/1","https://e.com/1","https://e.com/1","https://e.com/1"]}"#,
            27,
            "4 images",
        ),
        (r#"{"prompt": "x", "aspect_ratio": "Auto"}"#, 33, "shape of an image"),
        (r#"{"prompt": "x", "generation_type": "FIRST_AND_LAST_FRAMES_2_VIDEO"}"#, 36, "one or two images"),
        (r#"{"prompt": "x", "generation_type": "REFERENCE_2_VIDEO"}"#, 36, "one to three images"),
        (r#"{"prompt": "x", "generation_type": "TEXT_2_VIDEO", "images": ["https://e.com/1"]}"#, 36, "takes no images"),
        (
            r#"{"prompt": "x", "images": "https://e.com/1", "generation_type": "REFERENCE_2_VIDEO", "model": "veo3"}"#,
            95,
            "not possible with this model",
        ),
        (
            r#"{"prompt": "x", "images": "https://e.com/1", "generation_type": "REFERENCE_2_VIDEO", "duration": 4}"#,
            98,
            "always has 8 seconds",
        ),
        (r#"{"prompt": "x", "id": "a/b"}"#, 23, "contains '/'"),
        (r#"{"prompt": "x", "id": "cat.2"}"#, 23, "ends with a dot and digits"),
        (r#"{"prompt": "x", "id": true}"#, 23, "text, not true or false"),
        (r#"{"prompt": "x", "extra": {"seeds": 1}}"#, 27, "write `seed` beside `extra`"),
        (r#"{"prompt": "x", "extra": {"callBackUrl": "https://e.com"}}"#, 27, "sets the callback itself"),
        (r#"{"prompt": "x", "callBackUrl": "https://e.com"}"#, 17, "leave it out"),
        (r#"{"prompt": "x", "extra": []}"#, 26, "a mapping, not a list"),
        (r#"{"prompt": "x", "extra": {"n": 1e999}}"#, 32, "JSON has no such value"),
        (r#"{"prompt": "x", "aspect_ratio": "9:16", "extra": {"enableFallback": true}}"#, 50, "needs the aspect ratio"),
        (r#"{"prompt": "\ud800"}"#, 19, "not valid JSON"),
        ("[1]", 1, "one job, not a list"),
        ("17", 1, "a job is a mapping"),
    ] {
        assert_told(line, column, words);
    }
}

#[test]
fn a_file_with_every_mistake_reports_them_all() {
    let files = Files::new();
    let yaml = files.write(
        "all.yaml",
        "bach: x
batch: 'a/b'
defaults:
  id: x
  resolution: 8k
jobs:
  - prompt: ''
  - prompt: fine
    colour: red
    duration: 8s
    priority: 1
    priority: 2
  - id: A
    prompt: one
  - id: a
    prompt: two
  - prompt: x
    aspect_ratio: Auto
  - [1]
  - prompt: <<
    images:
      - https://example.com/ok.png
      - C:\\cat.png
",
    );
    let problems = check(&[yaml]).unwrap_err();
    assert_eq!(
        places(&problems),
        [(1, 1), (2, 8), (4, 7), (5, 15), (7, 13), (9, 5), (10, 15), (12, 5), (15, 9), (18, 19), (19, 5), (23, 9)],
        "{problems}"
    );
}

#[test]
fn syntax_errors_in_several_yaml_items_are_found_at_once_with_what_else_is_wrong() {
    let files = Files::new();
    let yaml = files.write(
        "a.yaml",
        "jobs:
  - prompt: a
    model: b: c
  - prompt: d
    dration: 8
  - prompt: [e
  - prompt: f
    seed: 1
",
    );
    let problems = check(&[yaml]).unwrap_err();
    let lines: Vec<u64> = problems.iter().filter_map(|problem| problem.line).collect();
    assert!(lines.contains(&3) && lines.contains(&5) && lines.contains(&8), "{problems}");
}

#[test]
fn bytes_that_are_not_utf8_are_told_in_each_line() {
    let files = Files::new();
    let lines = files.write("a.jsonl", b"{\"prompt\": \"\xc3\xa4\xff\"}\n{\"prompt\": \"x\"}\n\xfe\n");
    assert_eq!(places(&check(&[lines]).unwrap_err()), [(1, 14), (3, 1)]);
    let yaml = files.write("b.yaml", b"- a\n- \xff\n- {x: 1}\n");
    assert_eq!(places(&check(&[yaml]).unwrap_err()), [(2, 3), (3, 3), (3, 4)]);
    let wide = files.write("c.jsonl", b"\xff\xfe{\0");
    assert!(check(&[wide]).unwrap_err().to_string().contains("UTF-16"));
}

#[test]
fn empty_missing_and_unnameable_files_are_problems_of_the_file() {
    let files = Files::new();
    for (source, words) in [
        (files.write("a.yaml", ""), "is empty"),
        (files.write("b.jsonl", ""), "is empty"),
        (files.write("c.jsonl", "\n  \r\n"), "blank lines"),
        (files.write("d.yaml", "# a comment\n"), "only comments"),
        (files.write("e.yaml", "jobs: []\n"), "no jobs"),
        (files.write("f.yaml", "just words\n"), "neither a list"),
        (files.write("night.2.jsonl", "{\"prompt\": \"x\"}"), "rename the file"),
        (files.path("missing.yaml"), "no such file"),
        (files.path("."), "folder"),
    ] {
        let problems = check(&[source]).unwrap_err();
        assert!(problems.to_string().contains(words), "{words}: {problems}");
        assert_eq!(problems.total(), 1, "{problems}");
    }
}

#[test]
fn byte_order_marks_and_both_line_ends_are_fine() {
    let files = Files::new();
    for (name, content) in [
        ("a.yaml", "\u{feff}jobs:\r\n  - prompt: x\r\n    id: y\r\n"),
        ("b.jsonl", "\u{feff}{\"prompt\": \"x\", \"id\": \"y\"}\r\n\r\n"),
        ("c.json", "\u{feff}{\r\n\"jobs\": [{\"prompt\": \"x\", \"id\": \"y\"}]}\r\n"),
        ("d.jsonl", "{\"prompt\": \"x\", \"id\": \"y\"}"),
    ] {
        let checked = check(&[files.write(name, content)]).unwrap();
        assert_eq!(checked.preview(2).len(), 1);
        assert_eq!(checked.preview(2)[0].1.prompt, "x");
    }
}

#[test]
fn anchors_and_merge_keys_work_and_their_places_are_told() {
    let files = Files::new();
    let yaml = files.write(
        "a.yaml",
        "- &cat
  prompt: a cat
  model: veo3
- <<: *cat
  model: veo3_lite
- prompt: &text a dog
- prompt: *text
  seed: 12345
",
    );
    let jobs = check(&[yaml]).unwrap().preview(9);
    let told: Vec<_> = jobs.iter().map(|(_, spec)| (spec.prompt.as_str(), spec.model.as_str())).collect();
    assert_eq!(told, [("a cat", "veo3"), ("a cat", "veo3_lite"), ("a dog", "veo3_fast"), ("a dog", "veo3_fast")]);
    let bad = files.write("b.yaml", "- &cat {prompt: a cat, seed: 1}\n- <<: *cat\n  id: x\n");
    assert_eq!(places(&check(&[bad]).unwrap_err()), [(1, 30), (1, 30)]);
}

#[test]
fn aliases_that_would_expand_to_gigabytes_are_refused_before_they_do() {
    let files = Files::new();
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let last = format!("*a{},", n - 1).repeat(9);
        bomb = format!("{bomb}a{n}: &a{n} [{last}]\n");
    }
    let problems = check(&[files.write("bomb.yaml", bomb)]).unwrap_err();
    assert!(problems.to_string().contains("far more than is written"), "{problems}");
    let snake = files.write("snake.yaml", "jobs: &a [*a]\n");
    assert!(check(&[snake]).unwrap_err().to_string().contains("value that contains it"));
}

#[test]
fn a_plain_list_of_prompts_is_a_list_of_jobs() {
    let files = Files::new();
    let checked = check(&[files.write("a.yaml", "- A cat\n- A dog\n")]).unwrap();
    assert_eq!(checked.total(), 2);
}

#[test]
fn odd_models_and_very_long_prompts_are_warned_about_and_passed_through() {
    let files = Files::new();
    let long = "x".repeat(10_001);
    let lines =
        format!("{{\"prompt\": \"{long}\", \"model\": \"veo3-fast\"}}\n{{\"prompt\":\"x\",\"model\":\"kling\"}}\n");
    let checked = check(&[files.write("a.jsonl", lines)]).unwrap();
    let warnings: Vec<String> = checked.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("did you mean `veo3_fast`?"), "{warnings:?}");
    assert!(warnings[1].contains("10000 characters"), "{warnings:?}");
    assert_eq!(checked.estimate(&Prices::default()).unpriced.len(), 2);
}

#[test]
fn a_source_given_twice_and_batches_that_differ_only_in_case_are_refused() {
    let files = Files::new();
    let one = files.write("a.jsonl", "{\"prompt\": \"x\"}");
    let problems = check(&[one.clone(), one]).unwrap_err();
    assert!(problems.to_string().contains("named twice"));
    let (a, b) = (files.write("b.yaml", "batch: cats\njobs: [x]"), files.write("c.yaml", "batch: Cats\njobs: [y]"));
    assert!(check(&[a, b]).unwrap_err().to_string().contains("only in case"));
}

#[test]
fn a_document_says_what_it_asks_for_its_batch() {
    let files = Files::new();
    let yaml = "batch: night\nweight: 3\npriority: -10\nbudget: 5000.5\nstart_at: 2026-11-23 22:00 Europe/Berlin\n\
                window: mon-fri 22:00-06:00 Europe/Berlin\ncron: 0 22 * * 1-5 Europe/Berlin\njobs: [a cat]\n";
    let json = r#"{"batch": "day", "window": null, "budget": "none", "jobs": ["a dog"]}"#;
    let checked = check(&[files.write("a.yaml", yaml), files.write("b.json", json)]).unwrap();
    let asked: Vec<&BatchOptions> = checked.options().map(|(_, asked)| asked).collect();
    assert_eq!((asked[0].weight, asked[0].priority), (Some(3), Some(-10)));
    assert_eq!(asked[0].budget, Setting::Set(Credits::from_f64(5000.5)));
    assert_eq!(asked[0].start_at, Setting::Set(Start::parse("2026-11-23 22:00 Europe/Berlin").unwrap()));
    assert_eq!(asked[0].window, Setting::Set(Window::parse("mon-fri 22:00-06:00 Europe/Berlin").unwrap()));
    assert_eq!(asked[0].cron, Setting::Set(Cron::parse("0 22 * * 1-5 Europe/Berlin").unwrap()));
    assert_eq!(*asked[1], BatchOptions { budget: Setting::Clear, ..BatchOptions::default() });
}

#[test]
fn every_mistake_in_a_batchs_terms_is_told_with_its_place() {
    let files = Files::new();
    for (line, column, words) in [
        ("weight: 0", 9, "`weight` must be a whole number from 1 to 1000: \"0\""),
        ("weight: 2.5", 9, "from 1 to 1000"),
        ("weight: \"3\"", 9, "write it without quotes: 3"),
        ("priority: 101", 11, "from -100 to 100"),
        ("budget: -1", 9, "an amount of credits"),
        ("budget: much", 9, "must be a number, not text"),
        ("start_at: tomorrow", 11, "write it like \"2026-11-23 22:00 Europe/Berlin\""),
        ("start_at: 2026-11-23 22:00", 11, "a time without its zone"),
        ("window: 22:00-06:00", 9, "names no time zone"),
        ("window: 22:00-06:00 Berlin", 9, "did you mean Europe/Berlin?"),
        ("window: 22", 9, "must be text, not a number"),
        ("window: 25:00-06:00 UTC", 9, "write HH:MM"),
        ("cron: 0 22 * *", 7, "five fields"),
        ("cron: 0 22 30 2 * UTC", 7, "never happens"),
        ("windw: 22:00-06:00 UTC", 1, "did you mean `window`?"),
    ] {
        let text = format!("batch: night\n{line}\njobs: [a cat]\n");
        let problems = check(&[files.write("a.yaml", text)]).unwrap_err();
        assert_eq!(places(&problems), [(2, column)], "{line}: {problems}");
        assert!(problems.to_string().contains(words), "{line}: {problems}");
    }
    let twice = files.write("a.yaml", "weight: 1\nweight: 2\njobs: [a cat]\n");
    assert!(check(&[twice]).unwrap_err().to_string().contains("twice"));
    let line = files.write("a.jsonl", "{\"prompt\": \"x\", \"window\": \"22:00-06:00 UTC\"}\n");
    assert!(check(&[line]).unwrap_err().to_string().contains("a whole batch"));
    let long = files.write("a.yaml", format!("batch: {}\ncron: 0 22 * * * UTC\njobs: [a cat]\n", "x".repeat(105)));
    assert!(check(&[long]).unwrap_err().to_string().contains("104 bytes"));
}

#[test]
fn two_files_of_one_batch_must_not_ask_for_different_things() {
    let files = Files::new();
    let one = files.write("a.yaml", "batch: night\nweight: 2\nwindow: 22:00-06:00 UTC\njobs: [a cat]\n");
    let two = files.write("b.yaml", "batch: night\nweight: 2\nwindow: 23:00-06:00 UTC\njobs: [a dog]\n");
    let problems = check(&[one.clone(), two]).unwrap_err();
    assert_eq!(places(&problems), [(3, 9)]);
    assert!(problems.to_string().contains("different `window`"), "{problems}");
    let more = files.write("c.yaml", "batch: night\npriority: 7\njobs: [a bird]\n");
    let mut checked = check(&[one, more]).unwrap();
    checked.set_options(&BatchOptions { weight: Some(9), ..BatchOptions::default() }).unwrap();
    let (_, asked) = checked.options().next().unwrap();
    assert_eq!((asked.weight, asked.priority), (Some(9), Some(7)));
    assert!(matches!(asked.window, Setting::Set(_)));
}

#[test]
fn jobs_without_a_name_that_ask_for_the_same_are_counted_for_each_file() {
    let files = Files::new();
    let line = |prompt: &str| format!("{{\"prompt\": \"{prompt}\"}}\n");
    let one = files.write("one.jsonl", [line("a"), line("b"), line("a"), line("a")].concat());
    let two = files.write("two.yaml", "batch: one\njobs: [c, b, {id: x, prompt: c}]\n");
    let three = files.write("three.jsonl", [line("a"), line("b")].concat());
    let checked = check(&[one, two, three]).unwrap();
    let warnings: Vec<String> = checked.warnings().iter().map(ToString::to_string).collect();
    let [first, second] = warnings.as_slice() else { panic!("{warnings:?}") };
    let words = "one.jsonl: 2 jobs have the same content as an earlier one; each is made and paid for";
    assert!(first.ends_with(words), "{warnings:?}");
    // In the same batch; what has a name of its own is meant.
    let words = "two.yaml: 1 job has the same content as an earlier one; both are made and paid for";
    assert!(second.ends_with(words), "{warnings:?}");
}
