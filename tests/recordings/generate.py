# SPDX-License-Identifier: Apache-2.0
"""Writes sample.ndjson, GatewayLogs as Azure API Management exports them, and sample.expected.json, what a replay of it
against sample-policy.yaml must come to.

It shares no code with the project: which trace goes on, which request is refused and what a log can't tell are decided
here by how each exchange is made up, never by reading it back. Same seed, same bytes:

    python3 generate.py [--seed 7] [--exchanges 2400] [--check]
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).parent
HOST = "api.contoso.example"
# What is told of a request's maker.
VERSION = re.search(r'^version = "(.*)"', (HERE / "../../Cargo.toml").read_text(), re.MULTILINE).group(1)
START = datetime.datetime(2026, 10, 5, 6, 0, 0)
HOURS = 4

# API: path templates by method, share of the traffic, backend
APIS = {
    "orders-v1": (["GET /orders/{n}", "GET /orders", "POST /orders", "PATCH /orders/{n}"], 34, "orders.internal.example"),
    "customers-v2": (["GET /customers/{n}", "PUT /customers/{n}", "GET /customers/{n}/addresses"], 24, "crm.internal.example"),
    "files": (["GET /files/{n}", "PUT /files/{n}", "DELETE /files/{n}", "GET /files/{n}/versions/{n}"], 20, "blobs.internal.example"),
    "payments": (["POST /payments", "GET /payments/{n}"], 14, "pay.internal.example"),
    "weather": (["GET /weather/current/{city}", "GET /weather/forecast/{city}?days={n}"], 8, "weather.internal.example"),
}
CITIES = ["Valparaiso", "Utrecht", "S%C3%A3o%20Paulo", "Oslo", "Nairobi"]

# How an exchange ends: share, response code, backend code, (source, reason, section, message) and what a replay can say.
# `undecidable` is None where the log tells; `refused` is whether sample-policy.yaml refuses too.
ENDINGS = [
    (780, 200, 200, None, None),
    (45, 404, 404, None, None),
    (12, 500, 500, None, None),
    (10, 503, 503, None, None),
    (24, 401, None, ("authorization", "SubscriptionKeyNotFound", "inbound", "Access denied due to missing subscription key. Make sure to include subscription key when making requests to this API."), "token_not_logged"),
    (16, 401, None, ("authorization", "SubscriptionKeyInvalid", "inbound", "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."), "token_not_logged"),
    (22, 401, None, ("validate-jwt", "TokenExpired", "inbound", "IDX10223: Lifetime validation failed. The token is expired. Access denied."), "token_not_logged"),
    (8, 403, None, ("validate-jwt", "TokenClaimValueNotAllowed", "inbound", "Claim roles value of Orders.Reader is not allowed. Access denied."), "token_not_logged"),
    (7, 403, None, ("check-header", "HeaderNotFound", "inbound", "Header x-client-version was not found in the request. Access denied."), "header_not_logged"),
    (6, 403, None, ("quota", "QuotaExceeded", "inbound", "Out of call volume quota. Quota will be replenished in 03:14:17."), "incomplete_log"),
    (30, 429, None, ("rate-limit-by-key", "RateLimitExceeded", "inbound", "Rate limit is exceeded. Try again in 17 seconds."), "incomplete_log"),
    (8, 500, None, ("forward-request", "BackendConnectionFailure", "backend", "A connection attempt failed because the connected party did not properly respond after a period of time."), "backend_unknown"),
    (5, 500, None, ("forward-request", "Timeout", "backend", "The operation has timed out."), "backend_unknown"),
    (12, 200, None, None, "backend_unknown"),
]
# Paths that no API has: API Management and the policy both refuse them.
UNKNOWN = ["GET /admin/console", "POST /orders-internal", "GET /.env", "GET /wp-login.php", "GET /filesystem"]
UNKNOWN_SHARE = 2

# What callers send as trace context: share, whether their trace may go on, and how it is made up.
TRACES = [
    (34, False, "missing"),
    (44, True, "good"),
    (6, True, "good, later version"),
    (3, False, "upper case"),
    (2, False, "too short"),
    (2, False, "zero trace-id"),
    (1, False, "zero parent-id"),
    (1, False, "version ff"),
    (1, False, "two lines"),
    (1, False, "not hexadecimal"),
    (5, True, "spoofed"),
]

# The sample policy's trust rules: the last address of each, what becomes of valid context, and the principal.
PRINCIPALS = [(127, "continued", "own-services"), (191, "linked", "partners"), (255, "restarted", "internet")]

# Settings for sampling of which the outcome is known: whether all is recorded that no caller decides about, or nothing.
SETTINGS = {"probability_1": True, "probability_0": False}
REASONS = ["by_parent", "by_probability", "refused", "errors"]


def field(number, content):
    """A protobuf field: text or bytes with their length, or a small number."""
    if isinstance(content, int):
        return bytes([number << 3]) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def attribute(key, value):
    return field(1, key) + field(2, field(3 if isinstance(value, int) else 1, value))


def span(method, path, status, backend_time, api, fate, draws):
    """A server span of OTLP, as the README says what is told in one, among those of a batch; only its length matters."""
    fixed = lambda number, size: varint(number << 3 | (1 if size == 8 else 5)) + bytes(size)
    attributes = {
        "http.request.method": method,
        "url.path": path.split("?")[0],
        "url.scheme": "https",
        "http.response.status_code": status,
        "server.address": HOST,
        "server.port": 443,
        "tracegate.decision": "refused" if api is None else "admitted",
    }
    name = method
    if api is None:
        attributes["tracegate.reason"] = "OperationNotFound"
    else:
        template = "/" + api.split("-")[0] + "/*"
        attributes.update({"http.route": template, "tracegate.route": api, "tracegate.backend_us": backend_time * 1000})
        name += " " + template
    content = field(1, bytes(16)) + field(2, bytes(8)) + field(5, name) + field(6, 2) + fixed(7, 8) + fixed(8, 8) + fixed(16, 4)
    if draws:
        content += field(3, "ot=th:0")
    if fate == "continued":
        content += field(4, bytes(8))
    if fate == "linked":
        content += field(13, field(1, bytes(16)) + field(2, bytes(8)) + fixed(6, 4))
    if status >= 500:
        attributes["error.type"] = str(status)
        content += field(15, field(3, 2))
    for key, value in attributes.items():
        content += field(9, attribute(key, value))
    return field(2, content)


def request(spans):
    """A request with these spans, of the sample policy's resource."""
    resource = {
        "service.name": "contoso-edge",
        "service.namespace": "contoso",
        "service.instance.id": "-" * 36,
        "telemetry.sdk.name": "tracegate",
        "telemetry.sdk.language": "rust",
        "telemetry.sdk.version": VERSION,
        "tracegate.policy.fingerprint": "-" * 16,
        "deployment.environment.name": "production",
    }
    attributes = b"".join(field(1, attribute(key, value)) for key, value in resource.items())
    scope = field(1, field(1, "tracegate") + field(2, VERSION))
    return field(1, field(1, attributes) + field(2, scope + b"".join(spans)))


