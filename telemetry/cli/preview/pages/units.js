// Writes a value in a unit, by Grafana's ids of units.

const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SI_BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];
const SHORT = ["", " K", " Mil", " Bil", " Tri", " Quadr"];
const TIMES = [
  [31536000, " years"], [604800, " weeks"], [86400, " days"], [3600, " hours"], [60, " mins"],
  [1, " s"], [1e-3, " ms"], [1e-6, " µs"], [1e-9, " ns"],
];
const COUNTED = {
  c: "c", ops: "ops", req: "req", r: "rd", w: "wr", io: "io", e: "evt", m: "msg", rec: "rec", rows: "rows",
};

/** As many decimals as tell this value from its neighbours, and no more. */
function decimalsOf(value) {
  if (Number.isInteger(value)) return 0;
  const digits = Math.floor(Math.log10(Math.abs(value)));
  return Math.min(Math.max(0, 2 - digits), 6);
}

function fixed(value, decimals) {
  const text = value.toFixed(decimals ?? decimalsOf(value));
  return decimals === undefined || decimals === null ? text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") : text;
}

function scaled(value, factor, names, decimals, suffix = "") {
  let power = 0;
  while (Math.abs(value) >= factor && power < names.length - 1) {
    value /= factor;
    power += 1;
  }
  return fixed(value, decimals) + names[power] + suffix;
}

function time(value, decimals, unit = 1) {
  const seconds = value * unit;
  if (seconds === 0) return `0${TIMES.find(([size]) => size === unit)?.[1] ?? " s"}`;
  const [size, name] = TIMES.find(([least]) => Math.abs(seconds) >= least) ?? TIMES.at(-1);
  const amount = fixed(seconds / size, decimals);
  return amount + (amount === "1" && size >= 60 ? name.replace(/s$/, "") : name);
}

function clock(value) {
  const whole = Math.round(value);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

const currency = (sign, behind = false) => (value, decimals) => {
  const amount = scaled(Math.abs(value), 1000, ["", "K", "M", "B", "T"], decimals ?? (Math.abs(value) < 1000 ? smallMoney(value) : undefined));
  return (value < 0 ? "-" : "") + (behind ? `${amount} ${sign}` : sign + amount);
};
const smallMoney = (value) => (Number.isInteger(value) ? 0 : Number.isInteger(Number((value * 100).toPrecision(12))) ? 2 : Math.max(2, decimalsOf(value)));

const UNITS = {
  none: fixed,
  short: (value, decimals) => scaled(value, 1000, SHORT, decimals),
  sishort: (value, decimals) => scaled(value, 1000, ["", "k", "M", "G", "T", "P"], decimals),
  locale: (value, decimals) => value.toLocaleString(undefined, { maximumFractionDigits: decimals ?? decimalsOf(value) }),
  string: String,
  percent: (value, decimals) => `${fixed(value, decimals)}%`,
  percentunit: (value, decimals) => `${fixed(value * 100, decimals)}%`,
  bytes: (value, decimals) => scaled(value, 1024, IEC.map((name) => ` ${name}`), decimals),
  decbytes: (value, decimals) => scaled(value, 1000, SI_BYTES.map((name) => ` ${name}`), decimals),
  bits: (value, decimals) => scaled(value, 1024, [" b", " Kib", " Mib", " Gib", " Tib"], decimals),
  decbits: (value, decimals) => scaled(value, 1000, [" b", " kb", " Mb", " Gb", " Tb"], decimals),
  kbytes: (value, decimals) => UNITS.bytes(value * 1024, decimals),
  mbytes: (value, decimals) => UNITS.bytes(value * 1024 ** 2, decimals),
  gbytes: (value, decimals) => UNITS.bytes(value * 1024 ** 3, decimals),
  binBps: (value, decimals) => `${UNITS.bytes(value, decimals)}/s`,
  Bps: (value, decimals) => `${UNITS.decbytes(value, decimals)}/s`,
  binbps: (value, decimals) => `${UNITS.bits(value, decimals)}/s`,
  bps: (value, decimals) => `${UNITS.decbits(value, decimals)}/s`,
  s: time,
  ms: (value, decimals) => time(value, decimals, 1e-3),
  "µs": (value, decimals) => time(value, decimals, 1e-6),
  ns: (value, decimals) => time(value, decimals, 1e-9),
  m: (value, decimals) => time(value, decimals, 60),
  h: (value, decimals) => time(value, decimals, 3600),
  d: (value, decimals) => time(value, decimals, 86400),
  clocks: (value) => clock(value),
  dthms: (value) => clock(value),
  dtdurations: (value) => clock(value),
  hertz: (value, decimals) => scaled(value, 1000, [" Hz", " kHz", " MHz", " GHz"], decimals),
  celsius: (value, decimals) => `${fixed(value, decimals)} °C`,
  bool: (value) => (value ? "True" : "False"),
  bool_yes_no: (value) => (value ? "Yes" : "No"),
  bool_on_off: (value) => (value ? "On" : "Off"),
  dateTimeAsIso: (value) => new Date(value).toISOString().replace("T", " ").slice(0, 19),
  dateTimeFromNow: (value) => `${time((Date.now() - value) / 1000, 0)} ago`,
  currencyUSD: currency("$"),
  currencyEUR: currency("€"),
  currencyGBP: currency("£"),
  currencyCHF: currency("CHF", true),
};

/** `reqps`, `opm` and the like: a count by the second or minute. */
function counted(unit) {
  const [, what, each] = /^(c|ops?|req|r|w|io|e|m|rec|rows)p?(s|m)$/.exec(unit) ?? [];
  const name = COUNTED[what === "op" ? "ops" : what];
  if (!name || !["ops", "opm"].includes(unit) && !unit.endsWith(`p${each}`)) return null;
  if (what === "ops" || what === "op") return (value, decimals) => scaled(value, 1000, ["", "K", "M", "G"].map((p) => ` ${p}ops/${each === "m" ? "min" : "s"}`), decimals);
  return (value, decimals) => scaled(value, 1000, ["", "K", "M", "G"].map((p) => ` ${p}${name}/${each === "m" ? "min" : "s"}`), decimals);
}

function named(unit) {
  const [, kind, rest] = /^(prefix|suffix|currency|si|count|time):(.*)$/.exec(unit) ?? [];
  if (kind === "prefix" || kind === "currency") return (value, decimals) => rest + fixed(value, decimals);
  if (kind === "time") return (value) => new Date(value).toLocaleString();
  if (kind === "si" || kind === "count") return (value, decimals) => scaled(value, 1000, ["", "k", "M", "G", "T"].map((p) => ` ${p}${rest}`), decimals);
  return (value, decimals) => `${fixed(value, decimals)} ${rest ?? unit}`;
}

/**
 * @param {number} value
 * @param {string} [unit] an id of Grafana; one that is not known is written behind the value
 * @param {number} [decimals]
 */
export function formatted(value, unit, decimals) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
  const format = UNITS[unit || "short"] ?? counted(unit) ?? named(unit);
  return format(value, decimals ?? undefined);
}

/** By which factor ticks of an axis in this unit are round. */
export function baseOf(unit) {
  if (["bytes", "bits", "kbytes", "mbytes", "gbytes", "binBps", "binbps"].includes(unit)) return 1024;
  return ["s", "m", "h", "d"].includes(unit) ? 60 : 10;
}
