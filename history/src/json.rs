//! Histories as JSON lines, in the vocabulary of Jepsen. `docs/history-format.md` says what they look like.

use super::{Annotation, At, Call, Expect, History, OpId, Operation, Outcome, Reply};
use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

/// Why text is no history.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ParseError {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong there.
    pub why: String,
}

/// What keys are, and so what may be said of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vocabulary {
    /// `read`, `write` and `cas`. `get` and `put` are the same as the first two.
    Register,
    /// `get`, `put`, `append`, `delete`, `cas`, `scan`. `read` and `write` are the same as the first two.
    Kv,
}

impl History {
    /// The history that these lines tell. Its order is that of the lines.
    pub fn parse(text: &str, vocabulary: Vocabulary) -> Result<History, ParseError> {
        let mut reader = Reader { history: History::new(), open: BTreeMap::new(), vocabulary };
        for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let json: Json = serde_json::from_str(line)
                .map_err(|error| ParseError { line: nth + 1, why: format!("not JSON: {error}") })?;
            let entry = json.as_object().ok_or("not an object").map_err(String::from);
            entry
                .and_then(|entry| reader.entry(entry, nth as u64))
                .map_err(|why| ParseError { line: nth + 1, why })?;
        }
        Ok(reader.history)
    }

    /// The history as lines.
    pub fn to_lines(&self) -> String {
        let mut lines = Vec::new();
        self.write(&mut lines).expect("memory takes what is written to it");
        String::from_utf8(lines).expect("JSON is text")
    }

    /// Writes the history as lines, one after the other: the text of a long one is much larger than the history itself.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let mut lines: Vec<((At, u8), Line<'_>)> = Vec::new();
        for operation in &self.operations {
            lines.push(((operation.invoked, 0), Line::Invoke(operation)));
            if let Some(at) = operation.returned() {
                lines.push(((at, 1), Line::Return(operation)));
            }
        }
        lines.extend(self.annotations.iter().map(|annotation| ((annotation.at, 2), Line::Annotation(annotation))));
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().try_for_each(|(_, line)| writeln!(out, "{}", Json::Object(line.json())))
    }
}

/// What a line tells.
enum Line<'a> {
    Invoke(&'a Operation),
    Return(&'a Operation),
    Annotation(&'a Annotation),
}

impl Line<'_> {
    fn json(&self) -> Map<String, Json> {
        match self {
            Line::Invoke(operation) => {
                line(operation.process, "invoke", &operation.call, operation.invoked, asked(&operation.call))
            }
            Line::Return(operation) => {
                let line =
                    |kind: &str, at: At| line(operation.process, kind, &operation.call, at, asked(&operation.call));
                match &operation.outcome {
                    Outcome::Ok { reply, at } => {
                        let kind = if matches!(reply, Reply::CasFailed { .. }) { "fail" } else { "ok" };
                        let mut line = line(kind, *at);
                        line.extend(told(reply));
                        line
                    }
                    Outcome::Fail { at } => line("fail", *at),
                    Outcome::Unknown => Map::new(),
                }
            }
            Line::Annotation(Annotation { at, what, detail }) => {
                let entry = json!({"process": "nemesis", "type": "info", "f": what, "value": detail,
                    "time": at.nanos, "index": at.nth});
                entry.as_object().cloned().unwrap_or_default()
            }
        }
    }
}

fn line(process: u32, kind: &str, call: &Call, at: At, value: Json) -> Map<String, Json> {
    let f = match call {
        Call::Get { .. } => "get",
        Call::Put { .. } => "put",
        Call::Append { .. } => "append",
        Call::Delete { .. } => "delete",
        Call::Cas { .. } => "cas",
        Call::Scan { .. } => "scan",
    };
    let line = json!({"process": process, "type": kind, "f": f, "key": text(call.key()), "value": value,
        "time": at.nanos, "index": at.nth});
    let mut line = line.as_object().cloned().unwrap_or_default();
    if let Call::Scan { limit, .. } = call {
        line.insert("limit".into(), json!(limit));
    }
    line
}

/// The value of an invocation.
fn asked(call: &Call) -> Json {
    match call {
        Call::Get { .. } | Call::Delete { .. } | Call::Scan { .. } => Json::Null,
        Call::Put { value, .. } | Call::Append { value, .. } => text(value),
        Call::Cas { expect: Expect::Value(expect), value, .. } => json!([optional(expect), text(value)]),
        Call::Cas { expect: Expect::Version(expect), value, .. } => json!([{ "version": expect }, text(value)]),
    }
}

/// What a completion says beyond its invocation.
fn told(reply: &Reply) -> Map<String, Json> {
    let told = match reply {
        Reply::Value { value, version } => json!({"value": optional(value), "version": version}),
        Reply::Written { version } => json!({"version": version}),
        Reply::Deleted { existed } => json!({"value": existed}),
        Reply::CasFailed { value, version } => json!({"found": optional(value), "version": version}),
        Reply::Entries { items, more, index } => {
            let items = items.iter().map(|(key, value, version)| json!([text(key), text(value), version]));
            json!({"value": items.collect::<Vec<_>>(), "more": more, "log": index})
        }
    };
    told.as_object().cloned().unwrap_or_default()
}

/// Text as a string, other bytes as an object.
fn text(bytes: &Bytes) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            json!({ "hex": hex })
        }
    }
}

