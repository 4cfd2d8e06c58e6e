// The transformations of a panel that are known here; the others are named, so that the panel can say so.

/**
 * @param {any[][]} tables fields by query
 * @returns {{fields: any[], unknown: string[]}}
 */
export function transformed(tables, transformations) {
  const several = tables.filter((fields) => fields.some(({ name }) => name === "Value")).length > 1;
  let frames = tables.map((fields) => (several ? fields.map((field) => (field.name === "Value" ? { ...field, name: `Value #${field.refId}` } : field)) : fields));
  const unknown = [];
  for (const { id, options = {}, disabled } of transformations) {
    if (disabled) continue;
    if (!(id in KNOWN)) unknown.push(id);
    else frames = KNOWN[id](frames, options);
  }
  return { fields: frames.flat(), unknown };
}

const KNOWN = {
  merge: (frames) => [merged(frames)],
  organize: (frames, options) => frames.map((fields) => organized(fields, options)),
  filterFieldsByName: (frames, { include = {}, exclude = {} }) =>
    frames.map((fields) => fields.filter(({ name }) => isNamed(include, name, true) && !isNamed(exclude, name, false))),
  renameByRegex: (frames, { regex, renamePattern }) =>
    frames.map((fields) => fields.map((field) => ({ ...field, name: field.name.replace(new RegExp(regex), renamePattern) }))),
  sortBy: (frames, { sort = [] }) => frames.map((fields) => ordered(fields, sort[0])),
  limit: (frames, { limitField = 10 }) => frames.map((fields) => fields.map((field) => ({ ...field, values: field.values.slice(0, limitField) }))),
  labelsToFields: (frames) => frames,
  joinByField: (frames) => [merged(frames)],
};

function isNamed({ names, pattern }, name, otherwise) {
  if (!names && !pattern) return otherwise;
  return (names ?? []).includes(name) || (pattern ? new RegExp(pattern).test(name) : false);
}

/** Rows of all frames; those that agree in what they share become one. */
function merged(frames) {
  const columns = new Map();
  for (const field of frames.flat()) if (!columns.has(field.name)) columns.set(field.name, { ...field, values: [] });
  const keys = [...columns.values()].filter(({ type, name }) => type !== "number" && name !== "Time").map(({ name }) => name);
  const rows = new Map();
  for (const fields of frames) {
    (fields[0]?.values ?? []).forEach((_, index) => {
      const row = Object.fromEntries(fields.map((field) => [field.name, field.values[index]]));
      const key = JSON.stringify(keys.map((name) => row[name] ?? ""));
      rows.set(key, { ...row, ...rows.get(key), ...Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) });
    });
  }
  return [...columns.values()].map((field) => ({ ...field, values: [...rows.values()].map((row) => row[field.name] ?? null) }));
}

function organized(fields, { excludeByName = {}, indexByName = {}, renameByName = {} }) {
  const place = ({ name }) => indexByName[name] ?? Number.MAX_SAFE_INTEGER;
  return fields
    .filter(({ name }) => !excludeByName[name])
    .sort((a, b) => place(a) - place(b))
    .map((field) => ({ ...field, name: renameByName[field.name] || field.name }));
}

export function ordered(fields, { field, desc } = {}) {
  const by = fields.find(({ name, title }) => name === field || title === field);
  if (!by) return fields;
  const order = by.values.map((_, index) => index).sort((a, b) => compared(by.values[a], by.values[b]) * (desc ? -1 : 1));
  return fields.map((each) => ({ ...each, values: order.map((index) => each.values[index]) }));
}

function compared(a, b) {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
