//! Whole visits, and whole mornings, by a clock that the tests move.

use std::{
    sync::atomic::{AtomicU32, AtomicU64 as Number},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ALL_DAY: Duration = Duration::from_secs(86_400);

fn paced(joins: Joins) -> Joining {
    let settings = JoiningSettings {
        joins,
        admission: 300 * SECOND,
    };
    Joining::new(settings, &Metrics::default(), &Drain::default())
}

fn at_once(places: u32) -> Joining {
    paced(Joins::AtOnce(NonZeroU32::new(places).unwrap()))
}

fn person(user: &str) -> Person {
    Person {
        room_id: "room01".into(),
        user_id: user.into(),
    }
}

/// Is there no place for this one within a moment?
async fn waits(joining: &Joining, user: &str) -> bool {
    timeout(Duration::from_millis(1), joining.knock(person(user), false))
        .await
        .is_err()
}

async fn knock(joining: &Joining, user: &str) -> Knock {
    joining.knock(person(user), false).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_place_is_kept_from_verify_token_to_the_answer_of_nats() {
    let joining = at_once(1);
    knock(&joining, "ann").await.let_in();
    sleep(9 * SECOND).await;
    assert!(waits(&joining, "bob").await);
    let arrival = joining.arrive(SECOND).await.unwrap();
    arrival.is_greeted();
    arrival.client_said();
    arrival.is_of(&person("ann"));
    sleep(2 * SECOND).await;
    assert!(
        waits(&joining, "bob").await,
        "the grant's ten seconds do not count any more"
    );
    arrival.answered();
    assert!(!waits(&joining, "bob").await);
}

#[tokio::test(start_paused = true)]
async fn a_place_comes_back_where_nobody_comes() {
    let joining = at_once(1);
    drop(knock(&joining, "ann").await);
    knock(&joining, "ann").await.let_in();
    assert!(waits(&joining, "bob").await);
    let began = Instant::now();
    let bob = knock(&joining, "bob").await;
    assert_eq!(began.elapsed().as_secs(), 9, "ten seconds after her answer");
    assert!(waits(&joining, "cid").await);
    sleep(10 * SECOND).await;
    assert!(
        !waits(&joining, "cid").await,
        "the server has not answered for so long"
    );
    drop(bob);
    assert_eq!(joining.status().joining, 0);
}

#[tokio::test(start_paused = true)]
async fn a_person_has_one_place_for_all_tabs() {
    let joining = at_once(1);
    let first = knock(&joining, "ann").await;
    let second = knock(&joining, "ann").await;
    first.let_in();
    drop(second);
    assert_eq!(joining.status().joining, 1);
    assert!(waits(&joining, "bob").await);
}

#[tokio::test(start_paused = true)]
async fn a_redial_that_was_taken_for_a_newcomer_takes_nothing_from_her() {
    let joining = at_once(1);
    knock(&joining, "ann").await.let_in();
    // Bob was in a meeting, and comes back just now.
    let bob = joining.arrive(SECOND).await.unwrap();
    bob.is_greeted();
    bob.is_of(&person("bob"));
    let ann = joining.arrive(SECOND).await.unwrap();
    ann.is_of(&person("ann"));
    assert_eq!(joining.status().joining, 2);
    bob.answered();
    ann.answered();
    assert_eq!(joining.status().joining, 0);
    // And one that says nothing at all.
    knock(&joining, "ann").await.let_in();
    drop(joining.arrive(SECOND).await.unwrap());
    let ann = timeout(SECOND, joining.arrive(ALL_DAY)).await.unwrap().unwrap();
    ann.is_of(&person("ann"));
    ann.answered();
    assert_eq!(joining.status().joining, 0);
    assert!(!joining.0.grants.comes());
}

#[tokio::test(start_paused = true)]
async fn who_comes_by_another_place_gives_her_own_back() {
    let joining = at_once(3);
    let ann = knock(&joining, "ann").await;
    let early = joining.arrive(SECOND).await.unwrap();
    ann.let_in();
    early.is_of(&person("ann"));
    assert_eq!(joining.status().joining, 1);
    assert!(!joining.0.grants.comes());
    early.answered();
    assert_eq!(joining.status().joining, 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_places_finds_itself() {
    let joining = paced(Joins::Auto);
    let mut arrivals = Vec::new();
    for nth in 0..24 {
        let arrival = joining.arrive(SECOND).await.unwrap();
        arrival.is_greeted();
        arrival.client_said();
        // The others are on their way to NATS yet.
        if nth < 5 {
            arrival.is_of(&person(&nth.to_string()));
        }
        arrivals.push(arrival);
    }
    sleep(Duration::from_millis(100)).await;
    arrivals.remove(0).answered();
    assert_eq!(
        joining.status().places,
        Some(25),
        "soon, and nearly all places taken"
    );
    sleep(2 * SECOND).await;
    arrivals.remove(0).answered();
    arrivals.remove(0).answered();
    assert_eq!(joining.status().places, Some(19), "late, and once a second");
    sleep(SECOND).await;
    arrivals.remove(0).refused();
    assert_eq!(joining.status().places, Some(9));
}

/// Whoever has no good token says nothing about NATS, and holds no place for long.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_stranger_changes_nothing() {
    let joining = paced(Joins::Auto);
    for _ in 0..100 {
        let stranger = joining.arrive(SECOND).await.unwrap();
        stranger.is_greeted();
        stranger.client_said();
        stranger.refused();
    }
    assert_eq!((joining.status().places, joining.status().joining), (Some(24), 0));
    let silent = joining.arrive(SECOND).await.unwrap();
    silent.is_greeted();
    silent.watch().await;
    assert_eq!(joining.status().joining, 0);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_looks_like_nats_nobody_waits() {
    let joining = at_once(1);
    let echo = joining.arrive(SECOND).await.unwrap();
    assert!(waits(&joining, "ann").await);
    assert!(
        timeout(SECOND + Duration::from_millis(1), echo.watch())
            .await
            .is_err()
    );
    for nth in 0..100 {
        drop(joining.arrive(Duration::ZERO).await.unwrap());
        assert!(!waits(&joining, &nth.to_string()).await);
    }
    drop(echo);
    // NATS is there now.
    let first = joining.arrive(SECOND).await.unwrap();
    first.is_greeted();
    let _second = joining.arrive(SECOND).await.unwrap();
    assert!(waits(&joining, "ann").await);
    assert!(timeout(ALL_DAY, first.watch()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_for_too_long_is_told() {
    let joining = at_once(1);
    let _ann = joining.arrive(SECOND).await.unwrap();
    let began = Instant::now();
    let bob = joining.knock(person("bob"), false).await;
    assert_eq!(
        (bob.err(), began.elapsed()),
        (Some(NotLetIn::TooLong), 300 * SECOND)
    );
    assert_eq!(joining.arrive(12 * SECOND).await.err(), Some(NotLetIn::TooLong));
    assert_eq!(began.elapsed(), 312 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_drain_and_a_change_of_settings_let_everybody_through() {
    let drain = Drain::default();
    let one = JoiningSettings {
        joins: Joins::AtOnce(NonZeroU32::MIN),
        admission: 300 * SECOND,
    };
    let joining = Joining::new(one, &Metrics::default(), &drain);
    let _ann = knock(&joining, "ann").await;
    let mut bob = Box::pin(joining.knock(person("bob"), false));
    assert!(timeout(SECOND, &mut bob).await.is_err());
    joining.set(JoiningSettings {
        joins: Joins::Unpaced,
        ..one
    });
    assert!(timeout(SECOND, bob).await.unwrap().is_ok());
    joining.set(one);
    let mut cid = Box::pin(joining.knock(person("cid"), false));
    assert!(timeout(SECOND, &mut cid).await.is_err());
    drain.begin();
    assert!(timeout(SECOND, cid).await.unwrap().unwrap().is_none());
}

/// NATS and the server behind it: it answers one after the other, and whoever was not answered in five seconds is refused,
/// while the server works on.
struct Nats {
    turn: tokio::sync::Mutex<()>,
    millis_each: Number,
    refused: AtomicU32,
}

impl Nats {
    fn answering(a_second: u64) -> Arc<Self> {
        Arc::new(Self {
            turn: tokio::sync::Mutex::new(()),
            millis_each: Number::new(1000 / a_second),
            refused: AtomicU32::new(0),
        })
    }

    fn answers(&self, a_second: u64) {
        self.millis_each.store(1000 / a_second, SeqCst);
    }

    async fn lets_in(self: Arc<Self>) -> bool {
        let server = Arc::clone(&self);
        let answer = tokio::spawn(async move {
            let _turn = server.turn.lock().await;
            sleep(Duration::from_millis(server.millis_each.load(SeqCst))).await;
        });
        let is_in = timeout(5 * SECOND, answer).await.is_ok();
        if !is_in {
            self.refused.fetch_add(1, SeqCst);
        }
        is_in
    }
}

/// Between two steps of the person: a moment, or on a slow telephone up to three seconds.
fn step_of(person: &Person) -> Duration {
    match person.user_id.strip_prefix("slow-") {
        Some(nth) => Duration::from_millis(500 + nth.parse::<u64>().unwrap() * 769 % 2500),
        None => Duration::from_millis(40),
    }
}

/// The WebSocket of one who is here.
async fn connects(joining: &Joining, nats: &Arc<Nats>, person: &Person) -> bool {
    let Ok(arrival) = joining.arrive(12 * SECOND).await else {
        return false;
    };
    arrival.is_greeted();
    sleep(Duration::from_millis(40)).await;
    arrival.client_said();
    arrival.is_of(person);
    let is_in = Arc::clone(nats).lets_in().await;
    if is_in {
        arrival.answered();
    } else {
        arrival.refused();
    }
    is_in
}

async fn joins(joining: Joining, nats: Arc<Nats>, person: Person, is_moderator: bool) -> Duration {
    let knock = joining.knock(person.clone(), is_moderator).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    if let Some(knock) = knock {
        knock.let_in();
    }
    sleep(step_of(&person)).await;
    connects(&joining, &nats, &person).await;
    joining.0.began.elapsed()
}

/// So many come to this room at once: when the last was in, or refused.
async fn all_join(
    joining: &Joining,
    nats: &Arc<Nats>,
    room: &str,
    count: usize,
    is_moderator: bool,
) -> Duration {
    let people: Vec<_> = (0..count)
        .map(|nth| {
            let person = Person {
                room_id: room.into(),
                user_id: format!("{room}-{nth}").into(),
            };
            tokio::spawn(joins(joining.clone(), Arc::clone(nats), person, is_moderator))
        })
        .collect();
    let mut last = Duration::ZERO;
    for one in people {
        last = last.max(one.await.unwrap());
    }
    last
}

fn refused(nats: &Nats) -> u32 {
    nats.refused.load(SeqCst)
}

#[tokio::test(start_paused = true)]
async fn of_300_at_ten_in_a_second_nobody_is_refused() {
    let nats = Nats::answering(10);
    let unpaced = paced(Joins::Unpaced);
    all_join(&unpaced, &nats, "room01", 300, false).await;
    assert!(refused(&nats) > 240, "{}", refused(&nats));

    let (joining, nats) = (paced(Joins::Auto), Nats::answering(10));
    let last = all_join(&joining, &nats, "room01", 300, false).await;
    assert_eq!(refused(&nats), 0);
    assert!(last < 33 * SECOND, "{last:?}");
    assert_eq!(joining.status().joining, 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_places_follows_a_rate_that_changes() {
    let (joining, nats) = (paced(Joins::Auto), Nats::answering(20));
    let all = tokio::spawn({
        let (joining, nats) = (joining.clone(), Arc::clone(&nats));
        async move { all_join(&joining, &nats, "room01", 1250, false).await }
    });
    sleep(5 * SECOND).await;
    nats.answers(10);
    sleep(15 * SECOND).await;
    assert!(joining.status().places < Some(20), "{:?}", joining.status());
    nats.answers(100);
    let last = all.await.unwrap();
    assert_eq!(refused(&nats), 0);
    // 100, then 150, then 1,000 within ten seconds.
    assert!(last < 36 * SECOND, "{last:?}");
}

/// Those who have a place and are slow to use it all come to NATS in the end.
#[tokio::test(start_paused = true)]
async fn where_people_are_slow_nobody_is_refused_when_nats_is_slower_suddenly() {
    let (joining, nats) = (paced(Joins::Auto), Nats::answering(20));
    let all = tokio::spawn({
        let (joining, nats) = (joining.clone(), Arc::clone(&nats));
        async move { all_join(&joining, &nats, "slow", 300, false).await }
    });
    sleep(5 * SECOND).await;
    nats.answers(10);
    sleep(10 * SECOND).await;
    nats.answers(100);
    let last = all.await.unwrap();
    assert_eq!(refused(&nats), 0);
    // 100, then 100, then 100 within a second.
    assert!(last < 24 * SECOND, "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_small_room_and_a_moderator_are_in_within_three_seconds() {
    let (joining, nats) = (paced(Joins::Auto), Nats::answering(10));
    let (lecture, three, teacher) = tokio::join!(
        all_join(&joining, &nats, "lecture", 200, false),
        async {
            sleep(2 * SECOND).await;
            all_join(&joining, &nats, "three", 3, false).await
        },
        async {
            sleep(5 * SECOND).await;
            all_join(&joining, &nats, "lecture", 1, true).await
        },
    );
    assert_eq!(refused(&nats), 0);
    assert!(
        three < 5 * SECOND && teacher < 8 * SECOND,
        "{three:?} {teacher:?}"
    );
    assert!(lecture > 19 * SECOND, "{lecture:?}");
}

/// Each tries once, as a client does that has kept its session.
#[tokio::test(start_paused = true)]
async fn of_140_who_come_to_the_websocket_alone_nobody_is_refused() {
    let (joining, nats) = (paced(Joins::Auto), Nats::answering(10));
    let people: Vec<_> = (0..140)
        .map(|nth| {
            let (joining, nats) = (joining.clone(), Arc::clone(&nats));
            tokio::spawn(async move { connects(&joining, &nats, &person(&nth.to_string())).await })
        })
        .collect();
    for one in people {
        assert!(one.await.unwrap());
    }
    assert_eq!((refused(&nats), joining.status().joining), (0, 0));
}

/// Each tries ten times, two seconds apart, as the client's library does.
#[tokio::test(start_paused = true)]
async fn five_hundred_redials_are_in_again_while_a_hundred_knock() {
    let (joining, nats) = (paced(Joins::Auto), Nats::answering(20));
    let redials: Vec<_> = (0..500)
        .map(|nth| {
            let (joining, nats) = (joining.clone(), Arc::clone(&nats));
            tokio::spawn(async move {
                let person = person(&format!("in-{nth}"));
                for _ in 0..10 {
                    if connects(&joining, &nats, &person).await {
                        return true;
                    }
                    sleep(2 * SECOND).await;
                }
                false
            })
        })
        .collect();
    all_join(&joining, &nats, "room02", 100, false).await;
    for redial in redials {
        assert!(redial.await.unwrap());
    }
    assert_eq!(refused(&nats), 0);
    assert_eq!(joining.status().joining, 0);
}
