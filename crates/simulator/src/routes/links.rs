//! The helpers (docs/kie-api.md, section 8): the balance, and fresh links to files that are still there.

use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::config::BalanceForm;
use crate::endpoint::Endpoint;
use crate::routes::signature::signature;
use crate::transport::answer::Answer;
use crate::transport::call::{Call, read};

pub(crate) fn answer_credit(call: &Call) -> Answer {
    let balance = call.state.account().balance(call.state.clock.now_ms(), &call.config);
    let data = match call.config.dialect.balance {
        BalanceForm::Integer => balance.into(),
        BalanceForm::Decimal => serde_json::from_str(&format!("{balance}.5")).unwrap_or_default(),
        BalanceForm::Text => balance.to_string().into(),
        BalanceForm::Object => json!({"credits": balance}),
    };
    faulty(call, call.envelope(200, "success", &data))
}

pub(crate) async fn answer_download_url(call: &Call, body: Incoming) -> Answer {
    let fields: Value = read(body).await.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let url = fields.get("url").and_then(Value::as_str).unwrap_or_default();
    let path = url.find("/files/").and_then(|at| url.get(at..)).and_then(|path| path.split('?').next());
    let is_ours =
        |path: &str| crate::routes::files::parse(path).is_some_and(|file| call.state.account().find(file.id).is_some());
    let answer = match path.filter(|path| is_ours(path)) {
        Some(path) => {
            let until = call.state.clock.now_ms().saturating_add(call.config.files.minted_lifetime_ms);
            let url = format!("{}{path}?expires={until}&signature={}", call.base(), signature(path, until));
            call.envelope(200, "success", &url.into())
        }
        None => call.envelope(422, "The url is not a file of this service", &Value::Null),
    };
    faulty(call, answer)
}

fn faulty(call: &Call, answer: Answer) -> Answer {
    let nth = {
        let account = call.state.account();
        let counted = |endpoint| account.requests.get(&endpoint).copied().unwrap_or_default();
        counted(Endpoint::Credit) + counted(Endpoint::DownloadUrl)
    };
    call.faulty(answer, nth, None)
}
