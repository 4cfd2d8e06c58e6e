// Draws the kind of panel `table`; a click on a heading sorts by it.

import { calcOf } from "../calcs.js";
import { textOn, translucent } from "../colors.js";
import { element } from "../dom.js";
import { shown } from "../fields.js";
import { linked } from "../links.js";
import { ordered } from "../transforms.js";

export function draw(body, { fields, panel, variables }) {
  const columns = fields.some(({ times }) => times) ? summary(fields) : fields;
  const visible = columns.filter(({ config }) => !(config.custom?.hidden || config.custom?.hideFrom?.viz));
  if (!visible.length || !visible[0].values.length) return false;
  const [first] = panel.options?.sortBy ?? [];
  show(body, visible, first ? { field: first.displayName, desc: first.desc } : null, variables);
  return true;
}

/** Series as rows: their names and last values. */
function summary(fields) {
  const [, last] = calcOf("lastNotNull");
  const column = (title, type, values, config) => ({ name: title, title, type, values, config, labels: {}, index: 0 });
  return [
    column("Name", "string", fields.map(({ title }) => title), {}),
    column("Value", "number", fields.map(({ values }) => last(values)), fields[0]?.config ?? {}),
  ];
}

function show(body, columns, sort, variables) {
  const fields = sort ? ordered(columns, sort) : columns;
  const head = element("tr", {}, ...fields.map((field) => heading(field, sort, (next) => show(body, columns, next, variables))));
  const rows = fields[0].values.map((_, row) => element("tr", {}, ...fields.map((field) => cell(field, field.values[row], variables))));
  body.replaceChildren(element("div.rows", {}, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows))));
}

function heading(field, sort, onSort) {
  const isSorted = sort?.field === field.title;
  const arrow = isSorted ? (sort.desc ? " ↓" : " ↑") : "";
  const width = field.config.custom?.width ? { width: `${field.config.custom.width}px` } : {};
  return element(`th.${field.type}`, { style: width, onclick: () => onSort({ field: field.title, desc: isSorted && !sort.desc }) }, field.title + arrow);
}

function cell(field, value, variables) {
  const time = field.type === "time" && typeof value === "number";
  const { text, color } = time ? { text: new Date(value).toLocaleString(), color: "" } : shown(field, value);
  const kind = field.config.custom?.cellOptions?.type ?? field.config.custom?.displayMode ?? "auto";
  return element(`td.${field.type}`, { style: styleOf(kind, color) }, linked(text, field, value, variables));
}

function styleOf(kind, color) {
  if (kind.startsWith("color-background")) return { background: translucent(color, 0.85), color: textOn(color) };
  return kind === "color-text" ? { color } : {};
}
