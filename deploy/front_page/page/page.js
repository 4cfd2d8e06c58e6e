// Shows the fleet's state and links, and asks anew every few seconds. Texts go in as texts.

const EVERY = 5000; // milliseconds

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The same page as whoever reads this reaches it: the front door may have been opened from another machine. */
function address(url) {
  const there = new URL(url);
  if (["127.0.0.1", "localhost"].includes(there.hostname)) there.hostname = location.hostname;
  return there.href;
}

function age(seconds) {
  const [amount, unit] = seconds < 60 ? [seconds, "s"] : seconds < 3600 ? [Math.floor(seconds / 60), "min"] : [Math.floor(seconds / 3600), "h"];
  return `${amount}\u00a0${unit}`;
}

function link({ title, url, about, without_pages: without, opens }) {
  const words = opens ? about : without && `This ${title} ${without}.` || "It does not answer yet.";
  const inside = [element("strong", {}, title), element("span", {}, words)];
  return opens ? element("a", { className: "card", href: address(url) }, ...inside) : element("div", { className: "card" }, ...inside);
}

function part({ name, kind, state, runs, seconds }) {
  const made = element("div", { className: `card part${runs ? " runs" : ""}` }, element("strong", {}, kind === name ? name : kind), element("span", {}, `${name}: ${runs ? `runs for ${age(seconds)}` : state}`));
  made.dataset.part = name;
  made.dataset.state = state;
  return made;
}

async function refresh() {
  const summary = document.getElementById("summary");
  try {
    const { name, note, parts, links } = await (await fetch("/_front/state")).json();
    const missing = parts.filter(({ runs }) => !runs).length;
    document.getElementById("name").textContent = name;
    summary.textContent = missing ? `${missing} of ${parts.length} parts do not run.` : `All ${parts.length} parts run.`;
    document.getElementById("note").textContent = note;
    document.getElementById("links").replaceChildren(...links.map(link));
    document.getElementById("parts").replaceChildren(...parts.map(part));
    document.body.dataset.state = "drawn";
  } catch {
    summary.textContent = "The state cannot be read; is the fleet up?";
  }
  setTimeout(refresh, EVERY);
}

refresh();
