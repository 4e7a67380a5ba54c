//! The names of jobs: given, or made from their content.

use crate::files::Files;
use veobatch_producer::{Checked, check};

fn names(checked: &Checked) -> Vec<String> {
    checked.preview(100).into_iter().map(|(key, _)| key.to_string()).collect()
}

#[test]
fn the_same_content_has_the_same_name_in_every_format() {
    let files = Files::new();
    let lines = names(&check(&[files.write("a.jsonl", "{\"prompt\":\"a cat\",\"model\":\"veo3_fast\"}")]).unwrap());
    assert_eq!(lines, ["a/aumb4yqrzpwayp6w"]);
    let yaml = "batch: a\ndefaults: {resolution: 720p, seed: null}\njobs:\n- prompt: |\n    a cat\n";
    assert_eq!(names(&check(&[files.write("b.yaml", yaml)]).unwrap()), lines);
}

#[test]
fn defaults_are_part_of_the_content() {
    let files = Files::new();
    let of = |defaults: &str| {
        names(&check(&[files.write("a.yaml", format!("defaults: {{{defaults}}}\njobs: [a cat]\n"))]).unwrap())
    };
    assert_ne!(of("seed: 12345"), of("seed: 12346"));
    assert_eq!(of("extra: {a: 1, b: 2}"), of("extra: {b: 2, a: 1}"));
}

/// An edit of these would otherwise be paid for.
#[test]
fn how_to_work_at_a_job_is_no_part_of_its_name() {
    let files = Files::new();
    let plain = names(&check(&[files.write("a.yaml", "jobs: [a cat, a dog]\n")]).unwrap());
    assert_eq!(plain[0], "a/aumb4yqrzpwayp6w");
    let more = "defaults: {max_attempts: 2, priority: 7}\njobs: [a cat, {prompt: a dog, max_attempts: 3}]\n";
    assert_eq!(names(&check(&[files.write("a.yaml", more)]).unwrap()), plain);
    // Lines that differ in nothing else are the same content twice.
    let twice = names(&check(&[files.write("a.yaml", "jobs: [a cat, {prompt: a cat, priority: 7}]\n")]).unwrap());
    assert_eq!(twice, ["a/aumb4yqrzpwayp6w", "a/aumb4yqrzpwayp6w-2"]);
}

#[test]
fn equal_lines_are_numbered_and_lines_inserted_above_change_no_other_name() {
    let files = Files::new();
    let lines = "{\"prompt\":\"x\"}\n{\"prompt\":\"y\"}\n{\"prompt\":\"x\"}\n{\"prompt\":\"x\"}\n";
    let before = names(&check(&[files.write("a.jsonl", lines)]).unwrap());
    assert_eq!(before[2], format!("{}-2", before[0]));
    assert_eq!(before[3], format!("{}-3", before[0]));
    let after = names(&check(&[files.write("a.jsonl", format!("{{\"prompt\":\"new\"}}\n{lines}"))]).unwrap());
    assert_eq!(after[1..], before);
}

#[test]
fn files_of_one_batch_join_and_share_their_names() {
    let files = Files::new();
    let a = files.write("a.yaml", "batch: both\njobs:\n- x\n- {id: one, prompt: z}\n");
    let b = files.write("b.yaml", "batch: both\njobs:\n- x\n");
    let checked = check(&[a.clone(), b]).unwrap();
    assert_eq!(checked.batches().len(), 1);
    assert!(names(&checked)[2].ends_with("-2"));
    let c = files.write("c.yaml", "batch: both\njobs:\n- y\n- {id: ONE, prompt: q}\n");
    let problems = check(&[a, c]).unwrap_err();
    let shown = problems.to_string();
    assert!(shown.contains("c.yaml:4:8: this id is already used in ") && shown.contains("a.yaml, line 4"), "{shown}");
}

#[test]
fn a_given_name_that_another_job_gets_from_its_content_is_told() {
    let files = Files::new();
    for id in ["aumb4yqrzpwayp6w", "aumb4yqrzpwayp6w-2"] {
        let lines =
            format!("{{\"prompt\":\"a cat\"}}\n{{\"prompt\":\"a cat\"}}\n{{\"prompt\":\"y\",\"id\":\"{id}\"}}\n");
        let problems = check(&[files.write("a.jsonl", lines)]).unwrap_err();
        assert!(problems.to_string().contains("already used"), "{problems}");
    }
}

#[test]
fn numbers_are_names_too() {
    let files = Files::new();
    let checked = check(&[files.write("a.yaml", "- {id: 17, prompt: x}\n- {id: 007, prompt: y}\n")]).unwrap();
    assert_eq!(names(&checked), ["a/17", "a/007"]);
}

#[test]
fn ten_thousand_duplicates_are_all_counted() {
    let files = Files::new();
    let lines = "{\"prompt\":\"x\",\"id\":\"one\"}\n".repeat(10_001);
    assert_eq!(check(&[files.write("a.jsonl", lines)]).unwrap_err().total(), 10_000);
}
