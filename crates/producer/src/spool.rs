//! Checked jobs on their way to the ledger, in a temporary file that has no name and goes away by itself.
//!
//! What was checked is exactly what is admitted, even if the source is changed meanwhile or can be read only once
//! (standard input, a pipe). Small runs never touch the disk.
//!
//! A job is six numbers (batch, file, line, column, length of the name with a mark for one made from the content, length
//! of the spec), its name and its spec in the ledger's stored form.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::SpooledTempFile;
use veobatch_core::{JobId, NameError, Spec};
use veobatch_ledger::NewJob;

use crate::formats::node::Place;

/// As much is kept in memory before a file is made.
const IN_MEMORY: usize = 4 << 20;

/// Bytes that are written or read at once.
const BLOCK: usize = 128 << 10;

const NUMBERS: usize = 6;

/// A job in the spool.
#[derive(Clone, Debug)]
pub(crate) struct SpooledJob {
    pub(crate) batch: u32,
    pub(crate) file: u32,
    pub(crate) at: Place,
    pub(crate) job: NewJob,
}

/// A job on its way into the spool.
pub(crate) struct UnspooledJob<'a> {
    pub(crate) batch: u32,
    pub(crate) file: u32,
    pub(crate) at: Place,
    pub(crate) name: &'a str,
    /// The name was made from the content.
    pub(crate) made: bool,
    pub(crate) spec: &'a [u8],
}

pub(crate) struct Writer {
    file: SpooledTempFile,
    block: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { file: SpooledTempFile::new(IN_MEMORY), block: Vec::with_capacity(BLOCK + 4096) }
    }

    pub(crate) fn write(&mut self, job: &UnspooledJob<'_>) -> io::Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let name = length(job.name.as_bytes())? << 1 | u32::from(job.made);
        let numbers = [job.batch, job.file, job.at.line, job.at.column, name, length(job.spec)?];
        for number in numbers {
            self.block.extend_from_slice(&number.to_le_bytes());
        }
        self.block.extend_from_slice(job.name.as_bytes());
        self.block.extend_from_slice(job.spec);
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Closes the spool; `twins` are the jobs that are numbered, in order.
    pub(crate) fn finish(mut self, twins: Vec<(u32, u32)>) -> io::Result<Spool> {
        self.flush()?;
        Ok(Spool { file: Arc::new(Mutex::new(self.file)), twins: twins.into() })
    }
}

/// All jobs of a run, in order; may be read any number of times, at the same time too.
#[derive(Clone)]
pub(crate) struct Spool {
    file: Arc<Mutex<SpooledTempFile>>,
    twins: Arc<[(u32, u32)]>,
}

impl Spool {
    pub(crate) fn jobs(&self) -> Jobs {
        Jobs { spool: self.clone(), offset: 0, block: Vec::new(), at: 0, count: 0, twin: 0 }
    }
}

/// Reads the jobs one after another.
pub(crate) struct Jobs {
    spool: Spool,
    offset: u64,
    block: Vec<u8>,
    at: usize,
    count: u32,
    twin: usize,
}

impl Jobs {
    /// Makes sure that `n` bytes are at hand; `false` at the end.
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        if self.block.len() - self.at >= n {
            return Ok(true);
        }
        self.block.drain(..self.at);
        self.at = 0;
        let missing = (n - self.block.len()).max(BLOCK) as u64;
        let mut file = self.spool.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset))?;
        let read = (&mut *file).take(missing).read_to_end(&mut self.block)?;
        self.offset += read as u64;
        Ok(self.block.len() >= n)
    }

    fn bytes(&mut self, n: usize) -> io::Result<&[u8]> {
        if !self.fill(n)? {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the temporary file was cut off"));
        }
        self.at += n;
        Ok(self.block.get(self.at - n..self.at).unwrap_or_default())
    }

    fn read(&mut self) -> io::Result<Option<SpooledJob>> {
        if !self.fill(1)? {
            return Ok(None);
        }
        let mut numbers = [0; NUMBERS];
        for (number, bytes) in numbers.iter_mut().zip(self.bytes(4 * NUMBERS)?.chunks_exact(4)) {
            *number = u32::from_le_bytes(bytes.try_into().map_err(io::Error::other)?);
        }
        let [batch, file, line, column, name, spec] = numbers;
        let nth = match self.spool.twins.get(self.twin) {
            Some(&(job, nth)) if job == self.count => {
                self.twin += 1;
                nth
            }
            _ => 1,
        };
        self.count += 1;
        let written = std::str::from_utf8(self.bytes((name >> 1) as usize)?).map_err(io::Error::other)?;
        let id: JobId = numbered(written, if name & 1 == 1 { nth } else { 1 }).map_err(io::Error::other)?;
        let spec = Spec::from_bytes(self.bytes(spec as usize)?).map_err(io::Error::other)?;
        Ok(Some(SpooledJob { batch, file, at: Place { line, column }, job: NewJob { id, spec } }))
    }
}

impl Iterator for Jobs {
    type Item = io::Result<SpooledJob>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The name of the `nth` (from 1) of several jobs with equal content.
fn numbered(name: &str, nth: u32) -> Result<JobId, NameError> {
    if nth <= 1 { JobId::parse(name) } else { JobId::parse(&format!("{name}-{nth}")) }
}
