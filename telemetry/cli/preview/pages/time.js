// Points in time, ranges and steps as Grafana writes them: `now-1h`, `now/d`, `15s`.

export const RANGES = {
  "now-5m": "Last 5 minutes",
  "now-15m": "Last 15 minutes",
  "now-30m": "Last 30 minutes",
  "now-1h": "Last hour",
  "now-3h": "Last 3 hours",
  "now-6h": "Last 6 hours",
  "now-12h": "Last 12 hours",
  "now-24h": "Last 24 hours",
  "now-2d": "Last 2 days",
  "now-7d": "Last 7 days",
  "now-30d": "Last 30 days",
};
export const REFRESHES = ["", "5s", "10s", "30s", "1m", "5m", "15m"];

const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, M: 2592000, y: 31536000 };
// Steps that give round times on the axis.
const STEPS = [0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800];

/** Seconds of a duration such as `1h30m`; 0 for none. */
export function secondsOf(text) {
  let sum = 0;
  for (const [, amount, unit] of String(text ?? "").matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwMy])/g)) sum += amount * SECONDS[unit];
  return sum;
}

/** Seconds as a duration of Prometheus. */
export function durationOf(seconds) {
  return seconds % 1 ? `${Math.round(seconds * 1000)}ms` : `${seconds}s`;
}

/** Unix seconds of `now-1h`, `now/d`, milliseconds since 1970 or an ISO date; the end of a rounded unit if `up`. */
export function momentOf(text, now, up = false) {
  const said = String(text);
  if (/^\d{10,}$/.test(said)) return Number(said) / 1000;
  const relative = /^now(?:([+-])([\d.]+\w+))?(?:\/([smhdwMy]))?$/.exec(said);
  if (!relative) return Date.parse(said) / 1000;
  const [, sign, amount, unit] = relative;
  const moment = now + (sign === "-" ? -1 : 1) * secondsOf(amount);
  return unit ? rounded(moment, unit, up) : moment;
}

function rounded(moment, unit, up) {
  const date = new Date(moment * 1000);
  const parts = [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  if (unit === "w") parts[2] -= date.getDay();
  const kept = { y: 1, M: 2, w: 3, d: 3, h: 4, m: 5, s: 6 }[unit];
  const floor = [...parts.slice(0, kept), 0, 1, 0, 0, 0].slice(0, 6);
  for (let index = kept; index < 6; index += 1) floor[index] = index === 2 ? 1 : 0;
  if (up) floor[kept - 1] += unit === "w" ? 7 : 1;
  return new Date(...floor).getTime() / 1000;
}

/** Seconds between points, so that there are about as many as fit. */
export function stepOf(range, points, least) {
  const wanted = Math.max(range / Math.max(points, 1), least || 0, range / 10000);
  return Math.max(STEPS.find((step) => step >= wanted * 0.75) ?? Math.ceil(wanted / 86400) * 86400, least || 0);
}

/** A moment in the time of the browser, as the chart library reads it. */
export function localTime(seconds) {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, -1);
}
