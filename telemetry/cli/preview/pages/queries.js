// Asks a panel's queries and turns the answers into fields.

import * as api from "./api.js";
import { configured } from "./fields.js";
import { durationOf, secondsOf, stepOf } from "./time.js";
import { transformed } from "./transforms.js";

/**
 * @param {any} panel of the dashboard
 * @param {{range: {from: number, to: number}, variables: any, scrapeInterval: number, scoped: Record<string, string>}} context
 * @param {number} width in pixels
 * @returns {Promise<{fields: import("./fields.js").Field[], range: {from: number, to: number}, step: number, unknown: string[]}>}
 */
export async function answered(panel, context, width) {
  const range = rangeOf(panel, context.range);
  const targets = (panel.targets ?? []).filter((target) => !target.hide && target.expr);
  const steps = targets.map((target) => stepOfTarget(panel, target, range, context, width));
  const answers = await Promise.all(targets.map((target, index) => ask(target, steps[index], range, context)));
  const tables = targets.map((target, index) =>
    isTable(panel, target) ? tableOf(target, answers[index]) : answers[index].map((series) => fieldOf(series, target, context.variables)),
  );
  const { fields, unknown } = transformed(tables, panel.transformations ?? []);
  return { fields: configured(fields, panel, context.variables), range, step: Math.max(0, ...steps), unknown };
}

/** A panel may have a range of its own. */
function rangeOf(panel, range) {
  const back = secondsOf(panel.timeShift);
  const from = panel.timeFrom ? range.to - secondsOf(panel.timeFrom) : range.from;
  return { from: from - back, to: range.to - back };
}

function stepOfTarget(panel, target, range, context, width) {
  const least = leastStep(target, context) || leastStep(panel, context) || context.scrapeInterval;
  return stepOf(range.to - range.from, panel.maxDataPoints || width, least);
}

/** What a target or a panel has as its shortest step, in seconds; 0 where it has none. */
function leastStep({ interval = "" }, { variables }) {
  return secondsOf(variables.written(interval, {}, "raw").replace(">", "")) || 0;
}

/** Variables that Grafana gives to every query; a target's shortest step is a scrape interval to `$__rate_interval`. */
export function builtIn({ from, to }, step, scrapeInterval) {
  const seconds = Math.round(to - from);
  const rate = Math.max(step + scrapeInterval, 4 * scrapeInterval);
  return {
    __interval: durationOf(step), __interval_ms: String(step * 1000),
    __rate_interval: durationOf(rate), __rate_interval_ms: String(rate * 1000),
    __range: durationOf(seconds), __range_s: String(seconds), __range_ms: String(seconds * 1000),
    __from: String(Math.round(from * 1000)), __to: String(Math.round(to * 1000)),
  };
}

async function ask(target, step, range, context) {
  const { variables, scrapeInterval, scoped = {} } = context;
  const given = builtIn(range, step, leastStep(target, context) || scrapeInterval);
  const expression = variables.written(target.expr, { ...given, ...scoped }, "prometheus");
  if (target.instant && !target.range) return api.queryInstant(expression, range.to);
  const [start, end] = [Math.floor(range.from / step) * step, Math.floor(range.to / step) * step];
  return (await api.queryRange(expression, start, end, step)).map((series) => ({ ...series, ...filled(series.values, start, end, step) }));
}

/** Every step has a place, so that a gap in the data is one in the chart. */
function filled(values, start, end, step) {
  const known = new Map(values.map(([at, text]) => [Math.round((at - start) / step), Number(text)]));
  const length = Math.round((end - start) / step) + 1;
  const times = Array.from({ length }, (_, index) => start + index * step);
  return { times, numbers: times.map((_, index) => known.get(index) ?? null) };
}

function fieldOf({ metric, values, times, numbers }, target, variables) {
  return {
    name: legendOf(target.legendFormat, metric, variables),
    type: "number",
    labels: metric,
    refId: target.refId ?? "",
    times: times ?? values.map(([at]) => at),
    values: numbers ?? values.map(([, text]) => Number(text)),
  };
}

function legendOf(format, metric, variables) {
  if (format && format !== "__auto") {
    // In this order: a variable may bring placeholders of its own, and a label's value may contain a dollar sign.
    return variables.written(format, {}, "text").replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? "").trim();
  }
  const { __name__: name = "", ...labels } = metric;
  const inside = Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(", ");
  return inside ? `${name}{${inside}}` : name || "Value";
}

const isTable = (panel, target) => target.format === "table" || (panel.type === "table" && target.instant && target.format !== "time_series");

/** One column for each label, one for the time, one for the values. */
function tableOf(target, series) {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = series.flatMap(({ metric, values }) => values.map(([at, text]) => ({ metric, at, value: Number(text) })));
  const column = (name, type, values) => ({ name, type, values, labels: {}, refId: target.refId ?? "" });
  return [
    column("Time", "time", rows.map(({ at }) => at * 1000)),
    ...labels.map((label) => column(label, "string", rows.map(({ metric }) => metric[label] ?? ""))),
    column("Value", "number", rows.map(({ value }) => value)),
  ];
}
