use super::*;

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn name(&self, task: &str) -> PartName {
        let (folder, task) = (self.0.path().to_owned(), TaskId::parse(task).unwrap());
        PartName { folder, stem: "cat".into(), fence: Fence::random(), number: 1, task }
    }

    /// A step that wrote `text` of ten bytes and broke off.
    fn broken_off(&self, task: &str, text: &str) -> Part {
        let mut part = Part::create(self.name(task)).unwrap();
        part.continue_from(Source::new("https://host/v.mp4?sig=secret", Some("\"tag\"".into()), Some(10)));
        part.write(text.as_bytes()).unwrap();
        part.keep().unwrap();
        part
    }

    fn adopt(&self, task: &str) -> Option<Part> {
        Part::adopt(&self.name(task)).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.0.path()).unwrap().count()
    }
}

#[test]
fn a_later_step_goes_on_where_an_earlier_one_broke_off_and_vouches_for_the_whole() {
    let scene = Scene::new();
    drop(scene.broken_off("t1", "01234"));
    let mut part = scene.adopt("t1").unwrap();
    assert_eq!((part.bytes(), part.is_whole(), scene.files()), (5, false, 2));
    assert_eq!(part.source().validator_for("https://other/w.mp4"), Some("\"tag\""));
    part.write(b"56789").unwrap();
    let content = part.seal().unwrap();
    assert!(part.is_whole());
    assert_eq!(Some(content), crate::save::content::content(&part.path()).unwrap());
    assert_eq!(fs::read(part.path()).unwrap(), b"0123456789");
    part.discard();
    assert_eq!(scene.files(), 0);
}

#[test]
fn of_two_steps_one_goes_on_and_a_file_that_is_being_written_is_left_alone() {
    let scene = Scene::new();
    let writing = scene.broken_off("t1", "01234");
    assert!(scene.adopt("t1").is_none());
    drop(writing);
    let adopted = scene.adopt("t1").unwrap();
    assert!(scene.adopt("t1").is_none());
    assert!(adopted.path().exists());
}

#[test]
fn another_tasks_part_is_not_gone_on_with_and_of_several_the_longest_is() {
    let scene = Scene::new();
    for (task, text) in [("t1", "012"), ("t1", "0123456"), ("t1", "01"), ("t2", "01234567")] {
        drop(scene.broken_off(task, text));
    }
    assert_eq!(scene.adopt("t1").map(|part| part.bytes()), Some(7));
    assert!(scene.adopt("t3").is_none());
}

#[test]
fn bytes_that_no_note_vouches_for_are_dropped_and_changed_ones_are_not_trusted() {
    let scene = Scene::new();
    let mut part = scene.broken_off("t1", "01234");
    part.write(b"567").unwrap();
    drop(part);
    let part = scene.adopt("t1").unwrap();
    assert_eq!((part.bytes(), fs::metadata(part.path()).unwrap().len()), (5, 5));
    fs::write(part.path(), "01x34").unwrap();
    drop(part);
    assert!(scene.adopt("t1").is_none());
}

#[test]
fn what_somebody_else_changes_under_an_adopted_part_is_noticed() {
    let scene = Scene::new();
    drop(scene.broken_off("t1", "01234"));
    let mut part = scene.adopt("t1").unwrap();
    fs::write(part.path(), "xxxxx").unwrap();
    assert!(part.seal().is_err());
}

#[test]
fn a_part_that_starts_over_is_no_longer_vouched_for() {
    let scene = Scene::new();
    let mut part = scene.broken_off("t1", "01234");
    part.start_over().unwrap();
    part.write(b"abc").unwrap();
    assert_eq!(part.seal().unwrap(), crate::save::content::content(&part.path()).unwrap().unwrap());
    drop(part);
    assert!(scene.adopt("t1").is_none());
}

#[test]
fn a_date_speaks_for_its_own_link_only() {
    let source = Source::new("https://host/v.mp4?sig=1", Some("yesterday".into()), None);
    assert_eq!(source.validator_for("https://host/v.mp4?sig=2"), Some("yesterday"));
    assert_eq!(source.validator_for("https://host/w.mp4?sig=1"), None);
}

#[test]
fn only_a_stems_own_files_are_taken_for_its_own() {
    for (name, number) in [
        (".a.0123456789abcdef.part", Some(1)),
        (".a.0123456789abcdef.2.part", Some(2)),
        (".a.0123456789abcdef.checkpoint", None),
        (".a.b.0123456789abcdef.part", None),
        (".a.stray-t1.0123456789abcdef.part", None),
        (".a.0123456789abcdef.0123456789012345.part", None),
        (".ab.0123456789abcdef.part", None),
        ("a.0123456789abcdef.part", None),
        (".a.part", None),
    ] {
        assert_eq!(number_of(name, "a", PART), number, "{name}");
    }
    assert!(is_left_of(".a.0123456789abcdef.checkpoint", "a"));
    assert!(is_left_of(".a.0123456789abcdef07.json.part", "a"));
}
