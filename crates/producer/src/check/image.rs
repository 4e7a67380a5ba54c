//! Image URLs: the service fetches them itself, so they must be public.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::problem::Problem;

/// Most images of one job, in any mode.
pub(crate) const MAX_IMAGES: usize = 3;

/// Refuses what the service could not fetch.
pub(crate) fn check(text: &str) -> Result<(), Box<Problem>> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => (),
        Some("data") => return refuse("an image is a data: URL, which the service does not take"),
        Some("file") => return refuse("an image is a file on this machine"),
        // `C:\cat.png` has a scheme of one letter.
        Some(scheme) if scheme.len() > 1 && text.contains("://") => {
            return refuse("an image URL has to start with https:// or http://");
        }
        _ if text.is_empty() => return refuse("an image URL is empty"),
        _ => return refuse("an image is a file path, not a URL"),
    }
    let Ok(url) = Url::parse(text) else { return refuse("an image URL cannot be read") };
    let private = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            matches!(name.rsplit('.').next(), Some("localhost" | "local"))
        }
        Some(Host::Ipv4(address)) => private4(address),
        Some(Host::Ipv6(address)) => private6(address),
        None => true,
    };
    if private {
        refuse("an image URL is on this machine or network, where the service cannot reach it")
    } else {
        Ok(())
    }
}

fn refuse(words: &str) -> Result<(), Box<Problem>> {
    Err(Box::new(Problem::new(words).hint("put the image on a public web server and give its https:// URL")))
}

fn private4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local() || address.is_unspecified()
}

fn private6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some_and(private4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls_are_taken() {
        for url in
            ["https://example.com/me.jpg", "HTTP://example.com/a b.png", "https://8.8.8.8/x", "https://例え.jp/猫.png"]
        {
            assert!(check(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_the_service_cannot_fetch_is_refused() {
        for url in [
            "",
            "cat.png",
            "/home/me/cat.png",
            "C:\\cat.png",
            "file:///cat.png",
            "data:image/png;base64,AAAA",
            "ftp://example.com/cat.png",
            "http://localhost:8000/cat.png",
            "http://127.0.0.1/cat.png",
            "http://[::1]/cat.png",
            "http://192.168.1.2/cat.png",
            "http://nas.local/cat.png",
            "https://",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }
}
