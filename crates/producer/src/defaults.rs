//! What a video is like where neither its line nor its file says.

use veobatch_core::{AspectRatio, FORMAT_ASPECT_RATIO, FORMAT_MODEL, FORMAT_RESOLUTION, LeftOut, Resolution, Spec};

/// The program's defaults for new jobs.
///
/// Another program may have others: a ledger stores what a job was made with, and knows the job by what its file says. So
/// a new default changes no job that is known, and an unchanged file adds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The model; the service's own default since its Veo 3.1 generation (docs/kie-api.md, section 2).
    pub model: String,
    /// The shape.
    pub aspect_ratio: AspectRatio,
    /// The size.
    pub resolution: Resolution,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { model: FORMAT_MODEL.to_owned(), aspect_ratio: FORMAT_ASPECT_RATIO, resolution: FORMAT_RESOLUTION }
    }
}

impl Defaults {
    /// `spec`, whose file leaves these fields out, as this program makes it.
    pub(crate) fn fill(&self, spec: Spec, left_out: LeftOut) -> Spec {
        let mut spec = spec;
        let stands = |is_left_out: bool, is_the_formats: bool| is_left_out && !is_the_formats;
        spec.left_out = LeftOut {
            model: stands(left_out.model, self.model == FORMAT_MODEL),
            aspect_ratio: stands(left_out.aspect_ratio, self.aspect_ratio == FORMAT_ASPECT_RATIO),
            resolution: stands(left_out.resolution, self.resolution == FORMAT_RESOLUTION),
        };
        if spec.left_out.model {
            spec.model.clone_from(&self.model);
        }
        if spec.left_out.aspect_ratio {
            spec.aspect_ratio = self.aspect_ratio;
        }
        if spec.left_out.resolution {
            spec.resolution = self.resolution;
        }
        spec
    }
}
