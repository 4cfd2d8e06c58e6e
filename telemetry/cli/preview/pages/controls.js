// The bar above the panels: dashboards, variables, time range, refresh and theme.

import { element } from "./dom.js";
import { RANGES, REFRESHES } from "./time.js";
import { ALL } from "./variables.js";

/** A list to choose from that opens on a click; with boxes where several can be chosen. */
export function choiceOf(variable, onChange) {
  if (variable.declared.type === "textbox") return labelled(variable.label, textBox(variable, onChange));
  const summary = element("summary", {}, variable.text || "none");
  const details = element("details.choice", { data: { variable: variable.name } }, summary);
  const options = [...(variable.isAllOffered ? [{ text: "All", value: ALL }] : []), ...variable.options];
  const before = String(variable.chosen);
  const choose = (value) => {
    variable.chosen = chosenWith(variable, value);
    summary.textContent = variable.text;
    if (!variable.isMulti) details.open = false;
    else for (const box of details.querySelectorAll("input[type=checkbox]")) box.checked = variable.chosen.includes(box.value);
  };
  details.append(menu(options, variable, choose));
  details.addEventListener("toggle", () => !details.open && String(variable.chosen) !== before && onChange());
  return labelled(variable.declared.hide === 1 ? "" : variable.label, details);
}

function menu(options, variable, choose) {
  const entries = options.map(({ text, value }) =>
    variable.isMulti
      ? element("label", {}, element("input", { type: "checkbox", value, checked: variable.chosen.includes(value), onchange: () => choose(value) }), text)
      : element("button", { type: "button", onclick: () => choose(value) }, text),
  );
  const search = options.length > 12 ? element("input.search", { type: "search", placeholder: "Search", oninput: ({ target }) => filter(entries, target.value) }) : null;
  return element("div.menu", {}, search, ...entries);
}

function filter(entries, text) {
  for (const entry of entries) entry.hidden = !entry.textContent.toLowerCase().includes(text.toLowerCase());
}

/** All and single values exclude each other; choosing nothing is choosing all. */
function chosenWith(variable, value) {
  if (!variable.isMulti || value === ALL) return [value];
  const others = variable.chosen.filter((each) => each !== ALL && each !== value);
  const chosen = variable.chosen.includes(value) ? others : [...others, value];
  return chosen.length || !variable.isAllOffered ? chosen : [ALL];
}

function textBox(variable, onChange) {
  const change = ({ target }) => {
    variable.chosen = [target.value];
    onChange();
  };
  return element("input", { type: "text", value: variable.text, onchange: change });
}

const labelled = (label, control) => element("span.control", {}, label ? element("span.label", {}, label) : null, control);

/** Time range and refresh. */
export function timeControls({ from, to, refresh }, onTime, onRefresh, onNow) {
  const isKnown = to === "now" && from in RANGES;
  const ranges = { ...(isKnown ? {} : { "": `${shownMoment(from)} to ${shownMoment(to)}` }), ...RANGES };
  const range = select("Time range", Object.entries(ranges), isKnown ? from : "", (value) => value && onTime(value, "now"));
  const every = [...new Set([refresh, ...REFRESHES])].map((value) => [value, value ? `every ${value}` : "not refreshed"]);
  return element("span.times", {}, range, select("Refresh", every, refresh, onRefresh), element("button.icon", { type: "button", title: "Refresh now", onclick: onNow }, "⟳"));
}

function shownMoment(text) {
  return /^\d{10,}$/.test(text) ? new Date(Number(text)).toLocaleString() : text;
}

export function select(title, options, chosen, onChange) {
  const entries = options.map(([value, text]) => element("option", { value, selected: value === chosen }, text));
  return element("select", { title, "aria-label": title, onchange: ({ target }) => onChange(target.value) }, ...entries);
}

export function themeButton(onChange) {
  const change = () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    onChange();
  };
  return element("button.icon", { type: "button", title: "Dark or light", onclick: change }, "◐");
}
