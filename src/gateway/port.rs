//! What shares the port with HTTPS, and the ports of `[[tcp]]`, running.

use crate::{
    config::PortPlan,
    drain::Drain,
    listen::{Beside, Onward, Tcp},
    observe::Metrics,
    proxy::{Dial, Target, Total},
    relay::Relays,
    turn::Turn,
};

const PASSTHROUGH: &str = "passthrough";
const TCP: &str = "tcp";

pub(super) struct Port {
    /// None where nothing shares the port.
    pub(super) beside: Option<Beside>,
    /// What serves `[[tcp]]`, in their order.
    pub(super) tcp: Vec<Tcp>,
    pub(super) seen: Seen,
}

/// What an operator sees of it.
pub(super) struct Seen {
    turn: Option<Turn>,
    relays: Vec<Relays>,
}

impl Port {
    pub(super) fn start(plan: &PortPlan, metrics: &Metrics, total: &Total, drain: &Drain) -> Self {
        let turn = plan.turn.clone();
        let turn = turn.map(|settings| Turn::start(settings, metrics, total, drain));
        let passthrough = Relays::to(PASSTHROUGH, metrics, drain);
        let through_tcp = Relays::to(TCP, metrics, drain);
        let names = plan.passthrough.iter().flat_map(|onward| {
            let to = Onward {
                dial: dial(&onward.upstream, PASSTHROUGH, plan, metrics, total),
                header: onward.header,
            };
            onward.names.iter().map(move |name| (name.clone(), to.clone()))
        });
        let is_shared = turn.is_some() || !plan.passthrough.is_empty();
        let beside = is_shared.then(|| Beside::new(turn.clone(), names.collect(), passthrough.clone()));
        let relay = |target: &Target| {
            let dial = dial(target, TCP, plan, metrics, total);
            Tcp::new(dial, through_tcp.clone(), shown(target))
        };
        Self {
            beside,
            tcp: plan.tcp.iter().map(relay).collect(),
            seen: Seen {
                turn,
                relays: vec![passthrough, through_tcp],
            },
        }
    }
}

impl Seen {
    /// The open relays, by upstream.
    pub(super) fn tunnels(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let turn = self.turn.iter().map(|turn| ("turn", turn.open()));
        turn.chain(self.relays.iter().map(|relays| (relays.name(), relays.open())))
    }

    /// How `LiveKit` takes TURN's connections; none where TURN is not served.
    pub(super) fn turn(&self) -> Option<&'static str> {
        self.turn.as_ref().map(Turn::found)
    }
}

fn dial(target: &Target, name: &'static str, plan: &PortPlan, metrics: &Metrics, total: &Total) -> Dial {
    Dial::new(target.clone(), plan.dial, metrics.upstream(name), total.clone())
}

/// As it stands in the configuration.
fn shown(target: &Target) -> String {
    let shown = target.to_string();
    shown.strip_prefix("http://").map_or(shown.clone(), str::to_owned)
}
