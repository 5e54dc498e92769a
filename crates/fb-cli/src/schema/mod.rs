//! Class definitions in files, compared with those of an app.

mod local;
mod plan;

pub(crate) use local::{LocalClass, file_name, is_pulled, read};
pub(crate) use plan::{SchemaPlan, plan};

#[cfg(test)]
mod tests;
