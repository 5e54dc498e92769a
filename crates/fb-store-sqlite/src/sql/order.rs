//! Sort orders as ORDER BY clauses.

use std::sync::Arc;

use fb_query::{Filter, Leaf, Near, Order, Path, SortKey, Test};

use super::place::{Kind, Place, place_of_path};

/// An ORDER BY clause.
#[derive(Debug, Default)]
pub(crate) struct OrderPlan {
    /// The clause with its keyword; empty if any order will do.
    pub(crate) sql: String,
    /// Keys that the evaluator computes: `fb_sort_key(i, body)`.
    pub(crate) keys: Vec<SortKey>,
    /// Distance that the evaluator computes: `fb_distance(body)`.
    pub(crate) distance: Option<(Path, Near)>,
    /// Order by comparison of whole objects: `body COLLATE fb_order`.
    pub(crate) whole: Option<Arc<Order>>,
}

/// True if all objects that pass the filter have the same value at a direct path.
fn is_fixed(filter: &Filter, path: &Path) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().any(|part| is_fixed(part, path)),
        Filter::Field(fixed, Test::Equal(_)) => fixed == path && path.is_direct(),
        Filter::Field(..) | Filter::Or(_) | Filter::Not(_) => false,
    }
}

/// Compiles the order of objects that pass `filter`. Ties are broken by id, which is the key.
pub(crate) fn order(order: &Order, filter: &Filter) -> OrderPlan {
    let mut plan = OrderPlan::default();
    match order {
        Order::Natural => {}
        Order::Distance(path, near) if path.is_direct() && *path.leaf() == Leaf::GeoPoint => {
            plan.sql.push_str(" ORDER BY fb_distance(body), key");
            plan.distance = Some((path.clone(), *near));
        }
        // Several points per object, or untyped ones: rare, and slower.
        Order::Distance(..) => {
            plan.sql.push_str(" ORDER BY body COLLATE fb_order, key");
            plan.whole = Some(Arc::new(order.clone()));
        }
        Order::By(sort_keys) => {
            plan.sql.push_str(" ORDER BY ");
            for key in sort_keys {
                let mut is_key = false;
                match place_of_path(&key.path) {
                    // The engine does not see by itself that nothing is left to sort.
                    Some(Place::Scalar { .. }) if is_fixed(filter, &key.path) => continue,
                    Some(Place::Scalar { expr, kind }) => {
                        is_key = kind == Kind::Key;
                        plan.sql.push_str(&expr);
                    }
                    Some(Place::Elements { .. } | Place::Point { .. } | Place::Other { .. }) | None => {
                        plan.sql.push_str(&format!("fb_sort_key({},body)", plan.keys.len()));
                        plan.keys.push(key.clone());
                    }
                }
                // Null and missing values come first, in descending order last: that is the engine's order too.
                if key.descending {
                    plan.sql.push_str(" DESC");
                }
                if is_key {
                    return plan;
                }
                plan.sql.push_str(", ");
            }
            plan.sql.push_str("key");
        }
    }
    plan
}
