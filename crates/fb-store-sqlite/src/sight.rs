//! Reads for callers who may not read everything, at a cost that follows from what they can see rather than from the
//! size of the class.
//!
//! There are two ways to read. The *broad* one is that of unrestricted callers, with the rules as one more condition on
//! each object: best if most objects pass. The *narrow* one begins with the objects that the rules name the caller for
//! (see [`crate::rules`]). Both have the same result, down to the order where the query gives one, so that the choice
//! is a matter of time only:
//!
//! - A caller who can see few objects reads narrowly. Their number is part of the statement, so that the engine itself
//!   prefers an index that leaves fewer. What the engine does not weigh is a small limit: if so many objects can be
//!   seen that the broad way probably meets enough of them soon, it gets as much time as the narrow way would take.
//!   And if there is another condition, the broad way gets a moment before anything else is done.
//! - A caller who can see many reads broadly, and if that takes long and these many are yet a small part of the class,
//!   both ways are tried in turn with growing budgets: the cost is a small multiple of the better one's.

use fb_auth::Principal;
use fb_types::PRINCIPAL_EVERYBODY;
use rusqlite::types::Value as Sql;
use rusqlite::{params, params_from_iter};

use crate::reader::{Reader, Shape};

/// What a read wants of the objects that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All, to be counted.
    All,
    /// The first so many in an order in which no two are equal.
    First(u64),
    /// Any so many: the two ways would come upon others.
    Any,
}

/// A statement and its values.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) sql: String,
    pub(crate) params: Vec<Sql>,
}

/// How the command of a restricted read is made narrow.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// Number of the class's table.
    pub(crate) table: i64,
    pub(crate) principal: Principal,
    /// Where in the text of the broad command further conditions go, and how many values come before.
    pub(crate) at: usize,
    pub(crate) n_params: usize,
    pub(crate) wanted: Wanted,
    /// True if the read has a condition of its own, which an index may serve.
    pub(crate) filtered: bool,
    /// Most objects that are few.
    pub(crate) few: usize,
}

/// Lengths of the lists in narrow commands, which are filled up: each length is a statement of its own to be prepared.
const LENGTHS: [usize; 5] = [8, 32, 128, 512, 2048];
/// Longest list; a statement can have 32,766 values.
pub(crate) const MAX_FEW: usize = 2048;
/// So few that no other way is worth a thought.
const VERY_FEW: usize = 64;
/// Sizes of crowds that are remembered: more than very few, more than few.
const SOME: u8 = 0;
const MANY: u8 = 1;
// Budgets are in the engine's instructions, not in time, so that the choice does not depend on what else the box does.
// One takes 20 to 40 ns.
/// What the broad way gets before anything else, for callers who can see more than very few.
const BRIEF: u64 = 1_500;
/// What reading one object that is known takes: a lookup, its rules, its sort key, its place in the order.
const EACH: u64 = 40;
/// First budget of a way of reading that may not be the better one, and its growth from turn to turn.
const BUDGET: u64 = 250_000;
const GROWTH: u64 = 4;
/// Beyond this the broad way is left alone to finish.
const MAX_BUDGET: u64 = 40_000_000;
/// The narrow way is worth trying for at most this part of a class.
const PART: i64 = 4;

impl Sight {
    /// Runs `execute` with one of the commands that have the result of `broad`.
    pub(crate) fn read<T>(
        &self,
        reader: &Reader,
        broad: &Command,
        execute: impl Fn(&Command) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // A good index for the condition is quicker than to find out what can be seen.
        let is_worth_a_try = self.filtered && self.wanted != Wanted::Any;
        if is_worth_a_try
            && reader.crowds.has(self.crowd(SOME, self.principal.ids()))
            && let Some(result) = reader.attempt(BRIEF, || execute(broad))?
        {
            return Ok(result);
        }
        let crowds = [self.crowd(MANY, &[]), self.crowd(MANY, self.principal.ids())];
        if !crowds.iter().any(|crowd| reader.crowds.has(*crowd)) {
            // Between the two statements nothing may change, or the result would be that of no state at all.
            let few = reader.snapshot(|| match self.rids(reader, crowds)? {
                Some(rids) => self.read_few(reader, &rids, broad, &execute).map(Some),
                None => Ok(None),
            })?;
            if let Some(result) = few {
                return Ok(result);
            }
        }
        self.read_many(reader, broad, execute)
    }

    fn read_few<T>(
        &self,
        reader: &Reader,
        rids: &[i64],
        broad: &Command,
        execute: impl Fn(&Command) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if let Wanted::First(n) = self.wanted
            && rids.len() > VERY_FEW
        {
            // If the visible ones are spread evenly, the broad way comes upon n of them among n/visible of all.
            let visible = rids.len() as u128;
            let is_likely = u128::from(n) * u128::from(self.size(reader)?.unsigned_abs()) < visible * visible;
            let budget = EACH * rids.len() as u64;
            if is_likely && let Some(result) = reader.attempt(budget, || execute(broad))? {
                return Ok(result);
            }
        }
        execute(&self.narrow(broad, rids))
    }

