//! The helpers of §8: the balance, and fresh links to files that are still there.

use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::{Call, read};
use crate::config::BalanceForm;
use crate::dice::Dice;
use crate::endpoint::Endpoint;

pub(crate) fn answer_credit(call: &Call) -> Answer {
    let balance = call.world.account().balance(call.world.clock.now_ms(), &call.config);
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
        |path: &str| crate::file::parse(path).is_some_and(|file| call.world.account().find(file.id).is_some());
    let answer = match path.filter(|path| is_ours(path)) {
        Some(path) => {
            let until = call.world.clock.now_ms().saturating_add(call.config.files.minted_lifetime_ms);
            let url = format!("{}{path}?expires={until}&signature={}", call.base(), signature(path, until));
            call.envelope(200, "success", &url.into())
        }
        None => call.envelope(422, "The url is not a file of this service", &Value::Null),
    };
    faulty(call, answer)
}

/// What makes a minted link hard to write oneself; it protects nothing.
pub(crate) fn signature(path: &str, until_ms: u64) -> String {
    format!("{:016x}", Dice::of(&format!("{path} {until_ms}")).next())
}

fn faulty(call: &Call, answer: Answer) -> Answer {
    let nth = {
        let account = call.world.account();
        let counted = |endpoint| account.requests.get(&endpoint).copied().unwrap_or_default();
        counted(Endpoint::Credit) + counted(Endpoint::DownloadUrl)
    };
    call.faulty(answer, nth, None)
}
