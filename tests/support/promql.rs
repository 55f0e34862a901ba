//! Queries held to the table of metrics: what they name exists, counters are under `rate` or `increase` and nothing else
//! is, and labels are those that the series have at that place of the query.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::Labels;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector, parse,
};

/// What Prometheus puts on every series itself, or a fleet's configuration may.
const TARGET: [&str; 3] = ["cluster", "instance", "job"];

/// The functions that a counter's samples may be given to, and nothing else's.
const OF_COUNTERS: [&str; 5] = ["rate", "irate", "increase", "resets", "changes"];

struct Metric {
    labels: BTreeSet<String>,
    counter: bool,
}

/// The metrics that there are.
pub struct Catalogue {
    metrics: BTreeMap<String, Metric>,
}

impl Catalogue {
    /// Every metric that Stockade exports under its own names, and Prometheus' `up`.
    pub fn exported() -> Self {
        let mut metrics = BTreeMap::new();
        for row in stockade::metrics::documentation().lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let (name, kind) = (cells[0].trim_matches('`'), cells[1]);
            let labels: BTreeSet<String> = cells[3]
                .split(['`', ' ', ','])
                .chain(TARGET)
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect();
            if kind == "histogram" {
                for suffix in ["_sum", "_count", "_bucket"] {
                    let mut labels = labels.clone();
                    labels.extend((suffix == "_bucket").then(|| "le".to_owned()));
                    metrics.insert(format!("{name}{suffix}"), Metric { labels, counter: true });
                }
            } else {
                metrics.insert(name.to_owned(), Metric { labels, counter: kind == "counter" });
            }
        }
        assert!(metrics.len() > 80, "the table's form has changed: {} metrics found", metrics.len());
        let labels = ["instance", "job", "cluster"].map(str::to_owned).into();
        metrics.insert("up".to_owned(), Metric { labels, counter: false });
        Self { metrics }
    }

    /// Adds what a recording rule makes, once its own query was judged.
    pub fn record(&mut self, name: &str, labels: BTreeSet<String>) {
        let before = self.metrics.insert(name.to_owned(), Metric { labels, counter: false });
        assert!(before.is_none(), "{name} is recorded twice");
    }

    /// The labels that a query's series may have, or everything that is wrong with it.
    pub fn judge(&self, query: &str) -> Result<BTreeSet<String>, Vec<String>> {
        let parsed = parse(query).map_err(|error| vec![error])?;
        let mut judge = Judge { metrics: &self.metrics, wrong: Vec::new() };
        let labels = judge.expression(&parsed, None);
        if judge.wrong.is_empty() { Ok(labels) } else { Err(judge.wrong) }
    }
}

struct Judge<'a> {
    metrics: &'a BTreeMap<String, Metric>,
    wrong: Vec<String>,
}

impl Judge<'_> {
    /// The labels of an expression; `function` is what its samples are given to.
    fn expression(&mut self, expression: &Expr, function: Option<&str>) -> BTreeSet<String> {
        match expression {
            Expr::Paren(paren) => self.expression(&paren.expr, function),
            Expr::Unary(unary) => self.expression(&unary.expr, function),
            Expr::Subquery(subquery) => self.expression(&subquery.expr, None),
            Expr::VectorSelector(selector) => self.selector(selector, None),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs, function),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => BTreeSet::new(),
        }
    }

    fn selector(&mut self, selector: &VectorSelector, function: Option<&str>) -> BTreeSet<String> {
        let name = selector.name.as_deref().unwrap_or_default();
        let Some(metric) = self.metrics.get(name) else {
            self.wrong.push(format!("no metric {name:?}"));
            return BTreeSet::new();
        };
        let rated = function.is_some_and(|function| OF_COUNTERS.contains(&function));
        // How many samples there were is asked of anything.
        if metric.counter != rated && function != Some("count_over_time") {
            let kind = if metric.counter { "a counter" } else { "no counter" };
            self.wrong
                .push(format!("{name} is {kind}, and is {} rate", if rated { "under" } else { "not under" }));
        }
        for matcher in selector.matchers.matchers.iter().chain(selector.matchers.or_matchers.iter().flatten())
        {
            if !metric.labels.contains(&matcher.name) {
                self.wrong.push(format!("{name} has no label {}", matcher.name));
            }
        }
        metric.labels.clone()
    }

    fn call(&mut self, call: &Call) -> BTreeSet<String> {
        let name = call.func.name;
        let labels = call.args.args.iter().flat_map(|argument| self.expression(argument, Some(name)));
        labels.collect()
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> BTreeSet<String> {
        let inner = self.expression(&aggregate.expr, None);
        let op = aggregate.op.to_string();
        let grouping = aggregate.modifier.as_ref();
        if let Some(modifier) = grouping {
            self.all_of(modifier.labels(), &inner, &op);
        }
        match grouping {
            // These choose among the series and leave them as they are.
            _ if matches!(op.as_str(), "topk" | "bottomk" | "limitk" | "limit_ratio") => inner,
            None => BTreeSet::new(),
            Some(LabelModifier::Include(by)) => by.labels.iter().cloned().collect(),
            Some(LabelModifier::Exclude(without)) => {
                inner.into_iter().filter(|label| !without.labels.contains(label)).collect()
            }
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> BTreeSet<String> {
        let (left, right) = (self.expression(&binary.lhs, None), self.expression(&binary.rhs, None));
        let op = binary.op.to_string();
        let scalar = |side: &Expr| matches!(side, Expr::NumberLiteral(_));
        if scalar(&binary.lhs) || scalar(&binary.rhs) {
            return left.into_iter().chain(right).collect();
        }
        let modifier = binary.modifier.as_ref();
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        let on = match matching {
            Some(LabelModifier::Include(on)) => {
                self.all_of(on, &left, &op);
                self.all_of(on, &right, &op);
                Some(on)
            }
            _ => None,
        };
        match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToMany) if op == "or" => left.into_iter().chain(right).collect(),
            Some(VectorMatchCardinality::ManyToMany) => left,
            Some(VectorMatchCardinality::ManyToOne(taken)) => {
                self.all_of(taken, &right, "group_left");
                left.into_iter().chain(taken.labels.iter().cloned()).collect()
            }
            Some(VectorMatchCardinality::OneToMany(taken)) => {
                self.all_of(taken, &left, "group_right");
                right.into_iter().chain(taken.labels.iter().cloned()).collect()
            }
            _ => on.map_or(left, |on| on.labels.iter().cloned().collect()),
        }
    }

    fn all_of(&mut self, labels: &Labels, known: &BTreeSet<String>, place: &str) {
        for label in labels.labels.iter().filter(|label| !known.contains(*label)) {
            self.wrong.push(format!("nothing has a label {label} at {place}"));
        }
    }
}
