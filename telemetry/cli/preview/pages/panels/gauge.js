// Draws the kind of panel `gauge`: an arc for each field, with its thresholds around it.

import { colorOf, stepsOf } from "../colors.js";
import { element } from "../dom.js";
import { singlesOf } from "./singles.js";

const SVG = "http://www.w3.org/2000/svg";
const [FROM, SWEEP] = [150, 240]; // degrees, clockwise from the right

export function draw(body, { fields, panel }) {
  const singles = singlesOf(fields, panel.options);
  if (!singles.length) return false;
  const row = element("div.gauges", {}, ...singles.map((single) => gauge(single, singles.length > 1, panel.options ?? {})));
  body.replaceChildren(row);
  return true;
}

function gauge({ field, title, text, color, value }, isNamed, { showThresholdMarkers = true }) {
  const [low, high] = [field.config.min ?? 0, field.config.max ?? 100];
  const share = (number) => Math.min(1, Math.max(0, (number - low) / (high - low || 1)));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 80");
  svg.append(arc(0, 1, 38, 10, "var(--track)"));
  if (value !== null && share(value) > 0) svg.append(arc(0, share(value), 38, 10, color));
  if (showThresholdMarkers) svg.append(...marks(stepsOf(field.config), share));
  svg.append(label(text, color));
  return element("div.gauge", { data: { series: title } }, svg, isNamed ? element("span.name", {}, title) : null);
}

function marks(steps, share) {
  return steps.map((step, index) => arc(share(step.value), share(steps[index + 1]?.value ?? Infinity), 45.5, 2, colorOf(step.color)));
}

function label(text, color) {
  const made = document.createElementNS(SVG, "text");
  made.setAttribute("x", "50");
  made.setAttribute("y", "56");
  made.setAttribute("text-anchor", "middle");
  made.classList.add("value");
  made.style.fill = color;
  made.style.fontSize = `${Math.min(18, 90 / Math.max(text.length, 1))}px`;
  made.textContent = text;
  return made;
}

function arc(from, to, radius, width, color) {
  const path = document.createElementNS(SVG, "path");
  const at = (share) => {
    const angle = ((FROM + SWEEP * share) * Math.PI) / 180;
    return `${50 + radius * Math.cos(angle)} ${50 + radius * Math.sin(angle)}`;
  };
  path.setAttribute("d", `M ${at(from)} A ${radius} ${radius} 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${at(to)}`);
  path.style.cssText = `fill: none; stroke: ${color}; stroke-width: ${width}`;
  return path;
}
