//! Rows of a long scan, opened by several threads: the cipher is most of what such a scan takes. While they open one
//! batch, the next is read from the database.

use std::{
    collections::BTreeMap,
    mem,
    num::NonZero,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, Scope},
};

use hermes_engine::{Sifted, Table, Value};
use rusqlite::Rows;

use super::{error::StoreError, rows, sealing::Sealer};
use crate::limits::{SCAN_BATCH, SCAN_BATCH_BYTES, SCAN_SHARE, SCAN_THREADS};

/// Whether a value is wanted.
type Wanted<'a> = dyn Fn(&[u8]) -> bool + Sync + 'a;

/// How rows are opened.
#[derive(Clone, Copy)]
pub(super) struct Opener<'a> {
    pub(super) sealer: &'a Sealer,
    pub(super) table: Table,
    /// Which values are wanted; all without it.
    pub(super) wanted: Option<&'a Wanted<'a>>,
}

impl Opener<'_> {
    /// Opens a value. `room` is what it is opened into, so that many that are not wanted need no memory of their own.
    pub(super) fn open(
        &self,
        key: &[u8],
        sealed: &[u8],
        room: &mut Value,
    ) -> Result<Option<Value>, StoreError> {
        rows::open_into(self.sealer, self.table, key, sealed, room)?;
        let wanted = self.wanted.is_none_or(|wanted| wanted(room));
        Ok(wanted.then(|| mem::take(room)))
    }
}

/// Takes all rows that are left.
pub(super) fn visit(
    rows: &mut Rows<'_>,
    opener: Opener<'_>,
    visit: &mut Sifted<'_>,
) -> Result<(), StoreError> {
    let first = Batch::default().read(rows, opener.table)?;
    thread::scope(|scope| {
        let helpers = Helpers::call(scope, opener, first.shares());
        // Whoever wants few rows has them with the first batch; only behind it is one read ahead.
        let Some(mut spare) = helpers.finish(helpers.begin(first)).visit(visit)? else { return Ok(()) };
        let mut opening = None;
        loop {
            let batch = spare.read(rows, opener.table)?;
            let is_last = batch.rows.is_empty();
            let opened = opening.take().map(|batch| helpers.finish(batch));
            if !is_last {
                opening = Some(helpers.begin(batch));
            }
            spare = match opened.map(|opened| opened.visit(visit)).transpose()? {
                None => Batch::default(),
                Some(Some(batch)) => batch,
                Some(None) => return Ok(()),
            };
            if is_last {
                return Ok(());
            }
        }
    })
}

/// Sealed rows in the order of the scan.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// The next share that nobody has begun with.
    next: AtomicUsize,
}

/// Where a row lies in the bytes: the key, and the sealed value directly behind it.
#[derive(Clone, Copy)]
struct Row {
    key: usize,
    value: usize,
    end: usize,
}

/// What became of the rows of one share.
type Share = Vec<Result<Option<Value>, StoreError>>;

impl Batch {
    /// The next rows in its place, none at the end.
    fn read(mut self, rows: &mut Rows<'_>, table: Table) -> Result<Self, StoreError> {
        self.bytes.clear();
        self.rows.clear();
        self.next = AtomicUsize::new(0);
        while self.rows.len() < SCAN_BATCH && self.bytes.len() < SCAN_BATCH_BYTES {
            let Some(row) = rows.next()? else { break };
            let (key, sealed) = rows::columns(row, table)?;
            let start = self.bytes.len();
            self.bytes.extend_from_slice(key);
            let value = self.bytes.len();
            self.bytes.extend_from_slice(sealed);
            self.rows.push(Row { key: start, value, end: self.bytes.len() });
        }
        Ok(self)
    }

    fn part(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn shares(&self) -> usize {
        self.rows.len().div_ceil(SCAN_SHARE)
    }

    /// Opens shares until all are begun.
    fn open(&self, opener: Opener<'_>) -> Vec<(usize, Share)> {
        let mut room = Value::default();
        let mut opened = Vec::new();
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.shares() {
                return opened;
            }
            opened.push((index, self.open_share(opener, index, &mut room)));
        }
    }

    fn open_share(&self, opener: Opener<'_>, index: usize, room: &mut Value) -> Share {
        let rows = self.rows.chunks(SCAN_SHARE).nth(index).unwrap_or_default().iter();
        rows.map(|row| opener.open(self.part(row.key, row.value), self.part(row.value, row.end), room))
            .collect()
    }
}

/// Threads that help with each batch, until these are dropped.
struct Helpers<'env> {
    opener: Opener<'env>,
    threads: Vec<Helper>,
}

/// Takes batches, and tells of each what it has opened, by the number of the share.
struct Helper {
    work: Sender<Arc<Batch>>,
    done: Receiver<Vec<(usize, Share)>>,
}

impl<'env> Helpers<'env> {
    fn call<'scope>(scope: &'scope Scope<'scope, '_>, opener: Opener<'env>, shares: usize) -> Self
    where
        'env: 'scope,
    {
        /// Asking costs more than opening many rows.
        static THREADS: LazyLock<usize> =
            LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get).min(SCAN_THREADS));
        let help = |_| {
            let (work, batches) = channel::<Arc<Batch>>();
            let (answer, done) = channel();
            let work_off = move || {
                for batch in batches {
                    let shares = batch.open(opener);
                    drop(batch);
                    if answer.send(shares).is_err() {
                        return;
                    }
                }
            };
            // Where there is no thread to be had, it takes longer.
            thread::Builder::new().spawn_scoped(scope, work_off).ok().map(|_| Helper { work, done })
        };
        Self { opener, threads: (1..(*THREADS).min(shares)).filter_map(help).collect() }
    }

    fn begin(&self, batch: Batch) -> Arc<Batch> {
        let batch = Arc::new(batch);
        for helper in &self.threads {
            // One that is gone answers nothing either.
            let _gone = helper.work.send(batch.clone());
        }
        batch
    }

    /// Does what is left of a batch, and waits for the others.
    fn finish(&self, batch: Arc<Batch>) -> Opened {
        let mut shares: BTreeMap<_, _> = batch.open(self.opener).into_iter().collect();
        shares.extend(self.threads.iter().filter_map(|helper| helper.done.recv().ok()).flatten());
        let mut room = Value::default();
        let share = |index| match shares.remove(&index) {
            Some(share) => share,
            // Its thread did not come to an end.
            None => batch.open_share(self.opener, index, &mut room),
        };
        let values = (0..batch.shares()).flat_map(share).collect();
        Opened { batch, values }
    }
}

/// A batch that is open.
struct Opened {
    batch: Arc<Batch>,
    values: Share,
}

impl Opened {
    /// Hands the rows over. Gives the batch back, unless `visit` breaks.
    fn visit(self, visit: &mut Sifted<'_>) -> Result<Option<Batch>, StoreError> {
        for (row, value) in self.batch.rows.iter().zip(self.values) {
            // What comes before a damaged row is good.
            if visit(self.batch.part(row.key, row.value), value?).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(Arc::into_inner(self.batch).unwrap_or_default()))
    }
}
