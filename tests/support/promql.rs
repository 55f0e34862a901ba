//! What an expression of PromQL asks for, against the metrics that Stockade has: names, types, and labels followed
//! through every operator up to what the whole expression gives.

#![allow(dead_code, reason = "every test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{self, Expr, LabelModifier, VectorMatchCardinality, VectorSelector};

/// Names of labels.
pub type Labels = BTreeSet<String>;

/// What Prometheus itself says of every target.
const PROMETHEUS: [&str; 2] = ["up", "scrape_duration_seconds"];

/// What Prometheus puts on every series itself, and a fleet's configuration on those of a cluster.
const TARGET: [&str; 3] = ["cluster", "instance", "job"];

/// The functions that a counter's samples may be given to, and nothing else's.
const OF_COUNTERS: [&str; 4] = ["rate", "irate", "increase", "resets"];

/// The functions that any metric's samples may be given to.
const OF_ANYTHING: [&str; 2] = ["changes", "count_over_time"];

/// Every metric that an expression may name, with its labels and its type; a recorded one is as a gauge.
pub struct Registry(BTreeMap<String, (Labels, String)>);

impl Registry {
    /// The families table, read from the documentation that is made from it.
    pub fn new() -> Self {
        let mut metrics = BTreeMap::new();
        for row in stockade::metrics::documentation().lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let names = |cell: &str| {
                cell.split(['`', ' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            };
            let (name, kind, labels) = (cells[0].trim_matches('`'), cells[1], names(cells[3]));
            metrics.insert(name.to_owned(), (labels, kind.to_owned()));
        }
        assert!(metrics.len() > 80, "the table's form has changed: {} metrics found", metrics.len());
        Self(metrics)
    }

    /// Adds what a recording rule makes, once its own query was judged.
    pub fn record(&mut self, name: &str, labels: Labels) {
        let before = self.0.insert(name.to_owned(), (labels, "gauge".to_owned()));
        assert!(before.is_none(), "{name} is recorded twice");
    }

    /// The labels of a metric as Prometheus stores it, and whether it is a counter.
    fn metric(&self, name: &str) -> Option<(Labels, bool)> {
        let scraped = |labels: &Labels| labels.iter().cloned().chain(TARGET.map(str::to_owned)).collect();
        if PROMETHEUS.contains(&name) {
            return Some((scraped(&Labels::new()), false));
        }
        if let Some((labels, kind)) = self.0.get(name).filter(|(_, kind)| kind != "histogram") {
            return Some((scraped(labels), kind == "counter"));
        }
        ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let (labels, kind) = self.0.get(name.strip_suffix(suffix)?)?;
            let mut labels: Labels = scraped(labels);
            if *suffix == "_bucket" {
                labels.insert("le".to_owned());
            }
            (kind == "histogram").then_some((labels, true))
        })
    }

    /// What is wrong with an expression, or the labels of what it gives.
    pub fn judge(&self, expression: &str) -> Result<Labels, Vec<String>> {
        let parsed = parser::parse(expression).map_err(|error| vec![error])?;
        let mut judge = Judge { registry: self, wrong: Vec::new() };
        let labels = judge.labels(&parsed, None);
        if judge.wrong.is_empty() { Ok(labels.unwrap_or_default()) } else { Err(judge.wrong) }
    }
}

struct Judge<'a> {
    registry: &'a Registry,
    wrong: Vec<String>,
}

