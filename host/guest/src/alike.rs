//! What both versions of the contract say alike, written once. Their types are generated apart, so
//! to the compiler each function below is another one for each version: it is expanded where `wit`
//! and `bindings` name the types of one.

/// The calls of an instance that are alike, for its `Exports`.
macro_rules! calls {
    () => {
        fn describe(&self, store: &mut Store<State>) -> Said<JobDescription> {
            let said = self.streamhost_job_guest().call_describe(store)?;
            Ok(said.and_then(job_description))
        }

        fn combine(
            &self,
            store: &mut Store<State>,
            stage: u32,
            partials: &Partials,
        ) -> wasmtime::Result<Column> {
            let partials = wit::Partials {
                accumulators: column_in(&partials.accumulators),
                absent: &partials.absent,
                group_ends: &partials.group_ends,
                partials: column_in(&partials.partials),
            };
            let guest = self.streamhost_job_guest();
            guest.call_combine(store, stage, partials).map(column_out)
        }

        fn finish(
            &self,
            store: &mut Store<State>,
            stage: u32,
            moment: Moment,
            finished: &Finished,
        ) -> Said<Answer> {
            let finished = match finished {
                Finished::Keys(keys) => return self.process(store, stage, moment, keys),
                Finished::Groups(groups) => wit::Finished::Groups(wit::Groups {
                    keys: column_in(&groups.keys),
                    accumulators: column_in(&groups.accumulators),
                    starts_ms: &groups.starts_ms,
                    ends_ms: &groups.ends_ms,
                }),
                Finished::Pairs(pairs) => wit::Finished::Pairs(pairs_in(pairs)),
            };
            let guest = self.streamhost_job_guest();
            let answer = guest.call_finish(store, stage, moment_in(moment), finished)?;
            Ok(answer_out(answer))
        }

        fn migrate(
            &self,
            store: &mut Store<State>,
            stage: u32,
            accumulators: &Column,
        ) -> wasmtime::Result<Column> {
            let guest = self.streamhost_job_guest();
            let made = guest.call_migrate(store, stage, column_in(accumulators));
            made.map(column_out)
        }
    };
}

/// Values that are alike on their way in and out. `rows_out`, `pairs_in`, `join`, `offset_ms`, `updates_ms`,
/// `raw_source` and `raw_sink` are each version's own, and so are kinds of stages that only one of them has.
macro_rules! conversions {
    ($($processes:tt)*) => {
        fn moment_in(moment: Moment) -> wit::Moment {
            let Moment {
                batch_ms,
                watermark_ms,
                partition_ms,
            } = moment;
            wit::Moment {
                batch_ms,
                watermark_ms,
                partition_ms,
            }
        }

        fn column_in(column: &Column) -> wit::ColumnParam<'_> {
            wit::ColumnParam {
                data: &column.data,
                ends: &column.ends,
            }
        }

        fn column_out(column: wit::ColumnResult) -> Column {
            Column {
                data: column.data,
                ends: column.ends,
            }
        }

        fn answer_out(output: wit::Output) -> Result<Answer, String> {
            let reason = |fault: wit::Fault| {
                (
                    fault.position,
                    truncate(fault.reason, limits::REASON_BYTES_MAX),
                )
            };
            let rows = output.rows.into_iter().map(rows_out);
            Ok(Answer {
                faults: output.faults.into_iter().map(reason).collect(),
                rows: rows.collect::<Result<_, _>>()?,
                keyed: output.keyed.into_iter().map(keyed_out).collect(),
                late: output.late,
                largest_ms: output.largest_ms,
                outcomes: Vec::new(),
            })
        }

        fn keyed_out(keyed: wit::Keyed) -> Keyed {
            Keyed {
                stage: keyed.stage,
                side: keyed.side,
                positions: keyed.positions,
                keys: column_out(keyed.keys),
                values: column_out(keyed.values),
                times_ms: keyed.times_ms,
                until_ms: keyed.until_ms,
                deleted: keyed.deleted,
            }
        }

        fn job_description(description: wit::Description) -> Result<JobDescription, String> {
            let sinks = description.sinks.into_iter().map(raw_sink);
            Ok(JobDescription {
                name: description.name,
                every_ms: description.every_ms,
                sources: description.sources.into_iter().map(raw_source).collect(),
                stages: description.stages.into_iter().map(raw_stage).collect(),
                sinks: sinks.collect::<Result<_, _>>()?,
                parameters: Vec::new(), // asked for meanwhile
                metrics: Vec::new(),    // declared meanwhile
            })
        }

        /// Times beyond what the host counts become its largest, which the check of the job
        /// refuses.
        fn time_ms(ms: u64) -> i64 {
            i64::try_from(ms).unwrap_or(i64::MAX)
        }

        fn raw_stage(stage: wit::StageDef) -> StageSpec {
            use wit::{Scope, StageKind as Wit, WindowKind};
            StageSpec {
                name: stage.name,
                kind: match stage.kind {
                    Wit::Reduce(Scope::EachBatch) => StageKind::EachBatch,
                    Wit::Reduce(Scope::Running(expire_ms)) => StageKind::Running { expire_ms },
                    Wit::Reduce(Scope::Window(window)) => StageKind::Window(Window {
                        offset_ms: offset_ms(&window),
                        updates_ms: updates_ms(&window),
                        form: match window.kind {
                            WindowKind::Panes(panes) => WindowForm::Panes {
                                size_ms: time_ms(panes.size_ms),
                                hop_ms: time_ms(panes.hop_ms),
                            },
                            WindowKind::Session(gap) => WindowForm::Session {
                                gap_ms: time_ms(gap),
                            },
                        },
                        lateness_ms: time_ms(window.lateness_ms),
                        processing_time: window.processing_time,
                        early: window.early,
                    }),
                    Wit::Join(def) => StageKind::Join(join(def)),
                    Wit::Lookup => StageKind::Lookup,
                    $($processes)*
                },
                inputs: stage.inputs,
                key_shape: stage.key_shape,
                value_shape: stage.value_shape,
                other_shape: stage.other_shape,
                version: stage.version,
                migrates: stage.migrates,
            }
        }
    };
}

pub(crate) use {calls, conversions};
