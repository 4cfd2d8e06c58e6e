// The legend of a chart: a list or a table with calculations, sorted as the panel says; a click shows one series alone.

import { calcNamed, calcOf } from "../calcs.js";
import { fieldColor } from "../colors.js";
import { element } from "../dom.js";
import { shown } from "../fields.js";

/**
 * @param {import("../fields.js").Field[]} fields
 * @param {any} options of the panel's legend
 * @param {Set<string>} hidden titles
 * @param {(field: any, isAdded: boolean) => void} onChoose
 * @returns {HTMLElement|null}
 */
export function legendOf(fields, options, hidden, onChoose) {
  if (options.showLegend === false || options.displayMode === "hidden") return null;
  const visible = fields.filter(({ config }) => !config.custom?.hideFrom?.legend);
  const calcs = options.calcs ?? [];
  const rows = sorted(visible.map((field) => row(field, calcs)), options, calcs);
  const parts = { hidden, onChoose };
  return options.displayMode === "table" ? table(rows, calcs, parts) : list(rows, calcs, parts);
}

function row(field, calcs) {
  return { field, color: fieldColor(field.config, field.index), values: calcs.map((calc) => calcOf(calc)[1](field.values)) };
}

function sorted(rows, { sortBy, sortDesc }, calcs) {
  if (!sortBy) return rows;
  const place = calcs.indexOf(calcNamed(sortBy));
  const by = ({ field, values }) => (place < 0 ? field.title : (values[place] ?? -Infinity));
  const ascending = [...rows].sort((a, b) => (by(a) < by(b) ? -1 : Number(by(a) > by(b))));
  return sortDesc ? ascending.reverse() : ascending;
}

function table(rows, calcs, parts) {
  const head = element("tr", {}, element("th", {}, "Name"), ...calcs.map((calc) => element("th.number", {}, calcOf(calc)[0])));
  const body = rows.map(({ field, color, values }) =>
    element(
      "tr",
      { data: { series: field.title } },
      element("td", {}, name(field, color, parts)),
      ...values.map((value) => element("td.number", {}, shown(field, value).text)),
    ),
  );
  return element("div.legend.table", {}, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

function list(rows, calcs, parts) {
  return element("div.legend.list", {}, ...rows.map(({ field, color, values }) =>
    element("span", { data: { series: field.title } }, name(field, color, parts), ...calcs.map((calc, index) => ` ${calcOf(calc)[0]}: ${shown(field, values[index]).text}`)),
  ));
}

function name(field, color, { hidden, onChoose }) {
  const isHidden = hidden.has(field.title);
  const choose = (event) => onChoose(field, event.ctrlKey || event.metaKey || event.shiftKey);
  return element(isHidden ? "button.series.hidden" : "button.series", { type: "button", onclick: choose }, element("i", { style: { background: color } }), element("span", {}, field.title));
}
