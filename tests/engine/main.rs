//! The policy engine, on hosts made of a few numbers.

#[allow(dead_code, reason = "the benchmark uses the rest")]
mod builder;
mod changes;
mod properties;
mod replay;
mod signals;
mod states;
mod victims;
