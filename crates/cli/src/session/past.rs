//! What a ledger does not know of its own past: it was restored from a backup, emptied or made anew.

use clap::Args;
use veobatch_core::Lane;
use veobatch_worker::{Options, reconcile};

use crate::exit::UNFINISHED;
use crate::failure::{Failure, Result};
use crate::output::{confirm, ui};
use crate::session::Session;
use crate::session::work;

/// What a person says about the ledger's past.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Past {
    /// Take over what the journals of other ledgers know of paid calls
    ///
    /// For a ledger that was emptied or created anew, once its files are enqueued again; reads the state directory.
    #[arg(long, hide_short_help = true)]
    adopt_journals: bool,

    /// Submit with a ledger that was restored from a backup
    ///
    /// It first takes over what journals and sidecars know of paid calls. Without this flag you are asked; if nobody can be
    /// asked, nothing is submitted.
    #[arg(long, hide_short_help = true)]
    accept_restored_ledger: bool,
}

impl Past {
    /// The worker's options as a person wants them; asks whether to submit with a restored ledger.
    pub(crate) async fn agreed(&self, session: &Session, options: Options) -> Result<Options> {
        let Self { adopt_journals, accept_restored_ledger } = *self;
        let past = veobatch_worker::Past { adopt_journals, accept_restored: accept_restored_ledger };
        let mut options = Options { past, ..options };
        if !options.lanes.contains(&Lane::Submit) {
            return Ok(options);
        }
        let restored = reconcile(&*session.ledger, &options).await;
        let Some(restored) = restored.map_err(|error| work::failed(&error, &options.output))? else {
            return Ok(options);
        };
        ui::message(format_args!("warning: {restored}"));
        if options.past.accept_restored {
            return Ok(options);
        }
        if !ui::can_ask() {
            ui::message(
                "nothing is submitted; what is paid for is followed and saved. To submit again: --accept-restored-ledger",
            );
        } else if confirm::confirmed("submit what is still queued?").await? {
            options.past.accept_restored = true;
        } else {
            ui::message("nothing was submitted");
            return Err(Failure::silent(UNFINISHED));
        }
        Ok(options)
    }
}
