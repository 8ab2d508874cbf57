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

/// None where nothing shares the port.
pub(super) fn beside(plan: &PortPlan, metrics: &Metrics, total: &Total, drain: &Drain) -> Option<Beside> {
    if plan.turn.is_none() && plan.passthrough.is_empty() {
        return None;
    }
    let turn = plan.turn.clone();
    let turn = turn.map(|settings| Turn::start(settings, metrics, total, drain));
    let names = plan.passthrough.iter().flat_map(|onward| {
        let to = Onward {
            dial: dial(&onward.upstream, PASSTHROUGH, plan, metrics, total),
            header: onward.header,
        };
        onward.names.iter().map(move |name| (name.clone(), to.clone()))
    });
    let relays = Relays::to(PASSTHROUGH, metrics, drain);
    Some(Beside::new(turn, names.collect(), relays))
}

/// The doors of `[[tcp]]`, in their order.
pub(super) fn tcp(plan: &PortPlan, metrics: &Metrics, total: &Total, drain: &Drain) -> Vec<Tcp> {
    let door = |target: &Target| {
        let relays = Relays::to(TCP, metrics, drain);
        Tcp::new(dial(target, TCP, plan, metrics, total), relays, shown(target))
    };
    plan.tcp.iter().map(door).collect()
}

fn dial(target: &Target, name: &'static str, plan: &PortPlan, metrics: &Metrics, total: &Total) -> Dial {
    Dial::new(target.clone(), plan.dial, metrics.upstream(name), total.clone())
}

/// As it stands in the configuration.
fn shown(target: &Target) -> String {
    let shown = target.to_string();
    shown.strip_prefix("http://").map_or(shown.clone(), str::to_owned)
}
