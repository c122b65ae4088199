"use strict";
// Charts: axes with round numbers, lines, bands and bars, drawn anew when their box changes.

const SVG = "http://www.w3.org/2000/svg";
const INK = "#1d232b", SOFT = "#5b6672", LINE = "#d9dee4";

function element(parent, name, attributes, text) {
  const made = parent.appendChild(document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(i * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5)) };
}

function span(values, margin) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null && isFinite(value)) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (!(low <= high)) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * margin;
  return [low - room, high + room];
}

// Runs of neighbours that are known: a line breaks where bands are left out.
function runs(x, y) {
  const steps = x.slice(1).map((value, i) => value - x[i]).sort((a, b) => a - b);
  const widest = 4 * (steps[Math.floor(steps.length / 2)] || 1);
  const found = [];
  let run = [];
  x.forEach((value, i) => {
    const known = y[i] !== null && isFinite(y[i]);
    if (run.length && (!known || value - x[run[run.length - 1]] > widest)) {
      found.push(run);
      run = [];
    }
    if (known) run.push(i);
  });
  if (run.length) found.push(run);
  return found;
}

// spec: x, y (low, high), xLabel, yLabel, height, lines, areas, bars; "bare" leaves out the y axis.
function drawChart(box, spec) {
  box.spec = spec;
  if (!box.watcher) {
    box.watcher = new ResizeObserver(() => paintChart(box));
    box.watcher.observe(box);
  }
  paintChart(box);
}

