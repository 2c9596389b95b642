//! What clients ask a shard controller and are told, as the watcher comes to know it.

use crate::kv::Lost;
use crate::shard::{Answer, Ask, Configs};
use std::collections::BTreeMap;

/// See the module.
#[derive(Default)]
pub(super) struct ControllerWatch {
    configs: Configs,
    /// What a client is about to report.
    ask: Option<Ask>,
    answer: Option<Option<Result<Answer, Lost>>>,
    /// What each has asked for, and which configuration was known of then.
    open: BTreeMap<u32, (Ask, u64)>,
}

impl ControllerWatch {
    /// A client is about to report that it asks for something.
    pub fn begins(&mut self, ask: Ask) {
        self.ask = Some(ask);
    }

    /// A client is about to report that it is answered, or has given up.
    pub fn ends(&mut self, answer: Option<Result<Answer, Lost>>) {
        self.answer = Some(answer);
    }

    pub fn asked(&mut self, process: u32) {
        if let Some(ask) = self.ask.take() {
            self.open.insert(process, (ask, self.configs.told()));
        }
    }

    pub fn answered(&mut self, process: u32) -> Result<(), String> {
        let (Some((ask, floor)), Some(Some(Ok(answer)))) = (self.open.remove(&process), self.answer.take()) else {
            return Ok(());
        };
        match (ask, answer) {
            (Ask::Config(num), Answer::Config(config)) => self.configs.shown(num, config, floor),
            (ask @ (Ask::Join(_) | Ask::Leave(_) | Ask::Move(..)), Answer::Made(num)) => {
                self.configs.changed(ask, num, floor)
            }
            (Ask::Join(_) | Ask::Leave(_) | Ask::Move(..), Answer::Senseless) => Ok(()),
            (ask, answer) => Err(format!("client {process} asked for {ask} and was told: {answer}")),
        }
    }

    /// What is about to be reported, in words.
    pub fn words(&self, process: u32) -> String {
        match (&self.ask, &self.answer) {
            (Some(ask), _) => format!("client {process} asks for: {ask}"),
            (None, Some(Some(Ok(answer)))) => format!("client {process} is told: {answer}"),
            (None, Some(Some(Err(Lost::Refused)))) => format!("client {process} is told: refused"),
            (None, _) => format!("client {process} is told nothing: unknown"),
        }
    }
}
