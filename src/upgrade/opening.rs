//! What passes at the beginning of a tunnel to NATS until its client is in: whose it is, and how soon NATS has answered.
//!
//! Not here: what follows from it (`crate::joining`).

use std::future::pending;

use super::{
    nats::{AnswerReader, ConnectReader, Heard, Said},
    registry::{Open, Tunnels},
    tap::Tap,
};
use crate::{
    joining::{Arrival, Person},
    token::{Unverified, UnverifiedParticipant},
};

/// The beginning of one tunnel.
pub(super) struct Opening<'t> {
    tunnels: &'t Tunnels,
    open: &'t Open,
    connect: Tap<ConnectReader>,
    answers: Tap<AnswerReader>,
    arrival: Option<Box<Arrival>>,
}

impl<'t> Opening<'t> {
    /// Nothing is listened to where nobody speaks NATS.
    pub(super) fn of(tunnels: &'t Tunnels, open: &'t Open, arrival: Option<Box<Arrival>>) -> Self {
        Self {
            tunnels,
            open,
            connect: Tap::new(tunnels.nats().map(|_| ConnectReader::default())),
            answers: Tap::new(arrival.is_some().then(AnswerReader::default)),
            arrival,
        }
    }

    pub(super) fn client_said(&self, bytes: &[u8]) {
        let heard = self.connect.hear(|reader| {
            if let Some(arrival) = &self.arrival {
                arrival.client_said();
            }
            match reader.hear(bytes) {
                Heard::NotYet => None,
                Heard::Token(token) => Some(Some(token)),
                Heard::Nothing => Some(None),
            }
        });
        let Some(token) = heard.flatten() else { return };
        if let (Some(arrival), Some(nats)) = (&self.arrival, self.tunnels.nats()) {
            let genuine = nats
                .keys
                .participant(Unverified(&token), nats.clock.unix())
                .filter(|person| !person.room_id.is_empty());
            if let Some(genuine) = genuine {
                arrival.is_of(&Person {
                    room_id: genuine.room_id.into(),
                    user_id: genuine.user_id.into(),
                });
            }
        }
        if let Some(whose) = UnverifiedParticipant::of_join(&token) {
            self.open.is_of(whose);
        }
    }

    /// Returns whether the client may hear it.
    pub(super) fn upstream_said(&self, bytes: &[u8]) -> bool {
        let Some(arrival) = &self.arrival else { return true };
        let mut may_hear = true;
        self.answers.hear(|reader| {
            let mut is_over = false;
            reader.hear(bytes, |said| match said {
                Said::Greeting => arrival.is_greeted(),
                Said::Other => {
                    arrival.is_not_nats();
                    // Its first word behind the client's own counts as its answer.
                    arrival.over();
                    is_over = true;
                }
                Said::LetIn if arrival.is_asked() => {
                    arrival.answered();
                    is_over = true;
                }
                Said::Refused => {
                    may_hear = arrival.refused();
                    is_over = true;
                }
                Said::LetIn => {}
            });
            is_over.then_some(())
        });
        may_hear
    }

    /// Looks at the times; never ends.
    pub(super) async fn watch(&self) {
        if let Some(arrival) = &self.arrival {
            // In a box, as it is over long before the tunnel is.
            Box::pin(arrival.watch()).await;
        }
        pending::<()>().await;
    }
}
