// Draws the kind of panel `timeseries` with the chart library; axes, legend and units are ours.

import { colorOf, fieldColor, stepsOf, translucent } from "../colors.js";
import { element } from "../dom.js";
import { shown } from "../fields.js";
import { localTime } from "../time.js";
import { boundsOf, ticksOf } from "./axis.js";
import { legendOf } from "./legend.js";

const SHAPES = { smooth: "spline", stepAfter: "hv", stepBefore: "vh" };
const DASHES = { dash: "dash", dot: "dot" };
const LARGEST_LEGEND = 0.45; // of the panel

export function draw(body, { fields, panel, range, step, onRange }) {
  const series = fields.filter(({ times, config }) => times && !config.custom?.hideFrom?.viz);
  if (!series.length) return false;
  const options = panel.options ?? {};
  const hidden = (body.hiddenSeries ??= new Set());
  const again = () => draw(body, { fields, panel, range, step, onRange });
  const legend = legendOf(series, options.legend ?? {}, hidden, (field, isAdded) => {
    choose(hidden, series, field, isAdded);
    again();
  });
  const chart = body.querySelector(".chart") ?? element("div.chart");
  const isBeside = options.legend?.placement === "right" && body.clientWidth > 400;
  body.classList.toggle("beside", isBeside);
  body.replaceChildren(chart, ...(legend ? [legend] : []));
  if (legend && !isBeside) legend.style.maxHeight = `${wholeRows(legend, body.clientHeight * LARGEST_LEGEND)}px`;
  plot(chart, series.filter(({ title }) => !hidden.has(title)), { options, range, step, onRange });
  return true;
}

/** The height at which no row of a legend is cut: the others are scrolled to. */
function wholeRows(legend, height) {
  const top = legend.getBoundingClientRect().top;
  const ends = [...legend.querySelectorAll("tr")].map((row) => Math.ceil(row.getBoundingClientRect().bottom - top));
  return ends.filter((end) => end <= height).at(-1) ?? Math.floor(height);
}

/** A click shows a series alone, and all again; with Ctrl it hides or shows that one. */
function choose(hidden, series, { title }, isAdded) {
  if (isAdded) {
    if (!hidden.delete(title)) hidden.add(title);
    return;
  }
  const isAlone = !hidden.has(title) && hidden.size === series.length - 1;
  hidden.clear();
  if (!isAlone) for (const each of series) if (each.title !== title) hidden.add(each.title);
}

function plot(chart, series, { options, range, step, onRange }) {
  const height = chart.clientHeight - 30;
  const axes = axesOf(series, height);
  const traces = series.map((field) => traceOf(field, axes, step));
  chart.onRange = onRange;
  Plotly.react(chart, traces, layoutOf(axes, range, options, chart), { displayModeBar: false, responsive: false, doubleClick: false, showTips: false });
  if (chart.isListening) return;
  chart.isListening = true;
  chart.on("plotly_relayout", (change) => {
    const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (from && to) chart.onRange(Date.parse(from) / 1000, Date.parse(to) / 1000);
  });
}

/** One axis for each unit; the second one, or one that is asked for, is on the right. */
function axesOf(series, height) {
  const groups = new Map();
  for (const field of series) {
    const { axisPlacement = "auto", axisLabel = "" } = field.config.custom ?? {};
    const key = `${axisPlacement === "right" ? "right" : "left"} ${field.config.unit ?? ""} ${axisLabel}`;
    groups.set(key, [...(groups.get(key) ?? []), field]);
  }
  const sides = [...groups.entries()].sort(([a], [b]) => Number(a.startsWith("right")) - Number(b.startsWith("right")));
  return sides.map(([key, fields], index) => {
    const { config } = fields[0];
    const bounds = boundsOf(stacked(fields), joint(fields));
    return { fields, config, bounds, ticks: ticksOf(bounds, config, height), name: index ? `y${index + 1}` : "y", isRight: index > 0 || key.startsWith("right") };
  });
}

/** Fields of one axis may differ in what bounds them. */
function joint(fields) {
  const lowest = (pick) => fields.map(({ config }) => pick(config)).find((value) => value !== undefined && value !== null);
  return {
    min: lowest(({ min }) => min),
    max: lowest(({ max }) => max),
    custom: { axisSoftMin: lowest(({ custom }) => custom?.axisSoftMin), axisSoftMax: lowest(({ custom }) => custom?.axisSoftMax) },
  };
}

const stackOf = ({ config }) => {
  const { mode = "none", group = "A" } = config.custom?.stacking ?? {};
  return mode === "none" ? "" : `${mode}-${group}`;
};

/** The values as they are drawn: those of a stack add up. */
function stacked(fields) {
  const sums = new Map();
  return fields.map((field) => {
    const stack = stackOf(field);
    const values = signed(field);
    if (!stack) return values;
    const sum = values.map((value, index) => (value ?? 0) + (sums.get(stack)?.[index] ?? 0));
    sums.set(stack, sum);
    return stack.startsWith("percent") ? [0, 100] : sum;
  });
}

const signed = ({ values, config }) => (config.custom?.transform === "negative-Y" ? values.map((value) => (value === null ? null : -value)) : values);

