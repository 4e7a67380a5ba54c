//! What YAML takes for something else is told, and never paid for as something else.

use crate::files::{Files, places};
use veobatch_core::{GenerationType, Resolution, Spec};
use veobatch_producer::check;

/// One problem of the file, at this place, told in these words.
fn assert_told(yaml: &str, place: (u64, u64), words: &str) {
    let files = Files::new();
    let problems = match check(&[files.write("a.yaml", yaml)]) {
        Err(problems) => problems,
        Ok(checked) => panic!("nothing is wrong with {yaml:?}: {:?}", checked.preview(2)),
    };
    let shown = problems.to_string();
    assert_eq!(places(&problems), [place], "{yaml:?}: {shown}");
    assert!(shown.contains(words), "{yaml:?}: {shown}");
}

fn specs(name: &str, text: &str) -> Vec<Spec> {
    let files = Files::new();
    check(&[files.write(name, text)]).unwrap().preview(9).into_iter().map(|(_, spec)| spec).collect()
}

#[test]
fn a_comment_that_cuts_off_a_text_is_told_with_the_corrected_line() {
    for (yaml, place, words) in [
        ("- prompt: Take #3 of the cat\n", (1, 16), r#"write - prompt: "Take #3 of the cat";"#),
        ("- Take #3 of the cat\n", (1, 8), r#"write - "Take #3 of the cat";"#),
        ("- Take\t# three\n", (1, 8), r#"write - "Take\t# three";"#),
        ("- Ein Käse “ß” #3\r\n", (1, 16), r#"write - "Ein Käse “ß” #3";"#),
        ("- prompt: Say \"no\" #3\n", (1, 20), r#"write - prompt: "Say \"no\" #3";"#),
        ("- prompt: A cat # a comment\n", (1, 17), "give it a line of its own"),
        ("- prompt: A cat\n    plays #3 times\n", (2, 11), r#"write - prompt: "A cat plays #3 times";"#),
        ("- prompt:\n    Take #3\n", (2, 10), r#"write "Take #3";"#),
        ("- prompt: #3 of the cats\n", (1, 11), r##"write - prompt: "#3 of the cats";"##),
        ("- #3 of the cats\n- b\n", (1, 3), r##"write - "#3 of the cats";"##),
        ("- {prompt: x, id: #3\n }\n", (1, 19), r##"write - {prompt: x, id: "#3";"##),
        ("- id: cat #3\n  prompt: x\n", (1, 11), r#"write - id: "cat #3";"#),
        ("- prompt: x\n  id: 5 # five\n", (2, 9), r#"write id: "5 # five";"#),
        ("- prompt: x\n  \"id\" : # later\n", (2, 10), "is a comment"),
        ("- prompt: x\n  watermark: Studio #3\n", (2, 21), r#"write watermark: "Studio #3";"#),
        ("- prompt: x\n  model: veo3 #lite\n", (2, 15), r#"write model: "veo3 #lite";"#),
        ("- prompt: x\n  images: [https://e.com/a #b\n  ]\n", (2, 28), "is a comment"),
        ("- prompt: x\n  extra:\n    style: noir #3\n", (3, 17), r#"write style: "noir #3";"#),
        ("- prompt: x\n  extra:\n    style: #noir\n", (3, 12), r##"write style: "#noir";"##),
        ("- prompt: x\n  resolution: #4k\n", (2, 15), "is a comment"),
        ("batch: Night #3\njobs: [x]\n", (1, 14), r#"write batch: "Night #3";"#),
        ("window: #22:00-06:00 UTC\njobs: [x]\n", (1, 9), "is a comment"),
    ] {
        assert_told(yaml, place, words);
    }
}

#[test]
fn comments_beside_what_is_no_free_text_and_after_quotes_are_comments() {
    let yaml = "batch: garden   # the folder
# a line
window: 22:00-06:00 UTC # at night
defaults: # for all
  model: veo3_lite # the cheap one
  resolution: # the default
jobs: # two
  # the first
  - prompt: \"Take #3\" # quoted
    id: 'cat #3'  # too
    duration: 8   #seconds
    images: # one
      - https://e.com/a#b # a fragment
    seed: 12345 # random
    extra: {strength: 7, on: true} # passed on
  - prompt: | # a block
      Take #4
    enable_translation: false # C# is fine
  - >
    Take #5
  - C#, F# and A#b
";
    let read: Vec<_> = specs("a.yaml", yaml).into_iter().map(|spec| (spec.prompt, spec.model)).collect();
    let want =
        ["Take #3", "Take #4", "Take #5", "C#, F# and A#b"].map(|prompt| (prompt.to_owned(), "veo3_lite".to_owned()));
    assert_eq!(read, want);
}

#[test]
fn a_text_that_yaml_takes_for_something_else_is_told_with_the_corrected_line() {
    for (written, read) in [
        ("0x1F", "31"),
        ("0o17", "15"),
        ("0b11", "3"),
        ("+5", "5"),
        ("-0", "0"),
        ("-0x1F", "-31"),
        ("+0o7", "7"),
        ("null", "nothing"),
        ("Null", "nothing"),
        ("NULL", "nothing"),
        ("~", "nothing"),
        ("True", "true"),
        ("FALSE", "false"),
        ("1e3", "1000.0"),
        ("1E3", "1000.0"),
        ("1.10", "1.1"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("0.1234567890123456789", "0.12345678901234568"),
        ("10000000000000000000000000000000000000000000", "1e+43"),
    ] {
        for field in ["id", "prompt", "watermark", "model"] {
            // Where `null` may be meant, it takes away a default.
            if read == "nothing" && matches!(field, "watermark" | "model") {
                continue;
            }
            let other = if field == "prompt" { "seed: 12345" } else { "prompt: x" };
            let words =
                format!("without quotes, YAML reads this as {read}: \"{written}\" (write {field}: \"{written}\")");
            assert_told(&format!("- {other}\n  {field}: {written}\n"), (2, field.len() as u64 + 5), &words);
        }
        assert_told(&format!("batch: {written}\njobs: [x]\n"), (1, 8), "without quotes");
        assert_told(&format!("- {written}\n"), (1, 3), &format!("YAML reads this as {read}"));
        if !matches!(read, "nothing" | "true" | "false") {
            assert_told(&format!("- prompt: x\n  extra: {{n: {written} }}\n"), (2, 14), "without quotes");
        }
    }
}

#[test]
fn what_looks_like_a_number_or_a_word_of_yaml_and_is_read_as_written_is_a_text() {
    for id in [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "Yes",
        "NO",
        "1_000",
        "007",
        "017",
        "08",
        "0X1F",
        "2026-11-28",
        "12h30",
        "1e400",
        "nan",
        "NaN",
        "inf",
        "infinity",
        "=",
        "0x",
        "5",
        "-5",
        "1-2",
        "--5",
        "0xg",
        "_1",
    ] {
        let files = Files::new();
        let checked = check(&[files.write("a.yaml", format!("- id: {id}\n  prompt: x\n"))]).unwrap();
        assert_eq!(checked.preview(1)[0].0.job.as_str(), id);
    }
    for prompt in ["12:30:45", "190:20:30", "2026-11-28T10:00:00Z", "<<", "a: b".replace(' ', "").as_str(), "C:\\new"] {
        assert_eq!(specs("a.yaml", &format!("- prompt: {prompt}\n"))[0].prompt, prompt);
    }
    for (explicit, id) in [("!!str 0x1F", "0x1F"), ("'0x1F'", "0x1F"), ("\"~\"", "~")] {
        let files = Files::new();
        let checked = check(&[files.write("a.yaml", format!("- id: {explicit}\n  prompt: x\n"))]).unwrap();
        assert_eq!(checked.preview(1)[0].0.job.as_str(), id);
    }
    assert_eq!(specs("a.yaml", "- prompt: x\n  duration: 0b100\n  seed: +12345\n")[0].seed, Some(12345));
}

#[test]
fn infinities_and_reserved_characters_are_told() {
    for (value, words) in [
        (".inf", "not a value that JSON does not have"),
        ("-.INF", "not a value that JSON does not have"),
        (".nan", "not a value that JSON does not have"),
        ("12345678901234567890123", "not a value that JSON does not have"),
        ("@cat", "not valid YAML"),
        ("`cat`", "not valid YAML"),
        ("%5 of a cat", "not valid YAML"),
        ("*cat", "not valid YAML"),
        ("- cat", "not valid YAML"),
        ("? cat", "not valid YAML"),
        ("|cat", "not valid YAML"),
        ("'a' cat", "not valid YAML"),
        ("a: cat", "put text that contains `: ` in quotes"),
    ] {
        let files = Files::new();
        let problems = check(&[files.write("a.yaml", format!("- prompt: {value}\n"))]).unwrap_err().to_string();
        assert!(problems.contains(words), "{value}: {problems}");
    }
}

#[test]
fn anchors_and_tags_that_ate_a_word_are_told() {
    for (yaml, place, words) in [
        ("- prompt: &amp is a cat\n", (1, 11), r#"write - prompt: "&amp is a cat""#),
        ("- &cat\n- b\n", (1, 3), "is an anchor of YAML"),
        ("- prompt: x\n  id: &x\n", (2, 7), r#"write id: "&x""#),
        ("- prompt: !wow a cat\n", (1, 11), r#"write - prompt: "!wow a cat""#),
        ("- prompt: !!wow a cat\n", (1, 11), r#"write - prompt: "!!wow a cat""#),
        ("- prompt: ! a cat\n", (1, 11), r#"write - prompt: "! a cat""#),
        ("- id: !!int 0x1F\n  prompt: x\n", (1, 7), "without quotes"),
    ] {
        assert_told(yaml, place, words);
    }
}

#[test]
fn a_line_that_joined_the_text_above_it_and_a_name_without_a_value_are_told() {
    for (yaml, place, words) in [
        ("- A cat\n - A dog\n", (2, 2), "this line continues the text above it"),
        ("- prompt: A cat\n    seed:12345\n", (2, 5), "this line continues the text above it"),
        ("- prompt: A cat\n    and a dog\n    - A bird\n", (3, 5), "this line continues the text above it"),
        ("defaults: {resolution: 4k}\njobs:\n- {prompt: red, resolution}\n", (3, 27), "a key without a value"),
        ("- {prompt: red, id}\n", (1, 19), "a key without a value"),
        ("- prompt: x\n  extra: {look, n: 1}\n", (2, 15), "a key without a value"),
    ] {
        assert_told(yaml, place, words);
    }
    assert_eq!(
        specs("a.yaml", "- A cat\n  plays\n\n  -and runs: fast-\n".replace(": ", ":").as_str())[0].prompt,
        "A cat plays\n-and runs:fast-"
    );
}

#[test]
fn what_two_readers_understand_differently_is_told() {
    // For one of them U+0085 ends a line, so that a comment begins; for the other it is a character like any.
    assert_told("- prompt: a\u{85}#b\n", (1, 11), "YAML parsers read this text in different ways");
    assert_told("- prompt: \"a\u{85}b\"\n", (1, 11), "YAML parsers read this text in different ways");
    let files = Files::new();
    let yaml = "- prompt: x\n  extra: {0x1F: 1, yes: 2, 1.10: 3, ~: 4}\n";
    let spec = check(&[files.write("a.yaml", yaml)]).unwrap().preview(1).remove(0).1;
    assert_eq!(spec.extra.keys().collect::<Vec<_>>(), ["0x1F", "1.10", "yes", "~"]);
}

#[test]
fn null_takes_away_a_default_in_yaml_and_json_and_is_like_nothing_without_one() {
    let yaml = "defaults: {resolution: 4k, model: veo3, duration: 4, watermark: w, seed: 12345, extra: {a: 1},
  generation_type: TEXT_2_VIDEO, enable_translation: false, priority: 3, max_attempts: 2, aspect_ratio: '9:16'}
jobs:
- {prompt: x, resolution: null, model: ~, duration: Null, watermark: , seed: NULL, extra: null,
   generation_type: null, enable_translation: null, priority: null, max_attempts: null, aspect_ratio: null}
- {prompt: x, images: null}
";
    let json = r#"{"defaults": {"resolution": "4k", "model": "veo3", "images": ["https://e.com/a"]},
        "jobs": [{"prompt": "x", "resolution": null, "model": null, "images": null, "id": null}, {"prompt": "x"}]}"#;
    let plain = specs("p.jsonl", "{\"prompt\": \"x\"}\n").remove(0);
    let (yaml, json) = (specs("a.yaml", yaml), specs("a.json", json));
    assert_eq!((&yaml[0], &json[0]), (&plain, &plain));
    assert_eq!((yaml[1].resolution, yaml[1].generation_type), (Resolution::K4, Some(GenerationType::Text)));
    assert_eq!((json[1].resolution, json[1].images.len()), (Resolution::K4, 1));
    let lines = "{\"prompt\": \"x\", \"resolution\": null, \"id\": null, \"images\": null, \"extra\": null}\n";
    assert_eq!(specs("l.jsonl", lines), [plain]);
    let files = Files::new();
    let none = "defaults: {prompt: shared}\njobs:\n- {prompt: , seed: 12345}\n";
    assert!(check(&[files.write("n.yaml", none)]).unwrap_err().to_string().contains("n.yaml:3:3: a job has no prompt"));
}
