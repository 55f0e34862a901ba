//! The policy engine, on hosts made of a few numbers.

mod builder;
mod changes;
mod properties;
mod signals;
mod states;
mod victims;
