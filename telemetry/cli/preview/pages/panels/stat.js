// Draws the kind of panel `stat`: a number for each field, as large as fits, with a line behind it if asked for.

import { textOn, translucent } from "../colors.js";
import { element, textWidth } from "../dom.js";
import { linked } from "../links.js";
import { singlesOf } from "./singles.js";

const LARGEST = 64;

export function draw(body, { fields, panel, variables }) {
  const options = panel.options ?? {};
  const singles = singlesOf(fields, options);
  if (!singles.length) return false;
  const { clientWidth: width, clientHeight: height } = body;
  const isNamed = hasNames(options.textMode, singles);
  const { columns, size, nameSize } = fitted(singles, width, height, isNamed, options);
  const rows = Math.ceil(singles.length / columns);
  const grid = element("div.stat", { style: { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`, gridTemplateRows: `repeat(${rows}, minmax(0, 1fr))` } });
  grid.append(...singles.map((single) => cell(single, { size, nameSize, isNamed, options, variables })));
  body.replaceChildren(grid);
  return true;
}

function hasNames(mode, singles) {
  return mode === "value_and_name" || mode === "name" || ((mode ?? "auto") === "auto" && singles.length > 1);
}

/** The number of columns in which the texts can be largest. */
function fitted(singles, width, height, isNamed, { orientation }) {
  const possible = orientation === "vertical" ? [singles.length] : orientation === "horizontal" ? [1] : singles.map((_, index) => index + 1);
  const sizes = possible.map((columns) => {
    const [wide, high] = [width / columns - 16, height / Math.ceil(singles.length / columns) - 8];
    const nameSize = isNamed ? Math.max(11, Math.min(15, high * 0.28)) : 0;
    const widest = Math.max(...singles.map(({ text }) => textWidth(text, 10, 500)));
    const names = Math.max(...singles.map(({ title }) => textWidth(title, 10))) / 10;
    const size = Math.min(LARGEST, (wide / widest) * 10, high - nameSize * 1.5);
    return { columns, size: Math.max(11, size), nameSize: isNamed ? Math.max(10, Math.min(nameSize, wide / names)) : 0 };
  });
  return sizes.reduce((best, each) => (each.size > best.size * 1.05 ? each : best));
}

function cell({ field, title, text, color, value }, { size, nameSize, isNamed, options, variables }) {
  const isBackground = (options.colorMode ?? "value").startsWith("background");
  const isPlain = options.colorMode === "none" || (value === null && !field.config.mappings?.length);
  const shownColor = isBackground ? textOn(color) : isPlain ? "var(--text)" : color;
  const made = element("div.single", { data: { series: title }, style: isBackground ? { background: color, color: textOn(color) } : {} });
  if (options.graphMode === "area" && field.values.length > 1) made.append(sparkline(field.values, isBackground ? textOn(color) : color));
  if (isNamed) made.append(element("span.name", { style: { fontSize: `${nameSize}px` } }, title));
  if (options.textMode !== "name" && options.textMode !== "none") {
    made.append(element("span.value", { style: { fontSize: `${Math.floor(size)}px`, color: shownColor } }, linked(text, field, value, variables)));
  }
  return made;
}

function sparkline(values, color) {
  const real = values.filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...real), Math.max(...real)];
  const point = (value, index) => `${(index / (values.length - 1)) * 100},${100 - ((value - low) / (high - low || 1)) * 90}`;
  const points = values.map((value, index) => (value === null ? null : point(value, index))).filter(Boolean);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.classList.add("spark");
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  line.setAttribute("points", points.join(" "));
  const area = document.createElementNS(svg.namespaceURI, "polygon");
  area.setAttribute("points", `${points[0].split(",")[0]},100 ${points.join(" ")} ${points.at(-1).split(",")[0]},100`);
  line.style.stroke = color;
  area.style.fill = translucent(color, 0.2);
  svg.append(area, line);
  return svg;
}
