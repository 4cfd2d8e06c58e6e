// A dashboard's variables: which values they offer, which are chosen, and how these are written into queries and texts.

import * as api from "./api.js";

export const ALL = "$__all";
const SYNTAX = /\$\{(\w+)(?:\.\w+)?(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g;
const OFFERING = new Set(["query", "custom", "interval"]);

export class Variables {
  /**
   * @param {any[]} declared of the dashboard's `templating.list`
   * @param {URLSearchParams} address whose `var-NAME` choose
   */
  constructor(declared, address) {
    this.list = declared.filter(({ type }) => type !== "adhoc").map((one) => new Variable(one, address.getAll(`var-${one.name}`)));
  }

  get(name) {
    return this.list.find((variable) => variable.name === name);
  }

  /** Read what each offers; those that depend on others come after them. */
  async load(range) {
    for (const variable of this.list) await variable.load((text) => this.written(text, {}, "prometheus"), range);
  }

  /**
   * @param {string} text
   * @param {Record<string, string>} builtIn as `__interval`
   * @param {string} format of variables without one: `prometheus` in queries, `text` in titles
   */
  written(text, builtIn = {}, format = "text") {
    return String(text ?? "").replace(SYNTAX, (whole, braced, braceFormat, square, squareFormat, bare) => {
      const name = braced ?? square ?? bare;
      if (name in builtIn) return builtIn[name];
      const variable = this.get(name);
      return variable ? variable.written(braceFormat ?? squareFormat ?? format) : whole;
    });
  }

  /** The choice as parameters of an address. */
  parameters() {
    return this.list.filter(({ isShown }) => isShown).flatMap(({ name, chosen }) => chosen.map((value) => [`var-${name}`, value]));
  }
}

class Variable {
  constructor(declared, fromAddress) {
    this.declared = declared;
    this.name = declared.name;
    this.label = declared.label || declared.name;
    this.isMulti = Boolean(declared.multi);
    this.isAllOffered = Boolean(declared.includeAll);
    this.isShown = declared.hide !== 2 && !["datasource", "constant"].includes(declared.type);
    this.options = [];
    const current = [declared.current?.value ?? []].flat().filter((value) => value !== null).map(String);
    this.chosen = fromAddress.length ? fromAddress : current;
    if (!this.chosen.length && ["constant", "textbox"].includes(declared.type)) this.chosen = [String(declared.query ?? "")];
    if (declared.type === "constant") this.chosen = [String(declared.query ?? declared.current?.value ?? "")];
  }

  get isAll() {
    return this.chosen.includes(ALL) || (this.isAllOffered && this.chosen.includes("All"));
  }

  async load(write, range) {
    if (!OFFERING.has(this.declared.type)) return;
    this.options = sorted(filtered(await this.#offered(write, range), this.declared.regex), this.declared.sort);
    if (this.isAll) return;
    const known = this.chosen.filter((value) => this.options.some((option) => option.value === value));
    this.chosen = known.length ? known : this.isAllOffered ? [ALL] : this.options.slice(0, 1).map(({ value }) => value);
  }

  async #offered(write, range) {
    if (this.declared.type === "query") return (await asked(write(queryOf(this.declared)), range)).map((text) => ({ text, value: text }));
    return [...String(this.declared.query ?? "").matchAll(/(?:\\,|[^,])+/g)].map(([part]) => {
      const [text, value] = part.replaceAll("\\,", ",").trim().split(/\s+:\s+/);
      return { text, value: value ?? text };
    });
  }

  /** What is chosen, for people. */
  get text() {
    if (this.isAll) return "All";
    return this.chosen.map((value) => this.options.find((option) => option.value === value)?.text ?? value).join(" + ");
  }

  written(format) {
    if (format === "text") return this.text;
    const values = this.isAll ? this.options.map(({ value }) => value) : this.chosen;
    if (this.isAll && this.declared.allValue) return this.declared.allValue;
    if (format === "prometheus") return forPrometheus(values, this.isMulti || this.isAllOffered);
    return (FORMATS[format] ?? FORMATS.raw)(values, this.name);
  }
}

const FORMATS = {
  csv: (values) => values.join(","),
  raw: (values) => values.join(","),
  pipe: (values) => values.join("|"),
  regex: (values) => joined(values.map((value) => value.replace(/[\\^$*+?.()|[\]{}]/g, "\\$&"))),
  json: (values) => JSON.stringify(values),
  singlequote: (values) => values.map((value) => `'${value.replaceAll("'", "\\'")}'`).join(","),
  doublequote: (values) => values.map((value) => `"${value.replaceAll('"', '\\"')}"`).join(","),
  percentencode: (values) => encodeURIComponent(values.join(",")),
  queryparam: (values, name) => values.map((value) => `var-${name}=${encodeURIComponent(value)}`).join("&"),
  glob: (values) => (values.length > 1 ? `{${values.join(",")}}` : (values[0] ?? "")),
};

/** Within a string of PromQL a backslash is written twice; what may be several values is a regular expression. */
function forPrometheus(values, isPattern) {
  const inString = (value) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return isPattern ? inString(FORMATS.regex(values)) : inString(values.join(","));
}

const joined = (values) => (values.length === 1 ? values[0] : `(${values.join("|")})`);

function queryOf(declared) {
  const { query, definition } = declared;
  return typeof query === "string" ? query : query?.query || definition || "";
}

/** @returns {Promise<string[]>} what `label_values(…)` and its like give */
async function asked(query, range) {
  const call = /^\s*(\w+)\((.*)\)\s*$/s.exec(query);
  if (!call) return query.trim() ? resultTexts(await api.queryInstant(query, range.to)) : [];
  const [, name, inside] = call;
  if (name === "label_values") {
    const [, selector, label] = /^(?:(.*),)?\s*(\w+)\s*$/s.exec(inside) ?? [];
    return api.labelValues(label, selector?.trim(), range);
  }
  if (name === "label_names") return api.labelNames(range);
  if (name === "metrics") {
    const pattern = new RegExp(inside.trim());
    return (await api.labelValues("__name__", "", range)).filter((metric) => pattern.test(metric));
  }
  return name === "query_result" ? resultTexts(await api.queryInstant(inside, range.to)) : [];
}

function resultTexts(series) {
  return series.map(({ metric, values: [[at, value]] }) => {
    const { __name__: name = "", ...labels } = metric;
    const inside = Object.entries(labels).map(([label, said]) => `${label}="${said}"`);
    return `${name}{${inside.join(",")}} ${value} ${at * 1000}`;
  });
}

/** A variable's `regex` picks values, and of each what its first group, or its groups `value` and `text`, match. */
function filtered(options, regex) {
  if (!regex) return options;
  const [, inside, flags] = /^\/(.*)\/(\w*)$/s.exec(regex) ?? [null, regex, ""];
  const pattern = new RegExp(inside, flags.replace("g", ""));
  const found = new Map();
  for (const option of options) {
    const match = pattern.exec(option.value);
    if (!match) continue;
    const value = match.groups?.value ?? match.groups?.text ?? match[1] ?? option.value;
    found.set(value, { value, text: match.groups?.text ?? value });
  }
  return [...found.values()];
}

function sorted(options, sort) {
  if (!sort) return options;
  const numeric = (option) => Number(/[\d.]+/.exec(option.text)?.[0] ?? NaN);
  const order = [
    (a, b) => (a.text < b.text ? -1 : Number(a.text > b.text)),
    (a, b) => numeric(a) - numeric(b),
    (a, b) => a.text.toLowerCase().localeCompare(b.text.toLowerCase()),
    (a, b) => a.text.localeCompare(b.text, undefined, { numeric: true }),
  ][Math.floor((sort - 1) / 2)];
  const ascending = [...options].sort(order);
  return sort % 2 ? ascending : ascending.reverse();
}
