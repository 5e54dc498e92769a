use std::collections::BTreeSet;

use super::*;
use crate::{Limits, Order, Query, QueryError, Update, parse_filter, parse_sort, sort_key};

#[test]
fn filters_match_as_specified() {
    let (schema, class) = (schema(), class());
    let mut wrong = Vec::new();
    for Case {
        rule,
        filter,
        object,
        matches,
    } in cases()
    {
        match parse_filter(&filter, &schema, &class, &Limits::default()) {
            Ok(parsed) if parsed.matches(&object) == matches => {}
            Ok(_) => wrong.push(format!("{rule}: {filter} on {object}: should be {matches}")),
            Err(error) => wrong.push(format!("{rule}: {filter}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn orders_are_as_specified() {
    let (schema, class) = (schema(), class());
    for Sort {
        rule,
        filter,
        sort,
        objects,
    } in sorts()
    {
        let filter = parse_filter(&filter, &schema, &class, &Limits::default()).unwrap();
        let keys = parse_sort(&sort, &schema, &class, &Limits::default()).unwrap();
        let query = Query::new(&class, filter, keys.clone(), 0, 100);
        assert!(!matches!(query.order, Order::Natural), "{rule} {sort}");
        assert!(objects.iter().all(|o| query.filter.matches(o)), "{rule} {sort}");
        let mut sorted = objects.clone();
        sorted.reverse();
        sorted.sort_by(|a, b| query.order.compare(a, b));
        assert_eq!(sorted, objects, "{rule} {sort}");
        for pair in objects.windows(2) {
            let first_difference = keys.iter().find_map(|key| {
                let bytes = |object| sort_key(&key.path, object, key.descending);
                let order = bytes(&pair[0]).cmp(&bytes(&pair[1]));
                order
                    .is_ne()
                    .then_some(if key.descending { order.reverse() } else { order })
            });
            assert!(first_difference.is_none_or(|o| o.is_lt()), "{rule} {sort} {pair:?}");
        }
    }
}

#[test]
fn refusals_are_as_specified() {
    let (schema, class, limits) = (schema(), class(), Limits::default());
    for Refusal {
        rule,
        filter,
        sort,
        error,
    } in refusals()
    {
        let filter_error = filter
            .as_ref()
            .and_then(|f| parse_filter(f, &schema, &class, &limits).err());
        let sort_error = sort
            .as_ref()
            .and_then(|s| parse_sort(s, &schema, &class, &limits).err());
        let found = filter_error.or(sort_error);
        let name = found.as_ref().map(|found| match found {
            QueryError::Syntax(_) => "Syntax",
            QueryError::UnknownOperator { .. } => "UnknownOperator",
            QueryError::Unsupported(_) => "Unsupported",
            QueryError::UnknownField { .. } => "UnknownField",
            QueryError::WrongOperand { .. } => "WrongOperand",
            QueryError::TooComplex(_) => "TooComplex",
        });
        assert_eq!(name, Some(error.as_str()), "{rule} {filter:?} {sort:?} {found:?}");
    }
}

#[test]
fn updates_work_as_specified() {
    let (schema, class) = (schema(), class());
    for UpdateCase {
        rule,
        update,
        before,
        after,
    } in updates()
    {
        let mut fields = before.clone();
        let result = Update::parse(&update, &schema, &class, &Limits::default())
            .and_then(|parsed| parsed.apply(&schema, &class, &mut fields, NOW.parse().unwrap()));
        let result = result
            .map(|()| Value::Object(fields))
            .map_err(|error| error.to_string());
        assert_eq!(result, after.map(Value::Object), "{rule} {update} on {before:?}");
    }
}

#[test]
fn every_rule_has_a_row_and_every_row_a_rule() {
    let spec = include_str!("../../SPEC.md");
    let rule = |line: &str| {
        let number = line.strip_prefix("**")?.split_once("**")?.0.to_owned();
        number.starts_with(['Q', 'U']).then_some(number)
    };
    let rules: BTreeSet<String> = spec.lines().filter_map(rule).collect();
    let mut rows: BTreeSet<String> = cases().into_iter().map(|row| row.rule).collect();
    rows.extend(sorts().into_iter().map(|row| row.rule));
    rows.extend(refusals().into_iter().map(|row| row.rule));
    rows.extend(updates().into_iter().map(|row| row.rule));
    assert_eq!(rules, rows);
    assert!(cases().len() > 250);
}
