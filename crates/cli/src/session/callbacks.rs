//! How callbacks are asked for and received.

use url::{Host, Url};
use veobatch_core::InDoubtPolicy;
use veobatch_worker::Callbacks;

use crate::args::settings::{Service, Settings, WorkSettings};
use crate::environment;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::session::remote;

/// What the settings and the environment say about callbacks; `None` if they are not wanted.
pub(crate) fn of(work: &WorkSettings) -> Result<Option<Callbacks>> {
    let refused = || Failure::bad_input("set up callbacks");
    let hint = "--callback-listen 0.0.0.0:8090 --callback-url https://hooks.example/veobatch";
    let (listen, url) = match (&work.callback_listen, &work.callback_url) {
        (None, None) => {
            return match work.in_doubt {
                InDoubtPolicy::Silence(_) => Err(refused().since("--in-doubt silence=… needs callbacks").hint(hint)),
                InDoubtPolicy::Hold | InDoubtPolicy::Resubmit => Ok(None),
            };
        }
        (Some(_), None) => return Err(refused().since("--callback-listen needs --callback-url").hint(hint)),
        (None, Some(_)) => return Err(refused().since("--callback-url needs --callback-listen").hint(hint)),
        (Some(listen), Some(url)) => (listen.clone(), url),
    };
    let has_port = listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        return Err(refused().since(format!("--callback-listen {listen:?} is not HOST:PORT")).hint(hint));
    }
    let url = Url::parse(url)
        .map_err(|error| refused().since(format!("--callback-url {url:?} is no URL: {error}")).hint(hint))?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !is_plain {
        return Err(refused().since("--callback-url must be http(s)://HOST…, without a user").hint(hint));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused().since("--callback-url must have no query and no fragment").hint(hint));
    }
    Ok(Some(Callbacks { listen, url, key: environment::webhook_key()? }))
}

/// Refuses settings that cannot work, and says what will not work as it is meant.
pub(crate) fn check(settings: &Settings, service: &Service, work: &WorkSettings) -> Result<()> {
    let Some(callbacks) = of(work)? else { return Ok(()) };
    let is_real = !settings.simulate && Url::parse(&service.api_base).is_ok_and(|base| !remote::is_private(&base));
    if !is_real {
        return Ok(());
    }
    let url = &callbacks.url;
    if remote::is_private(url) || matches!(url.host(), Some(Host::Domain("localhost"))) {
        ui::message(format_args!(
            "warning: {url} is on this machine or its network, where the service cannot reach it"
        ));
    } else if url.scheme() == "http" {
        ui::message(format_args!(
            "warning: callbacks to {url} are not encrypted, and can be read and repeated by others; use https"
        ));
    }
    Ok(())
}
