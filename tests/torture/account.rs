//! Whether every acknowledged append is there, once. Values tell: each append adds a word of its own.
//!
//! Linearizability says so, too, and in the end so would a reader. Here it is counted, without any search.

use bytes::Bytes;
use sim::history::{Call, History, Outcome, Reply};
use std::collections::BTreeMap;

/// What is wrong with the keys that are only ever appended to, by what was last read of each. `whose` are these keys; each must
/// have been read in the end.
pub fn wrong(history: &History, whose: impl Fn(&Bytes) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut appended: BTreeMap<&Bytes, BTreeMap<String, &Outcome>> = BTreeMap::new();
    let mut read: BTreeMap<&Bytes, String> = BTreeMap::new();
    for operation in history.operations.iter().filter(|operation| whose(operation.call.key())) {
        match (&operation.call, &operation.outcome) {
            (Call::Append { key, value }, outcome) => {
                appended.entry(key).or_default().insert(text(value).trim().to_string(), outcome);
            }
            (Call::Get { key }, Outcome::Ok { reply: Reply::Value { value, .. }, .. }) => {
                read.insert(key, value.as_ref().map(text).unwrap_or_default());
            }
            (Call::Get { .. }, _) => {}
            (call, _) => wrong.push(format!("{call:?} is no append")),
        }
    }
    for (key, words) in appended {
        let Some(there) = read.get(key) else {
            wrong.push(format!("{key:?} was not read in the end"));
            continue;
        };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        there.split_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
        for (word, outcome) in &words {
            let count = counts.remove(word.as_str()).unwrap_or_default();
            let fits = match outcome {
                Outcome::Ok { .. } => count == 1,
                Outcome::Unknown => count <= 1,
                Outcome::Fail { .. } => count == 0,
            };
            if !fits {
                wrong.push(format!("{word} is {count} times in {key:?}, and its client was told {outcome:?}"));
            }
        }
        wrong.extend(counts.keys().map(|word| format!("{word} is in {key:?}, and nobody has appended it")));
    }
    wrong
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::history::At;

    /// Appends `1`, which is acknowledged, `2`, of which nobody knows, and `3`, which is refused; then this is read.
    fn after(read: &'static str) -> Vec<String> {
        let key = Bytes::from_static(b"log");
        let mut history = History::new();
        let at = |nth| At { nth, nanos: 0 };
        let append = |word: &'static str| Call::Append { key: key.clone(), value: word.into() };
        let done = history.invoke(0, append("1 "), at(0));
        history.ret(done, Outcome::Ok { reply: Reply::Written { version: 1 }, at: at(1) });
        history.invoke(1, append("2 "), at(2));
        let refused = history.invoke(2, append("3 "), at(3));
        history.ret(refused, Outcome::Fail { at: at(4) });
        let get = history.invoke(2, Call::Get { key }, at(5));
        let reply = Reply::Value { value: Some(read.into()), version: 0 };
        history.ret(get, Outcome::Ok { reply, at: at(6) });
        wrong(&history, |_| true)
    }

    #[test]
    fn what_is_acknowledged_is_there_once_and_what_is_refused_never() {
        assert!(after("1 ").is_empty() && after("1 2 ").is_empty() && after("2 1 ").is_empty());
        for (read, told) in [
            ("", "1 is 0 times"),
            ("2 ", "1 is 0 times"),
            ("1 2 1 ", "1 is 2 times"),
            ("1 2 2 ", "2 is 2 times"),
            ("1 3 ", "3 is 1 times"),
            ("1 4 ", "4 is in"),
        ] {
            let wrong = after(read);
            assert!(wrong.len() == 1 && wrong[0].starts_with(told), "{read}: {wrong:?}");
        }
    }
}