fn optional(value: &Option<Bytes>) -> Json {
    value.as_ref().map_or(Json::Null, text)
}

struct Reader {
    history: History,
    /// What each process waits for.
    open: BTreeMap<u32, OpId>,
    vocabulary: Vocabulary,
}

impl Reader {
    fn entry(&mut self, entry: &Map<String, Json>, nth: u64) -> Result<(), String> {
        let at = At { nth, nanos: number(entry, "time")? };
        let kind = string(entry, "type")?;
        let f = string(entry, "f")?;
        let process = match entry.get("process") {
            Some(Json::String(_)) => {
                let detail = entry.get("value").filter(|value| !value.is_null());
                let detail =
                    detail.map_or(String::new(), |value| value.as_str().map_or(value.to_string(), Into::into));
                self.history.annotate(at, f, detail);
                return Ok(());
            }
            Some(process) => process.as_u64().and_then(|process| u32::try_from(process).ok()),
            None => None,
        };
        let process = process.ok_or("`process` must be a number, or the name of who makes faults")?;
        if kind == "invoke" {
            if let Some(open) = self.open.get(&process) {
                let open = self.history.operations[open.0].invoked.nth + 1;
                return Err(format!("process {process} still waits for what it invoked in line {open}"));
            }
            let call = self.call(entry, f)?;
            let id = self.history.invoke(process, call, at);
            self.open.insert(process, id);
            return Ok(());
        }
        let id = self.open.remove(&process).ok_or_else(|| format!("process {process} invoked nothing"))?;
        let call = &self.history.operations[id.0].call;
        let invoked = line(process, "", call, at, Json::Null);
        if invoked["f"] != json!(self.canonical(f)) {
            return Err(format!(
                "process {process} invoked `{}`, not `{f}`",
                invoked["f"].as_str().unwrap_or_default()
            ));
        }
        if let Some(key) = entry.get("key").filter(|key| !key.is_null())
            && bytes(key) != *call.key()
        {
            return Err(format!("process {process} invoked `{f}` with another key"));
        }
        let outcome = match kind {
            "ok" => Outcome::Ok { reply: reply(call, entry)?, at },
            "fail" if entry.contains_key("found") => Outcome::Ok { reply: cas_failed(call, entry)?, at },
            "fail" => Outcome::Fail { at },
            "info" => Outcome::Unknown,
            other => return Err(format!("`type` is `{other}`; it must be invoke, ok, fail or info")),
        };
        self.history.ret(id, outcome);
        Ok(())
    }

