// What a field is called, how it is configured, and how a value of it reads: defaults, overrides and mappings of a panel.

import { colorOf, fieldColor } from "./colors.js";
import { formatted } from "./units.js";

/**
 * @typedef {object} Field
 * @property {string} name as the query gives it: the legend, or a column's name
 * @property {string} title as people see it
 * @property {"number"|"string"|"time"} type
 * @property {any[]} values
 * @property {number[]} [times] unix seconds of the values of a series
 * @property {Record<string, string>} labels
 * @property {string} refId of its query
 * @property {any} config
 * @property {number} index among its panel's fields
 */

/** Give each field the configuration that the panel has for it. */
export function configured(fields, panel, variables) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  fields.forEach((field, index) => {
    field.index = index;
    field.config = structuredClone(defaults);
    field.title = titled(field, variables);
    for (const { matcher, properties } of overrides) {
      if (!matches(matcher, field)) continue;
      for (const { id, value } of properties) assign(field.config, id, value);
      field.title = titled(field, variables);
    }
  });
  return fields;
}

function matches({ id, options }, field) {
  if (id === "byName") return options === field.title || options === field.name;
  if (id === "byRegexp") return pattern(options).test(field.title);
  if (id === "byFrameRefID") return options === field.refId;
  if (id === "byType") return options === field.type;
  if (id === "byNames") return (options.names ?? []).includes(field.title) !== (options.mode === "exclude");
  return false;
}

function pattern(text) {
  const [, inside, flags] = /^\/(.*)\/(\w*)$/s.exec(text) ?? [null, text, ""];
  return new RegExp(inside, flags);
}

function assign(config, path, value) {
  const parts = path.split(".");
  const last = parts.pop();
  const holder = parts.reduce((inside, part) => (inside[part] ??= {}), config);
  holder[last] = value;
}

function titled(field, variables) {
  const wanted = field.config.displayName;
  if (!wanted) return field.name;
  const known = { __series_name: field.name, __field_name: field.name, __field_displayName: field.name };
  const named = wanted
    .replace(/\$\{__(series|field)\.(name|displayName)\}/g, (_, what, which) => known[`__${what}_${which}`] ?? field.name)
    .replace(/\$\{__field\.labels(?:\.(\w+)|\["?([^"\]]+)"?\])\}/g, (_, a, b) => field.labels[a ?? b] ?? "");
  return variables.written(named);
}

/**
 * How a value reads.
 * @returns {{text: string, color: string, isMapped: boolean}}
 */
export function shown(field, value, byDefault = "thresholds") {
  const { config } = field;
  const mapped = mapping(config.mappings ?? [], value);
  const number = typeof value === "number" ? value : null;
  const color = mapped?.color ? colorOf(mapped.color) : fieldColor(config, field.index, number, byDefault);
  if (mapped?.text !== undefined) return { text: mapped.text, color, isMapped: true };
  if (value === null || value === undefined) return { text: config.noValue ?? "-", color: colorOf("text"), isMapped: false };
  return { text: typeof value === "number" ? formatted(value, config.unit, config.decimals) : String(value), color, isMapped: false };
}

function mapping(mappings, value) {
  for (const { type, options } of mappings) {
    const found = MAPPINGS[type]?.(options, value);
    if (found) return found;
  }
  return null;
}

const MAPPINGS = {
  value: (options, value) => options[String(value)],
  range: ({ from, to, result }, value) => typeof value === "number" && value >= (from ?? -Infinity) && value <= (to ?? Infinity) && result,
  regex: ({ pattern: text, result }, value) => value !== null && pattern(text).test(String(value)) && result,
  special: ({ match, result }, value) => {
    const holds = {
      null: value === null, nan: Number.isNaN(value), "null+nan": value === null || Number.isNaN(value),
      true: value === true, false: value === false, empty: value === "",
    };
    return holds[match] && result;
  },
};
