// One panel: its frame with title, description and links, and in it what its kind draws of the answers.

import { element } from "./dom.js";
import { addressOf, anchor } from "./links.js";
import * as bargauge from "./panels/bargauge.js";
import * as gauge from "./panels/gauge.js";
import * as stat from "./panels/stat.js";
import * as table from "./panels/table.js";
import * as text from "./panels/text.js";
import * as timeseries from "./panels/timeseries.js";
import { answered } from "./queries.js";

const KINDS = { bargauge, gauge, graph: timeseries, stat, table, text, timeseries };

export class Panel {
  /** @param {any} declared one of the dashboard's panels */
  constructor(declared) {
    this.declared = declared;
    this.body = element("div.body");
    this.head = element("header");
    this.frame = element("section.panel", { data: { title: declared.title ?? "", kind: declared.type, state: "loading" } }, this.head, this.body);
    if (declared.transparent) this.frame.classList.add("transparent");
    this.body.dataset.kind = declared.type;
    this.turn = 0;
  }

  /** Ask and draw; of two at once, the later one counts. */
  async refresh(context) {
    const turn = (this.turn += 1);
    this.#writeHead(context);
    if (!KINDS[this.declared.type]) return this.#say("unsupported", `Panels of the kind “${this.declared.type}” are not drawn here; Grafana draws them.`);
    this.frame.classList.add("asking");
    try {
      const answer = await answered(this.declared, context, this.body.clientWidth || 400);
      if (turn !== this.turn) return undefined;
      this.answer = { ...answer, context };
      return this.draw();
    } catch (error) {
      return turn === this.turn ? this.#say("failed", error.message) : undefined;
    } finally {
      if (turn === this.turn) this.frame.classList.remove("asking");
    }
  }

  /** Draw what was answered last, as large as the panel is now. */
  draw() {
    if (!this.answer) return;
    const { fields, range, step, unknown, context } = this.answer;
    if (unknown.length) return this.#say("unsupported", `The transformation “${unknown.join("”, “")}” is not known here; Grafana knows it.`);
    const parts = { fields, panel: this.declared, range, step, variables: context.variables, onRange: context.onRange };
    const isDrawn = KINDS[this.declared.type].draw(this.body, parts);
    if (isDrawn) this.frame.dataset.state = "drawn";
    else this.#say("empty", this.declared.fieldConfig?.defaults?.noValue ?? "No data");
  }

  #say(state, sentence) {
    this.frame.dataset.state = state;
    this.body.replaceChildren(element("p.said", {}, sentence));
  }

  #writeHead({ variables, scoped, linkParameters }) {
    const { title = "", description = "", links = [] } = this.declared;
    const written = variables.written(title, scoped);
    this.frame.dataset.title = written;
    const about = description || links.length ? [tip(variables.written(description, scoped), links, (link) => addressOf(link, variables, linkParameters))] : [];
    this.head.replaceChildren(element("h3", { title: written }, written), ...about);
  }
}

function tip(description, links, address) {
  const anchors = links.map((link) => [link, address(link)]).filter(([, url]) => url).map(([{ title, targetBlank }, url]) => anchor(title || url, url, targetBlank));
  const paragraphs = text.markdown(description);
  const inside = element("div.tip", { role: "tooltip" }, ...paragraphs, anchors.length ? element("p.links", {}, ...anchors) : null);
  return element("span.info", { tabIndex: 0, "aria-label": "about this panel" }, "i", inside);
}
