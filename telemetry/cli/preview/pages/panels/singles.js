// What stat, bar gauge and gauge have in common: one value for each field.

import { calcOf } from "../calcs.js";
import { shown } from "../fields.js";

/**
 * @returns {{field: any, value: number|null, title: string, text: string, color: string}[]} in the order of the fields
 */
export function singlesOf(fields, options = {}) {
  const { calcs = ["lastNotNull"], values: isEachRow = false, fields: wanted = "", limit } = options.reduceOptions ?? {};
  const numbers = fields.filter((field) => (wanted ? isWanted(field, wanted) : field.type === "number"));
  if (isEachRow) return rowsOf(numbers, fields, limit);
  return numbers.map((field) => single(field, calcOf(calcs[0])[1](field.values), field.title));
}

function isWanted({ name, title }, wanted) {
  const [, inside] = /^\/(.*)\/$/.exec(wanted) ?? [];
  return inside === undefined ? name === wanted || title === wanted : new RegExp(inside).test(title);
}

function rowsOf(numbers, fields, limit) {
  const names = fields.filter(({ type }) => type === "string");
  return numbers.flatMap((field) =>
    field.values.slice(0, limit ?? undefined).map((value, row) => single(field, value, names.map(({ values }) => values[row]).join(" ") || field.title)),
  );
}

const single = (field, value, title) => ({ field, value, title, ...shown(field, value) });