    fn canonical<'a>(&self, f: &'a str) -> &'a str {
        match f {
            "read" => "get",
            "write" => "put",
            other => other,
        }
    }

    fn call(&self, entry: &Map<String, Json>, f: &str) -> Result<Call, String> {
        let key = entry.get("key").map_or(Bytes::new(), bytes);
        let value = || entry.get("value").filter(|value| !value.is_null()).map(bytes).ok_or("`value` is missing");
        let kv = self.vocabulary == Vocabulary::Kv;
        Ok(match self.canonical(f) {
            "get" => Call::Get { key },
            "put" => Call::Put { key, value: value()? },
            "append" if kv => Call::Append { key, value: value()? },
            "delete" if kv => Call::Delete { key },
            "scan" if kv => {
                let limit = match entry.get("limit") {
                    None => u32::MAX,
                    Some(limit) => {
                        limit.as_u64().and_then(|limit| limit.try_into().ok()).ok_or("`limit` is no number")?
                    }
                };
                Call::Scan { prefix: key, limit }
            }
            "cas" => {
                let Some([expect, value]) = entry.get("value").and_then(Json::as_array).map(Vec::as_slice) else {
                    return Err("`value` of a cas must be [what is expected, what it becomes]".into());
                };
                let version = expect.as_object().and_then(|expect| expect.get("version"));
                let expect = match version {
                    Some(_) if !kv => return Err("a register has no versions".into()),
                    Some(version) => Expect::Version(version.as_u64().ok_or("`version` is no number")?),
                    None => Expect::Value(maybe(expect)),
                };
                Call::Cas { key, expect, value: bytes(value) }
            }
            _ if kv => return Err(format!("`f` is `{f}`; it must be get, put, append, delete, cas or scan")),
            _ => return Err(format!("`f` is `{f}`; of a register it must be read, write or cas")),
        })
    }
}

fn reply(call: &Call, entry: &Map<String, Json>) -> Result<Reply, String> {
    let version = number(entry, "version")?;
    let value = entry.get("value").unwrap_or(&Json::Null);
    Ok(match call {
        Call::Get { .. } if !entry.contains_key("value") => {
            return Err("`value` is missing; it is null if there is none".into());
        }
        Call::Get { .. } => Reply::Value { value: maybe(value), version },
        Call::Put { .. } | Call::Append { .. } | Call::Cas { .. } => Reply::Written { version },
        Call::Delete { .. } => {
            Reply::Deleted { existed: value.as_bool().ok_or("`value` of a delete must be true or false")? }
        }
        Call::Scan { .. } => {
            let items = value.as_array().ok_or("`value` of a scan must be a list")?;
            let item = |item: &Json| match item.as_array().map(Vec::as_slice) {
                Some([key, value]) => Ok((bytes(key), bytes(value), 0)),
                Some([key, value, version]) => {
                    Ok((bytes(key), bytes(value), version.as_u64().ok_or("a version is no number")?))
                }
                _ => Err("a scan returns [key, value] or [key, value, version]"),
            };
            let more = entry.get("more").and_then(Json::as_bool).unwrap_or(false);
            let items = items.iter().map(item).collect::<Result<_, _>>()?;
            Reply::Entries { items, more, index: number(entry, "log")? }
        }
    })
}

fn cas_failed(call: &Call, entry: &Map<String, Json>) -> Result<Reply, String> {
    if !matches!(call, Call::Cas { .. }) {
        return Err("only a cas can have `found` something else".into());
    }
    Ok(Reply::CasFailed { value: maybe(&entry["found"]), version: number(entry, "version")? })
}

/// A string's bytes; of `{"hex": ...}` what it says; of anything else its JSON.
fn bytes(json: &Json) -> Bytes {
    if let Json::String(text) = json {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    let hex = json.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("hex")?.as_str());
    let decoded = hex.filter(|hex| hex.is_ascii() && hex.len() % 2 == 0).and_then(|hex| {
        let pairs = (0..hex.len() / 2).map(|nth| u8::from_str_radix(&hex[2 * nth..2 * nth + 2], 16).ok());
        pairs.collect::<Option<Vec<u8>>>()
    });
    decoded.unwrap_or_else(|| json.to_string().into_bytes()).into()
}

