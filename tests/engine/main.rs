//! The policy engine, on hosts made of a few numbers.

mod builder;
mod signals;
mod states;
