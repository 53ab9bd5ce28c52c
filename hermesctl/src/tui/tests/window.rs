//! A long history: the stretch that is loaded, and searches beyond it.

use hermes_api::SearchPage;

use super::*;
use crate::{
    limits::TUI_MESSAGES,
    tui::model::{Focus, Run},
};

fn after(id: &str) -> Side {
    Side::After(id.into())
}

#[test]
fn memory_is_bounded_and_every_message_can_be_reached() {
    let most = u64::try_from(TUI_MESSAGES).unwrap();
    let newest = most + 300;
    let mut bench = Bench::with(80, 24, numbered(newest - 99..=newest), true);
    let mut first = newest - 99;
    while first > 1 {
        bench.key(KeyCode::PageUp);
        bench.draw();
        if bench.requests().contains(&log(before(&first.to_string()))) {
            bench.page(
                before(&first.to_string()),
                numbered(first.saturating_sub(100)..=first - 1),
                first > 101,
            );
            first -= 100;
            assert!(bench.model.open.as_ref().unwrap().messages.len() <= TUI_MESSAGES + 100);
        }
    }
    for _ in 0..20 {
        bench.key(KeyCode::PageUp);
    }
    assert!(bench.draw().concat().contains("text 1 "), "{:#?}", bench.draw());
    let open = bench.model.open.as_ref().unwrap();
    assert_eq!((open.older, open.newer), (Beyond::None, Beyond::There));

    // And down again, without a jump.
    let mut last = open.messages.last().unwrap().id.parse::<u64>().unwrap();
    let mut seen = 19;
    while seen < newest {
        bench.key(KeyCode::PageDown);
        let rows = bench.draw();
        let numbers = rows.iter().filter_map(|row| row.split("text ").nth(1)?.trim().parse::<u64>().ok());
        let shown: Vec<u64> = numbers.collect();
        assert!(shown[0] <= seen + 1, "passed over what stands behind {seen}: {shown:?}");
        seen = *shown.last().unwrap();
        if bench.requests().contains(&log(after(&last.to_string()))) {
            let next = (last + 100).min(newest);
            bench.page(after(&last.to_string()), numbered(last + 1..=next), next < newest);
            last = next;
        }
        assert!(bench.model.open.as_ref().unwrap().messages.len() <= TUI_MESSAGES + 100);
    }
    assert_eq!(bench.model.open.as_ref().unwrap().newer, Beyond::None);
}

#[test]
fn what_arrives_while_the_end_is_not_loaded_is_fetched_with_it() {
    let mut bench = Bench::with(80, 12, numbered(1..=10), false);
    bench.model.open.as_mut().unwrap().newer = Beyond::There;
    let message = Message { id: "13".into(), ..incoming("bob#13", "text 13") };
    bench.model.happened(Event::Received { message: Box::new(message) });
    assert_eq!(bench.model.open.as_ref().unwrap().messages.len(), 10);
    bench.requests();
    bench.draw();
    assert!(bench.requests().contains(&log(after("10"))));
    bench.page(after("10"), numbered(11..=12), false);
    assert!(bench.requests().contains(&log(Side::Newest)), "what came meanwhile");
    bench.page(Side::Newest, numbered(4..=13), true);
    bench.press(KeyCode::End, KeyModifiers::CONTROL);
    assert!(bench.draw().concat().contains("text 13"));
}

#[test]
fn a_page_for_another_stretch_is_dropped() {
    let mut bench = Bench::with(80, 12, numbered(50..=60), true);
    bench.page(before("7"), numbered(1..=6), false);
    bench.page(after("7"), numbered(8..=9), false);
    assert_eq!(bench.model.open.as_ref().unwrap().messages.len(), 11);
}

#[test]
fn the_mark_of_new_ones_stands_before_the_first_of_them_however_many() {
    let mut bench = Bench::with(80, 12, numbered(51..=100), true);
    assert_eq!(bench.model.open.as_ref().unwrap().new_from.as_deref(), Some("51"));
    let mut older = numbered(1..=50);
    older[..30].iter_mut().for_each(|message| message.read = true);
    bench.page(before("51"), older, false);
    assert_eq!(bench.model.open.as_ref().unwrap().new_from.as_deref(), Some("31"));
}

