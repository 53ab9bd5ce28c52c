//! Every bound of this crate, with its unit and reason.

/// Characters of an account name: it is a directory name, a file name and a word people type.
pub const ACCOUNT_NAME_CHARS: usize = 32;

/// Bytes of a socket path: `sun_path` holds 104 on the smallest supported system, one of them the closing zero.
pub const SOCKET_PATH_BYTES: usize = 103;

/// Bytes of a configuration file. A real one has hundreds; more is the wrong file.
pub const CONFIG_FILE_BYTES: u64 = 1 << 20;
