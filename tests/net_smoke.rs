//! The smallest scenarios of the laboratory on real sockets and files: the same servers, booted by the same functions, as hosts of
//! one process on this machine.

mod record;
mod smoke;
