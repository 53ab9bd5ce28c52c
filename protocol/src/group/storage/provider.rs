//! The library's interface to [`Storage`]: which of its entities is which kind of row.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

use super::{Kind, Storage, StorageError, encode};

impl StorageProvider<CURRENT_VERSION> for Storage<'_> {
    type Error = StorageError;

    fn write_mls_join_config<
        G: traits::GroupId<CURRENT_VERSION>,
        M: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        config: &M,
    ) -> Result<(), StorageError> {
        self.put_described(Kind::JoinConfig, group, config)
    }

    fn append_own_leaf_node<G: traits::GroupId<CURRENT_VERSION>, L: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &G,
        leaf_node: &L,
    ) -> Result<(), StorageError> {
        self.append(Kind::OwnLeafNodes, group, leaf_node)
    }

    fn queue_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        P: traits::ProposalRef<CURRENT_VERSION>,
        Q: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        reference: &P,
        proposal: &Q,
    ) -> Result<(), StorageError> {
        self.put(Kind::Proposal, &(group, reference), proposal)?;
        self.append(Kind::Proposals, group, reference)
    }

    fn write_tree<G: traits::GroupId<CURRENT_VERSION>, T: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &G,
        tree: &T,
    ) -> Result<(), StorageError> {
        self.put(Kind::Tree, group, tree)
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        I: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        interim_transcript_hash: &I,
    ) -> Result<(), StorageError> {
        self.put(Kind::InterimTranscriptHash, group, interim_transcript_hash)
    }

    fn write_context<G: traits::GroupId<CURRENT_VERSION>, H: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        group: &G,
        group_context: &H,
    ) -> Result<(), StorageError> {
        self.put(Kind::Context, group, group_context)
    }

    fn write_confirmation_tag<
        G: traits::GroupId<CURRENT_VERSION>,
        C: traits::ConfirmationTag<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        confirmation_tag: &C,
    ) -> Result<(), StorageError> {
        self.put(Kind::ConfirmationTag, group, confirmation_tag)
    }

    fn write_group_state<G: traits::GroupState<CURRENT_VERSION>, H: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &H,
        group_state: &G,
    ) -> Result<(), StorageError> {
        self.put(Kind::State, group, group_state)
    }

    fn write_message_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        M: traits::MessageSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        message_secrets: &M,
    ) -> Result<(), StorageError> {
        self.put(Kind::MessageSecrets, group, message_secrets)
    }

    fn write_resumption_psk_store<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        resumption_psk_store: &R,
    ) -> Result<(), StorageError> {
        self.put(Kind::ResumptionPsks, group, resumption_psk_store)
    }

    fn write_own_leaf_index<
        G: traits::GroupId<CURRENT_VERSION>,
        L: traits::LeafNodeIndex<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        own_leaf_index: &L,
    ) -> Result<(), StorageError> {
        self.put(Kind::OwnLeafIndex, group, own_leaf_index)
    }

    fn write_group_epoch_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        H: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        group_epoch_secrets: &H,
    ) -> Result<(), StorageError> {
        self.put(Kind::EpochSecrets, group, group_epoch_secrets)
    }

    fn write_application_export_tree<
        G: traits::GroupId<CURRENT_VERSION>,
        A: traits::ApplicationExportTree<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        application_export_tree: &A,
    ) -> Result<(), StorageError> {
        self.put(Kind::ExportTree, group, application_export_tree)
    }

    fn write_signature_key_pair<
        S: traits::SignaturePublicKey<CURRENT_VERSION>,
        T: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public_key: &S,
        signature_key_pair: &T,
    ) -> Result<(), StorageError> {
        self.put(Kind::SignatureKeyPair, public_key, signature_key_pair)
    }

    fn write_encryption_key_pair<
        E: traits::EncryptionKey<CURRENT_VERSION>,
        H: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public_key: &E,
        key_pair: &H,
    ) -> Result<(), StorageError> {
        self.put(Kind::EncryptionKeyPair, public_key, key_pair)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        H: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf_index: u32,
        key_pairs: &[H],
    ) -> Result<(), StorageError> {
        self.put(Kind::EpochKeyPairs, &(group, epoch, leaf_index), key_pairs)
    }

    fn write_key_package<
        H: traits::HashReference<CURRENT_VERSION>,
        K: traits::KeyPackage<CURRENT_VERSION>,
    >(
        &self,
        of: &H,
        key_package: &K,
    ) -> Result<(), StorageError> {
        self.put(Kind::KeyPackage, of, key_package)
    }

    fn write_psk<P: traits::PskId<CURRENT_VERSION>, Q: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        id: &P,
        psk: &Q,
    ) -> Result<(), StorageError> {
        self.put(Kind::Psk, id, psk)
    }

    fn mls_group_join_config<
        G: traits::GroupId<CURRENT_VERSION>,
        M: traits::MlsGroupJoinConfig<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<M>, StorageError> {
        self.described(Kind::JoinConfig, group)
    }

    fn own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>, L: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Vec<L>, StorageError> {
        self.items(Kind::OwnLeafNodes, group)
    }

    fn queued_proposal_refs<G: traits::GroupId<CURRENT_VERSION>, P: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Vec<P>, StorageError> {
        self.items(Kind::Proposals, group)
    }

    fn queued_proposals<
        G: traits::GroupId<CURRENT_VERSION>,
        P: traits::ProposalRef<CURRENT_VERSION>,
        Q: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Vec<(P, Q)>, StorageError> {
        let proposals = self.items::<P>(Kind::Proposals, group)?.into_iter().map(|proposal| {
            let queued = self.get(Kind::Proposal, &(group, &proposal))?;
            Ok((proposal, queued.ok_or(StorageError::Damaged(Kind::Proposal))?))
        });
        proposals.collect()
    }

    fn tree<G: traits::GroupId<CURRENT_VERSION>, T: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<T>, StorageError> {
        self.get(Kind::Tree, group)
    }

    fn group_context<G: traits::GroupId<CURRENT_VERSION>, H: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<H>, StorageError> {
        self.get(Kind::Context, group)
    }

    fn interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        I: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<I>, StorageError> {
        self.get(Kind::InterimTranscriptHash, group)
    }

    fn confirmation_tag<G: traits::GroupId<CURRENT_VERSION>, C: traits::ConfirmationTag<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<C>, StorageError> {
        self.get(Kind::ConfirmationTag, group)
    }

    fn group_state<G: traits::GroupState<CURRENT_VERSION>, H: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &H,
    ) -> Result<Option<G>, StorageError> {
        self.get(Kind::State, group)
    }

    fn message_secrets<G: traits::GroupId<CURRENT_VERSION>, M: traits::MessageSecrets<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<M>, StorageError> {
        self.get(Kind::MessageSecrets, group)
    }

    fn resumption_psk_store<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<R>, StorageError> {
        self.get(Kind::ResumptionPsks, group)
    }

    fn own_leaf_index<G: traits::GroupId<CURRENT_VERSION>, L: traits::LeafNodeIndex<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<Option<L>, StorageError> {
        self.get(Kind::OwnLeafIndex, group)
    }

    fn group_epoch_secrets<
        G: traits::GroupId<CURRENT_VERSION>,
        H: traits::GroupEpochSecrets<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<H>, StorageError> {
        self.get(Kind::EpochSecrets, group)
    }

    fn signature_key_pair<
        S: traits::SignaturePublicKey<CURRENT_VERSION>,
        T: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        public_key: &S,
    ) -> Result<Option<T>, StorageError> {
        self.get(Kind::SignatureKeyPair, public_key)
    }

    fn encryption_key_pair<
        H: traits::HpkeKeyPair<CURRENT_VERSION>,
        E: traits::EncryptionKey<CURRENT_VERSION>,
    >(
        &self,
        public_key: &E,
    ) -> Result<Option<H>, StorageError> {
        self.get(Kind::EncryptionKeyPair, public_key)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        H: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<Vec<H>, StorageError> {
        self.get(Kind::EpochKeyPairs, &(group, epoch, leaf_index)).map(Option::unwrap_or_default)
    }

    fn key_package<K: traits::HashReference<CURRENT_VERSION>, L: traits::KeyPackage<CURRENT_VERSION>>(
        &self,
        of: &K,
    ) -> Result<Option<L>, StorageError> {
        self.get(Kind::KeyPackage, of)
    }

    fn psk<P: traits::PskBundle<CURRENT_VERSION>, Q: traits::PskId<CURRENT_VERSION>>(
        &self,
        id: &Q,
    ) -> Result<Option<P>, StorageError> {
        self.get(Kind::Psk, id)
    }

    fn application_export_tree<
        G: traits::GroupId<CURRENT_VERSION>,
        A: traits::ApplicationExportTree<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<Option<A>, StorageError> {
        self.get(Kind::ExportTree, group)
    }

    fn remove_proposal<G: traits::GroupId<CURRENT_VERSION>, P: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group: &G,
        reference: &P,
    ) -> Result<(), StorageError> {
        let gone = encode(Kind::Proposals, reference)?;
        let mut items = self.list(Kind::Proposals, group)?;
        items.retain(|item| item.as_slice() != gone.as_slice());
        self.put(Kind::Proposals, group, &items)?;
        self.remove(Kind::Proposal, &(group, reference))
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::OwnLeafNodes, group)
    }

    fn delete_group_config<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::JoinConfig, group)
    }

    fn delete_tree<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Result<(), StorageError> {
        self.remove(Kind::Tree, group)
    }

    fn delete_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::ConfirmationTag, group)
    }

    fn delete_group_state<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Result<(), StorageError> {
        self.remove(Kind::State, group)
    }

    fn delete_context<G: traits::GroupId<CURRENT_VERSION>>(&self, group: &G) -> Result<(), StorageError> {
        self.remove(Kind::Context, group)
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::InterimTranscriptHash, group)
    }

    fn delete_message_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::MessageSecrets, group)
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::ResumptionPsks, group)
    }

    fn delete_own_leaf_index<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::OwnLeafIndex, group)
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::EpochSecrets, group)
    }

    fn clear_proposal_queue<G: traits::GroupId<CURRENT_VERSION>, P: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        for proposal in self.items::<P>(Kind::Proposals, group)? {
            self.remove(Kind::Proposal, &(group, proposal))?;
        }
        self.remove(Kind::Proposals, group)
    }

    fn delete_signature_key_pair<S: traits::SignaturePublicKey<CURRENT_VERSION>>(
        &self,
        public_key: &S,
    ) -> Result<(), StorageError> {
        self.remove(Kind::SignatureKeyPair, public_key)
    }

    fn delete_encryption_key_pair<E: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        public_key: &E,
    ) -> Result<(), StorageError> {
        self.remove(Kind::EncryptionKeyPair, public_key)
    }

    fn delete_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<(), StorageError> {
        self.remove(Kind::EpochKeyPairs, &(group, epoch, leaf_index))
    }

    fn delete_key_package<K: traits::HashReference<CURRENT_VERSION>>(
        &self,
        of: &K,
    ) -> Result<(), StorageError> {
        self.remove(Kind::KeyPackage, of)
    }

    fn delete_psk<P: traits::PskId<CURRENT_VERSION>>(&self, id: &P) -> Result<(), StorageError> {
        self.remove(Kind::Psk, id)
    }

    fn delete_application_export_tree<
        G: traits::GroupId<CURRENT_VERSION>,
        A: traits::ApplicationExportTree<CURRENT_VERSION>,
    >(
        &self,
        group: &G,
    ) -> Result<(), StorageError> {
        self.remove(Kind::ExportTree, group)
    }
}
