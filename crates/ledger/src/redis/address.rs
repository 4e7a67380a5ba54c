//! Where a queue is: the URL of a server, or of any node of a cluster, and the queue's name there.

use url::Url;

use crate::LedgerError;

/// The queue of a URL that names none.
const USUAL: &str = "veobatch";

/// The longest name of a queue.
const LONGEST: usize = 64;

/// `redis://[user:password@]host[:port][/db][?queue=NAME]`, or `rediss://…` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    given: String,
    server: String,
    queue: String,
}

impl RedisUrl {
    /// Reads such a URL. A name is 1 to 64 letters and digits of ASCII, `-`, `_` and `.`: it stands between the braces
    /// that say which slot of a cluster a key belongs to.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = |why: String| LedgerError::Url(why);
        let mut url = Url::parse(text).map_err(|error| wrong(format!("the ledger URL cannot be read: {error}")))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("the ledger URL names no host: redis://host:6379/0".to_owned()));
        }
        let (queues, others): (Vec<_>, Vec<_>) =
            url.query_pairs().into_owned().partition(|(parameter, _)| parameter == "queue");
        let mut queues = queues.into_iter().map(|(_, name)| name);
        let Some(queue) = queues.next() else {
            return Ok(Self { given: text.to_owned(), server: text.to_owned(), queue: USUAL.to_owned() });
        };
        if queues.next().is_some() {
            return Err(wrong("the ledger URL names two queues".to_owned()));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if queue.is_empty() || queue.len() > LONGEST || !queue.chars().all(is_plain) {
            return Err(wrong(format!(
                "a queue's name is 1 to {LONGEST} letters and digits of ASCII, `-`, `_` and `.`: {queue:?}"
            )));
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        Ok(Self { given: text.to_owned(), server: url.into(), queue })
    }

    /// As it was given.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Without the queue: what a client of the server takes.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The queue's name, unless it is the usual one.
    pub fn other_queue(&self) -> Option<&str> {
        (self.queue != USUAL).then_some(self.queue.as_str())
    }

    /// What all keys of the queue begin with; one hash tag, so that they share a slot of a cluster.
    pub(super) fn tag(&self) -> String {
        format!("{{{}}}:", self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_a_tag_of_its_own_and_its_name_is_not_the_servers_business() {
        let usual = RedisUrl::parse("redis://me:x@host/0").unwrap();
        assert_eq!((usual.server(), usual.tag().as_str()), ("redis://me:x@host/0", "{veobatch}:"));
        assert_eq!(usual.other_queue(), None);

        let named = RedisUrl::parse("rediss://host:7000/0?queue=studio-2&protocol=resp3").unwrap();
        assert_eq!((named.server(), named.tag().as_str()), ("rediss://host:7000/0?protocol=resp3", "{studio-2}:"));
        assert_eq!(named.other_queue(), Some("studio-2"));
        assert_eq!(RedisUrl::parse("redis://host?queue=veobatch").unwrap().tag(), usual.tag());
    }

    #[test]
    fn a_name_that_could_change_the_slot_is_refused() {
        let long = format!("redis://host?queue={}", "a".repeat(65));
        for wrong in
            ["redis://host?queue=", "redis://host?queue=a}b", "redis://host?queue=a&queue=b", "redis://", &long]
        {
            assert!(matches!(RedisUrl::parse(wrong), Err(LedgerError::Url(_))), "{wrong}");
        }
    }
}
