//! A person's order in a form that needs no names.
//!
//! For: [`Command`], whose JSON says its kind by name, which a journal's structures cannot. Never means anything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::time::Span;

#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    Pause(Span, String),
    Override(BTreeMap<String, u32>, Span, String),
    Resume(String),
    Wake(String),
}

impl From<&Command> for Order {
    fn from(command: &Command) -> Order {
        match command.clone() {
            Command::Pause { lasting, reason } => Order::Pause(lasting, reason),
            Command::Override { pools, lasting, reason } => Order::Override(pools, lasting, reason),
            Command::Resume { reason } => Order::Resume(reason),
            Command::Wake { reason } => Order::Wake(reason),
        }
    }
}

impl From<Order> for Command {
    fn from(order: Order) -> Command {
        match order {
            Order::Pause(lasting, reason) => Command::Pause { lasting, reason },
            Order::Override(pools, lasting, reason) => Command::Override { pools, lasting, reason },
            Order::Resume(reason) => Command::Resume { reason },
            Order::Wake(reason) => Command::Wake { reason },
        }
    }
}
