//! Text macros, so that a bomb is a line.
//!
//! For: WAT of the hostile corpus, before it is assembled. Never knows WAT: it repeats and replaces text.
//!
//! | written | becomes |
//! | --- | --- |
//! | `{{repeat COUNT NAME: body}}` | the body COUNT times; in it `{{NAME}}` is 0, 1, 2 and so on |
//! | `{{set NAME: body}}` | nothing; from here on `{{NAME}}` is the body |
//! | `{{default NAME: body}}` | the same, where NAME is not set yet |
//! | `{{NAME}}` | what was set or counted, expanded here |
//! | `{{NAME+1}}`, `{{NAME-1}}`, `{{NAME*8}}` | arithmetic on what was counted |
//! | `{{include NAME}}` | the file `parts/NAME.wat`, expanded here |

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// The most that a text may become.
const MOST_BYTES: usize = 256 << 20;
/// Macros within macros.
const DEEPEST: usize = 32;

enum Node {
    Text(String),
    Name(String),
    Sum { name: String, operator: char, number: u64 },
    Repeat { count: usize, name: String, body: Vec<Node> },
    Set { name: String, weak: bool, body: Rc<Vec<Node>> },
    Include(String),
}

#[derive(Default)]
struct Scope {
    bodies: BTreeMap<String, Rc<Vec<Node>>>,
    counters: BTreeMap<String, usize>,
    depth: usize,
}

/// Expands `text`; what it includes lies in `parts`.
pub(super) fn expand(text: &str, parts: &Path) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    Scope::default().write(&parse(text)?, parts, &mut out)?;
    Ok(out)
}

fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        nodes.push(Node::Text(rest[..at].to_owned()));
        let inner = &rest[at + 2..];
        let end = closing(inner).ok_or_else(|| format!("`{{{{` without its end: {}", start_of(inner)))?;
        nodes.push(directive(&inner[..end])?);
        rest = &inner[end + 2..];
    }
    nodes.push(Node::Text(rest.to_owned()));
    Ok(nodes)
}

/// Where the directive ends that begins before `text`.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (1, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"{{" => (depth, at) = (depth + 1, at + 2),
            b"}}" if depth == 1 => return Some(at),
            b"}}" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    None
}

fn directive(text: &str) -> Result<Node, String> {
    let (head, body) = text.split_once(':').map_or((text, None), |(head, body)| (head, Some(body)));
    let words: Vec<&str> = head.split_whitespace().collect();
    match (words.as_slice(), body) {
        (["repeat", count, name], Some(body)) => {
            let count = count.replace('_', "").parse().map_err(|_| format!("`{count}` is no count"))?;
            Ok(Node::Repeat { count, name: (*name).to_owned(), body: parse(body.strip_prefix(' ').unwrap_or(body))? })
        }
        ([how @ ("set" | "default"), name], Some(body)) => {
            Ok(Node::Set { name: (*name).to_owned(), weak: *how == "default", body: Rc::new(parse(body)?) })
        }
        (["include", name], None) => Ok(Node::Include((*name).to_owned())),
        ([word], None) => match word.find(['+', '-', '*']) {
            Some(at) if word[at + 1..].parse::<u64>().is_ok() => Ok(Node::Sum {
                name: word[..at].to_owned(),
                operator: word[at..].chars().next().unwrap_or('+'),
                number: word[at + 1..].parse().unwrap_or(0),
            }),
            _ => Ok(Node::Name((*word).to_owned())),
        },
        _ => Err(format!("no such macro: {}", start_of(text))),
    }
}

impl Scope {
    fn write(&mut self, nodes: &[Node], parts: &Path, out: &mut String) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("macros lead to themselves".to_owned());
        }
        for node in nodes {
            self.write_one(node, parts, out)?;
            if out.len() > MOST_BYTES {
                return Err(format!("it becomes more than {MOST_BYTES} bytes"));
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn write_one(&mut self, node: &Node, parts: &Path, out: &mut String) -> Result<(), String> {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Name(name) => match (self.counters.get(name), self.bodies.get(name)) {
                (Some(count), _) => out.push_str(&count.to_string()),
                (None, Some(body)) => {
                    let body = Rc::clone(body);
                    self.write(&body, parts, out)?;
                }
                (None, None) => return Err(format!("`{name}` was not set")),
            },
            Node::Sum { name, operator, number } => {
                let count = *self.counters.get(name).ok_or_else(|| format!("`{name}` does not count"))? as u64;
                let sum = match operator {
                    '+' => count + number,
                    '-' => count.checked_sub(*number).ok_or_else(|| format!("`{name}-{number}` is below 0"))?,
                    _ => count * number,
                };
                out.push_str(&sum.to_string());
            }
            Node::Repeat { count, name, body } => {
                let outer = self.counters.remove(name);
                for index in 0..*count {
                    self.counters.insert(name.clone(), index);
                    self.write(body, parts, out)?;
                }
                self.counters.remove(name);
                self.counters.extend(outer.map(|outer| (name.clone(), outer)));
            }
            Node::Set { name, weak, body } => {
                if !(*weak && self.bodies.contains_key(name)) {
                    self.bodies.insert(name.clone(), Rc::clone(body));
                }
            }
            Node::Include(name) => {
                let path = parts.join(format!("{name}.wat"));
                let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                self.write(&parse(&text)?, parts, out)?;
            }
        }
        Ok(())
    }
}

fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

#[test]
fn macros_repeat_replace_and_include() {
    let parts = tempfile::tempdir().unwrap();
    std::fs::write(parts.path().join("p.wat"), "{{default a: none}}{{default b: none}}<{{a}},{{b}}>").unwrap();
    for (text, becomes) in [
        ("plain } } { {", "plain } } { {"),
        ("{{repeat 3 n: ({{n}} {{n+1}} {{n*4}})}}", "(0 1 0)(1 2 4)(2 3 8)"),
        ("{{repeat 2 x: {{repeat 2 y: {{x}}{{y}} }}}}", "00 01 10 11 "),
        ("{{set a: {{repeat 2 _: x}}}}{{include p}}", "< xx, none>"),
        ("{{set n: 1}}{{set n: 2}}{{n}}", " 2"),
    ] {
        assert_eq!(expand(text, parts.path()), Ok(becomes.to_owned()), "{text}");
    }
    for (text, said) in [
        ("{{gone}}", "not set"),
        ("{{repeat x n: }}", "no count"),
        ("{{set a: {{a}}}}{{a}}", "lead to themselves"),
        ("{{repeat 1 n: ", "without its end"),
        ("{{include gone}}", "gone.wat"),
        ("{{repeat 1000000 a: {{repeat 1000 b: x}}}}", "more than"),
    ] {
        let wrong = expand(text, parts.path()).unwrap_err();
        assert!(wrong.contains(said), "{text}: {wrong}");
    }
}
