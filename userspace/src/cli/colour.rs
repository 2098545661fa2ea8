//! Whether to use colours.

/// Whether nobody has said that programs are to do without colours (no-color.org).
pub(super) fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
}
