// Makes elements. Text goes in as text, never as markup: labels' values come from anywhere.

/**
 * @param {string} tag with classes after dots, `div.panel.open`
 * @param {Record<string, any>} [properties] set on the element; `on…` are listeners, `data` is its dataset
 * @param {...(Node|string|number|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function element(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "data") Object.assign(made.dataset, value);
    else if (key === "style") Object.assign(made.style, value);
    else if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return made;
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/** An address that a link may lead to, or "" for one that would run something. */
export function safeAddress(url) {
  try {
    return ["http:", "https:", "mailto:"].includes(new URL(url, document.baseURI).protocol) ? url : "";
  } catch {
    return "";
  }
}

const canvas = document.createElement("canvas").getContext("2d");

/** Width in pixels of a text of this size. */
export function textWidth(text, size, weight = 400) {
  canvas.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return canvas.measureText(text).width;
}
