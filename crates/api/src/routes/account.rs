//! The account's balance, and the answers of the other small calls that spend nothing.

use serde_json::Value;
use veobatch_core::{Credits, Trouble, TroubleKind};

use super::answer::{answered, trouble, trouble_from};
use super::envelope::{Envelope, decimal, is_success, member};
use crate::routes::links;
use crate::transport::exchange::Exchange;

/// The balance in an answer of `chat/credit`: a bare number, a number as a text, or an object with one.
pub(crate) fn credits(wire: Exchange) -> Result<Credits, Trouble> {
    let envelope = succeeded(wire)?;
    let amount = match &envelope.data {
        Value::Object(_) => member(&envelope.data, &["credits", "balance", "credit"]).and_then(decimal),
        data @ (Value::Number(_) | Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_)) => decimal(data),
    };
    amount
        .map(Credits::from_f64)
        .ok_or_else(|| trouble(TroubleKind::Transport, "the service named no balance".to_owned(), None))
}

/// The link in an answer of `download-url`; `None` if the service makes none for this file (422: it is not its own).
pub(crate) fn fresh_url(wire: Exchange) -> Result<Option<String>, Trouble> {
    let reply = answered(wire)?;
    if let Some(envelope) = Envelope::read(&reply.body)
        && envelope.has_code()
        && envelope.effective(reply.status) == 422
    {
        return Ok(None);
    }
    let envelope = succeeded(Exchange::Answered(reply))?;
    let link = match &envelope.data {
        Value::String(text) => links::link(text),
        data @ (Value::Object(_) | Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_)) => {
            member(data, &["url", "downloadUrl"]).and_then(Value::as_str).and_then(links::link)
        }
    };
    link.map(Some).ok_or_else(|| trouble(TroubleKind::Transport, "the service named no link".to_owned(), None))
}

fn succeeded(wire: Exchange) -> Result<Envelope, Trouble> {
    let reply = answered(wire)?;
    match Envelope::read(&reply.body) {
        Some(envelope) if is_success(envelope.effective(reply.status)) => Ok(envelope),
        envelope @ (Some(_) | None) => Err(trouble_from(&reply, envelope.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use crate::transport::exchange::Reply;

    use super::*;

    fn ok(body: &str) -> Exchange {
        Exchange::Answered(Reply { status: 200, body: body.into(), ..Reply::default() })
    }

    #[test]
    fn a_balance_is_read_in_every_shape_seen() {
        for (body, credits) in [
            (r#"{"code":200,"msg":"success","data":100}"#, 100.0),
            (r#"{"code":200,"data":812.5}"#, 812.5),
            (r#"{"code":200,"data":"812.5"}"#, 812.5),
            (r#"{"code":"200","data":{"credits":7}}"#, 7.0),
            (r#"{"code":200,"data":{"balance":"7"}}"#, 7.0),
            (r#"{"code":200,"data":-3}"#, -3.0),
        ] {
            assert_eq!(self::credits(ok(body)), Ok(Credits::from_f64(credits)), "{body}");
        }
    }

    #[test]
    fn no_balance_is_trouble_of_the_kind_that_the_code_says() {
        for (body, kind) in [
            (r#"{"code":401,"msg":"no","data":5}"#, TroubleKind::KeyRefused),
            (r#"{"code":429}"#, TroubleKind::RateLimited),
            (r#"{"code":455}"#, TroubleKind::Busy),
            (r#"{"code":200,"data":"NaN"}"#, TroubleKind::Transport),
            (r#"{"code":200}"#, TroubleKind::Transport),
            ("<html>", TroubleKind::Transport),
        ] {
            assert_eq!(credits(ok(body)).unwrap_err().kind, kind, "{body}");
        }
    }

    #[test]
    fn a_fresh_link_is_a_link_or_the_word_that_there_is_none() {
        let link = "https://h.example/a.mp4?sig=1";
        assert_eq!(fresh_url(ok(&format!(r#"{{"code":200,"data":"{link}"}}"#))), Ok(Some(link.to_owned())));
        assert_eq!(fresh_url(ok(r#"{"code":422,"msg":"foreign"}"#)), Ok(None));
        assert!(fresh_url(ok(r#"{"code":200,"data":"file:///x"}"#)).is_err());
        assert!(fresh_url(ok(r#"{"code":500,"data":"https://h.example"}"#)).is_err());
    }
}
