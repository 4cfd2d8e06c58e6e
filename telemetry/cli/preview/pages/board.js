// One dashboard on the page: what is chosen, what the address says of it, and when its panels are drawn anew.

import { choiceOf, select, themeButton, timeControls } from "./controls.js";
import { element } from "./dom.js";
import { sectionsOf } from "./layout.js";
import { addressOf } from "./links.js";
import { momentOf, secondsOf } from "./time.js";
import { Variables } from "./variables.js";

const REDRAW_AFTER = 150; // milliseconds without another change of the window's size

export class Board {
  /**
   * @param {any} declared the dashboard's file
   * @param {{dashboards: any[], scrapeInterval: number}} site
   */
  constructor(declared, site) {
    this.declared = declared;
    this.site = site;
    const address = new URLSearchParams(location.search);
    this.time = {
      from: address.get("from") ?? declared.time?.from ?? "now-1h",
      to: address.get("to") ?? declared.time?.to ?? "now",
      refresh: address.get("refresh") ?? (declared.refresh || ""),
    };
    this.variables = new Variables(declared.templating?.list ?? [], address);
    this.bar = document.getElementById("bar");
    this.main = document.getElementById("board");
  }

  async open() {
    document.title = this.declared.title ?? "Dashboard";
    await this.#change();
    let waiting;
    addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.#drawn().forEach(({ panel }) => panel.draw()), REDRAW_AFTER);
    });
  }

  get range() {
    const now = Date.now() / 1000;
    return { from: momentOf(this.time.from, now), to: momentOf(this.time.to, now, true) };
  }

  /** Something was chosen: variables may offer other values, and panels may be repeated differently. */
  async #change() {
    try {
      await this.variables.load(this.range);
    } catch (error) {
      this.#writeBar();
      this.main.replaceChildren(element("p.said", {}, `Prometheus cannot be asked: ${error.message}`));
      this.#again();
      return;
    }
    this.#rememberInAddress();
    this.#writeBar();
    const open = this.sections?.map(({ isOpen }) => isOpen);
    this.sections = sectionsOf(open ? this.#withRows(open) : (this.declared.panels ?? []), this.variables);
    for (const section of this.sections) section.onOpen(() => this.#refresh([section]));
    this.main.replaceChildren(...this.sections.map((section) => section.element));
    await this.#refresh(this.sections);
    this.#again();
  }

  /** Rows stay as they were opened. */
  #withRows(open) {
    const shift = this.sections[0].heading ? 0 : 1;
    let row = -1;
    return this.declared.panels.map((panel) => (panel.type === "row" ? { ...panel, ...this.#inRow(panel, open[(row += 1) + shift]) } : panel));
  }

  #inRow(panel, isOpen) {
    return { collapsed: !(isOpen ?? !panel.collapsed) };
  }

  #drawn(sections = this.sections ?? []) {
    return sections.filter(({ isOpen }) => isOpen).flatMap(({ placed }) => placed);
  }

  async #refresh(sections = this.sections ?? []) {
    const context = {
      range: this.range,
      variables: this.variables,
      scrapeInterval: this.site.scrapeInterval,
      linkParameters: this.#linkParameters(),
      onRange: (from, to) => this.#setTime(String(Math.round(from * 1000)), String(Math.round(to * 1000))),
    };
    document.body.dataset.state = "refreshing";
    await Promise.all(this.#drawn(sections).map(({ panel, scoped }) => panel.refresh({ ...context, scoped })));
    document.body.dataset.state = "drawn";
  }

  #again() {
    clearTimeout(this.waiting);
    const seconds = secondsOf(this.time.refresh);
    if (!seconds) return;
    this.waiting = setTimeout(async () => {
      if (!this.sections) await this.#change();
      else if (!document.hidden) await this.#refresh();
      this.#again();
    }, seconds * 1000);
  }

  #setTime(from, to) {
    Object.assign(this.time, { from, to });
    this.#change();
  }

  #linkParameters() {
    return {
      time: new URLSearchParams({ from: this.time.from, to: this.time.to }).toString(),
      variables: new URLSearchParams(this.variables.parameters()).toString(),
    };
  }

  #rememberInAddress() {
    const { time, variables } = this.#linkParameters();
    history.replaceState(null, "", `${location.pathname}?${[time, variables, `refresh=${this.time.refresh}`].filter(Boolean).join("&")}`);
  }

  #writeBar() {
    const choices = this.variables.list.filter(({ isShown }) => isShown).map((variable) => choiceOf(variable, () => this.#change()));
    const times = timeControls(
      this.time,
      (from, to) => this.#setTime(from, to),
      (refresh) => {
        this.time.refresh = refresh;
        this.#rememberInAddress();
        this.#again();
      },
      () => this.#refresh(),
    );
    this.bar.replaceChildren(
      element("div.top", {}, this.#boards(), ...this.#links(), times, themeButton(() => this.#refresh())),
      element("div.choices", {}, ...choices),
    );
  }

  #boards() {
    const options = this.site.dashboards.map(({ uid, title }) => [uid, title]);
    const current = decodeURIComponent(location.pathname.split("/")[2] ?? "");
    const { time } = this.#linkParameters();
    return element("span.boards", {}, element("a", { href: "/", title: "All dashboards" }, "Dashboards"), select("Dashboard", options, current, (uid) => location.assign(`/d/${encodeURIComponent(uid)}?${time}`)));
  }

  /** The dashboard's own links to pages; those to other dashboards are what the list of them is for. */
  #links() {
    const parameters = this.#linkParameters();
    return (this.declared.links ?? [])
      .filter(({ type }) => type === "link")
      .map((link) => [link, addressOf(link, this.variables, parameters)])
      .filter(([, href]) => href)
      .map(([{ title }, href]) => element("a", { href, target: "_blank", rel: "noreferrer" }, title || href));
  }
}
