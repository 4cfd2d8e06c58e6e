// Colours by the names that dashboards use, and the colour of a value or a series.

const HUES = {
  green: [115, 191, 105], yellow: [242, 204, 12], blue: [87, 148, 242], orange: [255, 152, 48], red: [242, 73, 92], purple: [184, 119, 217],
};
const SHADES = { "": 0, light: 0.3, "super-light": 0.6, "semi-dark": -0.15, dark: -0.35 };
const PALETTE_HUES = ["green", "yellow", "blue", "orange", "red", "purple"];
const PALETTE = ["", "light", "dark", "super-light", "semi-dark"].flatMap((shade) => PALETTE_HUES.map((hue) => shaded(HUES[hue], SHADES[shade])));
const SCALES = {
  "continuous-GrYlRd": ["green", "yellow", "red"], "continuous-RdYlGr": ["red", "yellow", "green"], "continuous-BlYlRd": ["blue", "yellow", "red"],
  "continuous-YlRd": ["yellow", "red"], "continuous-BlPu": ["blue", "purple"], "continuous-YlBl": ["yellow", "blue"],
  "continuous-blues": ["dark-blue", "light-blue"], "continuous-reds": ["dark-red", "light-red"],
  "continuous-greens": ["dark-green", "light-green"], "continuous-purples": ["dark-purple", "light-purple"],
};

function shaded(rgb, share) {
  const towards = share > 0 ? 255 : 0;
  return `rgb(${rgb.map((part) => Math.round(part + (towards - part) * Math.abs(share))).join(", ")})`;
}

/** A colour for CSS by its name in a dashboard. */
export function colorOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue("--text").trim();
  if (!name || name === "text") return text;
  const [, shade, hue] = /^(?:(super-light|light|semi-dark|dark)-)?(\w+)$/.exec(name) ?? [];
  if (HUES[hue]) return shaded(HUES[hue], SHADES[shade ?? ""]);
  return CSS.supports("color", name) ? name : text;
}

export function translucent(color, share) {
  const [r, g, b] = partsOf(color);
  return `rgba(${r}, ${g}, ${b}, ${share})`;
}

/** Black or white, whichever can be read on a colour. */
export function textOn(color) {
  const [r, g, b] = partsOf(color);
  return r * 0.3 + g * 0.59 + b * 0.11 > 140 ? "#111" : "#fff";
}

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function partsOf(color) {
  probe.fillStyle = color;
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
}

/** The steps of thresholds as absolute values, from below to above. */
export function stepsOf(config) {
  const { mode, steps = [{ value: null, color: "green" }] } = config.thresholds ?? {};
  const [low, high] = [config.min ?? 0, config.max ?? 100];
  return steps.map(({ value, color }) => ({
    value: value === null || value === undefined ? -Infinity : mode === "percentage" ? low + ((high - low) * value) / 100 : value,
    color,
  }));
}

export function thresholdColor(config, value) {
  const reached = stepsOf(config).filter((step) => value >= step.value);
  return colorOf((reached.at(-1) ?? stepsOf(config)[0]).color);
}

/**
 * The colour of a field, or of one value of it.
 * @param {any} config of the field
 * @param {number} index of the series, for palettes
 * @param {number|null} [value]
 * @param {string} [byDefault] the mode of a panel that says none
 */
export function fieldColor(config, index, value, byDefault = "palette-classic") {
  const { mode = byDefault, fixedColor } = config.color ?? {};
  if (mode === "fixed" || mode === "shades") return colorOf(fixedColor);
  if (mode === "thresholds") return value === null || value === undefined ? colorOf(stepsOf(config)[0].color) : thresholdColor(config, value);
  if (SCALES[mode]) return scaleColor(SCALES[mode], config, value ?? 0);
  return PALETTE[index % PALETTE.length];
}

function scaleColor(names, config, value) {
  const [low, high] = [config.min ?? 0, config.max ?? 100];
  const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (names.length - 1);
  const [from, to] = [names[Math.floor(share)], names[Math.ceil(share)]].map((name) => partsOf(colorOf(name)));
  const mixed = [0, 1, 2].map((part) => Math.round(from[part] + (to[part] - from[part]) * (share % 1)));
  return `rgb(${mixed.join(", ")})`;
}
