//! What a client asks about contact requests.

use super::{Client, ClientError};
use crate::{
    AcceptRequest, CloseRequests, ClosedRequests, ContactDetails, RejectedRequest, Requests,
    routes::{self, fill},
};

impl Client {
    /// Lists who asks, and the invites by which people can ask.
    pub async fn requests(&self, account: &str) -> Result<Requests, ClientError> {
        self.get(fill(routes::REQUESTS, &[account], &[])).await
    }

    /// Makes one who asks a contact.
    pub async fn accept_request(
        &self,
        account: &str,
        request: &str,
        accept: &AcceptRequest,
    ) -> Result<ContactDetails, ClientError> {
        self.post(fill(routes::REQUEST_ACCEPT, &[account, request], &[]), accept, 0).await
    }

    /// Forgets one who asks.
    pub async fn reject_request(&self, account: &str, request: &str) -> Result<RejectedRequest, ClientError> {
        self.post(fill(routes::REQUEST_REJECT, &[account, request], &[]), &(), 0).await
    }

    /// Withdraws invites for requests.
    pub async fn close_requests(
        &self,
        account: &str,
        close: &CloseRequests,
    ) -> Result<ClosedRequests, ClientError> {
        self.post(fill(routes::REQUESTS_CLOSE, &[account], &[]), close, 0).await
    }
}
