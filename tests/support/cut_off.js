// Texts of which a part cannot be seen: wider or higher than their box, or outside of what clips them.
(within) => {
  const found = [];
  const clips = (style) => style.overflowX !== "visible" || style.overflowY !== "visible";
  const scrolls = (element, style) => ["auto", "scroll"].includes(style.overflowY) && element.scrollHeight > element.clientHeight;
  const clipper = (element) => {
    for (let up = element; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (clips(style)) return [up, scrolls(up, style)];
    }
    return [document.documentElement, true];
  };
  for (const root of document.querySelectorAll(within)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.textContent.trim() || !element.checkVisibility() || element.closest("option, style, script, .tip")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const text = range.getBoundingClientRect();
      if (!text.width) continue;
      const [box, isScrolled] = clipper(element);
      const room = box.getBoundingClientRect();
      const isWide = text.left < room.left - 1 || text.right > room.right + 1;
      const isHigh = !isScrolled && (text.top < room.top - 1 || text.bottom > room.bottom + 1);
      const panel = root.getBoundingClientRect();
      const isOutside = text.right > panel.right + 1 || text.left < panel.left - 1;
      if (isWide || isHigh || isOutside) found.push(`${root.dataset.title ?? root.querySelector("h2, h6")?.innerText ?? within}: ${node.textContent.trim()}`);
    }
  }
  return found;
}
