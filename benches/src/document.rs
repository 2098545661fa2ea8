//! What a run found, as `--json` prints it, and all that one must know to find it again.
//!
//! One schema for all levels: what was not measured is null. Within a schema's number fields may be added; a field that goes, or
//! means something else, makes it another number. Each field is documented where it is declared: here, in [`Machine`],
//! [`lookup::Report`], [`program::Report`] and [`device::report::Report`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{device, lookup, machine::Machine, program};

/// The number of this schema.
pub const SCHEMA: u32 = 2;

/// All that a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`]. Before there were numbers, there was the report of one level without what is around it.
    pub schema: u32,
    /// The command line.
    pub command: Vec<String>,
    /// Whether only the first questions were asked.
    pub quick: bool,
    /// Whether it ended before all was measured, by Ctrl-C or because something failed: then of each level there is what was done
    /// until then.
    #[serde(default)]
    pub interrupted: bool,
    /// The version of this program.
    pub version: String,
    /// When it began, in UTC (RFC 3339).
    pub date: String,
    /// The version of the built-in GeoIP data.
    pub data: Option<String>,
    /// The checksum of what that was made from, with its algorithm: `sha512-…`.
    #[serde(default)]
    pub data_checksum: Option<String>,
    /// By the table, what its prefixes of IPv4 are known again by: SHA-256 of a line for each.
    pub policies: BTreeMap<String, String>,
    /// What it ran on.
    pub machine: Machine,
    /// The versions of other people's commands, by their names; those that are not installed are left out.
    pub tools: BTreeMap<String, String>,
    /// What a lookup costs.
    pub lookup: Option<lookup::Report>,
    /// What a packet costs in the program.
    pub program: Option<program::Report>,
    /// What a packet costs in a device.
    pub device: Option<device::report::Report>,
}

/// A document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON of a run.
    #[error("it is not what `geodrop-bench --json` prints: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another schema.
    #[error(
        "it has schema {found}, and this program reads schema {SCHEMA}; read it with the version that made it, or measure again"
    )]
    Schema {
        /// The schema's number.
        found: u32,
    },
}

/// One in which nothing was measured.
impl Default for Document {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            command: Vec::new(),
            quick: false,
            interrupted: false,
            version: String::new(),
            date: String::new(),
            data: None,
            data_checksum: None,
            policies: BTreeMap::new(),
            machine: Machine::default(),
            tools: BTreeMap::new(),
            lookup: None,
            program: None,
            device: None,
        }
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// When it is none, or of another schema.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Any {
            #[serde(default = "first")]
            schema: u32,
        }
        const fn first() -> u32 {
            1
        }
        let Any { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(DocumentError::Schema { found: schema });
        }
        Ok(serde_json::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = serde_json::to_string(&Document::default()).unwrap();
        let read = Document::parse(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn other_schemas_are_refused_by_number() {
        let text = serde_json::to_string(&Document {
            schema: SCHEMA + 1,
            ..Document::default()
        });
        let error = Document::parse(&text.unwrap()).unwrap_err().to_string();
        assert!(error.contains("schema 3"), "{error}");
        let error = Document::parse(r#"{"rows": []}"#).unwrap_err().to_string();
        assert!(error.contains("schema 1"), "{error}");
        let error = Document::parse("no").unwrap_err().to_string();
        assert!(error.contains("--json"), "{error}");
    }
}
