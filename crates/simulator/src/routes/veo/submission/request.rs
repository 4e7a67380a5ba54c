//! What a submission asks for, checked against the documented fields (docs/kie-api.md, sections 2 and 6).

use serde_json::Value;

use crate::account::Held;
use crate::account::order::Order;
use crate::account::task::{TaskKind, TaskState};
use crate::config::{AspectKey, Config, Size};
use crate::video::shape::{Ratio, Resolution};

/// Why a request is not in order.
#[derive(Debug)]
pub(crate) struct Invalid {
    pub(crate) code: u16,
    pub(crate) message: String,
}

fn invalid<T>(code: u16, message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { code, message: message.into() })
}

/// What `generate` asks for.
pub(crate) fn parse_generate(fields: &Value, config: &Config) -> Result<Order, Invalid> {
    let prompt = prompt(fields)?;
    let model = match (text(fields, "model")?, &config.default_model) {
        (Some(model), _) => model,
        (None, Some(default)) => default,
        (None, None) => return invalid(422, "Invalid model"),
    };
    if !config.prices.contains_key(model) {
        return invalid(422, "Invalid model");
    }
    let word = text(fields, "resolution")?.unwrap_or("720p");
    let Some(resolution) = Resolution::parse(word) else { return invalid(422, "resolution must be 720p, 1080p or 4k") };
    let resolution = if config.dialect.size == Size::BaseOnly { Resolution::P720 } else { resolution };
    let seconds = seconds(fields)?;
    let ratio = ratio(fields, config.dialect.aspect_key)?;
    images(fields, model, seconds)?;
    if fields.get("enableFallback").and_then(Value::as_bool) == Some(true) && ratio != Ratio::Landscape {
        return invalid(422, "enableFallback needs aspect_ratio 16:9");
    }
    seeds(fields)?;
    Ok(Order {
        kind: TaskKind::Generate,
        prompt: prompt.to_owned(),
        model: model.to_owned(),
        ratio,
        resolution,
        seconds,
        fields: fields.to_string(),
        source: None,
        callback: text(fields, "callBackUrl")?.filter(|url| !url.is_empty()).map(str::to_owned),
        price: config.price(model, resolution).unwrap_or_default(),
    })
}

/// What `extend` asks for; `source` is the task it names, if there is such a one.
pub(crate) fn parse_extend(
    fields: &Value,
    config: &Config,
    source: Option<&Held>,
    now_ms: u64,
) -> Result<Order, Invalid> {
    let prompt = prompt(fields)?;
    let Some(source) = source else { return invalid(404, "The original task does not exist") };
    if source.task.state(now_ms) != TaskState::Succeeded {
        return invalid(422, "record status is not success");
    }
    if source.task.resolution == Resolution::P1080 || source.upgraded(Resolution::P1080).is_some() {
        return invalid(422, "A video upgraded to 1080P cannot be extended");
    }
    let model = match text(fields, "model")?.unwrap_or("fast") {
        "fast" => "veo3_fast",
        "quality" => "veo3",
        "lite" => "veo3_lite",
        _ => return invalid(422, "Invalid model"),
    };
    let Some(price) = config.price(model, Resolution::P720) else { return invalid(422, "Invalid model") };
    seeds(fields)?;
    Ok(Order {
        kind: TaskKind::Extend,
        prompt: prompt.to_owned(),
        model: model.to_owned(),
        ratio: source.task.ratio,
        resolution: Resolution::P720,
        seconds: 8,
        fields: fields.to_string(),
        source: Some(source.task.id.clone()),
        callback: text(fields, "callBackUrl")?.filter(|url| !url.is_empty()).map(str::to_owned),
        price,
    })
}

/// A field that is a text, or absent.
fn text<'a>(fields: &'a Value, name: &str) -> Result<Option<&'a str>, Invalid> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => invalid(422, format!("{name} must be a string")),
    }
}

fn prompt(fields: &Value) -> Result<&str, Invalid> {
    if !fields.is_object() {
        return invalid(400, "The request body is not a JSON object");
    }
    match fields.get("prompt").and_then(Value::as_str) {
        Some(prompt) if !prompt.trim().is_empty() => Ok(prompt),
        _ => invalid(400, "prompt cannot be empty"),
    }
}

fn seconds(fields: &Value) -> Result<u32, Invalid> {
    match fields.get("duration") {
        None | Some(Value::Null) => Ok(8),
        Some(value) => match value.as_u64() {
            Some(4) => Ok(4),
            Some(6) => Ok(6),
            Some(8) => Ok(8),
            _ => invalid(422, "duration must be 4, 6 or 8"),
        },
    }
}

fn seeds(fields: &Value) -> Result<(), Invalid> {
    match fields.get("seeds") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_u64().is_some_and(|seed| (10_000..=99_999).contains(&seed)) => Ok(()),
        Some(_) => invalid(422, "seeds must be between 10000 and 99999"),
    }
}

/// The ratio under the key that this service understands; `Auto` is made 16:9.
fn ratio(fields: &Value, key: AspectKey) -> Result<Ratio, Invalid> {
    let word = match key {
        AspectKey::Snake => text(fields, "aspect_ratio")?,
        AspectKey::Camel => text(fields, "aspectRatio")?,
        AspectKey::Both => text(fields, "aspect_ratio")?.or(text(fields, "aspectRatio")?),
    };
    match word.unwrap_or("16:9") {
        "16:9" | "Auto" => Ok(Ratio::Landscape),
        "9:16" => Ok(Ratio::Portrait),
        _ => invalid(422, "aspect_ratio must be 16:9, 9:16 or Auto"),
    }
}

/// The rules about pictures and the kind of generation.
fn images(fields: &Value, model: &str, seconds: u32) -> Result<(), Invalid> {
    let images = match fields.get("imageUrls") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(images)) => images,
        Some(_) => return invalid(422, "imageUrls must be an array"),
    };
    let is_link = |image: &Value| {
        let link = image.as_str().unwrap_or_default();
        link.starts_with("https://") || link.starts_with("http://")
    };
    if !images.iter().all(is_link) {
        return invalid(422, "imageUrls must be http or https URLs");
    }
    let most = match text(fields, "generationType")? {
        None => {
            return if images.len() <= 2 { Ok(()) } else { invalid(422, "at most 2 images without generationType") };
        }
        Some("TEXT_2_VIDEO") => 0..=0,
        Some("FIRST_AND_LAST_FRAMES_2_VIDEO") => 1..=2,
        Some("REFERENCE_2_VIDEO") if model == "veo3" || seconds != 8 => {
            return invalid(422, "REFERENCE_2_VIDEO needs veo3_fast or veo3_lite and a duration of 8");
        }
        Some("REFERENCE_2_VIDEO") => 1..=3,
        Some(_) => return invalid(422, "generationType is not supported"),
    };
    if most.contains(&images.len()) {
        Ok(())
    } else {
        invalid(422, "imageUrls: wrong number of images for generationType")
    }
}
