//! `shardlab kv shell`: one operation after the other, at a prompt or from a pipe. One client does them all.

use super::kv::{Command, carry_out};
use super::{Ending, Outcome, show};
use clap::{Parser, Subcommand};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use shardlab::client::Client;
use std::collections::BTreeSet;
use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What the help of the command says in the end.
pub const HELP: &str = "\
Lines are `get KEY`, `put KEY VALUE`, `append KEY VALUE`, `delete KEY`, `cas KEY VALUE --expect OLD`, `scan [PREFIX]`, `help` and `quit`,
in words as a shell takes them apart: put \"two words\" 'and more'.";

/// The words that a line can begin with.
const COMMANDS: [&str; 8] = ["append", "cas", "delete", "get", "help", "put", "quit", "scan"];
/// Keys that were seen and can be completed, at most.
const MOST_KEYS: usize = 10_000;

/// One line.
#[derive(Parser)]
#[command(no_binary_name = true, name = "", disable_version_flag = true, override_usage = "COMMAND ...")]
struct Line {
    #[command(subcommand)]
    said: Said,
}

#[derive(Subcommand)]
enum Said {
    #[command(flatten)]
    Ask(Command),
    /// End.
    #[command(visible_alias = "exit")]
    Quit,
}

/// What a line comes to.
enum Meant {
    Nothing,
    Ask(Command),
    /// Print that.
    Help(String),
    Quit,
}

/// Asks what is typed or piped in, line by line.
pub async fn shell(client: &Client) -> Outcome {
    if stdin().is_terminal() { at_a_prompt(client).await } else { from_a_pipe(client).await }
}

async fn at_a_prompt(client: &Client) -> Outcome {
    let keys = Seen::default();
    let mut prompt = Prompt::new(keys.clone()).map_err(Ending::no)?;
    loop {
        // Whoever waits for somebody to type must not keep the client's connections waiting.
        let read = tokio::task::spawn_blocking(move || {
            let line = prompt.line();
            (prompt, line)
        });
        let (back, line) = read.await.map_err(Ending::no)?;
        prompt = back;
        match line {
            Ok(line) => match step(client, &line, &keys).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(ending) => ending.say(),
            },
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(why) => return Err(Ending::no(format!("cannot read: {why}"))),
        }
    }
}

async fn from_a_pipe(client: &Client) -> Outcome {
    let (keys, mut first, mut number) = (Seen::default(), None, 0);
    loop {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).map(|bytes| (bytes > 0).then_some(line))
        });
        let line = read.await.map_err(Ending::no)?;
        number += 1;
        let Some(line) = line.map_err(|why| Ending::usage(format!("line {number} cannot be read: {why}")))? else {
            break;
        };
        match step(client, &line, &keys).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(ending) => {
                eprintln!("error: line {number}: {}", ending.why());
                first.get_or_insert(ending.said());
            }
        }
    }
    first.map_or(Ok(()), Err)
}

/// Does what a line says. Whether there may be another one.
async fn step(client: &Client, line: &str, keys: &Seen) -> Result<bool, Ending> {
    match meant(line)? {
        Meant::Nothing => {}
        Meant::Quit => return Ok(false),
        Meant::Help(text) => show(text)?,
        Meant::Ask(command) => {
            keys.note(command.key().map(String::from));
            let found = carry_out(client, command).await?;
            keys.note(found.iter().filter_map(|key| std::str::from_utf8(key).ok()).map(String::from));
        }
    }
    Ok(true)
}

fn meant(line: &str) -> Result<Meant, Ending> {
    let words = shlex::split(line).ok_or_else(|| Ending::usage("a quotation mark is missing"))?;
    if words.is_empty() {
        return Ok(Meant::Nothing);
    }
    match Line::try_parse_from(words) {
        Ok(Line { said: Said::Ask(command) }) => Ok(Meant::Ask(command)),
        Ok(Line { said: Said::Quit }) => Ok(Meant::Quit),
        Err(error) if !error.use_stderr() => Ok(Meant::Help(error.render().to_string())),
        Err(error) => {
            let text = error.render().to_string();
            let first: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            let first = first.join(" ");
            Err(Ending::usage(format!("{} (`help` says what there is)", first.trim_start_matches("error: "))))
        }
    }
}

/// Keys that were seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<String>>>);

impl Seen {
    fn note(&self, keys: impl IntoIterator<Item = String>) {
        let mut seen = self.0.lock().expect("nobody panics while holding it");
        let room = MOST_KEYS.saturating_sub(seen.len());
        seen.extend(keys.into_iter().take(room));
    }
}

/// Where lines are typed.
struct Prompt {
    editor: Editor<Seen, FileHistory>,
    /// Where they are kept, if they can be.
    file: Option<PathBuf>,
}

