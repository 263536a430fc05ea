//! The dead letters of a job, read back from their topic.

use super::Supervisor;
use crate::api::Refusal;
use streamhost_connectors::kafka::letters::{
    self, LetterPositions, LettersError, ReadLetters, StoredLetter,
};

fn refusal(error: LettersError) -> Refusal {
    match error {
        LettersError::Away { .. } => Refusal::Unavailable(error.to_string()),
        LettersError::Refused { .. } => Refusal::Invalid(error.to_string()),
    }
}

impl Supervisor {
    /// The newest letters below these positions.
    pub(super) fn read_letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        let topic = self.letter_topic(job)?;
        letters::read_letters(&self.environment.kafka, &topic, below, most).map_err(refusal)
    }

    /// The letter at one place of the topic.
    pub(super) fn read_letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        let topic = self.letter_topic(job)?;
        letters::read_letter(&self.environment.kafka, &topic, partition, offset).map_err(refusal)
    }

    fn letter_topic(&self, job: &str) -> Result<String, Refusal> {
        let job = self.known(job)?;
        let state = job.state();
        let usual = || format!("{}.dead-letters", job.name);
        let set = state.record.active().settings.get("dead-letters");
        Ok(set.map_or_else(usual, |topic| topic.trim().to_owned()))
    }
}
