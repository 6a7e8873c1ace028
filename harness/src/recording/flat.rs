// SPDX-License-Identifier: Apache-2.0
//! Records without nesting, from JSON or tables: which layout their fields make, and what it needs.

use super::fields::Fields;
use super::logged::{Logged, Names};
use super::{Place, Recorded, by_request, insights, row};
use crate::redact::Redactor;

/// Reads a record.
pub(super) fn read(fields: &Fields<'_>, place: Place, size: usize, redactor: &Redactor) -> Result<Recorded, String> {
    let (logged, names): (Logged, &Names) = match Layout::of(fields) {
        Layout::Row => (Logged { time: fields.text("TimeGenerated")?, ..row::logged(fields)? }, &row::NAMES),
        Layout::Insights => (insights::logged(fields)?, insights::names(fields)),
        Layout::ByRequest => (by_request::logged(fields)?, &by_request::NAMES),
    };
    logged.recorded(names, place, size, redactor)
}

/// The columns that a table must have, each by any of its names.
pub(super) fn required(fields: &Fields<'_>) -> &'static [&'static [&'static str]] {
    match Layout::of(fields) {
        Layout::Row => &[&["TimeGenerated"], &["Method"], &["Url"]],
        Layout::Insights => &[&["timestamp", "TimeGenerated"], &["url", "Url"], &["resultCode", "ResultCode"]],
        Layout::ByRequest => &[&["timestamp"], &["method"], &["url"]],
    }
}

enum Layout {
    /// A row of the table ApiManagementGatewayLogs.
    Row,
    /// A request of Application Insights.
    Insights,
    /// A report by request.
    ByRequest,
}

impl Layout {
    fn of(fields: &Fields<'_>) -> Self {
        let has = |names: &[&'static str]| names.iter().any(|name| fields.has(name));
        match () {
            () if has(&["customDimensions", "resultCode", "ResultCode"]) => Self::Insights,
            () if has(&["TimeGenerated", "Method", "Url"]) => Self::Row,
            () => Self::ByRequest,
        }
    }
}
