//! The two ends of a stage's run: a source that waits for what the stage before has made, and a sink that hands on
//! what came of it.

use std::sync::Arc;

use super::elements::Elements;
use super::queue::{Arrival, Given, Held, Queue, Trail, What};
use crate::chunk::Inputs;
use crate::error::Error;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Origin, Outcome, Output};
use crate::plan::{Made, Passage, Taken};
use crate::sink::{Accepted, InputEnd, Sink};
use crate::source::{Next, Source};

/// So many items are handed on unasked. Who hands on each as it comes wakes the next stage for each, which then works in
/// chunks of one.
const BATCH: usize = 256;

/// The input, for the first stage: no more of it than its queue has room for.
pub(super) struct First {
    pub(super) input: Box<dyn Source>,
    pub(super) behind: Arc<Queue>,
}

impl Source for First {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        let Some(room) = self.behind.wait_for_room(max_items) else { return Ok(Some(Next::Nothing)) };
        let next = self.input.next(max_items.min(room), max_bytes)?;
        self.behind.take_places(next.as_ref().map_or(0, items));
        Ok(next)
    }

    fn total(&self) -> Option<u64> {
        self.input.total()
    }
}

/// What the stage before has made: no more of it than the queue behind has room for, if there is one.
pub(super) struct Following {
    pub(super) before: Arc<Queue>,
    pub(super) behind: Option<Arc<Queue>>,
    /// How many items there will be, if that is known.
    pub(super) total: Option<u64>,
}

impl Source for Following {
    fn next(&mut self, max_items: u64, max_bytes: usize) -> Result<Option<Next>, Error> {
        let room = match &self.behind {
            Some(behind) => behind.wait_for_room(max_items),
            None => Some(max_items),
        };
        let Some(room) = room else { return Ok(Some(Next::Nothing)) };
        let next = match self.before.give(max_items.min(room), max_bytes)? {
            Given::Items(texts) => Next::Inputs(Inputs::Json { line: 0, texts }),
            Given::Ended(completion) => Next::Ended(completion),
            // The run is over, and whoever asks finds that out next.
            Given::Over => Next::Nothing,
            Given::End => return Ok(None),
        };
        if let Some(behind) = &self.behind {
            behind.take_places(items(&next));
        }
        Ok(Some(next))
    }

    fn total(&self) -> Option<u64> {
        self.total
    }
}

fn items(next: &Next) -> u64 {
    match next {
        Next::Inputs(inputs) | Next::Calls(inputs, _) => inputs.count(),
        Next::Refused(_) | Next::Ended(_) => 1,
        Next::Remark(_) | Next::Nothing => 0,
    }
}

/// Which stage this is, for what comes out of it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) label: Arc<str>,
    /// The number of its first worker among those of all stages.
    pub(super) first_worker: u32,
    pub(super) before: Option<Arc<Queue>>,
}

impl Place {
    /// Where an item comes from, with how it had ended before.
    fn held(&self, index: ItemIndex, completion: &mut Completion) -> Held {
        completion.meta.worker = completion.meta.worker.saturating_add(self.first_worker);
        match &self.before {
            Some(before) => before.done(index),
            None => {
                let file = completion.file.take().map(Arc::from);
                Held { trail: Trail { index, file, ..Trail::default() }, ended: None }
            }
        }
    }

    /// The end of an item that goes no further than this stage.
    fn ended(&self, trail: Trail, completion: Completion) -> Completion {
        finished(trail, completion, Some(Arc::clone(&self.label)))
    }

    /// The end of an item that the stage was not given, or did not take.
    fn left_over(&self, Held { trail, ended }: Held) -> Completion {
        match ended {
            Some(completion) => *completion,
            None => self.ended(trail, Completion::new(Outcome::Cancelled)),
        }
    }
}

/// The end of an item, as it is printed.
fn finished(trail: Trail, completion: Completion, stage: Option<Arc<str>>) -> Completion {
    let Trail { index, part, file, stdout, stderr } = trail;
    let origin = Origin { index, part, stage };
    Completion {
        file: file.map(|name| (*name).into()),
        stdout: behind(stdout, &completion.stdout).into(),
        stderr: behind(stderr, &completion.stderr).into(),
        origin: Some(Box::new(origin)),
        ..completion
    }
}

/// What was printed later, behind what was printed before.
fn behind(mut before: Vec<u8>, later: &[u8]) -> Vec<u8> {
    before.extend_from_slice(later);
    before
}

/// Hands on what a stage makes to the next.
pub(super) struct Handing {
    pub(super) place: Place,
    pub(super) behind: Arc<Queue>,
    pub(super) passage: Passage,
    /// What has not been handed on.
    made: Vec<(ItemIndex, Arrival)>,
    ended: u64,
    end: Option<InputEnd>,
}

