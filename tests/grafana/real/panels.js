// What each panel of a page of Grafana shows, by title: its lines of text, how many charts, and whether it complains.
// Versions before 10 mark the heading inside a panel, later ones the panel itself; the names of their warnings differ.
() => {
  const HEADING = "data-testid Panel header ";
  const WARNINGS = '[aria-label="Panel header error"], [data-testid="data-testid Panel status error"]';
  const read = (heading) => {
    const title = heading.dataset.testid.slice(HEADING.length);
    const panel = heading.closest("section");
    const lines = panel.innerText.split("\n").map((line) => line.trim()).filter((line) => line && line !== title);
    return [title, { lines, charts: panel.querySelectorAll("canvas").length, warnings: panel.querySelectorAll(WARNINGS).length }];
  };
  return Object.fromEntries([...document.querySelectorAll(`[data-testid^="${HEADING}"]`)].map(read));
}
