//! What streamhost promises, tried with the real binary against the real Kafka and HBase.
//!
//! The inner module gives all these tests one name to run or skip them by, which no other test has.

#[path = "."]
mod live_contract {
    mod clicks;
    mod swaps;
    mod budgets;
    mod crashes;
    mod keyed;
    mod keyed_examples;
    mod keyed_words;
    mod joins;
    mod keyed_faults;
    mod processes;
    mod tables;
    mod outages;
    mod refusals;
    mod ends;
    mod faults;
    mod verbs;
    mod audit;
    mod signed;
    mod starts;
    mod losses;
    mod letters;
    mod refused_rows;
    mod replan;
    mod postgres;
    mod postgres_jobs;
    mod postgres_faults;
    mod mysql;
    mod mysql_jobs;
    mod mysql_faults;
    mod elasticsearch;
    mod elasticsearch_places;
    mod elasticsearch_jobs;
    mod files;
    mod deletes;
    mod parameters;
    mod own_metrics;
    mod replay;
    mod replay_saved;
    mod replay_postgres;
    mod shadow;
    mod savepoints;
    mod canary;
    mod changes;
    mod gateways;
    mod through_proxy;
    mod dev;
    mod upgrade;
    mod clients;
    mod monitoring;
    mod run;
    mod demo;
    mod wasm_roads;
    mod wasi;
    mod projects;
    mod watch;
    mod by_hand;
    mod secured;
    mod secured_hbase;
    mod soak;
    mod cluster;
}

/// Without servers.
mod package;
