//! All writes of journals, part files and sidecars go through here. It adds nothing to what the system does, but lets the
//! simulation make disks full or read-only, which a test cannot do to a real disk without being root.

#![cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "only the disks of a simulation fail here"))]

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Which disk a file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// The disk of the state directory.
    State,
    /// The disk of the output directory.
    Output,
}

impl Disk {
    /// To be called before anything on this disk is accessed: a specification makes it hang here.
    #[cfg(feature = "failpoints")]
    pub(crate) fn is_there(self) {
        if self == Self::Output {
            crate::failpoint::hang_if_told();
        }
    }

    /// To be called before anything on this disk is accessed.
    #[cfg(not(feature = "failpoints"))]
    #[expect(clippy::unused_self, reason = "only specifications make a disk hang")]
    pub(crate) fn is_there(self) {}

    /// Writes all of `bytes`. If that fails, some of them may have been written.
    pub(crate) fn write(self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.is_there();
        #[cfg(test)]
        if let Some(fault) = fault::of(self) {
            return fault.write(file, bytes);
        }
        file.write_all(bytes)
    }

    /// Makes what was written durable, including the file's size and times.
    pub(crate) fn sync(self, file: &File) -> io::Result<()> {
        self.can_sync()?;
        file.sync_all()
    }

    /// Makes the bytes that were written durable.
    pub(crate) fn sync_data(self, file: &File) -> io::Result<()> {
        self.can_sync()?;
        file.sync_data()
    }

    fn can_sync(self) -> io::Result<()> {
        self.is_there();
        #[cfg(test)]
        if let Some(fault) = fault::of(self) {
            return fault.sync();
        }
        Ok(())
    }

    /// To be called before anything on this disk is changed by other means, such as a rename.
    pub(crate) fn is_writable(self) -> io::Result<()> {
        self.is_there();
        #[cfg(test)]
        if let Some(fault) = fault::of(self) {
            return fault.rename();
        }
        Ok(())
    }
}

/// Makes the names in `dir` durable, where the system can.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Disks that fail, for a simulation on this thread.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::RefCell;
    use std::fs::File;
    use std::io::{self, Write as _};

    use super::Disk;

    /// What is wrong with a disk.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// This many bytes of a write still fit. Files can be removed and usually created.
        Full(usize),
        /// Nothing can be changed.
        ReadOnly,
        /// What is written is lost before it reaches the disk; only a sync reports it, and only once.
        Sync,
    }

    type Faults = Box<dyn Fn(Disk) -> Option<Fault>>;

    thread_local! {
        static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
    }

    /// Sets the faults of this thread's disks.
    pub(crate) fn set(faults: Option<Faults>) {
        FAULTS.set(faults);
    }

    pub(super) fn of(disk: Disk) -> Option<Fault> {
        FAULTS.with_borrow(|faults| faults.as_ref().and_then(|faults| faults(disk)))
    }

    impl Fault {
        pub(super) fn write(self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
            match self {
                Self::Full(fits) => {
                    file.write_all(bytes.get(..fits).unwrap_or_default())?;
                    Err(io::ErrorKind::StorageFull.into())
                }
                Self::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
                Self::Sync => file.write_all(bytes),
            }
        }

        pub(super) fn rename(self) -> io::Result<()> {
            match self {
                Self::Full(_) | Self::Sync => Ok(()),
                Self::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            }
        }

        pub(super) fn sync(self) -> io::Result<()> {
            match self {
                Self::Full(_) => Ok(()),
                Self::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
                Self::Sync => Err(io::Error::other("input/output error")),
            }
        }
    }
}