def gathered(spans):
    """The bytes of all requests, where a batch waits for five seconds at most; it is never full."""
    batches = []
    for time, content in sorted(spans):
        if not batches or time - batches[-1][0] >= datetime.timedelta(seconds=5):
            batches.append((time, []))
        batches[-1][1].append(content)
    return sum(len(request(batch)) for _, batch in batches)


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.expected = {
            name: collections.Counter()
            for name in [*APIS, HOST]
        }
        self.undecidable = collections.Counter()
        self.principals = {name: collections.Counter() for _, _, name in PRINCIPALS}
        self.sent = []
        # What is recorded whatever is drawn: at probability 1, and at 0.
        self.sampling = {setting: collections.Counter() for setting in SETTINGS}
        self.spans = {setting: [] for setting in SETTINGS}
        self.stolen = f"00-{self.hex(32)}-{self.hex(16)}-01"

    def below(self, limit):
        return int(self.random.random() * limit)

    def pick(self, weighted):
        at = self.random.random() * sum(weight for weight, *_ in weighted)
        for weight, *rest in weighted:
            at -= weight
            if at < 0:
                return rest
        return weighted[-1][1:]

    def hex(self, digits):
        text = f"{self.random.getrandbits(4 * digits):0{digits}x}"
        return text if text.strip("0") else self.hex(digits)

    def guid(self):
        text = self.hex(32)
        return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])

    def trace_headers(self):
        """Header values by name, and whether the trace may go on."""
        goes_on, kind = self.pick(TRACES)
        good = f"00-{self.hex(32)}-{self.hex(16)}-0{self.below(4)}"
        trace_id, parent_id = good[3:35], good[36:52]
        parent = {
            "missing": None,
            "good": good,
            "good, later version": "01" + good[2:] + "-" + self.hex(4),
            "upper case": f"00-{'A' + trace_id[1:].upper()}-{parent_id}-01",
            "too short": good[: 20 + self.below(34)],
            "zero trace-id": f"00-{'0' * 32}-{parent_id}-01",
            "zero parent-id": f"00-{trace_id}-{'0' * 16}-01",
            "version ff": "ff" + good[2:],
            "two lines": [good, f"00-{self.hex(32)}-{self.hex(16)}-01"],
            "not hexadecimal": f"00-{trace_id[:-1]}g-{parent_id}-01",
            # Another caller's ids, sent again from elsewhere: valid in form, so form alone can't stop it.
            "spoofed": self.stolen,
        }[kind]
        headers = {} if parent is None else {"traceparent": parent}
        if parent is not None and self.random.random() < 0.4:
            headers["tracestate"] = f"rojo={self.hex(16)},congo=t{self.below(10**6)}"
        elif parent is None and self.random.random() < 0.05:
            headers["tracestate"] = "orphan=1"
        return headers, goes_on

    def path(self, template):
        while "{n}" in template:
            template = template.replace("{n}", str(1000 + self.below(9000)), 1)
        return template.replace("{city}", CITIES[self.below(len(CITIES))])

    def exchange(self, time):
        headers, valid = self.trace_headers()
        source = 1 + self.below(250)
        goes_on = self.settle(source, valid)
        self.sent.append((time, source, headers.get("traceparent"), valid))
        record = {
            "Level": 4,
            "time": "",
            "operationName": "Microsoft.ApiManagement/GatewayLogs",
            "category": "GatewayLogs",
            "durationMs": 0,
            "callerIpAddress": f"203.0.113.{source}",
            "correlationId": self.guid(),
            "location": "West Europe",
            "properties": {},
            "resourceId": "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/CONTOSO",
        }
        if self.random.random() * 100 < UNKNOWN_SHARE:
            method, path = UNKNOWN[self.below(len(UNKNOWN))].split()
            self.count(HOST, refused=True, goes_on=goes_on, undecidable=None)
            self.sample(time, source, headers, valid, method, path, 404, 0, None)
            overhead = 1 + self.below(3)
            properties = {
                "method": method,
                "url": f"https://{HOST}{path}",
                "responseCode": 404,
                "responseSize": 112,
                "cache": "none",
                "requestSize": 200 + self.below(300),
                "clientProtocol": "HTTP/1.1",
                "clientTlsVersion": "1.2",
                "lastError": {"elapsed": 0, "source": "configuration", "scope": "", "section": "backend", "reason": "OperationNotFound", "message": "Unable to match incoming request to an operation."},
            }
            duration, successful = overhead, False
        else:
            api = self.pick([(share, name) for name, (_, share, _) in APIS.items()])[0]
            templates, _, backend = APIS[api]
            template = templates[self.below(len(templates))]
            method, path = self.path(template).split()
            code, backend_code, error, undecidable = self.pick(ENDINGS)
            if backend_code == 200:
                code = backend_code = {"POST": 201, "DELETE": 204}.get(method, 200)
            self.count(api, refused=False, goes_on=goes_on, undecidable=undecidable)
            overhead = 1 + self.below(4)
            backend_time = 0 if backend_code is None else 8 + int(self.random.expovariate(1 / 60))
            duration, successful = overhead + backend_time, code < 400
            operation = template.split("?")[0].replace("/", "-").replace(" ", "").replace("{", "").replace("}", "").lower()
            self.sample(time, source, headers, valid, method, path, 200 if backend_code is None else backend_code, backend_time, api)
            url = path
            if error is None and self.random.random() < 0.03:
                url += ("&" if "?" in path else "?") + f"subscription-key={self.hex(32)}"
            properties = {
                "method": method,
                "url": f"https://{HOST}{url}",
                "backendResponseCode": backend_code,
                "responseCode": code,
                "responseSize": 120 + self.below(4000),
                "cache": "hit" if error is None and backend_code is None else "none",
                "backendTime": backend_time,
                "requestSize": 200 + self.below(900),
                "apiId": api,
                "operationId": operation,
                "apimSubscriptionId": f"sub-{self.below(12):02d}",
                "clientProtocol": "HTTP/1.1",
                "backendProtocol": "HTTP/1.1",
                "apiRevision": "1",
                "clientTlsVersion": "1.3",
                "backendMethod": method,
                "backendUrl": f"https://{backend}{path}",
            }
            if backend_code is None:
                for absent in ["backendMethod", "backendUrl", "backendProtocol"]:
                    del properties[absent]
            if error is not None:
                source, reason, section, message = error
                properties["lastError"] = {"elapsed": overhead, "source": source, "scope": "api", "section": section, "reason": reason, "message": message}
        if headers:
            properties["requestHeaders"] = headers
        record["time"] = time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond:06d}{self.below(10)}Z"
        record["durationMs"] = duration
        record["isRequestSuccess"] = successful
        record["properties"] = properties
        return record

    def settle(self, source, valid):
        """Whether the trace goes on, as the sample's policy trusts callers by their addresses."""
        principal, fate = next((name, fate) for last, fate, name in PRINCIPALS if source <= last)
        self.principals[principal][fate if valid else "restarted"] += 1
        return valid and fate == "continued"

    def sample(self, time, source, headers, valid, method, path, status, backend_time, api):
        """Counts the span that is recorded at probability 1, and at 0. Only own services' valid context says whether one is."""
        fate = next(fate for last, fate, _ in PRINCIPALS if source <= last) if valid else None
        sampled = bool(int(headers["traceparent"][53:55], 16) & 1) if fate == "continued" else None
        for setting, draws in SETTINGS.items():
            if sampled:
                reason = "by_parent"
            elif api is None:
                reason = "refused"
            elif sampled is None and draws:
                reason = "by_probability"
            elif status >= 500:
                reason = "errors"
            else:
                continue
            self.sampling[setting][reason] += 1
            content = span(method, path, status, backend_time, api, fate, reason == "by_probability")
            self.spans[setting].append((time, content))

    def signs(self):
        """Signs of spoofed context: what is no valid carrier, and pairs that another address sent a minute ago or less."""
        counts = collections.Counter()
        seen = {}
        for time, source, parent, valid in sorted(self.sent, key=lambda sent: sent[0]):
            if parent is not None and not valid:
                counts["malformed_carrier"] += 1
            if valid:
                last = seen.get(parent[3:52])
                counts["foreign_pair"] += last is not None and last[1] != source and time - last[0] <= datetime.timedelta(minutes=1)
                seen[parent[3:52]] = time, source
        return dict(sorted(counts.items()))

    def count(self, api, refused, goes_on, undecidable):
        row = self.expected[api]
        row["exchanges"] += 1
        row["refused"] += refused
        row["continued"] += goes_on and not refused
        row["restarted"] += not goes_on and not refused
        row["agreed"] += undecidable is None
        row["undecidable"] += undecidable is not None
        if undecidable:
            self.undecidable[undecidable] += 1

    def recording(self, exchanges):
        step = HOURS * 3600 / exchanges
        times = [START + datetime.timedelta(seconds=index * step + self.random.random() * step) for index in range(exchanges)]
        records = [self.exchange(time) for time in times]
        # Exports are batched: records of half a minute stand in any order.
        batches = [records[at : at + 20] for at in range(0, len(records), 20)]
        for batch in batches:
            batch.sort(key=lambda _: self.random.random())
        return [record for batch in batches for record in batch]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--exchanges", type=int, default=2400)
    parser.add_argument("--check", action="store_true", help="compare with the files, write nothing")
    arguments = parser.parse_args()
    generator = Generator(arguments.seed)
    lines = [json.dumps(record, separators=(",", ":")) for record in generator.recording(arguments.exchanges)]
    names = ["exchanges", "continued", "restarted", "refused", "agreed", "undecidable"]
    expected = {
        "by_api": {api: {name: row[name] for name in names} for api, row in sorted(generator.expected.items())},
        "undecidable": dict(sorted(generator.undecidable.items())),
        "by_principal": {name: {fate: row[fate] for fate in ["continued", "linked", "restarted"]} for name, row in generator.principals.items()},
        "signs": generator.signs(),
        "sampling": {
            setting: {name: row[name] for name in REASONS} | {"bytes": gathered(generator.spans[setting])}
            for setting, row in generator.sampling.items()
        },
    }
    written = {"sample.ndjson": "\n".join(lines) + "\n", "sample.expected.json": json.dumps(expected, indent=2) + "\n"}
    for name, text in written.items():
        path = HERE / name
        if not arguments.check:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is not what this generator writes")


if __name__ == "__main__":
    main()
