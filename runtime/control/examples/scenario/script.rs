//! The scenario language: one line, one thing that happens to a workload.
//!
//! For: regression cases that need no Rust. The first lines set the workload up, the rest play. `#` starts a comment.
//!
//! ```text
//! workload interval=5s stale=15s silent=10m coverage=0.9 cooldown=5m down=10%/60s up=4/60s
//! pool NAME min=1 max=8 group=G zero=10m wake=SIGNAL>0 wakeReplicas=1 hold=5m startup=60s
//! stage NAME needs=queue-depth!,request-rate combine=max onFailure=noDown      (`!`: required)
//! fleet POOL replicas=2 takes=20s standby=1                    the target: replicas ready now, and how long a start takes
//! signal POOL queue-depth=3 requests-completed=+2/s            each ready replica of the pool says so from now on
//! page gateway-queue=4 · page gateway-queue=-                  said for the whole workload; no longer said
//! owes gateway-queue… / queue-depth…     what the configured pages give, said or not; what replicas are asked for
//! mute|freeze|nan|negative|garbage|heal POOL/REPLICA…          what happens to a replica's page; `*`: to every one's
//! stall POOL/REPLICA…    a long prompt: only engine-steps and kv-cache-usage move; reset POOL/REPLICA…: counts from zero
//! without POOL/REPLICA… SIGNAL    its page no longer has that signal; `heal` brings it back
//! kill POOL/REPLICA    repair POOL/REPLICA    never POOL       a crash; back at work; starts of this pool never finish
//! late POOL                                                    the target answers no more; `prompt POOL` ends that
//! answer STAGE POOL=4 POOL.standby=1 | load/8 | fail CODE | keep
//! grant POOL=3 | all
//! target POOL applies|refuses|fails|hangs|swallows|loses|rolls|settles   what the target does with actions from now on
//!     (swallows: does it and never answers; loses: does it and answers too late)
//! pause 10m WHY… · override POOL=3 10m WHY… · resume · wake · generation
//! restart · restart 22s    the daemon, at once or after so long; reconnect POOL: whoever carried its actions out is gone
//! set POOL=5                                                   someone else changes the target
//! run 60s · sleep 60s                                          ticks at every interval; none for so long
//! ```

#[path = "script/fleet.rs"] // found from the tests too, which include this file by path
mod fleet;
#[path = "script/setup.rs"]
mod setup;
#[path = "script/story.rs"]
mod story;
#[path = "script/taped.rs"]
mod taped;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use trimtab_control::command::Command;
use trimtab_control::config::{Guardrails, Module, Rate, Step, WorkloadConfig, WorkloadId};
use trimtab_control::decision::{Decision, PoolGrant};
use trimtab_control::policy::{Answer, Call, Fault, MetricNeed, Observation, Policy, Preparation, Target, Tier};
use trimtab_control::sample::{Intake, Origin, Reading, Sample};
use trimtab_control::time::{Span, Time};
use trimtab_control::{Arbiter, Controller, Saved, Slot};

use fleet::Fleet;
use taped::Tapes;

/// When every scenario begins: 2026-01-01T00:00:00Z.
const START: Time = Time(1_767_225_600_000);

/// What came of a scenario.
pub(crate) struct Played {
    /// Every decision, in order.
    pub(crate) decisions: Vec<Decision>,
    /// The story, for people: one line per decision, and what was unusual about it.
    #[allow(dead_code)] // the example prints decisions, the tests compare the story
    pub(crate) story: String,
    /// Everything it was given.
    #[allow(dead_code)] // only the tests look
    pub(crate) tapes: Tapes,
}

/// A stage's scripted answers.
#[derive(Debug, Clone)]
enum Answers {
    Keep,
    Fixed(Vec<Target>),
    /// One replica for so much of everything that runs and waits.
    Load(f64),
    Fail(String),
}

#[derive(Debug)]
struct Scripted(Arc<Mutex<Answers>>);

impl Policy for Scripted {
    fn decide(&self, _config: &str, observation: &Observation, state: &[u8]) -> Call {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = u64::from_le_bytes(state.try_into().unwrap_or_default()) + 1;
        let (targets, reason) = match answers {
            Answers::Keep => (Vec::new(), "as it is".to_owned()),
            Answers::Fixed(targets) => (targets, "as told".to_owned()),
            Answers::Load(per) => {
                let load: f64 = observation.series.iter().filter_map(|s| s.values.last()).sum();
                let pool = observation.pools[0].name.clone();
                let replicas = if load.is_nan() { observation.pools[0].desired } else { (load / per).ceil() as u32 };
                (vec![Target { pool, tier: Tier::Serving, replicas }], format!("load {load:.1}"))
            }
            Answers::Fail(code) => {
                let fault = Fault { code, message: "as told".to_owned() };
                return Call { answer: Err(fault), log: Vec::new(), bounds: Vec::new() };
            }
        };
        let state = Some(asked.to_le_bytes().to_vec());
        Call {
            answer: Ok(Answer { targets, reason, notes: Vec::new(), state, recheck: None }),
            log: Vec::new(),
            bounds: Vec::new(),
        }
    }
}

