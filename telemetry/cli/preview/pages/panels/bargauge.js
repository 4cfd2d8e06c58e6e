// Draws the kind of panel `bargauge`: a bar for each field, with its name and its value.

import { translucent } from "../colors.js";
import { element } from "../dom.js";
import { linked } from "../links.js";
import { singlesOf } from "./singles.js";

const SPACE = 6;
const NAME = 24;

export function draw(body, { fields, panel, variables }) {
  const options = panel.options ?? {};
  const singles = singlesOf(fields, options);
  if (!singles.length) return false;
  const most = Math.max(...singles.map(({ field, value }) => field.config.max ?? value ?? 0), 0);
  const least = Math.min(...singles.map(({ field, value }) => field.config.min ?? Math.min(0, value ?? 0)));
  const isUpright = options.orientation === "vertical" || ((options.orientation ?? "auto") === "auto" && body.clientWidth > body.clientHeight && singles.length > 1);
  const isAbove = !isUpright && options.namePlacement === "top";
  const bars = element(`div.bars${isUpright ? ".upright" : ""}${isAbove ? ".above" : ""}`);
  bars.style.setProperty("--bar", `${isUpright ? 0 : thickness(body.clientHeight, singles.length, options, isAbove)}px`);
  bars.append(...singles.map((single) => bar(single, { least, most, options, isUpright, variables })));
  body.replaceChildren(bars);
  return true;
}

/** The height that Grafana gives a bar holds its name, where that stands above it. */
function thickness(height, count, { minVizHeight = 16, maxVizHeight = 40 }, isAbove) {
  const each = Math.max(minVizHeight, 18, Math.min(maxVizHeight, height / count - SPACE));
  return isAbove ? Math.max(12, each - NAME) : each;
}

function bar({ field, title, text, color, value }, { least, most, options, isUpright, variables }) {
  const share = most > least && value !== null ? Math.min(1, Math.max(0, (value - least) / (most - least))) : 0;
  const filled = element("div.filled", { style: { [isUpright ? "height" : "width"]: `${share * 100}%`, background: fill(color, options.displayMode, isUpright) } });
  const track = element(options.showUnfilled === false ? "div.track.open" : "div.track", {}, filled);
  const valueColor = options.valueMode === "text" ? "var(--text)" : color;
  return element(
    "div.bar",
    { data: { series: title } },
    options.namePlacement === "hidden" ? null : element("span.name", {}, linked(title, field, value, variables)),
    track,
    options.valueMode === "hidden" ? null : element("span.value", { style: { color: valueColor } }, text),
  );
}

function fill(color, mode, isUpright) {
  if (mode === "basic") return color;
  return `linear-gradient(to ${isUpright ? "top" : "right"}, ${translucent(color, 0.45)}, ${color})`;
}