impl Prompt {
    fn new(keys: Seen) -> rustyline::Result<Prompt> {
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(keys));
        let file = history_file();
        if let Some(file) = &file {
            // The first time there is none.
            let _ = editor.load_history(file);
        }
        Ok(Prompt { editor, file })
    }

    fn line(&mut self) -> rustyline::Result<String> {
        let line = self.editor.readline("kv> ")?;
        if self.editor.add_history_entry(&line)?
            && let Some(file) = &self.file
        {
            // Where nothing can be written, lines are known for as long as this runs.
            let _ = self.editor.append_history(file);
        }
        Ok(line)
    }
}

/// The file of lines, in the directory where programs of this user keep what they may lose.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let state = state.or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    let dir = state.join("shardlab");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join("kv-history"))
}

impl Helper for Seen {}
impl Highlighter for Seen {}
impl Validator for Seen {}
impl Hinter for Seen {
    type Hint = String;
}

impl Completer for Seen {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&line[..at], &self.0.lock().expect("nobody panics while holding it")))
    }
}

/// How the last word of a line could go on: where it begins, and what could stand there.
fn complete(line: &str, keys: &BTreeSet<String>) -> (usize, Vec<String>) {
    let start = last_word(line);
    let word = &line[start..];
    // What was not closed yet is as good as closed.
    let plain =
        [word.to_string(), format!("{word}\""), format!("{word}'")].iter().find_map(|text| shlex::split(text));
    let plain = plain.and_then(|words| words.into_iter().next()).unwrap_or_default();
    let before = shlex::split(&line[..start]).unwrap_or_default();
    let could = match &before[..] {
        [] => COMMANDS.iter().filter(|name| name.starts_with(&*plain)).map(|name| name.to_string()).collect(),
        [command] if command == "help" => complete(word, &BTreeSet::new()).1,
        [_] => {
            let keys = keys.iter().filter(|key| key.starts_with(&*plain));
            keys.filter_map(|key| shlex::try_quote(key).ok().map(String::from)).collect()
        }
        _ => Vec::new(),
    };
    (start, could)
}

/// Where the last word of a line begins, as a shell takes words apart.
fn last_word(line: &str) -> usize {
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, one) in line.char_indices() {
        match (quote, one) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'') => quote = Some(one),
            (Some(open), _) if open == one => quote = None,
            (None, _) if one.is_whitespace() => start = at + one.len_utf8(),
            _ => {}
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        match meant(line) {
            Ok(Meant::Nothing) => "nothing".into(),
            Ok(Meant::Quit) => "quit".into(),
            Ok(Meant::Help(text)) => format!("help: {text}"),
            Ok(Meant::Ask(Command::Put { key, value })) => format!("put [{key}] [{value}]"),
            Ok(Meant::Ask(command)) => format!("another about {:?}", command.key()),
            Err(ending) => format!("{}: {}", ending.code(), ending.why()),
        }
    }

    #[test]
    fn a_line_is_taken_apart_as_a_shell_does_it() {
        assert_eq!(words("put a b\n"), "put [a] [b]");
        assert_eq!(words(r#"put "two words" 'and "more"'"#), "put [two words] [and \"more\"]");
        assert_eq!(words(r"put a\ b ''"), "put [a b] []");
        assert_eq!(words("cas a 2 --expect 1"), "another about Some(\"a\")");
        assert_eq!(words("scan"), "another about None");
        assert_eq!(
            (words("  "), words("# a remark"), words("exit")),
            ("nothing".into(), "nothing".into(), "quit".into())
        );
        assert_eq!(words("put \"a b"), "2: a quotation mark is missing");
    }

    #[test]
    fn what_makes_no_sense_is_said_in_one_line() {
        for (line, told) in [("putt a b", "putt"), ("put a", "<VALUE>"), ("cas a b", "--absent")] {
            let said = words(line);
            assert!(said.starts_with("2: ") && said.contains(told) && !said.contains('\n'), "{line}: {said}");
        }
        let help = words("help");
        assert!(help.starts_with("help: ") && COMMANDS.iter().all(|command| help.contains(command)), "{help}");
        assert!(words("help cas").contains("--expect"), "{}", words("help cas"));
    }

    #[test]
    fn commands_are_completed_first_and_then_keys_that_were_seen() {
        let keys = ["apple", "a pear", "plum"].map(String::from).into();
        let could = |line: &str| complete(line, &keys);
        assert_eq!(could(""), (0, COMMANDS.map(String::from).into()));
        assert_eq!(could("  p"), (2, vec!["put".into()]));
        assert_eq!(could("get a"), (4, vec!["'a pear'".into(), "apple".into()]));
        assert_eq!(could("get 'a p"), (4, vec!["'a pear'".into()]));
        assert_eq!(could("put plum a"), (9, Vec::new()));
        assert_eq!(could("help de"), (5, vec!["delete".into()]));
    }
}