fn hits(numbers: &[u64]) -> Vec<Message> {
    let hit = |number: &u64| {
        let text = format!("a long beginning before the needle of {number}");
        let mut hit = Message { id: number.to_string(), ..incoming(&format!("bob#{number}"), &text) };
        hit.received_at = Some(UnixMillis(*number));
        hit
    };
    numbers.iter().map(hit).collect()
}

#[test]
fn a_search_goes_through_the_whole_history_and_shows_what_it_found_in_its_place() {
    let mut bench = Bench::with(80, 12, numbered(9_901..=10_000), true);
    bench.draw();
    bench.control('f');
    bench.draw();
    bench.requests();
    bench.write("needle");
    bench.key(KeyCode::Enter);
    let search = |number, from: Option<&str>| Request::Search {
        number,
        text: "needle".into(),
        chat: Some("bob".into()),
        from: from.map(Into::into),
    };
    assert_eq!(bench.requests(), [search(1, None)]);
    let page = |messages, next: Option<&str>| SearchPage {
        v: V1,
        messages,
        read: 5_000,
        next: next.map(Into::into),
    };
    bench.model.answered(Answer::Found { number: 1, page: page(hits(&[7_000]), Some("on")) });
    assert_eq!(bench.requests(), [search(2, Some("on"))]);
    assert!(bench.draw().concat().contains("… 5000 messages looked through"));
    bench.model.answered(Answer::Found { number: 1, page: page(hits(&[1]), None) });
    bench.model.answered(Answer::Found { number: 2, page: page(hits(&[20, 30]), None) });
    let rows = bench.draw();
    let right = |row: &String| row.split_once('│').unwrap().1.to_owned();
    assert_eq!(right(&rows[1]), "search bob: needle");
    assert!(
        right(&rows[3]).ends_with("bob: …ing before the needle of 7000")
            || right(&rows[3]).contains("needle")
    );
    assert_eq!(right(&rows[6]), "3 found");

    bench.key(KeyCode::Down);
    bench.key(KeyCode::Enter);
    assert_eq!(bench.requests(), [log(before("30")), log(after("30"))]);
    bench.page(before("30"), numbered(1..=29), false);
    bench.page(after("30"), numbered(31..=130), true);
    let rows = bench.draw().concat();
    assert!(rows.contains("needle of 30") && rows.contains("text 29") && rows.contains("text 31"), "{rows}");
    assert_eq!(bench.model.focus, Focus::Messages);
    bench.key(KeyCode::End);
    assert!(bench.requests().contains(&log(Side::Newest)), "back to the end");

    bench.control('f');
    assert_eq!(bench.model.search.as_ref().unwrap().hits.len(), 3, "it is still there");
    bench.write("s");
    assert_eq!(bench.model.search.as_ref().unwrap().run, Run::No);
}

#[test]
fn a_search_that_was_replaced_is_not_heard_and_tab_widens_it() {
    let mut bench = Bench::with(80, 12, numbered(1..=10), true);
    bench.control('f');
    bench.write("x");
    bench.key(KeyCode::Enter);
    bench.key(KeyCode::Tab);
    let requests = bench.requests();
    assert!(matches!(&requests[..], [_, Request::Search { number: 2, chat: None, .. }]), "{requests:?}");
    let page = SearchPage { v: V1, messages: hits(&[1]), read: 1, next: None };
    bench.model.answered(Answer::Found { number: 1, page: page.clone() });
    assert_eq!(bench.model.search.as_ref().unwrap().hits.len(), 0);
    bench.model.answered(Answer::Found { number: 2, page });
    assert!(bench.draw().concat().contains("1 found"));
    bench.key(KeyCode::Esc);
    bench.write("kept apart");
    assert_eq!(bench.model.open.as_ref().unwrap().draft.text.text(), "kept apart");
}
