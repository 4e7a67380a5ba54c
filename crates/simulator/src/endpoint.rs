//! The places of the API.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;

/// Where a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /api/v1/veo/generate`
    Generate,
    /// `POST /api/v1/veo/extend`
    Extend,
    /// `GET /api/v1/veo/record-info`
    RecordInfo,
    /// `GET /api/v1/veo/get-1080p-video`
    #[serde(rename = "video_1080p")]
    Video1080p,
    /// `POST /api/v1/veo/get-4k-video`
    #[serde(rename = "video_4k")]
    Video4k,
    /// `GET /api/v1/chat/credit`
    Credit,
    /// `POST /api/v1/common/download-url`
    DownloadUrl,
    /// `GET` and `HEAD` of `/files/…`
    File,
    /// `/simulator/…`
    Control,
    /// Anything else.
    Unknown,
}

impl Endpoint {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let is = |wanted: &Method| method == wanted;
        match path {
            "/api/v1/veo/generate" if is(&Method::POST) => Self::Generate,
            "/api/v1/veo/extend" if is(&Method::POST) => Self::Extend,
            "/api/v1/veo/record-info" if is(&Method::GET) => Self::RecordInfo,
            "/api/v1/veo/get-1080p-video" if is(&Method::GET) => Self::Video1080p,
            "/api/v1/veo/get-4k-video" if is(&Method::POST) => Self::Video4k,
            "/api/v1/chat/credit" if is(&Method::GET) => Self::Credit,
            "/api/v1/common/download-url" if is(&Method::POST) => Self::DownloadUrl,
            _ if path.starts_with("/files/") && (is(&Method::GET) || is(&Method::HEAD)) => Self::File,
            _ if path.starts_with("/simulator/") => Self::Control,
            _ => Self::Unknown,
        }
    }

    /// Which rules hold here.
    pub(crate) fn faults(self) -> FaultKind {
        match self {
            Self::Generate | Self::Extend => FaultKind::Submit,
            Self::RecordInfo => FaultKind::Poll,
            Self::Video1080p | Self::Video4k => FaultKind::Upgrade,
            Self::File => FaultKind::Download,
            Self::Credit | Self::DownloadUrl | Self::Control | Self::Unknown => FaultKind::Other,
        }
    }
}
