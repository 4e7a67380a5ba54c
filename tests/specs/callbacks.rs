//! Callbacks, as a person uses them: lost answers come back, strangers change nothing, and what the policies may do.

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use veobatch_simulator::{Config, Fault, Rule};
use veobatch_tests::{Movie, Prompts, Scene, quick};

use crate::{PATIENCE, on_redis, on_sqlite};

/// The scene with its receiver at a free port.
fn hearing(scene: Scene) -> Result<(Scene, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let scene = scene
        .with("VEOBATCH_CALLBACK_LISTEN", &format!("127.0.0.1:{port}"))
        .with("VEOBATCH_CALLBACK_URL", &format!("http://127.0.0.1:{port}/veobatch"));
    Ok((scene, port))
}

/// The answers of these submissions are lost after the service took them.
fn losing(nth: impl IntoIterator<Item = u64>) -> Config {
    let mut config = quick();
    config.callbacks.retry_ms = 200;
    config.faults.submit = vec![Rule::nth(Fault::Close, nth).after_accepting()];
    config
}

/// Asks the receiver; the status, and the answer's body.
async fn ask(port: u16, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no answer")?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

#[tokio::test]
async fn a_lost_answer_comes_back_by_a_callback_and_the_job_goes_on_without_a_second_payment() -> Result<()> {
    let (scene, _) = hearing(on_sqlite(losing([2, 4])).await?)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 5))?;
    scene.run(&["run", "garden.yaml"]).await?.with_code(0)?;
    let (counts, bill) = (scene.counts("garden").await?, scene.bill().await);
    assert_eq!((counts.done, bill.submissions, bill.accepted.len()), (5, 5, 5));
    Movie::open(&scene.path("videos/garden/job-2.mp4"))?;
    let shown = scene.run(&["jobs", "garden", "--json"]).await?.with_code(0)?;
    assert!(!shown.stdout.contains("in_doubt"), "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn signed_callbacks_are_believed_and_others_are_not() -> Result<()> {
    let mut config = losing([1]);
    config.callbacks.hmac_key = Some("the right key".to_owned());
    let (scene, port) = hearing(on_sqlite(config.clone()).await?)?;
    let scene = scene.with("KIE_WEBHOOK_KEY", "another key");
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("garden", "a doubt", |counts| counts.in_doubt == 1).await?;
    let forged = async {
        loop {
            let (_, health) = ask(port, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            if health.contains("\"forged\":4") {
                return Ok::<_, anyhow::Error>(health);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let health = tokio::time::timeout(PATIENCE, forged).await.context("four forged callbacks")??;
    assert!(health.contains("\"taken\":0"), "{health}");
    assert_eq!(scene.counts("garden").await?.in_doubt, 1);
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?;

    let shown = scene.run(&["show", "garden", "job-1"]).await?.with_code(0)?.stdout;
    assert!(shown.contains("sent with a callback URL") && shown.contains("--task-id"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn strangers_at_the_door_change_nothing_and_the_door_tells_no_secret() -> Result<()> {
    let mut config = losing([1]);
    config.callbacks.lost = 1.0;
    let (scene, port) = hearing(on_sqlite(config).await?)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker"])?;
    scene.until("garden", "a doubt", |counts| counts.in_doubt == 1).await?;
    // "garden/job-1", in base64.
    let path = format!("/veobatch/{:032x}/Z2FyZGVuL2pvYi0x", 0xcb);
    let body = r#"{"code":200,"data":{"taskId":"stolen"}}"#;
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(ask(port, &request).await?.0, 404);
    assert_eq!(ask(port, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await?.0, 405);
    let (status, health) = ask(port, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    assert!(status == 200 && health.contains("\"unknown\":1") && !health.contains("garden"), "{health}");
    assert_eq!(scene.counts("garden").await?.in_doubt, 1);
    worker.terminate().await?;
    worker.wait(PATIENCE).await?.with_code(130)?.saying("1 unknown")?;
    assert_eq!(scene.bill().await.submissions, 1);
    Ok(())
}

#[tokio::test]
async fn a_callback_that_comes_while_redis_is_away_is_taken_once_it_is_back() -> Result<()> {
    let mut config = losing([1]);
    config.generation.median_ms = 8_000;
    config.generation.sigma = 0.0;
    config.callbacks.retries = 60;
    let (mut scene, port) = hearing(on_redis(config).await?)?;
    scene.prompts("garden.yaml", &Prompts::numbered("garden", 1))?;
    scene.run(&["enqueue", "garden.yaml"]).await?.with_code(0)?;
    let worker = scene.start(&["worker", "--until-idle"])?;
    scene.until("garden", "a doubt", |counts| counts.in_doubt == 1).await?;
    scene.redis.as_mut().context("a server")?.kill()?;
    let deferred = async {
        loop {
            let (_, health) = ask(port, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            if !health.contains("\"deferred\":0") {
                return Ok::<_, anyhow::Error>(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, deferred).await.context("a callback that is deferred")??;
    scene.redis.as_mut().context("a server")?.start_again().await?;
    worker.wait(PATIENCE).await?.with_code(0)?;
    let bill = scene.bill().await;
    assert_eq!((scene.counts("garden").await?.done, bill.submissions), (1, 1));
    let callbacks = bill.accepted.first().context("a task")?.callbacks;
    ensure!(callbacks[0] >= 2 && callbacks[1] == 1, "{callbacks:?}");
    Ok(())
}

#[tokio::test]
async fn settings_of_callbacks_that_cannot_work_are_refused_with_words() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let listen = ["--callback-listen", "127.0.0.1:0"];
    for (words, said) in [
        (vec!["worker", "--callback-url", "https://hooks.example"], "needs --callback-listen"),
        ([&["worker"], &listen[..]].concat(), "needs --callback-url"),
        ([&["worker"], &listen[..], &["--callback-url", "ftp://x"]].concat(), "http(s)"),
        ([&["worker"], &listen[..], &["--callback-url", "https://x/?a=b"]].concat(), "no query"),
        (vec!["worker", "--callback-listen", "here", "--callback-url", "https://x"], "HOST:PORT"),
        (vec!["worker", "--in-doubt", "silence=2h"], "needs callbacks"),
        (vec!["worker", "--in-doubt", "silence=5m"], "15 min"),
        (vec!["worker", "--in-doubt", "guess"], "silence=TIME"),
    ] {
        scene.run(&words).await?.with_code(2)?.saying(said)?;
    }
    Ok(())
}
