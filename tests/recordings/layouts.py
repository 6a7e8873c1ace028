# SPDX-License-Identifier: Apache-2.0
"""Writes the same few exchanges in every layout to layouts/, and to layouts.expected.json what a replay of each file
against sample-policy.yaml must come to, exchange by exchange in time order.

It shares no code with the project: what a layout can't tell (a header, an error, the backend's answer) is decided here by
how the file is made, never by reading it back. Same bytes every time:

    python3 layouts.py [--check]
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
HOST = "api.contoso.example"
SECRET = "canary-7f3a9"
TRACE = "00-%032x-b7ad6b7169203331-01"
# In the order in which they happened: method, path, client's status, backend's, last error, header values by name.
EXCHANGES = [
    ("GET", "/orders/1001", 200, 200, None, {"traceparent": TRACE % 1, "Authorization": "Bearer " + SECRET}),
    ("POST", "/payments", 201, 201, None, {}),
    ("GET", f"/customers/2002?subscription-key={SECRET}&x=1", 404, 404, None, {"traceparent": [TRACE % 3, TRACE % 33]}),
    ("GET", "/admin/console", 404, None, ("configuration", "OperationNotFound", "Unable to match incoming request to an operation."), {"traceparent": TRACE % 4}),
    ("GET", "/orders", 401, None, ("authorization", "SubscriptionKeyNotFound", "Access denied due to missing \"subscription key\"."), {"traceparent": TRACE % 5}),
    ("GET", "/files/7", 200, None, None, {"x-note": "two\twords, and \"quotes\""}),
    ("PUT", "/files/8", 500, None, ("forward-request", "Timeout", "The operation\r\nhas timed out."), {"traceparent": TRACE % 7, "tracestate": "rojo=1"}),
    ("GET", "/weather/current/S%C3%A3o%20Paulo?days=3", 429, None, ("rate-limit-by-key", "RateLimitExceeded", "Rate limit is exceeded. Try again in 17 seconds."), {}),
]
# Where they stand in a file: exports are batched.
ORDER = [2, 0, 1, 4, 3, 7, 5, 6]
REFUSED = {3}
# Where each failed, as far as a log can tell that tells the backend's answers and errors; the backend's answers; neither.
FAILED = [None, None, "client", "client", "policy", None, "backend", "policy"]
FAILED_BY_ANSWER = [None, None, "client", "unknown", "unknown", None, "unknown", "unknown"]
FAILED_BY_STATUS = [None, None, "unknown", "unknown", "unknown", None, "unknown", "unknown"]
ADDRESS = "203.0.113.7"


def time(at):
    return f"2026-10-05T06:00:{at:02}.123456{at}Z"


def url(path):
    return f"https://{HOST}{path}"


def api(at):
    return None if at in REFUSED else EXCHANGES[at][1].split("/")[1].split("?")[0]


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def present(fields):
    return {name: value for name, value in fields.items() if value is not None}


def ndjson(records):
    return "".join(compact(record) + "\n" for record in records)


def expected(lines, told, failed, headers=True, entities=True, backend=True, ids=lambda at: [f"c-{at}"]):
    """`lines`: the line of each exchange; `told`: True where a decision is told, else the reason why not; `failed`: where.
    `entities`, `backend`: whether the layout tells user and product, and which backend was called."""
    rows = []
    for at, (method, path, _, _, _, sent) in enumerate(EXCHANGES):
        parent = sent.get("traceparent") if headers else None
        rows.append(
            {
                "line": lines[at],
                "request": None if at in REFUSED else [method, path],
                "undecidable": None if told[at] is True else told[at],
                "continues": parent[3:35] if isinstance(parent, str) and at not in REFUSED else None,
                "found": {
                    "method": method, "api": api(at), "ids": ids(at), "status": EXCHANGES[at][2], "failed": failed[at],
                    "caller": {
                        "address": ADDRESS, "subscription": f"sub-{at}", "user": "u-7" if entities else None,
                        "product": "gold" if entities else None, "certificate": [],
                    },
                    "backend_id": f"b-{at}" if backend else None,
                },
            }
        )
    return rows


def line_by_line(first=1):
    return {at: first + place for place, at in enumerate(ORDER)}


def gateway_logs_2017():
    """`properties` is text, there are neither headers nor errors."""
    records = []
    for at in ORDER:
        method, path, status, backend, _, _ = EXCHANGES[at]
        properties = {
            "ApiId": api(at), "OperationId": "", "ProductId": "gold", "SubscriptionId": f"sub-{at}", "Method": method, "Url": url(path),
            "RequestSize": 200, "ServiceTime": "00:00:00.0580000", "BackendMethod": method, "BackendUrl": "https://b.example" + path,
            "BackendResponseCode": backend, "ResponseCode": status, "ResponseSize": 361, "Cache": "none", "UserId": "u-7",
        }
        records.append(
            {
                "Tenant": "t", "DeploymentName": "d", "time": time(at), "resourceId": "/SUBSCRIPTIONS/0", "category": "GatewayLogs",
                "operationName": "Microsoft.ApiManagement/GatewayLogs", "durationMs": 58, "Level": 4, "properties": compact(properties),
                "callerIpAddress": ADDRESS, "correlationId": f"c-{at}",
            }
        )
    told = [True, True, True] + ["no_record"] * 5
    return ndjson(records), expected(line_by_line(), told, FAILED_BY_ANSWER, headers=False, backend=False)


# What a log with errors tells of each exchange.
TOLD = [True, True, True, True, "token_not_logged", "backend_unknown", "backend_unknown", "incomplete_log"]


def row(at):
    """A row of the table ApiManagementGatewayLogs."""
    method, path, status, backend, error, headers = EXCHANGES[at]
    source, reason, message = error or (None, None, None)
    return {
        "TenantId": "t", "TimeGenerated": time(at), "OperationName": "Microsoft.ApiManagement/GatewayLogs", "CorrelationId": f"c-{at}",
        "Region": "West Europe", "IsRequestSuccess": status < 400, "Method": method, "Url": url(path), "ResponseCode": status,
        "BackendResponseCode": backend, "BackendId": f"b-{at}", "ApiId": api(at), "TotalTime": 58, "CallerIpAddress": ADDRESS,
        "ApimSubscriptionId": f"sub-{at}", "UserId": "u-7", "ProductId": "gold", "LastErrorElapsed": 1 if error else None,
        "LastErrorSource": source, "LastErrorReason": reason, "LastErrorMessage": message, "RequestHeaders": headers or None,
        "BackendResponseHeaders": {"Content-Type": "text/plain"} if backend else None, "TraceRecords": [], "Type": "ApiManagementGatewayLogs",
    }


def table_rows():
    """As an export rule writes them: objects for dynamic columns, absent ones left out."""
    return ndjson(present(row(at)) for at in ORDER), expected(line_by_line(), TOLD, FAILED)


def table_array():
    """As the command line prints them: an array, every value text."""
    texts = [{name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in row(at).items()} for at in ORDER]
    per_row = len(texts[0]) + 2
    return json.dumps(texts, indent=2) + "\n", expected({at: 2 + place * per_row for place, at in enumerate(ORDER)}, TOLD, FAILED)


def table_query():
    """As the query API answers."""
    columns = [{"name": name, "type": "string"} for name in row(0)]
    rows = [[compact(value) if isinstance(value, (dict, list)) else value for value in row(at).values()] for at in ORDER]
    text = '{"tables":[{"name":"PrimaryResult","columns":' + compact(columns) + ',\n"rows":[\n'
    return text + ",\n".join(compact(row) for row in rows) + "\n]}]}\n", expected(line_by_line(3), TOLD, FAILED)


def quoted(value):
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, indent=1 if isinstance(value, dict) else None)
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in ',"\r\n') else text


def table_csv():
    """With a header, CRLF, and line breaks within fields."""
    text, lines = "\ufeff" + ",".join("TimeGenerated [UTC]" if name == "TimeGenerated" else name for name in row(0)) + "\r\n", {}
    for at in ORDER:
        lines[at] = 1 + text.count("\n")
        text += ",".join(quoted(value) for value in row(at).values()) + "\r\n"
    return text, expected(lines, TOLD, FAILED)


def insights():
    """Application Insights' requests: neither errors nor the backend's answer, headers as custom dimensions of one text each."""
    records = []
    for at in ORDER:
        method, path, status, _, _, headers = EXCHANGES[at]
        dimensions = present({"API Name": api(at), "Subscription Name": f"sub-{at}", "HTTP Method": method if at % 3 else None, "Request Id": f"c-{at}", "Cache": "None"})
        for name, value in headers.items():
            dimensions["Request-" + name] = value if isinstance(value, str) else ",".join(value)
        dimensions["Response-Content-Type"] = "text/plain"
        records.append(
            {
                "timestamp": time(at), "id": f"i-{at}", "name": f"{method} {path.split('?')[0]}", "url": url(path), "success": "True",
                "resultCode": str(status), "duration": 58.5, "operation_Id": f"{at + 1:032x}", "client_IP": ADDRESS,
                "customDimensions": compact(dimensions) if at % 2 else dimensions,
            }
        )
    told = [True if EXCHANGES[at][2] < 300 else "no_record" for at in range(len(EXCHANGES))]
    ids = lambda at: [f"i-{at}", f"{at + 1:032x}", f"c-{at}"]
    return ndjson(records), expected(line_by_line(), told, FAILED_BY_STATUS, entities=False, backend=False, ids=ids)


def by_request():
    """The report by request: neither headers nor errors."""
    records = []
    for at in ORDER:
        method, path, status, backend, _, _ = EXCHANGES[at]
        record = {
            "apiId": f"/apis/{api(at) or '-'}", "operationId": "/apis/-/operations/-", "productId": "/products/gold", "userId": "/users/u-7",
            "method": method, "url": url(path), "ipAddress": ADDRESS, "backendResponseCode": backend, "responseCode": status,
            "responseSize": 361, "timestamp": time(at), "cache": "none", "apiTime": 58.5, "serviceTime": 0.0, "apiRegion": "West Europe",
            "subscriptionId": f"/subscriptions/sub-{at}", "requestId": f"c-{at}", "requestSize": 0,
        }
        records.append(present(record))
    told = [True if EXCHANGES[at][3] or EXCHANGES[at][2] < 300 else "no_record" for at in range(len(EXCHANGES))]
    lines = ",\n".join(compact(record) for record in records[:-1])
    # The last one by itself, as the report's elements may be kept.
    text = '{"value":[\n' + lines + '\n],"count":7}\n' + compact(records[-1]) + "\n"
    return text, expected({**line_by_line(2), ORDER[-1]: 10}, told, FAILED_BY_ANSWER, headers=False, backend=False)


LAYOUTS = {
    "gateway-logs-2017.ndjson": gateway_logs_2017,
    "table-rows.ndjson": table_rows,
    "table-array.json": table_array,
    "table-query.json": table_query,
    "table.csv": table_csv,
    "insights.ndjson": insights,
    "by-request.json": by_request,
}


def main():
    written = {"layouts.expected.json": {}}
    for name, layout in LAYOUTS.items():
        written[f"layouts/{name}"], written["layouts.expected.json"][name] = layout()
    written["layouts.expected.json"] = json.dumps(written["layouts.expected.json"], indent=1) + "\n"
    for name, text in written.items():
        path = HERE / name
        if "--check" not in sys.argv:
            path.write_bytes(text.encode())
        elif path.read_bytes() != text.encode():
            sys.exit(f"{name} is not what this generator writes")


if __name__ == "__main__":
    main()
