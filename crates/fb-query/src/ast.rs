//! The typed form of filters and sort orders. Everything in it has been checked against a schema.

use fb_types::ClassName;
use serde_json::Value;

use crate::geo::{Near, Region};
use crate::pattern::Pattern;

/// A query on one class: which objects, in which order, which part of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The class whose objects are asked for. Objects of subclasses are not part of it.
    pub class: ClassName,
    /// Which objects.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// How many matching objects to skip.
    pub offset: u64,
    /// How many objects to return at most.
    pub limit: u64,
}

/// The order of results.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Whatever is cheapest; the same for the same data and query.
    Natural,
    /// By these keys, ties by `id` ascending. Never empty.
    By(Vec<SortKey>),
    /// By the distance of the geo point at the path from a point, nearest first, ties by `id` ascending.
    Distance(Path, Near),
}

/// One key of a sort order.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// The value sorted by.
    pub path: Path,
    /// True for descending order.
    pub descending: bool,
}

impl Query {
    /// Names of the top-level fields that filter and order look at, as often as they occur: whoever may learn the result
    /// learns something about these.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.filter.collect_fields(&mut fields);
        match &self.order {
            Order::Natural => {}
            Order::By(keys) => fields.extend(keys.iter().map(|key| key.path.field())),
            Order::Distance(path, _) => fields.push(path.field()),
        }
        fields
    }
}

/// A condition on one object. From the parser, every path that the caller wrote is in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All hold; of an empty list: always.
    And(Vec<Filter>),
    /// At least one holds; of an empty list: never.
    Or(Vec<Filter>),
    /// Does not hold.
    Not(Box<Filter>),
    /// The value at a path passes a test.
    Field(Path, Test),
}

impl Filter {
    /// The filter that every object passes.
    pub const ALL: Self = Self::And(Vec::new());

    /// Paths inside of `$elemMatch` are not followed: they start at the elements of a field that is collected.
    fn collect_fields<'a>(&'a self, fields: &mut Vec<&'a str>) {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().for_each(|f| f.collect_fields(fields)),
            Self::Not(filter) => filter.collect_fields(fields),
            Self::Field(path, _) => fields.push(path.field()),
        }
    }
}

/// Where in an object a value is, and what the schema says about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    pub(crate) steps: Box<[Box<str>]>,
    pub(crate) leaf: Leaf,
    pub(crate) direct: bool,
    pub(crate) metadata: bool,
}

impl Path {
    /// Member names (or list indexes) from the object's root, at least one.
    pub fn steps(&self) -> &[Box<str>] {
        &self.steps
    }

    /// The top-level field that the path begins with.
    pub fn field(&self) -> &str {
        self.steps.first().map_or("", |step| step)
    }

    /// What the schema says about the value.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// True if only declared single-valued fields lie on the way: the top-level field, then fields of embedded objects.
    /// Then every step is a plain identifier (`[A-Za-z_][A-Za-z0-9_]*`), no array is crossed, and the JSON at the path
    /// is missing, `null`, or of the leaf's type. The last field may be a list, set or map; its leaf says so. Latitude and
    /// longitude of a geo point count as fields.
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// True for `id`, `version`, `acl`, `createdAt` and `updatedAt`.
    pub fn is_metadata(&self) -> bool {
        self.metadata
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.steps.join("."))
    }
}

/// The declared type at the end of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// `true` or `false`
    Boolean,
    /// A number: Integer or Double
    Number,
    /// A text compared by its UTF-8 bytes: String, File, a reference, or the metadata field `id`
    Text,
    /// A moment, day or time of day; see [`comparison_form`]
    Time(TimeKind),
    /// A geo point
    GeoPoint,
    /// An object: JsonObject, embedded or Map
    Object,
    /// A List, Set (of the given element) or JsonArray (of `Any`)
    Array(Box<Leaf>),
    /// Anything, inside of untyped JSON
    Any,
}

/// Which kind of time a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeKind {
    /// `2024-11-20T22:16:00.12Z`
    DateTime,
    /// `2013-11-22`
    Date,
    /// `17:33:14.5Z`
    Time,
}

/// The text of a time value under which plain byte order is chronological order: the stored normal form without its
/// trailing `Z`. (With it, `…00.12Z` would sort before `…00.1Z`.) Operands for [`Leaf::Time`] paths hold this form.
pub fn comparison_form(stored: &str) -> &str {
    stored.strip_suffix('Z').unwrap_or(stored)
}

/// A value to compare with, already in the form that its path's leaf is compared in.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand(pub(crate) Value);

impl Operand {
    /// The JSON value; for [`Leaf::Time`] paths a string in [`comparison_form`], and an array of such strings if a whole
    /// array of times is meant. Inside of objects, times are as they are stored. A value of another type than the leaf's
    /// is kept as it came and equals nothing there.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// How two values of the same type class have to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `$lt`
    Less,
    /// `$lte`
    LessOrEqual,
    /// `$gt`
    Greater,
    /// `$gte`
    GreaterOrEqual,
}

/// A test of the value at a path. SPEC.md says exactly when each holds, also for arrays and missing values.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equality; `null` matches null and missing.
    Equal(Operand),
    /// Order within the operand's type class. From the parser the operand is never `null`.
    Compare(Comparison, Operand),
    /// Equality with one of them; never for an empty list. From the parser: sorted, without repetitions.
    In(Vec<Operand>),
    /// `Equal` holds for each of them; never for an empty list. On an array: it contains them all.
    ContainsAll(Vec<Operand>),
    /// The value is an array of exactly this length.
    Size(u64),
    /// The field is there. On direct paths: the object that declares it is; so always on paths of one step.
    Exists,
    /// Number modulo `divisor` is `remainder`, both truncated to integers, divisor not 0.
    Modulo {
        /// Divisor, not 0.
        divisor: i64,
        /// Remainder, with the sign of the dividend.
        remainder: i64,
    },
    /// Text matches an anchored, case-sensitive regular expression.
    Matches(Pattern),
    /// The value, or an element of it, has one of these types. Missing is `Null`.
    Type(Vec<TypeClass>),
    /// An element of the array passes all conditions, whose paths start at the element. The empty path tests the
    /// element itself.
    Element(Box<ElementFilter>),
    /// Geo point lies within a distance.
    Near(Near),
    /// Geo point lies within an area.
    Within(Region),
}

/// A condition on one array element.
#[derive(Debug, Clone, PartialEq)]
pub enum ElementFilter {
    /// The element itself passes all tests.
    Value(Vec<ElementTest>),
    /// The element is an object that passes a filter.
    Object(Filter),
}

/// A test of an array element itself, possibly negated.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementTest {
    /// True if the test must not hold.
    pub negated: bool,
    /// The test.
    pub test: Test,
}

/// Types of values that order and `$type` tell apart, in sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypeClass {
    /// missing or `null`
    Null,
    /// numbers
    Number,
    /// texts
    String,
    /// objects
    Object,
    /// arrays
    Array,
    /// `false` before `true`
    Boolean,
    /// values of DateTime, Date and Time fields
    Time,
}
