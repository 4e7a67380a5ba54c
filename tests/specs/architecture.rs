//! Which crate may know which; the files that machines are set up from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_yaml::Value as Yaml;

/// The arrows between our crates: who may depend on whom (crates/README.md).
const ARROWS: &[(&str, &[&str])] = &[
    ("veobatch-core", &[]),
    ("veobatch-simulator", &[]),
    ("xtask", &[]),
    ("veobatch-api", &["veobatch-core"]),
    ("veobatch-ledger", &["veobatch-core"]),
    ("veobatch-producer", &["veobatch-core", "veobatch-ledger"]),
    ("veobatch-worker", &["veobatch-core", "veobatch-ledger", "veobatch-api"]),
    (
        "veobatch",
        &[
            "veobatch-core",
            "veobatch-api",
            "veobatch-ledger",
            "veobatch-producer",
            "veobatch-worker",
            "veobatch-simulator",
        ],
    ),
    ("veobatch-tests", &["veobatch", "veobatch-simulator", "veobatch-worker"]),
];

/// What only one of our crates may use directly.
const OWNED: &[(&str, &str)] = &[
    ("reqwest", "veobatch-api"),
    ("redis", "veobatch-ledger"),
    ("rusqlite", "veobatch-ledger"),
    ("serde_yaml", "veobatch-producer"),
    ("cronexpr", "veobatch-core"),
    ("apalis", "veobatch-worker"),
    ("governor", "veobatch-worker"),
    ("backoff", "veobatch-worker"),
    ("clap", "veobatch"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path)).with_context(|| format!("failed to read {path}"))
}

/// The crates of the workspace, as cargo tells of them.
fn packages() -> Result<Vec<serde_json::Value>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let output = cargo.output().context("failed to start cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    list(&metadata, "packages").context("no packages")
}

fn list(value: &serde_json::Value, name: &str) -> Option<Vec<serde_json::Value>> {
    value.get(name).and_then(|list| list.as_array().cloned())
}

fn name(value: &serde_json::Value) -> Option<String> {
    value.get("name").and_then(|name| name.as_str().map(str::to_owned))
}

/// What a crate depends on, without what only its tests use.
fn used(package: &serde_json::Value) -> Vec<serde_json::Value> {
    let all = list(package, "dependencies").unwrap_or_default();
    all.into_iter().filter(|dependency| dependency.get("kind").is_none_or(serde_json::Value::is_null)).collect()
}

/// The crates of the workspace and what each depends on, without what only its tests use.
fn dependencies() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let crates = packages()?.into_iter().map(|package| {
        let used = used(&package).iter().filter_map(name).collect();
        Ok((name(&package).context("a package without a name")?, used))
    });
    crates.collect()
}

#[test]
fn the_arrows_between_the_crates_are_those_of_the_architecture_document() -> Result<()> {
    let crates = dependencies()?;
    let ours: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(ours, known, "a crate came or went: its arrows belong here and into crates/README.md");
    for (name, allowed) in ARROWS {
        for used in crates.get(*name).into_iter().flatten().filter(|used| ours.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} must not know {used}");
        }
    }
    Ok(())
}

#[test]
fn what_one_crate_alone_owns_no_other_uses() -> Result<()> {
    for (name, used) in dependencies()? {
        for (package, owner) in OWNED {
            assert!(!used.contains(*package) || name == *owner, "{package} belongs to {owner}, and {name} uses it");
        }
    }
    Ok(())
}

#[test]
fn nothing_but_tests_can_turn_on_a_simulated_network_clock_or_randomness() -> Result<()> {
    let mut able = Vec::new();
    for package in packages()? {
        let name = name(&package).context("a package without a name")?;
        let features = package.get("features").and_then(|features| features.as_object().cloned()).unwrap_or_default();
        able.extend(features.contains_key("simulated").then(|| name.clone()));
        for (feature, implied) in features {
            assert!(feature == "simulated" || !implied.to_string().contains("simulated"), "{name}: {feature}");
        }
        for dependency in used(&package) {
            let wanted = dependency.get("features").map(ToString::to_string).unwrap_or_default();
            assert!(!wanted.contains("simulated"), "{name} turns it on in {dependency}");
        }
    }
    assert_eq!(able, ["veobatch-api", "veobatch-ledger"]);
    Ok(())
}

