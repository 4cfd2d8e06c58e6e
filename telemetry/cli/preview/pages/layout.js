// Places panels as the dashboard does, on 24 columns; rows open and close, and what a variable repeats is repeated.

import { element } from "./dom.js";
import { Panel } from "./panel.js";
import { ALL } from "./variables.js";

const COLUMNS = 24;

/** The rows of a dashboard with their panels; what stands before the first row has none. */
export function sectionsOf(declared, variables) {
  const sections = [{ row: null, panels: [] }];
  for (const panel of [...declared].sort(byPlace)) {
    if (panel.type === "row") sections.push({ row: panel, panels: [...(panel.panels ?? [])] });
    else sections.at(-1).panels.push(panel);
  }
  return sections.filter(({ row, panels }) => row || panels.length).map((section) => new Section(section, variables));
}

const byPlace = ({ gridPos: a = {} }, { gridPos: b = {} }) => (a.y ?? 0) - (b.y ?? 0) || (a.x ?? 0) - (b.x ?? 0);

export class Section {
  constructor({ row, panels }, variables) {
    this.isOpen = !row?.collapsed;
    this.placed = repeated(panels, variables).map(({ declared, scoped }) => ({ panel: new Panel(declared), scoped }));
    this.grid = element("div.grid");
    const top = Math.min(...this.placed.map(({ panel }) => panel.declared.gridPos?.y ?? 0));
    for (const { panel } of this.placed) {
      const { x = 0, y = 0, w = COLUMNS, h = 8 } = panel.declared.gridPos ?? {};
      Object.assign(panel.frame.style, { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y - top + 1} / span ${h}` });
      this.grid.append(panel.frame);
    }
    this.heading = row ? this.#heading(row, variables) : null;
    this.element = element("section.section", {}, this.heading, this.grid);
    this.#show();
  }

  /** @param {() => void} listener called when the row is opened */
  onOpen(listener) {
    this.opened = listener;
  }

  #heading(row, variables) {
    const count = `${this.placed.length} panel${this.placed.length === 1 ? "" : "s"}`;
    return element("button.row", { type: "button", onclick: () => this.#toggle() }, variables.written(row.title ?? ""), element("small", {}, count));
  }

  #toggle() {
    this.isOpen = !this.isOpen;
    this.#show();
    if (this.isOpen) this.opened?.();
  }

  #show() {
    this.element.classList.toggle("closed", !this.isOpen);
    this.heading?.setAttribute("aria-expanded", String(this.isOpen));
  }
}

/** A panel that a variable repeats stands once for each chosen value; what is below moves down. */
function repeated(panels, variables) {
  let moved = 0;
  return panels.flatMap((declared) => {
    const place = { x: 0, y: 0, w: COLUMNS, h: 8, ...declared.gridPos };
    const variable = declared.repeat && variables.get(declared.repeat);
    const chosen = variable?.chosen.includes(ALL) ? variable.options.map(({ value }) => value) : variable?.chosen;
    if (!chosen?.length) return [{ declared: { ...declared, gridPos: { ...place, y: place.y + moved } }, scoped: {} }];
    const isDown = declared.repeatDirection === "v";
    const across = isDown ? 1 : Math.min(chosen.length, declared.maxPerRow || 4);
    const width = isDown ? place.w : Math.floor(COLUMNS / across);
    const made = chosen.map((value, index) => ({
      declared: { ...declared, gridPos: { x: isDown ? place.x : (index % across) * width, y: place.y + moved + Math.floor(index / across) * place.h, w: width, h: place.h } },
      scoped: { [declared.repeat]: value },
    }));
    moved += (Math.ceil(chosen.length / across) - 1) * place.h;
    return made;
  });
}
