// Amounts for people, and elements of the page.
export const ml = (x) => (x === null || x === undefined ? "–" : `${x < 9.95 ? x.toFixed(1) : Math.round(x)} mL`);
export const mm = (x) => (x === null || x === undefined ? "–" : `${Number(x).toFixed(1)} mm`);
export const percent = (x) => (x === null || x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);

// An element with attributes (or handlers, on...) and children; text is always text.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made[key] = value;
    else if (["checked", "disabled", "selected", "value"].includes(key)) made[key] = value;
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((c) => c !== ""));
  return made;
}
