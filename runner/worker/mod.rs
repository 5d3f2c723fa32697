//! The worker process: everything that touches a guest's code or values.

pub mod value;
