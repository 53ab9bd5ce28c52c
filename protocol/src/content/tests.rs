use hermes_wire::codec;
use proptest::prelude::*;

use super::{
    encoding::{KIND, PAYLOAD, RECEIPT},
    *,
};
use crate::{limits::CONTENT_BYTES, testing::ticket};

fn content(body: Body) -> Content {
    Content {
        id: MessageId([1; 16]),
        sent: Timestamp(1_700_000_000_000),
        place: Some(ChatPlace { counter: 3, previous: [2; 32] }),
        body,
        newer: Newer::default(),
    }
}

fn text(text: &str) -> Content {
    content(Body::Text { text: text.into(), reply_to: None, ttl: None })
}

#[test]
fn every_kind_round_trips() {
    for body in [
        Body::Text { text: "".into(), reply_to: None, ttl: Some(3_600) },
        Body::Timer(None),
        Body::Timer(Some(u32::MAX)),
        Body::Text {
            text: "línea uno\nдва 🦊 \u{202e}x\0y".into(),
            reply_to: Some(MessageId([9; 16])),
            ttl: None,
        },
        Body::Reaction { message: MessageId([9; 16]), emoji: Some("👍🏽".into()) },
        Body::Reaction { message: MessageId([9; 16]), emoji: None },
        Body::Edit { message: MessageId([9; 16]), text: "mended".into() },
        Body::Unsend { message: MessageId([9; 16]), place: None },
        Body::Unsend {
            message: MessageId([9; 16]),
            place: Some(WithdrawnPlace { place: ChatPlace { counter: 2, previous: [6; 32] }, hash: [7; 32] }),
        },
        Body::Receipt { kind: ReceiptKind::Delivered, messages: vec![MessageId([4; 16]); RECEIPT_MESSAGES] },
        Body::Receipt { kind: ReceiptKind::Read, messages: vec![] },
        Body::Hello { profile_name: "Ζωή".into(), ticket: ticket(1), proof: Some([5; 32]) },
        Body::Hello { profile_name: "".into(), ticket: ticket(1), proof: None },
        Body::Profile("Ζωή".into()),
        Body::Profile("x".repeat(PROFILE_NAME_CHARS)),
        Body::TokenRenewal(ticket(2)),
        Body::Presence(Presence::Arrived),
        Body::Presence(Presence::Away),
        Body::Ping,
        Body::Pong(MessageId([6; 16])),
        Body::ResendRequest { received: u64::MAX, missing: vec![], sent: 0 },
        Body::ResendRequest {
            received: 9,
            missing: vec![CounterRange { first: 1, last: 1 }; RESEND_RANGES],
            sent: 7,
        },
        Body::KeyPackages { packages: vec![], only: false },
        Body::KeyPackages {
            packages: vec![ByteBuf::from(vec![3; KEY_PACKAGE_BYTES]); KEY_PACKAGES],
            only: true,
        },
        Body::GroupRejoin { group: GroupId([7; 32]), package: ByteBuf::from(vec![3; KEY_PACKAGE_BYTES]) },
        Body::GroupInvite {
            welcome: crate::blob::seal(b"welcome", &mut crate::testing::rng(1)).unwrap().1,
            head: Head([8; 32]),
            relay: None,
        },
        Body::GroupInvite {
            welcome: crate::blob::seal(b"welcome", &mut crate::testing::rng(1)).unwrap().1,
            head: Head([8; 32]),
            relay: Some(ticket(1).relay),
        },
        Body::GuestWanted { ask: AskId([4; 16]), relay: ticket(1).relay, registration_token: None },
        Body::GuestWanted {
            ask: AskId([4; 16]),
            relay: ticket(1).relay,
            registration_token: Some("t".repeat(REGISTRATION_TOKEN_CHARS)),
        },
        Body::GuestPlace {
            ask: AskId([4; 16]),
            answer: GuestAnswer::Package(ByteBuf::from(vec![3; KEY_PACKAGE_BYTES])),
        },
        Body::GuestPlace { ask: AskId([4; 16]), answer: GuestAnswer::Refused(GuestRefusal::NoRoom) },
    ] {
        let content = content(body);
        assert_eq!(Content::decode(&content.encode()), Ok(content.clone()));
        let placeless = Content { place: None, ..content };
        assert_eq!(Content::decode(&placeless.encode()), Ok(placeless));
    }
}

