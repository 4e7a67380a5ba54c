//! What a submission is expected to cost. An estimate for people; the service's own balance is the truth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::credits::Credits;
use crate::job::spec::{Resolution, Spec};

/// Credits per video by model and resolution; a person may replace it (`--prices`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(BTreeMap<String, ModelPrice>);

/// Credits for one video of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// At 720p.
    #[serde(rename = "720p")]
    pub p720: u32,
    /// At 1080p, the base video included.
    #[serde(rename = "1080p")]
    pub p1080: u32,
    /// At 4k, the base video included.
    #[serde(rename = "4k")]
    pub k4: u32,
}

/// The price list recorded in docs/kie-api.md, section 9 (2026); one credit is US$0.005.
impl Default for Prices {
    fn default() -> Self {
        let row = |model: &str, p720, p1080, k4| (model.to_owned(), ModelPrice { p720, p1080, k4 });
        Self(BTreeMap::from([row("veo3", 250, 255, 370), row("veo3_fast", 60, 65, 180), row("veo3_lite", 30, 35, 150)]))
    }
}

/// What the price of a submission depends on, as one word: model and size.
fn class(model: &str, resolution: Resolution) -> String {
    // A line break would end the line that a ledger keeps it in.
    let model: String = model.chars().filter(|letter| !letter.is_control()).collect();
    format!("{model}/{}", resolution.as_str())
}

impl Spec {
    /// What the price of its submission depends on, by which the ledger finds it: `veo3_fast/720p`.
    pub fn price_class(&self) -> String {
        class(&self.model, self.resolution)
    }
}

impl Prices {
    /// The price of every class ([`Spec::price_class`]).
    pub fn by_class(&self) -> Vec<(String, Credits)> {
        let sizes = |price: &ModelPrice| {
            [(Resolution::P720, price.p720), (Resolution::P1080, price.p1080), (Resolution::K4, price.k4)]
        };
        let priced = |(model, price): (&String, &ModelPrice)| {
            sizes(price).map(|(size, credits)| (class(model, size), Credits::whole(i64::from(credits))))
        };
        self.0.iter().flat_map(priced).collect()
    }

    /// What one submission of `spec` is expected to cost; `None` if the table does not know its model.
    pub fn of(&self, spec: &Spec) -> Option<Credits> {
        let price = self.0.get(&spec.model)?;
        Some(Credits::whole(i64::from(match spec.resolution {
            Resolution::P720 => price.p720,
            Resolution::P1080 => price.p1080,
            Resolution::K4 => price.k4,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_costs_what_the_table_says_for_its_model_and_size() {
        let spec = Spec { model: "veo3".into(), resolution: Resolution::P1080, ..Spec::default() };
        assert_eq!(Prices::default().of(&spec), Some(Credits::whole(255)));
        assert_eq!(Prices::default().of(&Spec { model: "veo4".into(), ..spec }), None);
    }

    #[test]
    fn every_spec_of_a_known_model_has_its_price_under_its_class() {
        let prices = Prices::default();
        let by_class = prices.by_class();
        for resolution in [Resolution::P720, Resolution::P1080, Resolution::K4] {
            let spec = Spec { model: "veo3".into(), resolution, ..Spec::default() };
            let listed = by_class.iter().find(|(class, _)| *class == spec.price_class()).map(|(_, credits)| *credits);
            assert_eq!(listed, prices.of(&spec));
        }
        assert_eq!(Spec { model: "a\nb".into(), ..Spec::default() }.price_class(), "ab/720p");
    }
}
