//! The configuration file.

use std::path::Path;

use stockade::config::parse;
use stockade::policy::rule::Action;

/// Checks that any text is a configuration or a bounded list of problems that lie inside it, the same one twice.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = Path::new("stockade.yaml");
    let result = parse(file, &text);
    assert_eq!(result, parse(file, &text), "one text, two readings");
    match result {
        Ok(config) => {
            assert!(!config.collect.interval.is_zero(), "the sampling clock stands still");
            assert!(config.collect.filter.max_depth() > 0, "nothing would be watched");
            for policy in &config.rules.policies {
                assert!(!policy.steps.is_empty(), "{} does nothing", policy.name);
                for step in &policy.steps {
                    let is_undone = matches!(step.action, Action::Set(_) | Action::Freeze);
                    assert_eq!(step.ttl.is_some_and(|ttl| !ttl.is_zero()), is_undone, "{}", policy.name);
                    let frozen = step.ttl.filter(|_| matches!(step.action, Action::Freeze));
                    assert!(frozen.is_none_or(|ttl| ttl <= config.safety.freeze_max), "{}", policy.name);
                }
            }
            let rules = config.rules.limits.len() + config.rules.policies.len();
            assert_eq!(config.places.len(), rules, "each rule has a name and a place");
        }
        Err(problems) => {
            assert!((1..=100).contains(&problems.list().len()), "{} problems", problems.list().len());
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            for problem in problems.list() {
                assert!(problem.line().is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
                assert!(problem.line().is_some() == problem.column().is_some(), "{problem:?}");
                assert!(!problem.message().is_empty() && !problem.expected().is_empty(), "{problem:?}");
            }
            assert!(problems.to_string().len() < 1 << 20, "too long to read");
            assert!(problems.to_json().is_object() || problems.to_json().is_array());
        }
    }
}