#[test]
fn what_is_newer_is_kept_byte_for_byte() {
    let mut fields = Fields::from_value(text("hi").newer_value()).unwrap();
    fields.put(9, "a field of the future".into());
    let mut payload = Fields::from_value(fields.take(PAYLOAD).unwrap()).unwrap();
    payload.put(7, Value::Float(0.5));
    fields.put(PAYLOAD, payload.into_value());
    let bytes = codec::encode(&fields.into_value());
    let decoded = Content::decode(&bytes).unwrap();
    assert_eq!(decoded.body, Body::Text { text: "hi".into(), reply_to: None, ttl: None });
    assert_ne!(decoded.newer, Newer::default());
    assert_eq!(decoded.encode(), bytes);
}

#[test]
fn an_unknown_kind_is_kept_and_no_error() {
    for (kind, payload) in [(99u64, Value::from("?")), (RECEIPT, receipt_of_kind(77))] {
        let mut fields = Fields::from_value(text("hi").newer_value()).unwrap();
        fields.put(KIND, kind.into());
        fields.put(PAYLOAD, payload.clone());
        let bytes = codec::encode(&fields.into_value());
        let decoded = Content::decode(&bytes).unwrap();
        assert_eq!(decoded.body, Body::Unknown(UnknownBody { kind, payload }));
        assert_eq!(decoded.encode(), bytes);
    }
}

/// Frozen: whatever changes these bytes changes the hash that chains a chat's messages.
#[test]
fn what_is_said_of_messages_has_this_form() {
    let hex = |body| data_encoding::HEXLOWER.encode(&content(body).encode());
    let (id, hash) = (MessageId([9; 16]), [7; 32]);
    let head = concat!(
        "a500",
        "5001010101010101010101010101010101",
        "01",
        "1b0000018bcfe56800",
        "02",
        "8203",
        "58200202020202020202020202020202020202020202020202020202020202020202",
        "03"
    );
    let nines = "5009090909090909090909090909090909";
    let reaction = Body::Reaction { message: id, emoji: Some("+".into()) };
    assert_eq!(hex(reaction), format!("{head}0a04a200{nines}01612b"));
    assert_eq!(hex(Body::Reaction { message: id, emoji: None }), format!("{head}0a04a100{nines}"));
    assert_eq!(hex(Body::Edit { message: id, text: "x".into() }), format!("{head}0b04a200{nines}016178"));
    assert_eq!(hex(Body::Unsend { message: id, place: None }), format!("{head}0c04a100{nines}"));
    let place = WithdrawnPlace { place: ChatPlace { counter: 2, previous: hash }, hash };
    let sevens = format!("5820{}", "07".repeat(32));
    assert_eq!(
        hex(Body::Unsend { message: id, place: Some(place) }),
        format!("{head}0c04a200{nines}018302{sevens}{sevens}")
    );
}

