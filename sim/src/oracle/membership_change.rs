//! A leader changes the membership by one voter at a time, and only when it may.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};
use labrpc::{Content, Event, Role};

static CARD: Card = Card {
    id: "membership-change",
    property: "A leader changes the membership by one voter at a time, after the change in front of it and an entry of its own \
               term are committed",
    source: "thesis 4.1, and Ongaro's correction of 2015 to it",
    lesson: "Two memberships that differ by one voter share a voter in all their majorities. Two that differ by more need not: \
             so nobody may begin a change while another one may still come back from somewhere.",
    watches: &[Sort::SaysAppended],
    when: When::Before,
    needs: Needs::Events,
};

/// See the card.
pub struct MembershipChange;

impl Invariant for MembershipChange {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, known: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Emitted { node, event: Event::Appended { index, term, content: Content::Membership(members) } } =
            fact
        else {
            return Ok(());
        };
        let Some(memory) = known.memory(*node).filter(|memory| memory.role == Role::Leader) else { return Ok(()) };
        let commit = memory.commit;
        if let Some((since, _)) = memory.log.memberships().last()
            && *since > commit
        {
            return Err(format!(
                "{node} changes the membership at {index}; the change at {since} is not committed"
            ));
        }
        if memory.log.term_at(commit) != Some(*term) {
            return Err(format!(
                "{node} leads {term} and changes the membership at {index}; no entry of {term} is committed there yet"
            ));
        }
        let before = known.electorate_of(*node).voters;
        let after = members.voters.iter().copied().collect();
        let differ = before.minus(after).or(after.minus(before));
        if differ.len() > 1 {
            return Err(format!("{node} changes the membership at {index} by more than one voter: {differ}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, node};
    use super::*;
    use labrpc::{Index, Members, Term};

    fn change(story: &mut Story<MembershipChange>, index: u64, term: u64, voters: &[u32]) -> Verdict {
        let voters = voters.iter().map(|&n| node(n)).collect();
        let content = Content::Membership(Box::new(Members { voters, learners: Vec::new() }));
        story.says(1, Event::Appended { index: Index(index), term: Term(term), content })
    }

    fn leader() -> Story<MembershipChange> {
        let mut story = Story::new(5, MembershipChange);
        story.enters(1, 2, Some(1));
        story.leads(1, 2).unwrap();
        story
    }

    fn commit(story: &mut Story<MembershipChange>, index: u64) {
        story.says(1, Event::Committed { index: Index(index) }).unwrap();
    }

    #[test]
    fn the_first_change_waits_for_an_entry_of_the_term() {
        let mut story = leader();
        assert!(change(&mut story, 1, 2, &[1, 2, 3, 4]).unwrap_err().contains("no entry of T2 is committed"));
        story.holds(1, 1, 2, "a");
        commit(&mut story, 1);
        assert_eq!(change(&mut story, 2, 2, &[1, 2, 3, 4]), Ok(()));
    }

    #[test]
    fn one_at_a_time_and_one_after_the_other() {
        let mut story = leader();
        story.holds(1, 1, 2, "a");
        commit(&mut story, 1);
        assert!(change(&mut story, 2, 2, &[1, 2, 3]).unwrap_err().contains("more than one voter: {S4 S5}"));
        change(&mut story, 2, 2, &[1, 2, 3, 4]).unwrap();
        assert!(change(&mut story, 3, 2, &[1, 2, 3]).unwrap_err().contains("the change at #2 is not committed"));
        commit(&mut story, 2);
        assert_eq!(change(&mut story, 3, 2, &[1, 2, 3]), Ok(()));
    }

    #[test]
    fn a_follower_takes_what_it_is_sent() {
        let mut story = Story::new(5, MembershipChange);
        assert_eq!(change(&mut story, 1, 2, &[1, 2]), Ok(()));
    }
}
