-- SPDX-License-Identifier: MIT
-- Makes wrk end with one line of JSON. Times are in microseconds.
done = function(summary, latency, requests)
  io.write(string.format(
    '\n{"requests": %d, "duration": %d, "p50": %d, "p99": %d, "not_ok": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
