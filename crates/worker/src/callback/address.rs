//! The URL of a callback: the attempt's token, which is the proof, and the job's name, by which the job is found.
//!
//! The name is base64, because proxies rewrite percent-encoding in different ways.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;
use veobatch_core::{BatchId, JobId, JobKey, Token};

pub(super) fn of(base: &Url, token: &Token, job: &JobKey) -> Url {
    let mut url = base.clone();
    let job = URL_SAFE_NO_PAD.encode(job.to_string());
    url.set_path(&format!("{}/{token}/{job}", base.path().trim_end_matches('/')));
    url
}

/// The token and the job in a path. Anything before them belongs to the proxy.
pub(super) fn read(path: &str) -> Option<(Token, JobKey)> {
    let mut segments = path.trim_end_matches('/').rsplit('/');
    let (job, token) = (segments.next()?, segments.next()?);
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(job).ok()?).ok()?;
    let (batch, job) = name.split_once('/')?;
    let key = JobKey { batch: BatchId::parse(batch).ok()?, job: JobId::parse(job).ok()? };
    Some((Token::parse(token)?, key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_made_whatever_the_proxy_strips() {
        let token = Token::of_attempt(77 << 64, true);
        for (batch, job) in [("garden", "cat-01"), ("Nächte & Tage", "a+b%20c"), ("b", "日本語")] {
            let key = JobKey { batch: BatchId::parse(batch).unwrap(), job: JobId::parse(job).unwrap() };
            for base in ["https://hooks.example", "https://hooks.example/veo/", "http://127.0.0.1:8090/a/b"] {
                let url = of(&Url::parse(base).unwrap(), &token, &key);
                assert!(url.as_str().starts_with(base.trim_end_matches('/')), "{url}");
                assert_eq!(read(url.path()), Some((token.clone(), key.clone())), "{url}");
                let stripped = url.path().rsplitn(3, '/').take(2).collect::<Vec<_>>();
                assert_eq!(read(&format!("/{}/{}", stripped[1], stripped[0])), Some((token.clone(), key.clone())));
            }
        }
    }

    #[test]
    fn paths_of_others_are_not_read() {
        let token = Token::of_attempt(1, true);
        for path in ["", "/", "/health", "/x/y", &format!("/{token}"), &format!("/{token}/"), &format!("/{token}/!!")] {
            assert_eq!(read(path), None, "{path}");
        }
        // No slash in the name; a name that no batch can have.
        for name in ["bm9zbGFzaA", "Ly8"] {
            assert_eq!(read(&format!("/{token}/{name}")), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_path_of_a_stranger_makes_the_reader_panic(path in any::<String>(), name in any::<Vec<u8>>()) {
            let _ = read(&path);
            let token = Token::of_attempt(1, true);
            let _ = read(&format!("/{token}/{}", URL_SAFE_NO_PAD.encode(name)));
        }
    }
}
