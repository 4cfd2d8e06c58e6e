// Asks our server, which asks Prometheus. Every failure is an Error with a sentence.

async function get(path) {
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error("The preview does not answer; is `fleet-telemetry preview` still running?");
  }
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  const content = isJson ? JSON.parse(text) : null;
  if (!answer.ok || content?.status === "error") throw new Error(content?.error || text || `It answers ${answer.status}.`);
  return content;
}

export const site = () => get("/api/site");
export const dashboard = (uid) => get(`/api/dashboards/${encodeURIComponent(uid)}`);

/** @param {string} path below `/api/v1/` @param {Record<string, string|number>} parameters */
async function prometheus(path, parameters) {
  const { data } = await get(`/prometheus/api/v1/${path}?${new URLSearchParams(parameters)}`);
  return data;
}

/** @returns {Promise<Series[]>} series, each with `metric` and `values` of [seconds, text] */
export async function queryRange(query, start, end, step) {
  const { resultType, result } = await prometheus("query_range", { query, start, end, step });
  return resultType === "matrix" ? result : [];
}

/** @returns {Promise<Series[]>} the same with one value each */
export async function queryInstant(query, time) {
  const { resultType, result } = await prometheus("query", { query, time });
  if (resultType === "scalar") return [{ metric: {}, values: [result] }];
  return resultType === "vector" ? result.map(({ metric, value }) => ({ metric, values: [value] })) : [];
}

export async function labelValues(label, selector, range) {
  return prometheus(`label/${encodeURIComponent(label)}/values`, {
    ...(selector ? { "match[]": selector } : {}),
    start: range.from,
    end: range.to,
  });
}

export async function labelNames(range) {
  return prometheus("labels", { start: range.from, end: range.to });
}
