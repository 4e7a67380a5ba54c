//! The door through which journals, part files and sidecars get to disk. It adds nothing to what the system does: a
//! simulation makes disks full and read-only here, which no test can do to a real one without being root.

#![cfg_attr(not(test), expect(clippy::unnecessary_wraps, reason = "only the disks of a simulation fail here"))]

use std::fs::File;
use std::io::{self, Write as _};

/// Which disk a file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// That of the state directory.
    State,
    /// That of the output directory.
    Output,
}

impl Disk {
    /// To be called before anything on this disk is looked at: there a specification makes it hang.
    #[cfg(feature = "failpoints")]
    pub(crate) fn is_there(self) {
        crate::failpoint::hangs(self);
    }

    /// To be called before anything on this disk is looked at.
    #[cfg(not(feature = "failpoints"))]
    #[expect(clippy::unused_self, reason = "no disk hangs here")]
    pub(crate) fn is_there(self) {}

    /// Writes all of `bytes`. If that fails, some of them may be there.
    pub(crate) fn write(self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.is_there();
        #[cfg(test)]
        if let Some(fault) = fault::of(self) {
            return fault.write(file, bytes);
        }
        file.write_all(bytes)
    }

    /// Makes what was written durable, the file's size and times included.
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

    /// To be asked before anything on this disk is changed by other means: a name, say.
    pub(crate) fn is_writable(self) -> io::Result<()> {
        self.is_there();
        #[cfg(test)]
        if let Some(fault) = fault::of(self) {
            return fault.rename();
        }
        Ok(())
    }
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
        /// So many bytes of a write still fit. Names can be removed and mostly made.
        Full(usize),
        /// Nothing can be changed.
        ReadOnly,
        /// What is written is lost on its way to the disk; only a sync says so, and only once.
        Sync,
    }

    type Faults = Box<dyn Fn(Disk) -> Option<Fault>>;

    thread_local! {
        static FAULTS: RefCell<Option<Faults>> = const { RefCell::new(None) };
    }

    /// From now on `faults` says what is wrong with this thread's disks; `None`: nothing is.
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
