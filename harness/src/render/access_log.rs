// SPDX-License-Identifier: Apache-2.0
//! Envoy's access log, with what the policy has the module tell it.

use tracegate::access_log::AccessLogProperty;

use crate::yaml::Map;

/// A log of one JSON object a line on standard output.
pub(super) fn logger(properties: &[AccessLogProperty]) -> Map {
    let fields = FIELDS.into_iter().fold(Map::new(), |fields, (name, command)| fields.with(name, command));
    let told = |fields: Map, property: &AccessLogProperty| {
        let name = property.name();
        fields.with(name.trim_start_matches("tracegate."), format!("%FILTER_STATE(wasm.{name}:PLAIN)%"))
    };
    let format = Map::new().with("json_format", properties.iter().fold(fields, told));
    let config = Map::new().with("@type", "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog");
    let config = config.with("path", "/dev/stdout").with("log_format", format);
    Map::new().with("name", "envoy.access_loggers.file").with("typed_config", config)
}

/// What Envoy knows itself.
const FIELDS: [(&str, &str); 9] = [
    ("time", "%START_TIME%"),
    ("method", "%REQ(:METHOD)%"),
    ("status", "%RESPONSE_CODE%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("duration_ms", "%DURATION%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("upstream", "%UPSTREAM_HOST%"),
];

pub(super) const NOTE: &str = "\
No path and no header: they may hold what the policy keeps out of spans. The trace's id leads to what is told of them.";
