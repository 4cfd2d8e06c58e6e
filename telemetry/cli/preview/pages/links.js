// Where links lead, of dashboards, panels and single values; none that would run something.

import { element, safeAddress } from "./dom.js";

/** Where a link of a dashboard or panel leads, with time range and variables where it asks for them. */
export function addressOf(link, variables, parameters) {
  const written = variables.written(
    String(link.url ?? "").replaceAll("${__url_time_range}", parameters.time).replaceAll("${__all_variables}", parameters.variables),
    {},
    "raw",
  );
  const added = [link.keepTime && parameters.time, link.includeVars && parameters.variables].filter(Boolean).join("&");
  return written ? safeAddress(added ? `${written}${written.includes("?") ? "&" : "?"}${added}` : written) : "";
}

/** A text, as a link where its field has one; `${__field.labels.NAME}` and its like are of this value. */
export function linked(text, field, value, variables) {
  const [link] = field.config.links ?? [];
  const known = { "__value.text": text, "__value.raw": value, "__field.name": field.title, "__series.name": field.title };
  const url = (link?.url ?? "")
    .replace(/\$\{__field\.labels(?:\.(\w+)|\["?([^"\]]+)"?\])\}/g, (_, a, b) => encodeURIComponent(field.labels[a ?? b] ?? ""))
    .replace(/\$\{(__\w+\.\w+)\}/g, (whole, name) => (name in known ? encodeURIComponent(known[name]) : whole));
  const href = link ? safeAddress(variables.written(url, {}, "raw")) : "";
  return href ? element("a", { href, title: link.title ?? "", target: "_blank", rel: "noreferrer" }, text) : text;
}

export const anchor = (title, href, isBlank) => element("a", { href, ...(isBlank ? { target: "_blank", rel: "noreferrer" } : {}) }, title);
