// Reduces the values of a series to one, by Grafana's names of calculations.

const real = (values) => values.filter((value) => value !== null && !Number.isNaN(value));
// As in Grafana, what is not a number is not null either.
const known = (values) => values.filter((value) => value !== null);
const sum = (values) => real(values).reduce((total, value) => total + value, 0);
const least = (values) => real(values).reduce((a, b) => (a === null || b < a ? b : a), null);
const most = (values) => real(values).reduce((a, b) => (a === null || b > a ? b : a), null);
const mean = (values) => (real(values).length ? sum(values) / real(values).length : null);
const lastOf = (values) => values.at(-1) ?? null;

function quantile(values, share) {
  const ordered = real(values).sort((a, b) => a - b);
  return ordered.length ? ordered[Math.min(ordered.length - 1, Math.floor(share * ordered.length))] : null;
}

const CALCS = {
  lastNotNull: ["Last *", (values) => lastOf(known(values))],
  last: ["Last", lastOf],
  firstNotNull: ["First *", (values) => known(values)[0] ?? null],
  first: ["First", (values) => values[0] ?? null],
  min: ["Min", least],
  max: ["Max", most],
  mean: ["Mean", mean],
  median: ["Median", (values) => quantile(values, 0.5)],
  sum: ["Total", sum],
  count: ["Count", (values) => values.length],
  range: ["Range", (values) => (real(values).length ? most(values) - least(values) : null)],
  diff: ["Difference", (values) => (real(values).length ? lastOf(real(values)) - real(values)[0] : null)],
  delta: ["Delta", (values) => real(values).reduce((total, value, index, all) => total + Math.max(0, index ? value - all[index - 1] : 0), 0)],
  distinctCount: ["Distinct Count", (values) => new Set(values).size],
};

/** @returns {[string, (values: (number|null)[]) => number|null]} its heading and what it does */
export function calcOf(name) {
  const [, percent] = /^p(\d+)$/.exec(name) ?? [];
  if (percent) return [`${percent}th %`, (values) => quantile(values, percent / 100)];
  return CALCS[name] ?? CALCS.lastNotNull;
}

/** The id of a calculation by its id or heading: legends are sorted by either. */
export function calcNamed(text) {
  return Object.keys(CALCS).find((id) => id === text || CALCS[id][0] === text) ?? text;
}
