// Draws the kind of panel `text`, and descriptions: the common part of Markdown, as elements, so that nothing in it runs.

import { element, safeAddress } from "../dom.js";

export function draw(body, { panel, variables }) {
  const { content = "", mode = "markdown" } = panel.options ?? panel;
  const text = variables.written(content);
  body.replaceChildren(element("div.text", {}, ...(mode === "markdown" ? markdown(text) : [mode === "html" ? plain(text) : element("pre", {}, text)])));
  return true;
}

/** HTML is shown as the text it has: what it could run or load is nobody's here. */
function plain(html) {
  return element("p", {}, new DOMParser().parseFromString(html, "text/html").body.textContent ?? "");
}

export function markdown(text) {
  return text.split(/\n{2,}/).filter((block) => block.trim()).map(block);
}

function block(text) {
  const lines = text.trim().split("\n");
  const [, hashes, title] = /^(#{1,6})\s+(.*)/.exec(lines[0]) ?? [];
  if (hashes && lines.length > 1) return element("div", {}, block(lines[0]), block(lines.slice(1).join("\n")));
  if (hashes) return element(`h${Math.min(6, hashes.length + 1)}`, {}, ...inline(title));
  if (lines.every((line) => /^\s*([-*]|\d+\.)\s+/.test(line))) {
    const items = lines.map((line) => element("li", {}, ...inline(line.replace(/^\s*([-*]|\d+\.)\s+/, ""))));
    return element(/^\s*\d/.test(lines[0]) ? "ol" : "ul", {}, ...items);
  }
  if (/^```/.test(lines[0])) return element("pre", {}, lines.slice(1).join("\n").replace(/\n?```$/, ""));
  return element("p", {}, ...inline(lines.join("\n")));
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)/g;

export function inline(text) {
  const parts = [];
  let after = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, italic, name, url] = match;
    parts.push(text.slice(after, match.index));
    after = match.index + whole.length;
    if (code) parts.push(element("code", {}, code));
    else if (bold) parts.push(element("strong", {}, bold));
    else if (italic) parts.push(element("em", {}, italic));
    else parts.push(safeAddress(url) ? element("a", { href: url, target: "_blank", rel: "noreferrer" }, name) : name);
  }
  return [...parts, text.slice(after)].filter((part) => part !== "");
}
