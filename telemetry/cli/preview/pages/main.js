// The page of a dashboard, or the list of all.

import * as api from "./api.js";
import { Board } from "./board.js";
import { themeButton } from "./controls.js";
import { element } from "./dom.js";

function list({ dashboards }) {
  document.getElementById("bar").replaceChildren(element("div.top", {}, element("h1", {}, "Dashboards"), themeButton(() => {})));
  const entries = dashboards.map(({ uid, title, description }) =>
    element("a.entry", { href: `/d/${encodeURIComponent(uid)}` }, element("strong", {}, title), element("span", {}, description)),
  );
  document.getElementById("board").replaceChildren(element("div.entries", {}, ...entries));
  document.body.dataset.state = "drawn";
}

async function open() {
  const site = await api.site();
  const [, uid] = /^\/d\/([^/]+)/.exec(location.pathname) ?? [];
  if (!uid) return list(site);
  return new Board(await api.dashboard(decodeURIComponent(uid)), site).open();
}

open().catch((error) => {
  document.getElementById("board").replaceChildren(element("p.said", {}, error.message));
  document.body.dataset.state = "failed";
});