impl Handing {
    pub(super) fn new(place: Place, behind: Arc<Queue>, passage: Passage) -> Self {
        Self { place, behind, passage, made: Vec::new(), ended: 0, end: None }
    }

    /// Whether everything has been handed on, of an input that could not be read to its end.
    pub(super) fn is_cut_short(&self) -> bool {
        self.end == Some(InputEnd::CutShort { total: self.ended })
    }

    /// What an item comes to that has ended here.
    fn arrival(&self, trail: Trail, completion: Completion) -> Arrival {
        let Completion { outcome: Outcome::Ok(output), stdout, stderr, .. } = &completion else {
            return self.no_further(trail, completion);
        };
        let what = match pass(self.passage, output) {
            Pass::On(what) => what,
            Pass::Stays => return self.no_further(trail, completion),
            Pass::Lie => {
                let error = "a value that is not of the function's type".to_owned();
                let outcome = Outcome::Output { error };
                return self.no_further(trail, Completion { outcome, ..completion });
            }
        };
        let trail =
            Trail { stdout: behind(trail.stdout, stdout), stderr: behind(trail.stderr, stderr), ..trail };
        Arrival::new(trail, what)
    }

    fn no_further(&self, trail: Trail, completion: Completion) -> Arrival {
        // What goes with it is in its end.
        let ended = self.place.ended(trail, completion);
        Arrival::new(Trail::default(), What::Ended(Box::new(ended)))
    }

    fn hand_on(&mut self) {
        self.behind.arrive(self.made.drain(..));
        // Why an input was cut short is known when the run has ended.
        if self.end == Some(InputEnd::Whole { total: self.ended }) {
            self.behind.finish(Ok(()));
        }
    }
}

impl Sink for Handing {
    fn accept(&mut self, index: ItemIndex, mut completion: Completion) -> Result<Accepted, Error> {
        let Held { trail, ended } = self.place.held(index, &mut completion);
        let arrival = match ended {
            Some(ended) => Arrival::new(Trail::default(), What::Ended(ended)),
            None => self.arrival(trail, completion),
        };
        self.made.push((index, arrival));
        self.ended += 1;
        if self.made.len() == BATCH {
            self.hand_on();
        }
        Ok(Accepted { emitted: 1, ..Accepted::default() })
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        self.end = Some(end);
        Ok(Accepted::default())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.hand_on();
        Ok(())
    }
}

/// What becomes of a value.
enum Pass {
    On(What),
    /// It is an `err`.
    Stays,
    /// Only a worker that lies sends it.
    Lie,
}

fn pass(Passage { taken, made }: Passage, output: &Output) -> Pass {
    let json = match taken {
        Taken::All => output.json(),
        Taken::Ok if output.is_err() => return Pass::Stays,
        // As workers write it: without white space.
        Taken::Ok => match output.json().strip_prefix(r#"{"ok":"#).and_then(|rest| rest.strip_suffix('}')) {
            Some(ok) => ok,
            None => return Pass::Lie,
        },
    };
    match made {
        Made::Item => Pass::On(What::Item(json.into())),
        Made::Items => {
            Elements::of(json.into()).map_or(Pass::Lie, |elements| Pass::On(What::Items(elements)))
        }
    }
}

/// The end of the last stage: names each item by what it was made of, and hands it to the sink that prints.
pub(super) struct Last<'a> {
    pub(super) place: Place,
    pub(super) printing: &'a mut dyn Sink,
    /// How many items have ended.
    pub(super) ended: u64,
}

impl Last<'_> {
    /// Ends what had not come so far when the run was ended: what `place` was given or waits for.
    pub(super) fn end_rest(&mut self, place: &Place, rest: Vec<Held>) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = Vec::new();
        for held in rest {
            let completion = place.left_over(held);
            outcomes.push(completion.outcome.clone());
            self.printing.accept(self.ended, completion)?;
            self.ended += 1;
        }
        self.printing.flush()?;
        Ok(outcomes)
    }
}

impl Sink for Last<'_> {
    fn accept(&mut self, index: ItemIndex, mut completion: Completion) -> Result<Accepted, Error> {
        if index & MERGE_BIT != 0 {
            return self.printing.accept(index, completion);
        }
        self.ended += 1;
        let Held { trail, ended } = self.place.held(index, &mut completion);
        let completion = match ended {
            Some(ended) => *ended,
            None if completion.outcome.is_ok() => finished(trail, completion, None),
            None => self.place.ended(trail, completion),
        };
        self.printing.accept(index, completion)
    }

    fn input_ended(&mut self, end: InputEnd) -> Result<Accepted, Error> {
        self.printing.input_ended(end)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.printing.flush()
    }
}