function paintChart(box) {
  const spec = box.spec, width = Math.max(120, box.clientWidth), height = spec.height || 230;
  const down = ticks(spec.y[0], spec.y[1], spec.yTicks || 4);
  const longest = Math.max(0, ...down.found.map((value) => value.toFixed(down.digits).length));
  const left = spec.bare ? 14 : 24 + 7 * longest, right = 10, top = 8, bottom = spec.xLabel ? 38 : 22;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", spec.title || `${spec.yLabel} by ${spec.xLabel}`);
  const X = (v) => left + ((v - spec.x[0]) / (spec.x[1] - spec.x[0])) * (width - left - right);
  const Y = (v) => height - bottom - ((v - spec.y[0]) / (spec.y[1] - spec.y[0])) * (height - top - bottom);
  for (const value of spec.bare ? [] : down.found) {
    element(svg, "line", { x1: left, x2: width - right, y1: Y(value), y2: Y(value), stroke: LINE });
    element(svg, "text", { x: left - 6, y: Y(value) + 4, "text-anchor": "end", fill: SOFT },
      value.toFixed(down.digits));
  }
  const along = spec.xTicks ? { found: spec.xTicks, digits: 0 }
    : ticks(spec.x[0], spec.x[1], Math.max(2, Math.floor((width - left) / 66)));
  for (const value of along.found) {
    element(svg, "line", { x1: X(value), x2: X(value), y1: height - bottom, y2: height - bottom + 4, stroke: SOFT });
    const anchor = X(value) > width - 20 ? "end" : "middle";
    element(svg, "text", { x: X(value) + (anchor === "end" ? right : 0), y: height - bottom + 16, "text-anchor": anchor, fill: SOFT },
      value.toFixed(along.digits));
  }
  element(svg, "line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, stroke: SOFT });
  if (spec.xLabel) element(svg, "text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle", fill: SOFT }, spec.xLabel);
  if (spec.yLabel) element(svg, "text", { transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle", fill: SOFT }, spec.yLabel);
  for (const bar of spec.bars || []) {
    element(svg, "rect", { x: X(bar.x0) + 0.5, width: Math.max(1, X(bar.x1) - X(bar.x0) - 1),
      y: Y(bar.y), height: Math.max(0, Y(spec.y[0]) - Y(bar.y)), fill: bar.color, stroke: INK, "stroke-opacity": 0.35 });
  }
  for (const area of spec.areas || []) for (const run of runs(area.x, area.low)) {
    const there = run.map((i) => `${X(area.x[i]).toFixed(1)},${Y(area.high[i]).toFixed(1)}`);
    const back = run.map((i) => `${X(area.x[i]).toFixed(1)},${Y(area.low[i]).toFixed(1)}`).reverse();
    element(svg, "polygon", { points: [...there, ...back].join(" "), fill: area.color, "fill-opacity": 0.35, stroke: "none" });
  }
  for (const line of spec.lines || []) {
    const path = runs(line.x, line.y).map((run) => "M" + run.map((i) => `${X(line.x[i]).toFixed(1)} ${Y(line.y[i]).toFixed(1)}`).join("L")).join("");
    const look = { d: path, fill: "none", "stroke-linejoin": "round" };
    // Pale colours get a dark edge: yellow on white is no line.
    if (line.edge) element(svg, "path", { ...look, stroke: INK, "stroke-width": line.width + 1.6, "stroke-opacity": 0.6 });
    element(svg, "path", { ...look, stroke: line.color, "stroke-width": line.width, "stroke-dasharray": line.dash || "" });
    if (line.marks) line.x.forEach((x, i) => line.y[i] === null || element(svg, "circle", { cx: X(x), cy: Y(line.y[i]), r: 3.5, fill: line.color, stroke: INK }));
  }
  if (spec.read) addReadout(svg, spec.read, X, { left, top, bottom: height - bottom, width });
  box.replaceChildren(svg);
}

// Where the pointer is, in numbers: the place of an absorption is read off the nearest band.
function addReadout(svg, { x, y, unit }, X, frame) {
  const known = x.map((_, i) => i).filter((i) => y[i] !== null && isFinite(y[i]));
  if (!known.length) return;
  const line = element(svg, "line", { y1: frame.top, y2: frame.bottom, stroke: SOFT, "stroke-dasharray": "2 2", visibility: "hidden" });
  const text = element(svg, "text", { y: frame.top + 8, fill: INK, class: "readout", stroke: "#fff", "stroke-width": 3, "paint-order": "stroke" });
  svg.addEventListener("pointermove", (event) => {
    const at = event.clientX - svg.getBoundingClientRect().left;
    const near = known.reduce((best, i) => (Math.abs(X(x[i]) - at) < Math.abs(X(x[best]) - at) ? i : best), known[0]);
    const left = X(x[near]), isRight = left > frame.width / 2;
    line.setAttribute("x1", left);
    line.setAttribute("x2", left);
    line.setAttribute("visibility", "visible");
    text.setAttribute("x", left + (isRight ? -5 : 5));
    text.setAttribute("text-anchor", isRight ? "end" : "start");
    text.textContent = `${Number(x[near].toPrecision(5))}${unit}: ${Number(y[near].toPrecision(3))}`;
  });
  svg.addEventListener("pointerleave", () => {
    line.setAttribute("visibility", "hidden");
    text.textContent = "";
  });
}

// Entries of a key: what a line or a band of a chart is.
function drawKey(box, entries) {
  box.replaceChildren(...entries.map((entry) => {
    const item = document.createElement("span");
    const svg = element(item, "svg", { width: 26, height: 12, "aria-hidden": "true" });
    if (entry.area) element(svg, "rect", { x: 0, y: 1, width: 26, height: 10, fill: entry.color, "fill-opacity": 0.35 });
    else {
      if (entry.edge) element(svg, "line", { x1: 0, x2: 26, y1: 6, y2: 6, stroke: INK, "stroke-width": entry.width + 1.6, "stroke-opacity": 0.6 });
      element(svg, "line", { x1: 0, x2: 26, y1: 6, y2: 6, stroke: entry.color, "stroke-width": entry.width, "stroke-dasharray": entry.dash || "" });
    }
    item.append(entry.name);
    return item;
  }));
}

// A spectrum over its upper convex hull: neither light nor slope are left, absorptions stand out.
function hullQuotient(x, y) {
  const known = x.map((_, i) => i).filter((i) => y[i] !== null && isFinite(y[i]));
  const hull = [];
  for (const i of known) {
    while (hull.length > 1) {
      const [a, b] = hull.slice(-2);
      if ((y[b] - y[a]) * (x[i] - x[a]) > (y[i] - y[a]) * (x[b] - x[a])) break;
      hull.pop();
    }
    hull.push(i);
  }
  const found = x.map(() => null);
  let k = 0;
  for (const i of known) {
    while (k < hull.length - 2 && x[i] > x[hull[k + 1]]) k++;
    const a = hull[k], b = hull[Math.min(k + 1, hull.length - 1)];
    const line = a === b ? y[a] : y[a] + ((y[b] - y[a]) * (x[i] - x[a])) / (x[b] - x[a]);
    found[i] = line > 0 ? y[i] / line : null;
  }
  return found;
}