    fn read_many<T>(
        &self,
        reader: &Reader,
        broad: &Command,
        execute: impl Fn(&Command) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        match self.wanted {
            Wanted::Any => return execute(broad),
            Wanted::All if !self.filtered => {
                return if self.is_small_part(reader)? {
                    execute(&self.by_principal(broad))
                } else {
                    execute(broad)
                };
            }
            Wanted::All | Wanted::First(_) => {}
        }
        let mut budget = BUDGET;
        if let Some(result) = reader.attempt(budget, || execute(broad))? {
            return Ok(result);
        }
        if self.is_small_part(reader)? {
            let narrow = self.by_principal(broad);
            while budget < MAX_BUDGET {
                if let Some(result) = reader.attempt(budget, || execute(&narrow))? {
                    return Ok(result);
                }
                budget *= GROWTH;
                if let Some(result) = reader.attempt(budget, || execute(broad))? {
                    return Ok(result);
                }
            }
        }
        execute(broad)
    }

    /// The objects that the caller may be able to see, if they are few; some may be there twice.
    fn rids(&self, reader: &Reader, [everybody, own]: [Shape; 2]) -> rusqlite::Result<Option<Vec<i64>>> {
        let mut rids = Vec::new();
        let mut add = |crowd: Shape, principals: &[&str]| -> rusqlite::Result<bool> {
            let marks = marks(padded(principals.len()));
            let sql = format!("SELECT rid FROM r{} WHERE principal IN ({marks}) LIMIT ?", self.table);
            let mut statement = reader.conn.prepare_cached(&sql)?;
            let limit = Sql::Integer(i64::try_from(self.few + 1 - rids.len()).unwrap_or(i64::MAX));
            let names = fill_up(principals.iter().map(|name| Sql::Text((*name).to_owned())));
            let mut rows = statement.query(params_from_iter(names.chain([limit])))?;
            while let Some(row) = rows.next()? {
                rids.push(row.get(0)?);
            }
            let is_crowd = rids.len() > self.few;
            reader.crowds.note(crowd, is_crowd);
            Ok(is_crowd)
        };
        if self.principal.ids().len() > MAX_FEW {
            return Ok(None);
        }
        let ids: Vec<&str> = self.principal.ids().iter().map(String::as_str).collect();
        if add(everybody, &[PRINCIPAL_EVERYBODY])? || (!ids.is_empty() && add(own, &ids)?) {
            return Ok(None);
        }
        let some = self.crowd(SOME, self.principal.ids());
        reader.crowds.note(some, rids.len() > VERY_FEW);
        Ok(Some(rids))
    }

    fn narrow(&self, broad: &Command, rids: &[i64]) -> Command {
        let length = padded(rids.len());
        let condition = format!("rid IN ({}) AND ", marks(length));
        let rids = rids.iter().map(|rid| Sql::Integer(*rid));
        self.with(broad, &condition, fill_up(rids))
    }

    fn by_principal(&self, broad: &Command) -> Command {
        let condition = format!(
            "rid IN (SELECT rid FROM r{} WHERE principal IN (SELECT value FROM json_each(?))) AND ",
            self.table
        );
        self.with(broad, &condition, [Sql::Text(self.principals())].into_iter())
    }

    fn with(&self, broad: &Command, condition: &str, values: impl Iterator<Item = Sql>) -> Command {
        let mut sql = String::with_capacity(broad.sql.len() + condition.len());
        sql.push_str(&broad.sql[..self.at]);
        sql.push_str(condition);
        sql.push_str(&broad.sql[self.at..]);
        let mut params = broad.params[..self.n_params].to_vec();
        params.extend(values);
        params.extend_from_slice(&broad.params[self.n_params..]);
        Command { sql, params }
    }

    /// The principals the caller's objects are found under, as a JSON array.
    fn principals(&self) -> String {
        let ids = self.principal.ids().iter().map(String::as_str);
        serde_json::Value::from_iter(ids.chain([PRINCIPAL_EVERYBODY])).to_string()
    }

    /// Number of rows, at most; rows that were deleted count unless they were the last.
    fn size(&self, reader: &Reader) -> rusqlite::Result<i64> {
        let sql = format!("SELECT ifnull(max(rid), 0) FROM c{}", self.table);
        reader.conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))
    }

    fn is_small_part(&self, reader: &Reader) -> rusqlite::Result<bool> {
        let limit = self.size(reader)? / PART;
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM r{} WHERE principal IN (SELECT value FROM json_each(?1)) LIMIT ?2)",
            self.table
        );
        let mut statement = reader.conn.prepare_cached(&sql)?;
        let n: i64 = statement.query_row(params![self.principals(), limit + 1], |row| row.get(0))?;
        Ok(n <= limit)
    }

    fn crowd(&self, size: u8, ids: &[String]) -> Shape {
        Shape::of(&(size, self.table, ids))
    }
}

/// The length of the list that holds so many values.
fn padded(n: usize) -> usize {
    LENGTHS.into_iter().find(|length| n <= *length).unwrap_or(n)
}

fn marks(n: usize) -> String {
    let mut marks = "?,".repeat(n);
    marks.pop();
    marks
}

/// Fills a list up with a value that is neither a row number nor a principal.
fn fill_up(values: impl ExactSizeIterator<Item = Sql>) -> impl Iterator<Item = Sql> {
    let missing = padded(values.len()) - values.len();
    values.chain(std::iter::repeat_n(Sql::Integer(-1), missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_up() {
        for (n, length) in [(0, 8), (8, 8), (9, 32), (2048, 2048), (3000, 3000)] {
            let values = std::iter::repeat_n(Sql::Integer(7), n);
            let filled: Vec<_> = fill_up(values).collect();
            assert_eq!((filled.len(), padded(n)), (length, length));
            assert_eq!(marks(length).matches('?').count(), length);
            assert!(filled[n..].iter().all(|value| *value == Sql::Integer(-1)));
        }
    }
}