impl Judge<'_> {
    /// The labels of what an expression gives; none for a number. `function` is the one whose argument it is.
    fn labels(&mut self, expression: &Expr, function: Option<&str>) -> Option<Labels> {
        match expression {
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => None,
            Expr::Paren(inner) => self.labels(&inner.expr, function),
            Expr::Unary(inner) => self.labels(&inner.expr, None),
            Expr::Subquery(inner) => self.labels(&inner.expr, None),
            Expr::VectorSelector(selector) => Some(self.selector(selector, None)),
            Expr::MatrixSelector(matrix) => Some(self.selector(&matrix.vs, function)),
            Expr::Call(call) => {
                let name = call.func.name;
                let given: Vec<Labels> =
                    call.args.args.iter().filter_map(|argument| self.labels(argument, Some(name))).collect();
                let mut labels = given.into_iter().next();
                if name == "histogram_quantile" && !labels.as_mut().is_some_and(|labels| labels.remove("le"))
                {
                    self.wrong.push("histogram_quantile of what has no le".to_owned());
                }
                if name == "time" { None } else { labels }
            }
            Expr::Aggregate(aggregate) => {
                let within = self.labels(&aggregate.expr, None).unwrap_or_default();
                let operator = aggregate.op.to_string();
                match &aggregate.modifier {
                    Some(LabelModifier::Include(by)) => {
                        let by: Labels = by.labels.iter().cloned().collect();
                        self.known(&by, &within, &format!("{operator} by"));
                        Some(if keeps(&operator) { within } else { by })
                    }
                    Some(LabelModifier::Exclude(without)) => {
                        let without: Labels = without.labels.iter().cloned().collect();
                        self.known(&without, &within, &format!("{operator} without"));
                        Some(within.difference(&without).cloned().collect())
                    }
                    None => Some(if keeps(&operator) { within } else { Labels::new() }),
                }
            }
            Expr::Binary(binary) => {
                let sides = (self.labels(&binary.lhs, None), self.labels(&binary.rhs, None));
                let (left, right) = match sides {
                    (Some(left), Some(right)) => (left, right),
                    (one, other) => return one.or(other),
                };
                let operator = binary.op.to_string();
                let modifier = binary.modifier.as_ref();
                let on = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
                    Some(LabelModifier::Include(on)) => Some(on.labels.iter().cloned().collect::<Labels>()),
                    Some(LabelModifier::Exclude(_)) => {
                        self.wrong.push(format!("{operator} ignoring: name what is matched"));
                        return Some(left);
                    }
                    None => None,
                };
                match &on {
                    Some(on) => {
                        self.known(on, &left, &format!("on, left of {operator}"));
                        self.known(on, &right, &format!("on, right of {operator}"));
                    }
                    // A different set of labels on either side matches nothing, and says nothing about it.
                    None if operator != "or" && left != right => {
                        self.wrong.push(format!("{operator} of {left:?} and {right:?} never matches"));
                    }
                    None => {}
                }
                Some(match modifier.map(|modifier| &modifier.card) {
                    Some(VectorMatchCardinality::ManyToOne(group)) => {
                        let group: Labels = group.labels.iter().cloned().collect();
                        self.known(&group, &right, "group_left");
                        left.union(&group).cloned().collect()
                    }
                    Some(VectorMatchCardinality::OneToMany(_)) => {
                        self.wrong.push("group_right: write the many on the left".to_owned());
                        left
                    }
                    _ if operator == "or" => left.union(&right).cloned().collect(),
                    _ if matches!(operator.as_str(), "and" | "unless") => left,
                    _ => on.unwrap_or(left),
                })
            }
        }
    }

    fn selector(&mut self, selector: &VectorSelector, ranged_by: Option<&str>) -> Labels {
        let name = selector.name.clone().unwrap_or_default();
        let Some((labels, counter)) = self.registry.metric(&name) else {
            self.wrong.push(format!("no metric {name:?}"));
            return Labels::new();
        };
        let rated = ranged_by.is_some_and(|function| OF_COUNTERS.contains(&function));
        let anything = ranged_by.is_some_and(|function| OF_ANYTHING.contains(&function));
        if counter && !rated && !anything {
            self.wrong.push(format!("{name} counts, and is not under rate or increase"));
        }
        if !counter && rated {
            self.wrong.push(format!("{name} goes up and down, and is under rate or increase"));
        }
        let matched: Labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        self.known(&matched, &labels, &name);
        if !selector.matchers.or_matchers.is_empty() {
            self.wrong.push(format!("{name}: matchers with or are an extension of others'"));
        }
        labels
    }

    fn known(&mut self, asked: &Labels, known: &Labels, place: &str) {
        for label in asked.difference(known) {
            self.wrong.push(format!("{place}: there is no label {label}"));
        }
    }
}

/// Whether an aggregation gives series as they were.
fn keeps(operator: &str) -> bool {
    matches!(operator, "topk" | "bottomk")
}
