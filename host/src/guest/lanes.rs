//! One worker a core, each with its own long-lived instance. Any lane may run any chunk: answers go back to their
//! chunk's place, so nothing depends on the number of lanes or on which was faster.

use super::run::{Budget, ChunkAnswer, Lane, Runnable, Verdicts, VersionFault};
use crate::record::Chunk;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

/// The lanes of one job. The caller's thread is one of them.
pub struct Lanes {
    own: Lane,
    others: Vec<mpsc::Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

/// Holding the sender says that the lane is still at work, whatever becomes of it.
type Task = (Arc<BatchRun>, mpsc::Sender<()>);
type Answers = Vec<Option<Result<ChunkAnswer, VersionFault>>>;

struct BatchRun {
    version: Arc<Runnable>,
    chunks: Vec<Chunk>,
    verdicts: Verdicts,
    budget: Budget,
    next: AtomicUsize,
    answers: Mutex<Answers>,
}

impl BatchRun {
    fn work(&self, lane: &mut Lane) {
        lane.begin_batch();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.chunks.get(at) else { return };
            let answer = lane.run(&self.version, chunk, &self.verdicts, &self.budget);
            if answer.is_err() {
                self.next.store(self.chunks.len(), Ordering::Relaxed); // the batch is lost to this version
            }
            self.answers.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(answer);
        }
    }
}

impl Lanes {
    /// Starts `count` lanes, 1 or more.
    pub fn start(job: &str, count: usize) -> std::io::Result<Self> {
        let mut lanes = Lanes { own: Lane::default(), others: Vec::new(), threads: Vec::new() };
        for number in 1..count {
            let (send, tasks) = mpsc::channel::<Task>();
            let work = move || {
                let mut lane = Lane::default();
                for (run, busy) in tasks {
                    run.work(&mut lane);
                    drop(run); // before `busy`, so that the caller holds the last reference
                    drop(busy);
                }
            };
            lanes.threads.push(std::thread::Builder::new().name(format!("{job} lane {number}")).spawn(work)?);
            lanes.others.push(send);
        }
        Ok(lanes)
    }

    /// Runs a batch's chunks and gives them back with their answers, in order.
    pub fn run(
        &mut self,
        version: &Arc<Runnable>,
        chunks: Vec<Chunk>,
        verdicts: Verdicts,
    ) -> (Vec<Chunk>, Result<Vec<ChunkAnswer>, VersionFault>) {
        let answers = Mutex::new(chunks.iter().map(|_| None).collect());
        let helpers = chunks.len().saturating_sub(1).min(self.others.len());
        let (next, budget) = (AtomicUsize::new(0), Budget::default());
        let run = Arc::new(BatchRun { version: version.clone(), chunks, verdicts, budget, next, answers });
        let (busy, idle) = mpsc::channel();
        for other in &self.others[..helpers] {
            other.send((run.clone(), busy.clone())).expect("a lane ends only with its job");
        }
        drop(busy);
        run.work(&mut self.own);
        while idle.recv().is_ok() {} // ends when every lane has let go
        let Some(run) = Arc::into_inner(run) else { unreachable!("every lane has let go") };
        let answers = run.answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        (run.chunks, in_order(answers))
    }
}

/// The first fault, if there is one. Without one every chunk has its answer.
fn in_order(answers: Answers) -> Result<Vec<ChunkAnswer>, VersionFault> {
    let mut all = Vec::with_capacity(answers.len());
    let mut unanswered = false;
    for answer in answers {
        match answer {
            Some(Ok(answer)) => all.push(answer),
            Some(Err(fault)) => return Err(fault),
            None => unanswered = true,
        }
    }
    assert!(!unanswered, "a lane died: a mistake of the host's");
    Ok(all)
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.others.clear();
        for thread in self.threads.drain(..) {
            drop(thread.join()); // a lane that died was told when its batch was
        }
    }
}