#[test]
fn nothing_but_the_specifications_can_make_the_program_kill_itself() -> Result<()> {
    for package in packages()? {
        let name = name(&package).context("a package without a name")?;
        for dependency in used(&package) {
            let wanted = dependency.get("features").map(ToString::to_string).unwrap_or_default();
            assert!(!wanted.contains("failpoints") || name == "veobatch-tests", "{name} turns it on in {dependency}");
        }
    }
    Ok(())
}

/// Every Rust source of the product's crates that is not a test.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn only_the_ledger_issues_grants_to_spend() -> Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join("crates"))? {
        let folder = entry?.path().join("src");
        if folder.is_dir() {
            sources(&folder, &mut files)?;
        }
    }
    let mut makers = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path)?;
        // A test has an issuer of its own, whose grants the client of the product does not take.
        let product = source.split("#[cfg(test)]").next().unwrap_or_default();
        if product.contains("Grant::by(") {
            makers.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    assert_eq!(makers.len(), 1, "{makers:?}");
    assert!(makers.iter().all(|maker| maker.ends_with("crates/ledger/src/ledger/grant.rs")), "{makers:?}");
    Ok(())
}

/// The value at a path of keys, such as `services.redis.image`.
fn at<'a>(yaml: &'a Yaml, path: &str) -> Result<&'a Yaml> {
    let found = path.split('.').try_fold(yaml, |value, key| value.get(key));
    found.with_context(|| format!("docker-compose.yml has no {path}"))
}

fn words(yaml: &Yaml) -> Vec<String> {
    let list = yaml.as_sequence().into_iter().flatten();
    list.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn compose() -> Result<Yaml> {
    let mut compose: Yaml = serde_yaml::from_str(&text("docker-compose.yml")?)?;
    compose.apply_merge()?;
    Ok(compose)
}

#[test]
fn the_redis_of_the_compose_file_forgets_nothing_that_was_paid_for() -> Result<()> {
    let compose = compose()?;
    let command = words(at(&compose, "services.redis.command")?).join(" ");
    for setting in ["--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"] {
        assert!(command.contains(setting), "{command}");
    }
    let volumes = words(at(&compose, "services.redis.volumes")?);
    let named = volumes.iter().find_map(|volume| volume.strip_suffix(":/data")).context("its data have no volume")?;
    at(&compose, &format!("volumes.{named}"))?;
    at(&compose, "services.redis.healthcheck.test")?;
    ensure!(at(&compose, "services.redis.ports").is_err(), "the queue must not be open to the network");
    Ok(())
}

#[test]
fn the_workers_of_the_compose_file_may_end_their_paid_calls_and_keep_their_journals() -> Result<()> {
    let compose = compose()?;
    let worker = |path: &str| at(&compose, &format!("services.worker.{path}"));
    assert_eq!(worker("stop_grace_period")?.as_str(), Some("90s"), "paid calls under way are waited for, 75 s at most");
    assert_eq!(worker("restart")?.as_str(), Some("unless-stopped"));
    assert_eq!(worker("init")?.as_bool(), Some(true));
    assert_eq!(worker("depends_on.redis.condition")?.as_str(), Some("service_healthy"));
    ensure!(worker("container_name").is_err(), "a fixed name cannot be scaled");
    let state = worker("environment.VEOBATCH_STATE_DIR")?.as_str().context("no state folder")?;
    let volumes = words(worker("volumes")?);
    let named = volumes.iter().find_map(|volume| volume.strip_suffix(&format!(":{state}")));
    at(&compose, &format!("volumes.{}", named.context("the journals have no volume")?))?;
    let output = worker("environment.VEOBATCH_OUTPUT")?.as_str().context("no output folder")?;
    ensure!(volumes.iter().any(|volume| volume.ends_with(&format!(":{output}"))), "the videos have no volume");
    let key = worker("environment.KIE_API_KEY")?.as_str().context("no key")?;
    assert!(key.starts_with("${KIE_API_KEY:?"), "the key comes from the environment, and must be there");
    Ok(())
}

#[test]
fn the_image_runs_as_nobody_special_and_trusts_the_webs_certificates() -> Result<()> {
    let dockerfile = text("Dockerfile")?;
    let last = dockerfile.rsplit("\nFROM ").next().unwrap_or_default();
    for part in
        ["ca-certificates", "\nUSER veobatch\n", "VOLUME [\"/videos\", \"/state\"]", "ENTRYPOINT [\"veobatch\"]"]
    {
        assert!(last.contains(part), "the image's last stage has no {part:?}");
    }
    assert!(dockerfile.contains("--release --locked"));
    Ok(())
}
