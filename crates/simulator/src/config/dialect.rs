//! The ways in which the vendor's documentation, its generations and the field contradict each other.
//!
//! Each enum is one contradiction (docs/kie-api.md, sections 1 to 5 and 13); the first variant is the default.

use serde::{Deserialize, Serialize};

/// In which of its dialects the service speaks and listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// Shape of a record.
    pub shape: Shape,
    /// Form of `resultUrls`; the seed's shape always has a JSON string.
    pub result_urls: ResultUrls,
    /// Form of `createTime` and `completeTime`.
    pub times: Times,
    /// Which spelling of the aspect ratio is understood; the other is silently ignored, and the video is 16:9 (C1).
    pub aspect_key: AspectKey,
    /// HTTP status of answers whose body carries an error code.
    pub status: Status,
    /// How a failed task is reported.
    pub failure: FailureForm,
    /// Form of the balance.
    pub balance: BalanceForm,
    /// Which of what it says and hears of a video's size.
    pub size: Size,
}

/// Shape of a record (docs/kie-api.md, section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `successFlag` and `response.resultUrls`.
    #[default]
    Current,
    /// `status` and `resultUrls` as a JSON string.
    Seed,
    /// Each task one of the two, for ever.
    Mixed,
}

/// Form of `resultUrls` (C4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultUrls {
    /// `["http://…"]`
    #[default]
    Array,
    /// `"[\"http://…\"]"`
    JsonString,
    /// `"[http://…]"`
    Unquoted,
    /// `"http://…"`
    Bare,
}

/// Form of times (C5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Milliseconds since the epoch, a number.
    #[default]
    EpochMs,
    /// `2026-07-25T17:20:00.000Z`
    Iso,
    /// `2026-07-25 17:20:00`, without a zone.
    Plain,
}

/// Spelling of the aspect ratio that is understood (C1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AspectKey {
    /// Both; the newer one wins.
    #[default]
    Both,
    /// `aspect_ratio`
    Snake,
    /// `aspectRatio`
    Camel,
}

/// HTTP status of answers whose body carries an error code (docs/kie-api.md, section 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Always 200, except for the rate limit's 429, which the documentation calls an HTTP status.
    #[default]
    Envelope,
    /// Always 200, the rate limit too.
    Always200,
    /// The code is the HTTP status.
    Real,
}

/// How a failed task is reported (docs/kie-api.md, section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureForm {
    /// Code 200, and the failure in the record.
    #[default]
    Record,
    /// The failure's code, with the record.
    CodeAndRecord,
    /// The failure's code alone, `data` is null.
    Code,
}

/// What the service says and hears of a video's size (docs/kie-api.md, sections 2 to 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// A submission's `resolution` is obeyed, and a record has a label.
    #[default]
    Labelled,
    /// It is obeyed, and no record tells it.
    Unlabelled,
    /// It is ignored: every video is made in 720p, charged as that, and no record tells it.
    BaseOnly,
}

/// Form of the balance (docs/kie-api.md, section 8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceForm {
    /// `100`
    #[default]
    Integer,
    /// `100.5`: half a credit more than is there.
    Decimal,
    /// `"100"`
    Text,
    /// `{"credits": 100}`
    Object,
}

/// What is said while the 1080p version is being made (docs/kie-api.md, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotReady {
    /// Code 400, "1080P is processing…".
    #[serde(rename = "processing_400")]
    Processing400,
    /// Code 422, "…records are being generated…".
    #[serde(rename = "generating_422")]
    Generating422,
    /// Code 200 with empty data.
    #[serde(rename = "empty_200")]
    Empty200,
    /// Code 500.
    #[serde(rename = "error_500")]
    Error500,
}
