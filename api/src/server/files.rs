//! The system's limit of open files, which every connection counts against.
//!
//! Many systems allow 1,024 unless asked for more. A process that has none left can open no corpus either, so that
//! the limit is raised before the start, and where that is not allowed fewer connections are taken.

/// Files that are kept free of connections: for the corpus, the index, models at endpoints and logs.
const BESIDES: u64 = 256;

/// As many of `connections` as there are files for.
pub(super) fn room(connections: usize) -> usize {
    let wanted = connections as u64 + BESIDES;
    let files = match rlimit::increase_nofile_limit(wanted) {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be read");
            return connections;
        }
    };
    let room = connections_within(files, connections);
    if room < connections {
        tracing::warn!(
            files,
            connections = room,
            "the system allows few open files: raise its limit (ulimit -n {wanted})"
        );
    }
    room
}

/// Where files are few, connections have half of them.
fn connections_within(files: u64, wanted: usize) -> usize {
    let most = files - BESIDES.min(files / 2);
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        for (files, wanted, expect) in
            [(1_280, 1_024, 1_024), (1_024, 1_024, 768), (256, 1_024, 128), (1, 8, 1), (0, 8, 1), (u64::MAX, 8, 8)]
        {
            assert_eq!(connections_within(files, wanted), expect, "{files} {wanted}");
        }
    }
}
