//! Files: lines of a file, or of the files in a folder.

use super::{
    ConnectorRules, Ends, OptionKind, OptionRules, Outside, SetMeans, SourceRules, TargetRules,
};
use crate::job::names;
use crate::limits;

/// Files.
pub const FILE: ConnectorRules = ConnectorRules {
    name: "file",
    doc: "Lines of a file, or of the files in a folder.",
    source: Some(SourceRules {
        target: TargetRules {
            what: "path",
            rule: names::path,
            outside: Some(Outside::Files),
            set: SetMeans::Target,
        },
        name: names::path,
        options: &[OptionRules {
            name: "follow",
            kind: OptionKind::Flag,
            default: "false",
            doc: "The file is read on as it grows, and the folder as files come; else the source ends at the end.",
        }],
        ends: Ends::Known,
        replayable: true,
        rereads: true,
        ahead_bytes: limits::FILES_OPEN_MAX
            * (limits::LINE_BYTES_MAX + 2 * limits::LINES_READ_BYTES),
    }),
    sink: None,
};