/// A scenario being played.
struct Stage {
    config: WorkloadConfig,
    answers: BTreeMap<String, Arc<Mutex<Answers>>>,
    needs: BTreeMap<String, Vec<MetricNeed>>,
    fleets: Vec<Fleet>,
    pages: BTreeMap<String, f64>,
    owed: [Vec<String>; 2],
    grants: Option<BTreeMap<String, u32>>,
    controller: Option<Controller>,
    arbiter: Arbiter,
    now: Time,
    played: Played,
}

/// Plays a whole script. The error names the line.
pub(crate) fn play(text: &str) -> Result<Played, String> {
    let mut stage = Stage::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            stage.line(line).map_err(|problem| format!("line {}: {problem}", number + 1))?;
            stage.tape(false);
        }
    }
    Ok(stage.played)
}

/// The words of a line as `name=value`, with the flags that have no value.
fn words(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    rest.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")))
}

pub(crate) fn span(text: &str) -> Result<Span, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("no duration: {text}")),
    };
    number.parse::<u64>().map(|n| Span(n * scale)).map_err(|_| format!("no duration: {text}"))
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

impl Stage {
    fn new() -> Self {
        let guardrails = Guardrails {
            stale_after: None,
            min_coverage: 0.9,
            silent_after: None,
            scale_up: None,
            scale_down: Rate { max_step: Step::Percent(10), per: Span::seconds(60) },
            cooldown: Span::seconds(300),
        };
        let config = WorkloadConfig {
            id: WorkloadId { namespace: "default".to_owned(), name: "chat".to_owned() },
            generation: 1,
            interval: Span::seconds(5),
            attributes: Vec::new(),
            pools: Vec::new(),
            stages: Vec::new(),
            guardrails,
        };
        Stage {
            config,
            answers: BTreeMap::new(),
            needs: BTreeMap::new(),
            fleets: Vec::new(),
            pages: BTreeMap::new(),
            owed: [Vec::new(), Vec::new()],
            grants: None,
            controller: None,
            arbiter: Arbiter::new(),
            now: START,
            played: Played { decisions: Vec::new(), story: String::new(), tapes: Tapes::default() },
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if !matches!(verb, "workload" | "pool" | "stage" | "run") {
            self.say(&format!("> {line}"));
        }
        match verb {
            "workload" => self.workload(rest),
            "pool" => self.pool(rest),
            "stage" => self.stage(rest),
            "fleet" => {
                self.fleets.push(Fleet::parse(rest, self.now)?);
                Ok(())
            }
            "answer" => self.answer(rest),
            "grant" => self.grant(rest),
            "page" => self.page(rest),
            "owes" => {
                self.owes(rest);
                Ok(())
            }
            "pause" | "override" | "resume" | "wake" => self.command(verb, rest),
            "restart" => self.restart(rest),
            "reconnect" => {
                self.controller().let_go(rest);
                Ok(())
            }
            "generation" => {
                self.config.generation += 1;
                let (config, now) = (self.config.clone(), self.now);
                self.controller().reconfigure(config, now);
                Ok(())
            }
            "sleep" => {
                self.now = self.now + span(rest)?;
                Ok(())
            }
            "run" => self.run(span(rest)?),
            _ => self.tell_fleet(verb, rest),
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.played.story, "{line}");
    }

    fn tell_fleet(&mut self, verb: &str, rest: &str) -> Result<(), String> {
        let name = rest.split([' ', '/', '=']).next().unwrap_or_default();
        let now = self.now;
        match self.fleets.iter_mut().find(|f| f.pool == name) {
            Some(fleet) => fleet.line(verb, rest[name.len()..].trim_start_matches(['/', ' ', '=']), now),
            None => Err(format!("{verb}: no such verb, or no fleet {name:?}")),
        }
    }

    fn answer(&mut self, rest: &str) -> Result<(), String> {
        let (name, rest) = rest.split_once(' ').ok_or("answer STAGE WHAT")?;
        let answers = match rest.trim() {
            "keep" => Answers::Keep,
            other if other.starts_with("load/") => Answers::Load(number(&other[5..])?),
            other if other.starts_with("fail ") => Answers::Fail(other[5..].to_owned()),
            other => {
                let target = |(name, value): (&str, &str)| -> Result<Target, String> {
                    let (pool, tier) = name.split_once('.').unwrap_or((name, "serving"));
                    let tier = Tier::parse(tier).ok_or("no such tier")?;
                    Ok(Target { pool: pool.to_owned(), tier, replicas: number(value)? })
                };
                Answers::Fixed(words(other).map(target).collect::<Result<_, _>>()?)
            }
        };
        let shared = self.answers.get(name).ok_or_else(|| format!("no stage {name}"))?;
        *shared.lock().unwrap_or_else(PoisonError::into_inner) = answers;
        Ok(())
    }

    fn grant(&mut self, rest: &str) -> Result<(), String> {
        self.grants = match rest {
            "all" => None,
            list => Some(words(list).map(|(n, v)| Ok((n.to_owned(), number(v)?))).collect::<Result<_, String>>()?),
        };
        Ok(())
    }

    fn command(&mut self, verb: &str, rest: &str) -> Result<(), String> {
        let mut rest = rest;
        let mut pools = BTreeMap::new();
        while let Some(((name, value), tail)) =
            rest.split_once(' ').and_then(|(word, tail)| Some((word.split_once('=')?, tail)))
        {
            pools.insert(name.to_owned(), number(value)?);
            rest = tail;
        }
        let (lasting, reason) = rest.split_once(' ').unwrap_or((rest, "no reason given"));
        let reason = reason.to_owned();
        let command = match verb {
            "pause" => Command::Pause { lasting: span(lasting)?, reason },
            "override" => Command::Override { pools, lasting: span(lasting)?, reason },
            "resume" => Command::Resume { reason },
            _ => Command::Wake { reason },
        };
        let now = self.now;
        let line = match self.controller().command(command, now) {
            Ok(line) => line,
            Err(error) => format!("refused: {error}"),
        };
        self.say(&line);
        Ok(())
    }

    fn controller(&mut self) -> &mut Controller {
        if self.controller.is_none() {
            self.start(None);
        }
        self.controller.as_mut().unwrap_or_else(|| unreachable!("it was started"))
    }

    fn tape(&mut self, ticked: bool) {
        if let Some(controller) = &mut self.controller {
            self.played.tapes.take(controller, ticked);
        }
    }

    fn start(&mut self, saved: Option<Saved>) {
        let mut controller = Controller::new(self.config.clone(), saved, self.now);
        self.played.tapes.begin(&mut controller, false);
        controller.set_page_signals(&self.owed[0]);
        controller.set_replica_signals(&self.owed[1]);
        for (name, answers) in &self.answers {
            let preparation = Preparation { needs: self.needs[name].clone(), attributes: Vec::new() };
            let policy = self.played.tapes.hear(Arc::new(Scripted(Arc::clone(answers))));
            let module = Module { policy, digest: format!("sha256:{name}"), preparation, state_version: 1 };
            controller.install(name, Slot::Stage, Ok(module), self.now);
        }
        self.controller = Some(controller);
    }

    fn run(&mut self, lasting: Span) -> Result<(), String> {
        let end = self.now + lasting;
        while self.now < end {
            self.tick()?;
            self.tape(true);
            self.now = self.now + self.config.interval;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        let now = self.now;
        let mut intake = Intake::default();
        for fleet in &mut self.fleets {
            fleet.advance(now);
            if !fleet.late {
                intake.pools.push(fleet.report(now));
            }
            intake.samples.extend(fleet.samples(now));
        }
        intake.samples.extend(self.pages.iter().map(|(signal, value)| Sample {
            origin: Origin::Query,
            signal: Arc::from(signal.as_str()),
            labels: Vec::new(),
            at: now,
            reading: Reading::Gauge(*value),
        }));
        self.controller();
        let Some(controller) = self.controller.as_mut() else { return Err("no controller".to_owned()) };
        controller.observe(intake, now);
        let wants = controller.propose(now);
        let mut grant = self.arbiter.grant(&self.config.id, &wants);
        if let Some(limits) = &self.grants {
            for pool in &mut grant.pools {
                *pool = PoolGrant {
                    pool: pool.pool.clone(),
                    replicas: limits.get(&pool.pool).copied(),
                    why: "scripted".to_owned(),
                };
            }
        }
        let decision = controller.decide(&grant, now);
        for action in decision.actions() {
            let fleet = self.fleets.iter_mut().find(|f| f.pool == action.pool).ok_or("an action for no fleet")?;
            if let Some(outcome) = fleet.apply(&action, now) {
                controller.record(outcome, now);
            }
        }
        self.tell(&decision);
        self.played.decisions.push(decision);
        Ok(())
    }
}
