//! Backups, which are as long as they are: neither side holds one in memory.

use std::{
    error::Error,
    fs::File,
    io::{self, Read},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::{
    Method,
    body::{Body, Bytes, Frame, Incoming},
};
use serde::Serialize;

use super::{Client, ClientError, collect, refusal};
use crate::{
    BackUp, BackupHead, CreatedAccount, RestoreAccount,
    limits::{self, BACKUP_HEAD_BYTES, BACKUP_PIECE_BYTES},
    routes,
};

/// A backup on its way here.
#[derive(Debug)]
pub struct Download {
    /// What it is.
    pub head: BackupHead,
    rest: Option<Bytes>,
    body: Incoming,
}

impl Client {
    /// Has a backup made.
    pub async fn back_up(&self, account: &str, backup: &BackUp) -> Result<Download, ClientError> {
        let path = routes::fill(routes::BACKUP, &[account], &[]);
        let response = self.request(Method::POST, &path, line(backup)?.into(), limits::REPLY).await?;
        if !response.status().is_success() {
            return Err(refusal(&collect(response).await?));
        }
        let mut body = response.into_body();
        let mut start = Vec::new();
        loop {
            if let Some(end) = start.iter().position(|byte| *byte == b'\n') {
                let rest = start.split_off(end);
                let head = serde_json::from_slice(&start);
                let head = head.map_err(|error| ClientError::Garbled(error.to_string()))?;
                let rest = Bytes::from(rest).slice(1..);
                return Ok(Download { head, rest: Some(rest), body });
            }
            match next(&mut body).await? {
                Some(bytes) if start.len() <= BACKUP_HEAD_BYTES => start.extend_from_slice(&bytes),
                _ => return Err(ClientError::Garbled("a backup begins with a line of JSON".to_owned())),
            }
        }
    }

    /// Has an account made of the backup in `file`.
    pub async fn restore(&self, restore: &RestoreAccount, file: File) -> Result<CreatedAccount, ClientError> {
        let body = Upload { line: Some(line(restore)?.into()), file };
        let patience = Duration::from_millis(limits::BACKUP_MS);
        let response = self.exchange(Method::POST, routes::RESTORE, body, patience).await?;
        let success = response.status().is_success();
        let body = collect(response).await?;
        if !success {
            return Err(refusal(&body));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::Garbled(error.to_string()))
    }
}

impl Download {
    /// The next bytes of the file; nothing at its end. An error means that the file is not whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        match self.rest.take() {
            Some(rest) => Ok(Some(rest)),
            None => next(&mut self.body).await,
        }
    }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, ClientError> {
    loop {
        let frame = tokio::time::timeout(limits::REPLY, body.frame()).await;
        match frame.map_err(|_| ClientError::Silent(limits::REPLY))? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(bytes) = frame.map_err(ClientError::Broken)?.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

fn line(document: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    let mut line = serde_json::to_vec(document).map_err(|error| ClientError::Garbled(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// A line, and a file behind it.
struct Upload {
    line: Option<Bytes>,
    file: File,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(line) = self.line.take() {
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        // Blocks for a moment, which holds up nobody but this program.
        let mut piece = Vec::with_capacity(BACKUP_PIECE_BYTES);
        let read: io::Result<usize> = (&self.file).take(BACKUP_PIECE_BYTES as u64).read_to_end(&mut piece);
        Poll::Ready(match read {
            Ok(0) => None,
            Ok(_) => Some(Ok(Frame::data(piece.into()))),
            Err(error) => Some(Err(error.into())),
        })
    }
}