function traceOf(field, axes, step) {
  const { lineWidth = 1, fillOpacity = 0, drawStyle = "line", lineInterpolation, lineStyle, spanNulls, showPoints = "auto", pointSize = 5 } = field.config.custom ?? {};
  const color = fieldColor(field.config, field.index);
  const stack = stackOf(field);
  const axis = axes.find(({ fields }) => fields.includes(field)).name;
  const [times, values] = stack ? trimmed(field.times, signed(field)) : [field.times, signed(field)];
  const common = {
    x: times.map(localTime),
    y: values,
    name: escaped(field.title),
    yaxis: axis,
    customdata: values.map((value) => escaped(shown(field, value).text)),
    hovertemplate: "%{customdata}",
    showlegend: false,
  };
  if (drawStyle === "bars") return { ...common, type: "bar", width: step * 800, marker: { color } };
  const sizes = sizesOf(values, { drawStyle, showPoints: stack ? "never" : showPoints, pointSize });
  return {
    ...common,
    type: "scatter",
    mode: drawStyle === "points" ? "markers" : sizes.some(Boolean) ? "lines+markers" : "lines",
    line: { color, width: lineWidth, shape: SHAPES[lineInterpolation] ?? "linear", dash: DASHES[lineStyle?.fill] ?? "solid" },
    marker: { color, size: sizes, line: { width: 0 } },
    connectgaps: Boolean(spanNulls) && !stack,
    ...(fillOpacity ? { fill: stack ? "tonexty" : "tozeroy", fillcolor: translucent(color, fillOpacity / 100) } : {}),
    ...(stack ? { stackgroup: stack, groupnorm: stack.startsWith("percent") ? "percent" : "" } : {}),
  };
}

/** Without the gaps at both ends, which the chart library would fill with zeros in a stack. */
function trimmed(times, values) {
  const first = values.findIndex((value) => value !== null);
  const after = values.findLastIndex((value) => value !== null) + 1;
  return first < 0 ? [[], []] : [times.slice(first, after), values.slice(first, after)];
}

/** The size of each point; by itself only one without a neighbour is shown, of which there is no line. */
function sizesOf(values, { drawStyle, showPoints, pointSize }) {
  if (drawStyle === "points" || showPoints === "always") return values.map(() => pointSize);
  const isAlone = (index) => (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
  return values.map((_, index) => (showPoints === "auto" && isAlone(index) ? pointSize : 0));
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function layoutOf(axes, range, options, chart) {
  const [grid, text] = ["--grid", "--muted"].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  const width = (isRight) => Math.max(0, ...axes.filter((axis) => axis.isRight === isRight).map(({ ticks }) => ticks.width + 10));
  const layout = {
    width: chart.clientWidth,
    height: chart.clientHeight,
    margin: { l: Math.max(12, width(false)), r: Math.max(8, width(true)), t: 8, b: 20 },
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: text },
    hovermode: { none: false, multi: "x unified" }[options.tooltip?.mode] ?? "closest",
    hoverlabel: { namelength: -1, font: { size: 12 } },
    dragmode: "zoom",
    shapes: axes.flatMap((axis) => thresholdsOf(axis)),
    xaxis: {
      type: "date",
      range: [localTime(range.from), localTime(range.to)],
      gridcolor: grid,
      linecolor: grid,
      nticks: Math.max(2, Math.floor(chart.clientWidth / 90)),
      tickformatstops: [
        { dtickrange: [null, 59000], value: "%H:%M:%S" },
        { dtickrange: [59000, 86400000 - 1], value: "%H:%M" },
        { dtickrange: [86400000 - 1, null], value: "%d %b" },
      ],
      hoverformat: "%d %b %H:%M:%S",
      fixedrange: false,
    },
    bargap: 0.1,
  };
  for (const axis of axes) layout[axis.name.replace("y", "yaxis")] = valueAxis(axis, grid);
  return layout;
}

function valueAxis({ bounds, ticks, isRight, config, name }, grid) {
  const isLog = config.custom?.scaleDistribution?.type === "log";
  return {
    range: isLog ? undefined : bounds,
    type: isLog ? "log" : "linear",
    tickmode: isLog ? "auto" : "array",
    tickvals: ticks.values,
    ticktext: ticks.texts,
    side: isRight ? "right" : "left",
    gridcolor: grid,
    zeroline: false,
    fixedrange: true,
    title: config.custom?.axisLabel ? { text: escaped(config.custom.axisLabel) } : undefined,
    ...(name === "y" ? {} : { overlaying: "y", showgrid: false }),
  };
}

/** Thresholds as lines, areas or both, where the panel asks for them and they are in sight. */
function thresholdsOf({ config, bounds: [low, high], name }) {
  const mode = config.custom?.thresholdsStyle?.mode ?? "off";
  const steps = stepsOf(config);
  const across = { xref: "paper", x0: 0, x1: 1, yref: name, layer: "below" };
  const lines = steps
    .filter(({ value }) => mode !== "off" && mode !== "area" && value > low && value <= high)
    .map(({ value, color }) => ({ ...across, type: "line", y0: value, y1: value, line: { color: colorOf(color), width: 1.5, dash: mode.startsWith("dashed") ? "dash" : "solid" } }));
  const areas = steps.map(({ value, color }, index) => ({
    ...across, type: "rect", line: { width: 0 }, fillcolor: translucent(colorOf(color), 0.08),
    y0: Math.max(low, value), y1: Math.min(high, steps[index + 1]?.value ?? high),
  }));
  return [...(mode.includes("area") ? areas.filter(({ y0, y1 }) => y1 > y0) : []), ...lines];
}
