//! Three mistakes, one of each of the families that students meet, for the laboratory to find.

/// A mistake that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Elections: whoever asks first gets the vote.
    VotesWithoutComparingLogs,
    /// Persistence: an answer does not wait for the disk.
    AnswersBeforeDurable,
    /// Snapshots: one that comes late takes the service back in time.
    RestoresLateSnapshots,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 3] =
        [Bug::VotesWithoutComparingLogs, Bug::AnswersBeforeDurable, Bug::RestoresLateSnapshots];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::VotesWithoutComparingLogs => "votes-without-comparing-logs",
            Bug::AnswersBeforeDurable => "answers-before-durable",
            Bug::RestoresLateSnapshots => "restores-late-snapshots",
        }
    }

    /// What is wrong.
    pub fn about(self) -> &'static str {
        match self {
            Bug::VotesWithoutComparingLogs => "A vote is granted whatever the candidate's log holds (§5.4.1).",
            Bug::AnswersBeforeDurable => "Votes and acknowledgements leave before they are on the disk (Figure 2).",
            Bug::RestoresLateSnapshots => {
                "A snapshot is restored over entries that the service has applied already (Figure 13)."
            }
        }
    }

    /// The directed scenario that it does not survive, and the check that sees it there: from the disk and from
    /// what the service is told, since this Raft says nothing.
    pub fn directed(self) -> (&'static str, &'static str) {
        match self {
            Bug::VotesWithoutComparingLogs => ("candidate-without-the-last-commit", "no-un-append"),
            Bug::AnswersBeforeDurable => ("acknowledged-from-memory", "commit-quorum"),
            Bug::RestoresLateSnapshots => ("snapshot-that-comes-twice", "apply-order"),
        }
    }

    /// The bug of that name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    }
}
