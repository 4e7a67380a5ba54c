//! What fits together: a draft and its file's defaults become a [`Spec`] (docs/kie-api.md, section 2).

use serde_json::Value;
use veobatch_core::{AspectRatio, FORMAT_MODEL, GenerationType, JobId, LeftOut, Spec, WorkPolicy};

use super::draft::{Draft, Given};
use crate::field::{Field, nearest};
use crate::formats::node::Place;
use crate::problem::{Problem, Report};

/// Models that are known by name (docs/kie-api.md, conflict C2); any other is passed through.
const MODELS: &[&str] = &["veo3", "veo3_fast", "veo3_lite", "veo3.1", "veo3.1-fast", "veo3.1-lite"];

/// The service documents no maximum; those who wrote clients guessed 1000 to 10000 characters.
const LONG_PROMPT: usize = 10_000;

/// A job that can be admitted.
#[derive(Debug)]
pub(crate) struct ValidJob {
    pub(crate) at: Place,
    /// Its id, if it is given one.
    pub(crate) id: Option<JobId>,
    /// With the format's defaults for what is left out.
    pub(crate) spec: Spec,
    pub(crate) left_out: LeftOut,
}

/// Puts a job together and reports everything that does not fit. `None` if anything is wrong with the job.
pub(crate) fn validate(job: Draft<'_>, defaults: &Draft<'_>, report: &mut Report) -> Option<ValidJob> {
    let before = report.problems.total();
    let kept = (!job.cleared.is_empty()).then(|| defaults.clone().without(&job.cleared));
    let defaults = kept.as_ref().unwrap_or(defaults);
    let id = id(&job, report);
    if job.prompt.is_none() && defaults.prompt.is_none() && !job.broken.contains(&Field::Prompt) {
        report.problem(job.at, Problem::new("a job has no prompt").hint("add `prompt:` and say what the video shows"));
    }
    combinations(&Both { job: &job, defaults }, report);
    if !job.broken.is_empty() || report.problems.total() > before {
        return None;
    }
    warn(&job, report);
    let at = id.as_ref().map_or(job.at, |given| given.at);
    let left_out = LeftOut {
        model: job.model.is_none() && defaults.model.is_none(),
        aspect_ratio: job.aspect_ratio.is_none() && defaults.aspect_ratio.is_none(),
        resolution: job.resolution.is_none() && defaults.resolution.is_none(),
    };
    Some(ValidJob { at, id: id.map(|given| given.value), spec: spec(job, defaults), left_out })
}

/// Tells what is odd about a model, once for the place where it is given.
pub(crate) fn warn(draft: &Draft<'_>, report: &mut Report) {
    if let Some(given) = &draft.model
        && !MODELS.contains(&given.value.as_ref())
        && !report.warnings.iter().any(|warning| warning.text.as_deref() == Some(given.value.as_ref()))
        && let Some(known) = nearest(&given.value, MODELS.iter().map(|model| (*model, *model)))
    {
        let problem = Problem::new("unknown model; it is passed on as it is").text(&given.value);
        report.warning(given.at, problem.hint(format!("did you mean `{known}`?")));
    }
    if let Some(given) = &draft.prompt
        && given.value.len() > LONG_PROMPT
        && given.value.chars().count() > LONG_PROMPT
    {
        let problem = Problem::new(format!("the prompt is longer than {LONG_PROMPT} characters")).text(&given.value);
        report.warning(given.at, problem.hint("the service may refuse it"));
    }
}

fn id(job: &Draft<'_>, report: &mut Report) -> Option<Given<JobId>> {
    let given = job.id.as_ref()?;
    match JobId::parse(&given.value) {
        Ok(value) => Some(Given { at: given.at, value }),
        Err(error) => {
            let problem = Problem::new(format!("an id becomes a file name, and this one {error}")).text(&given.value);
            report.problem(given.at, problem);
            None
        }
    }
}

/// A job's field, else the default.
struct Both<'d, 'a> {
    job: &'d Draft<'a>,
    defaults: &'d Draft<'a>,
}

impl<'a> Both<'_, 'a> {
    fn get<T: Clone>(&self, field: impl Fn(&Draft<'a>) -> Option<T>) -> Option<T> {
        field(self.job).or_else(|| field(self.defaults))
    }

    /// One of `fields` was refused already: a rule about it would only add noise.
    fn broken(&self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.job.broken.contains(field) || self.defaults.broken.contains(field))
    }

    /// How many images, and where they are given.
    fn images(&self) -> (Place, usize) {
        let images = self.job.images.as_ref().or(self.defaults.images.as_ref());
        images.map_or((self.job.at, 0), |given| (given.at, given.value.len()))
    }
}