fn maybe(json: &Json) -> Option<Bytes> {
    if json.is_null() { None } else { Some(bytes(json)) }
}

fn string<'a>(entry: &'a Map<String, Json>, name: &str) -> Result<&'a str, String> {
    let there = entry.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
    there.as_str().ok_or_else(|| format!("`{name}` must be a string"))
}

/// A number, 0 if there is none.
fn number(entry: &Map<String, Json>, name: &str) -> Result<u64, String> {
    match entry.get(name) {
        None | Some(Json::Null) => Ok(0),
        Some(number) => number.as_u64().ok_or_else(|| format!("`{name}` must be a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        History::parse(text, Vocabulary::Kv).expect_err("it is malformed").to_string()
    }

    const INVOKE: &str = r#"{"process":1,"type":"invoke","f":"get","key":"x"}"#;

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert!(error("\n{").starts_with("line 2: not JSON: "));
        assert_eq!(error("[]"), "line 1: not an object");
        assert_eq!(error(r#"{"process":1,"f":"get"}"#), "line 1: `type` is missing");
        assert_eq!(
            error(&format!("{INVOKE}\n{INVOKE}")),
            "line 2: process 1 still waits for what it invoked in line 1"
        );
        assert_eq!(error(r#"{"process":2,"type":"ok","f":"get"}"#), "line 1: process 2 invoked nothing");
        let ok = |rest: &str| error(&format!("{INVOKE}\n{{\"process\":1,{rest}}}"));
        assert_eq!(ok(r#""type":"ok","f":"put""#), "line 2: process 1 invoked `get`, not `put`");
        assert_eq!(ok(r#""type":"ok","f":"get""#), "line 2: `value` is missing; it is null if there is none");
        assert_eq!(
            ok(r#""type":"okay","f":"get""#),
            "line 2: `type` is `okay`; it must be invoke, ok, fail or info"
        );
        let add = INVOKE.replace("get", "add");
        assert_eq!(error(&add), "line 1: `f` is `add`; it must be get, put, append, delete, cas or scan");
        let register = History::parse(&INVOKE.replace("get", "scan"), Vocabulary::Register);
        assert_eq!(
            register.expect_err("no register").to_string(),
            "line 1: `f` is `scan`; of a register it must be read, write or cas"
        );
    }

    #[test]
    fn a_history_is_the_same_after_it_was_written_and_read() {
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(&[0xff, 0]));
        let mut history = History::new();
        let calls = [
            (Call::Put { key: key.clone(), value: value.clone() }, Some(Reply::Written { version: 1 })),
            (Call::Get { key: key.clone() }, Some(Reply::Value { value: Some(value.clone()), version: 1 })),
            (Call::Append { key: key.clone(), value: value.clone() }, None),
            (
                Call::Cas { key: key.clone(), expect: Expect::Version(3), value: key.clone() },
                Some(Reply::CasFailed { value: Some(value.clone()), version: 1 }),
            ),
            (
                Call::Cas { key: key.clone(), expect: Expect::Value(None), value: key.clone() },
                Some(Reply::Written { version: 2 }),
            ),
            (
                Call::Scan { prefix: key.clone(), limit: 3 },
                Some(Reply::Entries { items: vec![(key.clone(), value, 2)], more: true, index: 7 }),
            ),
            (Call::Delete { key }, Some(Reply::Deleted { existed: true })),
        ];
        let mut now = 0;
        let mut at = || {
            now += 1;
            At { nth: now - 1, nanos: now * 1000 }
        };
        for (process, (call, reply)) in (0..).zip(calls) {
            let id = history.invoke(process, call, at());
            if let Some(reply) = reply {
                history.ret(id, Outcome::Ok { reply, at: at() });
            }
        }
        let id = history.invoke(9, Call::Get { key: Bytes::new() }, at());
        history.ret(id, Outcome::Fail { at: at() });
        history.annotate(at(), "crash", "S1");
        let lines = history.to_lines();
        assert_eq!(History::parse(&lines, Vocabulary::Kv), Ok(history), "{lines}");
    }
}
