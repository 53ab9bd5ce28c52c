//! What a client asks about groups.

use super::{Client, ClientError};
use crate::{
    AddMembers, ChangeMembers, CreateGroup, Forgotten, GroupDetails, Groups, LeaveGroup, RebuildGroup,
    RenameGroup, SetRole,
    routes::{self, fill},
};

impl Client {
    /// Lists the groups.
    pub async fn groups(&self, account: &str) -> Result<Groups, ClientError> {
        self.get(fill(routes::GROUPS, &[account], &[])).await
    }

    /// One group in full.
    pub async fn group(&self, account: &str, group: &str) -> Result<GroupDetails, ClientError> {
        self.get(fill(routes::GROUP, &[account, group], &[])).await
    }

    /// Makes a group.
    pub async fn create_group(
        &self,
        account: &str,
        group: &CreateGroup,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUPS, &[account], &[]), group, group.timeout_ms).await
    }

    /// Adds contacts to a group.
    pub async fn add_members(
        &self,
        account: &str,
        group: &str,
        change: &AddMembers,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_ADD, &[account, group], &[]), change, change.timeout_ms).await
    }

    /// Removes members from a group.
    pub async fn remove_members(
        &self,
        account: &str,
        group: &str,
        change: &ChangeMembers,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_REMOVE, &[account, group], &[]), change, change.timeout_ms).await
    }

    /// Gives a group another name.
    pub async fn rename_group(
        &self,
        account: &str,
        group: &str,
        rename: &RenameGroup,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_RENAME, &[account, group], &[]), rename, rename.timeout_ms).await
    }

    /// Makes a member an admin, or an admin a member.
    pub async fn set_role(
        &self,
        account: &str,
        group: &str,
        role: &SetRole,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_ROLE, &[account, group], &[]), role, role.timeout_ms).await
    }

    /// Makes a group anew, without the member who has stopped it.
    pub async fn rebuild_group(
        &self,
        account: &str,
        group: &str,
        rebuild: RebuildGroup,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_REBUILD, &[account, group], &[]), &rebuild, rebuild.timeout_ms).await
    }

    /// Forgets a group that the account has left, with all that was said in it.
    pub async fn forget_group(&self, account: &str, group: &str) -> Result<Forgotten, ClientError> {
        self.post(fill(routes::GROUP_FORGET, &[account, group], &[]), &(), 0).await
    }

    /// Leaves a group.
    pub async fn leave_group(
        &self,
        account: &str,
        group: &str,
        leave: LeaveGroup,
    ) -> Result<GroupDetails, ClientError> {
        self.post(fill(routes::GROUP_LEAVE, &[account, group], &[]), &leave, leave.timeout_ms).await
    }
}
