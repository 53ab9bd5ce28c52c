//! Backups, streamed in and out of bodies behind a line of JSON.

use std::{
    io::{self, Read},
    ops::ControlFlow,
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use hermes_api::{
    BackUp, BackupHead, CreatedAccount, ErrorCode, KeyKind, Passphrase, RestoreAccount, V1,
    limits::{self, BACKUP_HEAD_BYTES},
};
use hermes_config::AccountName;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::{
    Daemon,
    accounts::{registration, status_of},
    keys,
    reply::{Asked, Document, Refused, Reply},
};
use crate::{
    backup::{self, BackupFailure, End},
    daemon::NewKeys,
    limits::{BACKUP_PIECES, PASSPHRASE_BYTES},
    passphrase::random_secret,
    store::Reader,
};

/// What comes of a backup.
enum Piece {
    Bytes(Bytes),
    End,
}

pub(super) async fn make(
    State(daemon): State<Daemon>,
    Path(account): Path<String>,
    Asked(asked): Asked<BackUp>,
) -> Result<Response, Refused> {
    let account = daemon.account(&account).await.map_err(Refused)?;
    let drawn = asked.passphrase.is_none().then(random_secret);
    let secret = asked.passphrase.or_else(|| drawn.clone()).ok_or(BackupFailure::Passphrase)?;
    if secret.expose().is_empty() || secret.expose().len() > PASSPHRASE_BYTES {
        return Err(BackupFailure::Passphrase.into());
    }
    let name = account.name().to_string();
    let head = BackupHead { v: V1, account: name.clone(), recovery_key: drawn };
    let mut line = serde_json::to_vec(&head).unwrap_or_default();
    line.push(b'\n');
    let (pieces, coming) = mpsc::channel(BACKUP_PIECES);
    tokio::spawn(send(account.reader().clone(), name, secret, pieces));
    let rest = stream::unfold(Some(coming), |coming| async {
        let mut coming = coming?;
        match coming.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(coming))),
            Some(Piece::End) => None,
            // An error breaks the body off, so that nobody takes the beginning of a backup for one.
            None => Some((Err(io::Error::other("the backup broke off")), None)),
        }
    });
    let body = stream::once(async { Ok(Bytes::from(line)) }).chain(rest);
    let bytes = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((bytes, Body::from_stream(body)).into_response())
}

/// Reads the rows in one turn, so that whoever locks the account waits for the end of it, which then comes at once.
async fn send(reader: Reader, name: String, secret: Passphrase, pieces: mpsc::Sender<Piece>) {
    let (mut closing, runtime) = (reader.closing(), Handle::current());
    let made = reader.query(move |snapshot| {
        let mut offer = |piece: Piece| {
            let taken = runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = closing.wait_for(|closing| *closing) => false,
                    sent = pieces.send(piece) => sent.is_ok(),
                }
            });
            if taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let made = backup::make(snapshot, &name, &secret, &mut |piece| offer(Piece::Bytes(piece.into())));
        match made {
            Ok(End::Reached) => drop(offer(Piece::End)),
            Ok(End::Stopped) => tracing::info!("a backup was given up"),
            Err(error) => tracing::warn!(%error, "a backup broke off"),
        }
        Ok(())
    });
    // An error means that the account is locked, and the body breaks off.
    let _ = made.await;
}

pub(super) async fn restore(State(daemon): State<Daemon>, body: Body) -> Reply<CreatedAccount> {
    let mut body = body.into_data_stream();
    let (asked, rest) = head(&mut body).await?;
    let name: AccountName = asked.name.parse().map_err(|error: hermes_config::AccountNameError| {
        Refused::new(ErrorCode::BadAccountName, error.to_string(), "choose another name")
    })?;
    let kind = keys::known(asked.keys.unwrap_or(KeyKind::File))?;
    let new_keys = NewKeys { kind, passphrase: asked.key_passphrase };
    let (pieces, coming) = mpsc::channel(BACKUP_PIECES);
    let file = Incoming { coming, piece: rest };
    let restoring = daemon.restore_account(name, new_keys, file, asked.passphrase);
    let feeding = async {
        // Read to its end even when nobody wants it any more: an answer before that would be lost on the sender.
        while let Some(piece) = body.next().await {
            let _ = pieces.send(piece.map_err(io::Error::other)).await;
        }
        drop(pieces);
    };
    let (account, ()) = tokio::join!(restoring, feeding);
    let account = account.map_err(Refused)?;
    let patience = Duration::from_millis(asked.timeout_ms).min(limits::WAIT);
    let mut stop = daemon.stop_signal();
    tokio::select! {
        _ = timeout(patience, registration(&account)) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    Ok(Document(CreatedAccount { v: V1, account: status_of(&daemon, &account).await? }))
}

/// The line in front, and what came with it of the file.
async fn head(body: &mut BodyDataStream) -> Result<(RestoreAccount, Bytes), Refused> {
    let wrong =
        |what: String| Refused::new(ErrorCode::Usage, what, "the routes are described in docs/api.md");
    let mut start = Vec::new();
    loop {
        if let Some(end) = start.iter().position(|byte| *byte == b'\n') {
            let rest = start.split_off(end);
            let asked = serde_json::from_slice(&start);
            let asked = asked.map_err(|error| wrong(format!("the first line is no such JSON: {error}")))?;
            return Ok((asked, Bytes::from(rest).slice(1..)));
        }
        match body.next().await {
            Some(Ok(bytes)) if start.len() <= BACKUP_HEAD_BYTES => start.extend_from_slice(&bytes),
            _ => return Err(wrong("a restore begins with a line of JSON".to_owned())),
        }
    }
}

/// A body as a file.
struct Incoming {
    coming: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.coming.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let now = self.piece.split_to(self.piece.len().min(into.len()));
        into.iter_mut().zip(&now).for_each(|(to, from)| *to = *from);
        Ok(now.len())
    }
}
