//! Files of a folder, compared with those of a bucket, and uploaded.

mod plan;
mod upload;

pub(crate) use plan::{FilePlan, plan};
pub(crate) use upload::{Failure, apply};