fn combinations(both: &Both<'_, '_>, report: &mut Report) {
    let (at_images, images) = both.images();
    let kind = both.get(|draft| draft.generation_type.clone());
    if !both.broken(&[Field::Images, Field::GenerationType]) {
        if let Some(Given { at, value: kind }) = &kind {
            let (fits, needs) = match kind {
                GenerationType::Text => (images == 0, "takes no images"),
                GenerationType::Frames => ((1..=2).contains(&images), "needs one or two images"),
                GenerationType::Reference => ((1..=3).contains(&images), "needs one to three images"),
            };
            if !fits {
                let words = format!("{} {needs}, and this job has {images}", kind.as_str());
                report.problem(*at, Problem::new(words).text(kind.as_str()));
            }
        }
        // Three images can only be meant as references.
        if kind.map_or(images == 3, |kind| kind.value == GenerationType::Reference) {
            reference(both, at_images, report);
        }
    }
    ratio(both, images, report);
}

/// The reference mode is possible with the fast and the lite model only, and makes eight seconds.
fn reference(both: &Both<'_, '_>, at: Place, report: &mut Report) {
    let model = both.get(|draft| draft.model.clone());
    if let Some(given) = model.filter(|given| matches!(given.value.as_ref(), "veo3" | "veo3.1")) {
        let problem = Problem::new("reference images are not possible with this model").text(&given.value);
        report.problem(given.at, problem.hint("use veo3_fast, or at most two images without REFERENCE_2_VIDEO"));
    }
    if let Some(given) = both.get(|draft| draft.duration.clone()).filter(|given| given.value != 8) {
        let problem = Problem::new("a video with reference images always has 8 seconds").text(given.value.to_string());
        report.problem(if both.job.duration.is_some() { given.at } else { at }, problem);
    }
}

fn ratio(both: &Both<'_, '_>, images: usize, report: &mut Report) {
    if both.broken(&[Field::AspectRatio]) {
        return;
    }
    let ratio = both.get(|draft| draft.aspect_ratio.clone());
    if let Some(given) = &ratio
        && given.value == AspectRatio::Auto
        && images == 0
        && !both.broken(&[Field::Images])
    {
        let problem =
            Problem::new("`aspect_ratio: Auto` takes the shape of an image, and this job has none").text("Auto");
        report.problem(
            if both.job.aspect_ratio.is_some() { given.at } else { both.job.at },
            problem.hint("use 16:9 or 9:16"),
        );
    }
    let extras = [both.job, both.defaults].into_iter().filter_map(|draft| draft.extra.as_ref());
    if let Some(at) = extras
        .filter(|given| given.value.get("enableFallback") == Some(&Value::Bool(true)))
        .map(|given| given.at)
        .next()
        && ratio.is_some_and(|given| given.value != AspectRatio::Landscape)
    {
        report.problem(at, Problem::new("`enableFallback` needs the aspect ratio 16:9").text("enableFallback"));
    }
}

fn spec(job: Draft<'_>, defaults: &Draft<'_>) -> Spec {
    fn text(
        job: Option<Given<std::borrow::Cow<'_, str>>>,
        default: Option<&Given<std::borrow::Cow<'_, str>>>,
    ) -> Option<String> {
        job.map(|given| given.value.into_owned()).or_else(|| default.map(|given| given.value.to_string()))
    }
    fn copy<T: Copy>(job: Option<Given<T>>, default: Option<&Given<T>>) -> Option<T> {
        job.map(|given| given.value).or_else(|| default.map(|given| given.value))
    }
    let mut extra = job.extra.map(|given| given.value).unwrap_or_default();
    if let Some(shared) = &defaults.extra {
        for (name, value) in &shared.value {
            extra.entry(name.clone()).or_insert_with(|| value.clone());
        }
        extra.sort_keys();
    }
    let (images, usual) = (job.images.map(|given| given.value), WorkPolicy::default());
    Spec {
        prompt: text(job.prompt, defaults.prompt.as_ref()).unwrap_or_default(),
        model: text(job.model, defaults.model.as_ref()).unwrap_or_else(|| FORMAT_MODEL.to_owned()),
        aspect_ratio: copy(job.aspect_ratio, defaults.aspect_ratio.as_ref()).unwrap_or_default(),
        images: images.or_else(|| defaults.images.as_ref().map(|given| given.value.clone())).unwrap_or_default(),
        generation_type: copy(job.generation_type, defaults.generation_type.as_ref()),
        resolution: copy(job.resolution, defaults.resolution.as_ref()).unwrap_or_default(),
        duration: copy(job.duration, defaults.duration.as_ref()),
        seed: copy(job.seed, defaults.seed.as_ref()),
        watermark: text(job.watermark, defaults.watermark.as_ref()),
        enable_translation: copy(job.enable_translation, defaults.enable_translation.as_ref()),
        extra,
        policy: WorkPolicy {
            priority: copy(job.priority, defaults.priority.as_ref()).unwrap_or(usual.priority),
            max_attempts: copy(job.max_attempts, defaults.max_attempts.as_ref()).unwrap_or(usual.max_attempts),
        },
        left_out: LeftOut::default(),
    }
}
