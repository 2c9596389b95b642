//! What is asked for again because it takes long does not make everything take longer.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When, hash_of};
use labrpc::{Content, Event, Index, Role};

static CARD: Card = Card {
    id: "retry-storm",
    property: "A leader does not put a client's operation into its log again and again while that waits to be committed",
    source: "§8: a client that has heard nothing asks again; a retry is no new work",
    lesson: "The slower the cluster, the more its clients insist; if each time is an entry, the cluster gets slower still, and \
             does not come back when its reason to be slow is gone. Whoever asks again joins what is under way.",
    watches: &[Sort::SaysAppended],
    when: When::Before,
    needs: Needs::Log,
};

/// Whether a command of a group's log is an operation of a client, which no other command is the same as.
pub type IsOperation = Box<dyn Fn(&[u8]) -> bool + Send>;

/// Copies of an operation that a leader may have waiting in its log. A service that knows what it waits for has one; of 1,600 green
/// runs none had a second one. The rest is for a service that tells who asks again from who asks for the first time only now and
/// then. One that never does, as the course allows, has as many as its clients are impatient: it switches this check off.
const COPIES: usize = 8;

/// See the card.
pub struct RetryStorm {
    is_operation: IsOperation,
}

impl RetryStorm {
    /// For a service; a Raft by itself cannot know what is the same.
    pub fn new(is_operation: IsOperation) -> RetryStorm {
        RetryStorm { is_operation }
    }
}

impl Invariant for RetryStorm {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Emitted {
            node,
            event: Event::Appended { index, term, content: content @ Content::Command(command) },
        } = fact
        else {
            return Ok(());
        };
        let Some(memory) = known.memory(*node).filter(|memory| memory.role == Role::Leader && memory.term == *term)
        else {
            return Ok(());
        };
        let waiting = index.0.saturating_sub(memory.commit.0 + 1) as usize;
        // Mostly too few wait for there to be so many copies.
        if waiting < COPIES {
            return Ok(());
        }
        let hash = hash_of(content);
        let of_its_own =
            |at: &Index| memory.log.get(*at).is_some_and(|item| item.term == *term && item.hash == hash);
        let copies = (memory.commit.0 + 1..index.0).map(Index).filter(of_its_own).count();
        if copies >= COPIES && (self.is_operation)(command) {
            return Err(format!(
                "{node} leads {term} and appends as {index} an operation of which {copies} copies wait in its log already"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, appended};
    use super::*;

    /// A leader of term 2 with so many copies of a command behind as many other ones.
    fn leader(copies: usize) -> Story<RetryStorm> {
        let mut story = Story::new(3, RetryStorm::new(Box::new(|_| true)));
        story.enters(1, 2, Some(1));
        story.leads(1, 2).unwrap();
        for nth in 0..copies as u64 {
            story.says(1, appended(2 * nth + 1, 2, &format!("another {nth}"))).unwrap();
            story.says(1, appended(2 * nth + 2, 2, "same")).unwrap();
        }
        story
    }

    #[test]
    fn a_command_waits_in_a_few_copies_at_most() {
        let next = 2 * COPIES as u64 + 1;
        assert_eq!(leader(COPIES - 1).says(1, appended(next - 2, 2, "same")), Ok(()));
        assert!(leader(COPIES).says(1, appended(next, 2, "same")).unwrap_err().contains("8 copies"));
        assert_eq!(leader(COPIES).says(1, appended(next, 2, "something else")), Ok(()));
    }

    #[test]
    fn what_is_committed_or_somebody_elses_does_not_wait() {
        let next = 2 * COPIES as u64 + 1;
        let mut story = leader(COPIES);
        story.says(1, Event::Committed { index: Index(2) }).unwrap();
        assert_eq!(story.says(1, appended(next, 2, "same")), Ok(()), "one of them is done");
        let mut story = Story::new(3, RetryStorm::new(Box::new(|_| false)));
        story.enters(1, 2, Some(1));
        story.leads(1, 2).unwrap();
        (1..=next).for_each(|index| story.says(1, appended(index, 2, "registers")).unwrap());
        let mut story = leader(COPIES);
        story.says(1, Event::Role { role: Role::Follower, term: labrpc::Term(3) }).unwrap();
        assert_eq!(story.says(1, appended(next, 2, "same")), Ok(()), "a follower takes what it is sent");
        story.enters(1, 4, Some(1));
        story.leads(1, 4).unwrap();
        assert_eq!(story.says(1, appended(next + 1, 4, "same")), Ok(()), "the others are of another term");
    }
}
