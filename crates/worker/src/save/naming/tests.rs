use std::fs;

use veobatch_core::{BatchId, JobId, JobKey, Record, Spec, Stray, Token};
use veobatch_ledger::{JobRef, Version};

use super::*;
use crate::save::content::Content;

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn saving(&self, task: &str) -> Saving {
        let spec = Spec { prompt: "a cat".into(), ..Spec::default() };
        let now = Timestamp::from_millis(1_795_368_605_999);
        let key = JobKey { batch: BatchId::parse("garden").unwrap(), job: JobId::parse("cat").unwrap() };
        let stored = Stored {
            key,
            job: JobRef { batch: 0, seq: 0 },
            record: Record::fresh(&spec),
            spec,
            compacted: false,
            version: Version(1),
            now,
            leased_until: None,
        };
        let task = Task { id: TaskId::parse(task).unwrap(), attempt: 1, at: now };
        Saving { stored, task, fence: Fence::random(), folder: self.dir.path().to_owned(), saved_at: now, again: true }
    }

    fn save(&self, task: &str, texts: &[&str]) -> Result<Files, SaveError> {
        let saving = self.saving(task);
        move_into_place(&saving, &mut fetched(&saving, texts)).map(|(files, _)| files)
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

fn fetched(saving: &Saving, texts: &[&str]) -> Vec<Fetched> {
    let each = (1..).zip(texts).map(|(number, text)| {
        let mut part = saving.part(number).unwrap();
        part.write(text.as_bytes()).unwrap();
        let content = part.seal().unwrap();
        let picture = crate::save::mp4::Picture { width: 1280, height: 720 };
        Fetched { part, url: "https://host/v.mp4?sig=secret".into(), content, picture: Ok(picture) }
    });
    each.collect()
}

#[test]
fn videos_get_their_usual_names_and_a_sidecar_without_secrets() {
    let scene = Scene::new();
    assert_eq!(scene.save("t1", &["one", "two"]), Ok(Files::Usual(2)));
    assert_eq!(scene.names(), ["cat.2.mp4", "cat.json", "cat.mp4"]);
    let sidecar = scene.text("cat.json");
    assert!(sidecar.contains("https://host/v.mp4") && !sidecar.contains("secret"), "{sidecar}");
    assert!(sidecar.contains(r#""task_id": "t1""#) && sidecar.contains("2026-11-22T17:30:05Z"), "{sidecar}");
}

#[test]
fn another_tasks_files_stay_and_ours_are_named_with_our_task() {
    let scene = Scene::new();
    scene.save("t1", &["one"]).unwrap();
    assert_eq!(scene.save("t2", &["other"]), Ok(Files::Named(vec!["garden/cat.t2.mp4".into()])));
    assert_eq!(scene.names(), ["cat.json", "cat.mp4", "cat.t2.json", "cat.t2.mp4"]);
    assert_eq!((scene.text("cat.mp4"), scene.text("cat.t2.mp4")), ("one".into(), "other".into()));
}

#[test]
fn the_video_of_a_task_beside_the_jobs_own_goes_beside_it_and_leaves_its_name_alone() {
    let scene = Scene::new();
    let mut saving = scene.saving("t9");
    saving.stored.record.strays.push(Stray::new(saving.task.id.clone(), Token::from_bits(1), saving.saved_at));
    let saved = move_into_place(&saving, &mut fetched(&saving, &["beside"])).unwrap();
    assert_eq!(saved.0, Files::Named(vec!["garden/cat.stray-t9.mp4".into()]));
    assert_eq!(scene.names(), ["cat.stray-t9.json", "cat.stray-t9.mp4"]);
    assert!(scene.text("cat.stray-t9.json").contains("paid for beside"));
    assert_eq!(already_saved(&saving).unwrap(), Some(saved));
    assert_eq!(scene.save("t1", &["own"]), Ok(Files::Usual(1)));
}

#[test]
fn a_task_id_of_any_length_leaves_room_for_the_rest_of_a_name() {
    let id = |length: usize| TaskId::parse(&"x".repeat(length)).unwrap();
    assert_eq!(short(&id(64)), "x".repeat(64));
    assert!(short(&id(65)).len() < 64 && short(&id(65)) != short(&id(66)));
}

#[test]
fn a_strangers_file_stays_too() {
    let scene = Scene::new();
    fs::write(scene.dir.path().join("cat.mp4"), "my holidays").unwrap();
    assert_eq!(scene.save("t1", &["one"]), Ok(Files::Named(vec!["garden/cat.t1.mp4".into()])));
    assert_eq!(scene.text("cat.mp4"), "my holidays");
}

#[test]
fn what_a_crash_left_half_done_is_finished_under_the_same_names() {
    for left in ["one", ""] {
        let scene = Scene::new();
        fs::write(scene.dir.path().join("cat.mp4"), left).unwrap();
        fs::write(scene.dir.path().join(".cat.0123456789abcdef.part"), "on").unwrap();
        assert_eq!(scene.save("t1", &["one"]), Ok(Files::Usual(1)));
        assert_eq!(scene.names(), ["cat.json", "cat.mp4"]);
        assert_eq!(scene.text("cat.mp4"), "one");
    }
}

#[test]
fn what_was_saved_is_known_again_unless_it_was_changed() {
    let scene = Scene::new();
    assert_eq!(already_saved(&scene.saving("t1")).unwrap(), None);
    scene.save("t1", &["one"]).unwrap();
    assert_eq!(already_saved(&scene.saving("t1")).unwrap(), Some((Files::Usual(1), None)));
    assert_eq!(already_saved(&scene.saving("t2")).unwrap(), None);
    scene.save("t2", &["other"]).unwrap();
    assert_eq!(already_saved(&scene.saving("t2")).unwrap().unwrap().0, Files::Named(vec!["garden/cat.t2.mp4".into()]));
    fs::write(scene.dir.path().join("cat.mp4"), "cut").unwrap();
    assert_eq!(already_saved(&scene.saving("t1")).unwrap(), None);
    assert_eq!(scene.save("t1", &["one"]), Ok(Files::Named(vec!["garden/cat.t1.mp4".into()])));
}

#[test]
fn a_file_that_went_missing_is_put_down_again() {
    let scene = Scene::new();
    scene.save("t1", &["one"]).unwrap();
    fs::remove_file(scene.dir.path().join("cat.mp4")).unwrap();
    assert_eq!(scene.save("t1", &["one"]), Ok(Files::Usual(1)));
    let there = content(&scene.dir.path().join("cat.mp4")).unwrap();
    assert!(matches!(there, Some(Content { bytes: 3, .. })));
}
