//! What the commands of the control socket do.

use std::sync::Arc;

use serde_json::json;

use super::handle::Handle;
use crate::{
    config::{Config, Problems},
    control::{Answer, Command, Operator},
    observe::LogLevel,
};

/// Carries commands out; clones are the same.
#[derive(Clone)]
pub struct Commands {
    handle: Handle,
    read: Arc<dyn Fn() -> Result<Config, Problems> + Send + Sync>,
    level: LogLevel,
}

impl Commands {
    /// `read` reads the configuration that is there by now, and may block; `level` is the log's.
    pub fn new(
        handle: Handle,
        level: LogLevel,
        read: impl Fn() -> Result<Config, Problems> + Send + Sync + 'static,
    ) -> Self {
        Self {
            handle,
            read: Arc::new(read),
            level,
        }
    }

    /// Reads the configuration again and takes it up.
    pub async fn reload(&self) -> Answer {
        let read = Arc::clone(&self.read);
        match self.handle.take_up(move || read()).await {
            Ok(taken) => {
                self.level.set(taken.level);
                let told = json!({
                    "hash": taken.hash,
                    "waiting_for_restart": taken.waiting,
                    "warnings": taken.warnings,
                });
                Answer::done().with("reload", told)
            }
            Err(refused) => Answer::refused("the configuration is refused, and nothing has changed")
                .with("problems", refused.problems)
                .with("warnings", refused.warnings),
        }
    }
}

impl Operator for Commands {
    async fn act(&self, command: Command) -> Answer {
        match command {
            Command::Status => Answer::done().with("status", self.handle.status()),
            Command::Reload => self.reload().await,
            // Whoever runs the gateway takes both before they get here (`crate::cli`).
            Command::Upgrade => Answer::refused("this gateway can't be upgraded"),
            Command::GiveWay => Answer::refused("this gateway keeps its addresses"),
            Command::Drain { room } => match self.handle.seen().state.tunnels.close_room(&room) {
                0 => Answer::refused("no open WebSocket is known to be of this room"),
                closed => Answer::done().with("closed", closed),
            },
        }
    }
}
