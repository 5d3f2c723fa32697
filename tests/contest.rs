//! Things that are timed in turn, for the benchmarks: so that a slow minute of the machine hits all of them.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

/// Runs something once and says how long that took.
pub(crate) type Run = Box<dyn Fn() -> Result<Duration>>;

/// One thing that is timed.
pub(crate) struct Contender {
    name: String,
    /// What it does, by which figures are told for each; 1 where the time itself is the figure.
    items: u32,
    run: Run,
    times: Vec<Duration>,
}

/// Things that are timed in turn; the first is what the others are compared with.
pub(crate) struct Contest {
    title: String,
    runs: usize,
    contenders: Vec<Contender>,
}

impl Contender {
    pub(crate) fn new(name: &str, run: impl Fn() -> Result<Duration> + 'static) -> Self {
        Self { name: name.to_owned(), items: 1, run: Box::new(run), times: Vec::new() }
    }

    /// It does so many items each time: how many a second is what counts.
    pub(crate) fn of_items(mut self, items: u32) -> Self {
        self.items = items;
        self
    }

    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }

    fn spread(&self) -> [Duration; 3] {
        [self.times[0], self.median(), self.times[self.times.len() - 1]]
    }

    /// The median time of an item.
    fn of_one(&self) -> f64 {
        self.median().as_secs_f64() / f64::from(self.items)
    }
}

impl Contest {
    pub(crate) fn new(title: &str, runs: usize, contenders: Vec<Contender>) -> Self {
        Self { title: title.to_owned(), runs, contenders }
    }

    /// Runs all in turn; a first round is not counted.
    pub(crate) fn hold(&mut self) -> Result<()> {
        for round in 0..=self.runs {
            for contender in &mut self.contenders {
                let time = (contender.run)().with_context(|| contender.name.clone())?;
                if round > 0 {
                    contender.times.push(time);
                }
            }
        }
        for contender in &mut self.contenders {
            contender.times.sort_unstable();
        }
        Ok(())
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let contenders: Vec<_> = self
            .contenders
            .iter()
            .map(|contender| {
                let [least, median, most] = contender.spread().map(|time| time.as_secs_f64());
                serde_json::json!({
                    "name": contender.name, "items": contender.items,
                    "least_s": least, "median_s": median, "most_s": most,
                })
            })
            .collect();
        serde_json::json!({ "title": self.title, "runs": self.runs, "contenders": contenders })
    }
}

/// The table, without the end of its last line. To be asked for when the contest has been held.
impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{} ({} runs)", self.title, self.runs)?;
        let floor = self.contenders.first().map_or(0.0, Contender::of_one);
        for contender in &self.contenders {
            let [least, median, most] = contender.spread().map(|time| time.as_secs_f64() * 1e3);
            let ratio = contender.of_one() / floor;
            let name = &contender.name;
            write!(f, "\n  {name:<34} {median:>9.1} ms  ({least:.1} to {most:.1})  x{ratio:.2}")?;
            if contender.items > 1 {
                write!(f, "  {:.0} items/s", contender.of_one().recip())?;
            }
        }
        Ok(())
    }
}
