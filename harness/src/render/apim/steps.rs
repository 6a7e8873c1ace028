// SPDX-License-Identifier: Apache-2.0
//! What to do, in order.

use tracegate::Policy;
use tracegate::condition::Condition;
use tracegate::trace::Treatment;

/// The page with the steps.
pub(super) fn steps(policy: &Policy) -> String {
    let mut text = format!(
        "# API Management in front of {}\n\nFor policy {} and tracegate {}. Calls come through API Management to the edge, and from there to services:\n\n{FLOW}\n",
        policy.service.name.escape_debug(),
        policy.fingerprint,
        tracegate::VERSION
    );
    text += BEGIN;
    text += if policy.listener.trusted_hops == 0 { NO_HOPS } else { HOPS };
    if believes_whom_it_meets(policy) {
        text += TRUST;
    }
    text += LOGGERS;
    text += PASS_ON;
    if policy.listener.verifies_clients {
        text += CERTIFICATE;
    }
    text += FRAGMENT;
    text += COLLECTOR;
    text += REPLAY;
    text
}

/// Whether a trace goes on for somebody who hasn't proven who it is that calls: whoever delivers it is API Management, for everybody behind it.
fn believes_whom_it_meets(policy: &Policy) -> bool {
    let rules = policy.trace.trust.rules();
    let mut believed = rules.iter().filter(|rule| rule.context == Treatment::Continue);
    rules.is_empty() || believed.any(|rule| !rule.when.as_ref().is_some_and(asks_for_proof))
}

/// Whether a condition holds for those alone who have proven who they are, or come from a gateway of one's own.
fn asks_for_proof(condition: &Condition) -> bool {
    match condition {
        Condition::All(conditions) => conditions.iter().any(asks_for_proof),
        Condition::Any(conditions) => conditions.iter().all(asks_for_proof),
        Condition::Caller(_) | Condition::SignedHop => true,
        _ => false,
    }
}

const FLOW: &str = "    client -> API Management -> Envoy with tracegate -> services
                    |                                     |
               GatewayLogs                             spans -> collector -> Lightstep\n";

const BEGIN: &str = "
## 1. Before anything else

`SUBSCRIPTION`, `GROUP` and `SERVICE` are those of API Management, `STORAGE_ID` the resource id of a storage account for its logs, `INSIGHTS_ID` and
`INSIGHTS_KEY` the resource id and instrumentation key of an Application Insights.

```sh
APIM_ID=/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP/providers/Microsoft.ApiManagement/service/$SERVICE
BASE=https://management.azure.com$APIM_ID
VERSION=api-version=2024-05-01
az rest --method get --url \"$BASE/diagnostics?$VERSION\" > diagnostics.before.json   # a PUT replaces what is there
```
";

const NO_HOPS: &str = "
The policy says `listener: {trusted_hops: 0}`: every call then comes from API Management's address. API Management writes the caller's to
`X-Forwarded-For`; with `trusted_hops: 1` (and nothing that reaches the edge past it) `source` is the caller's again.
";

const HOPS: &str = "
The policy believes what the proxies before the edge write to `X-Forwarded-For` (`listener.trusted_hops`): see to it that nothing reaches the edge
past them, by the network or by the client certificate that the listener asks for. Whoever could would choose its own address.
";

const TRUST: &str = "
**Whom the edge believes.** API Management goes on in any caller's trace. A trust rule that lets a trace go on for its address, its certificate or for
everybody does so for all its callers, and so does one that asks for nothing that only a caller could prove: spoofed ids come through. Tell callers apart by `caller` or `claim`, or let such a
rule say `link` or `restart`.
";

const LOGGERS: &str = "
## 2. Log what a replay compares, and let API Management write `traceparent`

`azuremonitor.json` logs to GatewayLogs the headers that carry trace context and those that the policy's conditions ask for, on the way in and on
the way to the edge, never a body or a credential. `applicationinsights.json` does the same and says `httpCorrelationProtocol: W3C`, which
only that diagnostic knows: with it API Management goes on in a caller's trace, or begins one.

```sh
echo '{\"properties\": {\"loggerType\": \"azureMonitor\", \"isBuffered\": true}}' > logger.json
az rest --method put --url \"$BASE/loggers/azuremonitor?$VERSION\" --body @logger.json
echo '{\"properties\": {\"loggerType\": \"applicationInsights\", \"resourceId\": \"'$INSIGHTS_ID'\",
  \"credentials\": {\"instrumentationKey\": \"'$INSIGHTS_KEY'\"}}}' > insights.json
az rest --method put --url \"$BASE/loggers/applicationinsights?$VERSION\" --body @insights.json
az rest --method put --url \"$BASE/diagnostics/azuremonitor?$VERSION\" --body @azuremonitor.json
az rest --method put --url \"$BASE/diagnostics/applicationinsights?$VERSION\" --body @applicationinsights.json
az monitor diagnostic-settings create --name tracegate --resource \"$APIM_ID\" --storage-account \"$STORAGE_ID\" \\
  --logs '[{\"category\": \"GatewayLogs\", \"enabled\": true}]'
```

Where a diagnostic is there already, its PUT also takes `--headers 'If-Match=*'`. A diagnostic of a single API takes the place of these for that API. An entry of more than 32 KB is cut, and dropped where that isn't enough.
Sampling below 100 % leaves out calls, and with them what a replay says of counts.
";

const PASS_ON: &str = "
## 3. Pass on what belongs to a call
";

const FRAGMENT: &str = "
`fragment.json` holds `fragment.xml` for the request:

```sh
az rest --method put --url \"$BASE/policyFragments/tracegate?$VERSION\" --body @fragment.json
az rest --method get --url \"$BASE/policyFragments/tracegate?$VERSION\" --query properties.provisioningState   # until Succeeded
```

Then include it at the end of `inbound`, behind everything that changes headers, in the policy that is there, and send calls to the edge:

```xml
<inbound>
  <base />
  …
  <set-backend-service base-url=\"https://EDGE\" />
  <include-fragment fragment-id=\"tracegate\" />
</inbound>
```
";

const CERTIFICATE: &str = "
The edge's listener verifies client certificates: give API Management one by the authority that the listener trusts, under the id that the fragment
names.

```sh
echo '{\"properties\": {\"keyVault\": {\"secretIdentifier\": \"https://VAULT.vault.azure.net/secrets/tracegate-edge\"}}}' > certificate.json
az rest --method put --url \"$BASE/certificates/tracegate-edge?$VERSION\" --body @certificate.json
```
";

const COLLECTOR: &str = "
## 4. Register the collector

`collector.yaml` takes OTLP over HTTP on port 4318 and sends it on.

```sh
export OTLP_ENDPOINT=https://ingest.lightstep.com LIGHTSTEP_ACCESS_TOKEN=…
otelcol-contrib --config collector.yaml
```

This version of the module passes trace context on and exports no spans of its own yet: a trace holds what services export, and the edge's
span as their parent's id.
";

const REPLAY: &str = "
## 5. See that it works

```sh
cargo harness replay logs/ --policy POLICY   # what the edge would have decided, beside what was
```

`replay` tells by API, operation and header where a trace header that arrived didn't go on, which is what the logged headers are for. A refusal
by the edge is in the log too: `tracegate-reason` among `backendResponseHeaders`. `cargo harness probe` tries the same with requests of its own; it
speaks plain http, and what it goes through has to end at something that echoes headers.
";