#[test]
fn a_reaction_is_short_and_visible() {
    let decoded = |emoji: &str| {
        let message = MessageId([9; 16]);
        Content::decode(&content(Body::Reaction { message, emoji: Some(emoji.into()) }).encode())
    };
    for good in ["👍", "🇨🇭", "👩‍👩‍👧", "+1", &"x".repeat(REACTION_BYTES)] {
        assert!(decoded(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "\u{1b}[2J", "\n", &"x".repeat(REACTION_BYTES + 1)] {
        assert_eq!(decoded(bad), Err(ContentError::BadReaction), "{bad:?}");
    }
}

fn receipt_of_kind(kind: u64) -> Value {
    Value::Map(vec![(0.into(), kind.into()), (1.into(), Value::Array(vec![]))])
}

impl Content {
    fn newer_value(&self) -> Value {
        codec::decode_tolerant(&self.encode(), CONTENT_BYTES).unwrap()
    }
}

#[test]
fn a_range_runs_upwards() {
    let range = CounterRange { first: 2, last: 1 };
    let request = content(Body::ResendRequest { received: 9, missing: vec![range], sent: 7 });
    assert_eq!(Content::decode(&request.encode()), Err(ContentError::Malformed));
    let range = CounterRange { first: 2, last: 4 };
    assert_eq!([1, 2, 4, 5].map(|counter| range.contains(counter)), [false, true, true, false]);
}

#[test]
fn limits_hold() {
    let range = CounterRange { first: 1, last: 1 };
    let request =
        |ranges| content(Body::ResendRequest { received: 9, missing: vec![range; ranges], sent: 7 });
    assert_eq!(
        Content::decode(&request(RESEND_RANGES + 1).encode()),
        Err(ContentError::ResendRequestTooLong)
    );
    assert!(Content::decode(&text(&"x".repeat(TEXT_BYTES)).encode()).is_ok());
    assert_eq!(Content::decode(&text(&"x".repeat(TEXT_BYTES + 1)).encode()), Err(ContentError::TextTooLong));
    let hello = |name: String| content(Body::Hello { profile_name: name, ticket: ticket(1), proof: None });
    assert!(Content::decode(&hello("é".repeat(PROFILE_NAME_CHARS)).encode()).is_ok());
    assert_eq!(
        Content::decode(&hello("é".repeat(PROFILE_NAME_CHARS + 1)).encode()),
        Err(ContentError::ProfileNameTooLong)
    );
    let receipt = content(Body::Receipt {
        kind: ReceiptKind::Read,
        messages: vec![MessageId([1; 16]); RECEIPT_MESSAGES + 1],
    });
    assert_eq!(Content::decode(&receipt.encode()), Err(ContentError::ReceiptTooLong));
    let packages = |count, bytes| {
        content(Body::KeyPackages { packages: vec![ByteBuf::from(vec![3; bytes]); count], only: false })
            .encode()
    };
    assert!(Content::decode(&packages(1, 1)).is_ok());
    for (count, bytes) in [(KEY_PACKAGES + 1, 1), (1, KEY_PACKAGE_BYTES + 1)] {
        assert_eq!(Content::decode(&packages(count, bytes)), Err(ContentError::KeyPackagesTooLong));
    }
}

#[test]
fn refuses_a_second_encoding_of_the_same_content() {
    let bytes = text("hi").encode();
    // A map of five entries, written as one of indefinite length.
    assert_eq!(bytes[0], 0xa5);
    let indefinite = [&[0xbf], &bytes[1..], &[0xff]].concat();
    assert_eq!(Content::decode(&indefinite), Err(ContentError::Malformed));
    assert_eq!(Content::decode(&[&bytes[..], &[0]].concat()), Err(ContentError::Malformed));
    let Value::Map(mut entries) = text("hi").newer_value() else { panic!("content is a map") };
    entries.swap(0, 1);
    assert_eq!(Content::decode(&codec::encode(&Value::Map(entries.clone()))), Err(ContentError::Malformed));
    entries.push(entries[0].clone());
    assert_eq!(Content::decode(&codec::encode(&Value::Map(entries))), Err(ContentError::Malformed));
}

#[test]
fn the_hash_names_the_content() {
    assert_eq!(text("a").hash(), text("a").hash());
    assert_ne!(text("a").hash(), text("b").hash());
}

proptest! {
    #[test]
    fn any_text_round_trips(words in any::<String>()) {
        let content = text(&words);
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
    }

    #[test]
    fn random_bytes_never_panic_and_decode_canonically(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(content) = Content::decode(&bytes) {
            prop_assert_eq!(content.encode(), bytes);
        }
    }

    #[test]
    fn changed_bytes_never_panic(position in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = content(Body::TokenRenewal(ticket(1))).encode();
        let at = position.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(content) = Content::decode(&bytes) {
            prop_assert_eq!(content.encode(), bytes);
        }
    }
}
