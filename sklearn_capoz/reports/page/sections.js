"use strict";
// The chosen pixel, the spectra of the classes, trust and pruning.

const LIBRARY = { color: "#7a3b00", width: 1.3, dash: "5 3" };

function mean(values) {
  const known = values.filter((v) => v !== null && isFinite(v));
  return known.reduce((sum, v) => sum + v, 0) / known.length;
}

// A library record brought to the level of a spectrum: laboratories have better light.
function scaledTo(record, spectrum) {
  const both = record.map((v, i) => v !== null && spectrum[i] !== null && isFinite(spectrum[i]));
  const factor = mean(spectrum.filter((_, i) => both[i])) / mean(record.filter((_, i) => both[i]));
  return { factor, values: record.map((v) => (v === null ? null : v * factor)) };
}

function spectrumAxes(data, hull) {
  return { x: data.wavelengths || data.bands, xLabel: data.wavelengths ? "wavelength / nm" : "band",
    yLabel: hull ? "hull quotient" : "reflectance" };
}

// Lines and areas of a class beside `spectrum`, or around its own mean.
function classLines(data, group, hull, spectrum) {
  const { x } = spectrumAxes(data, hull);
  const shown = (y) => (hull ? hullQuotient(x, y) : y);
  const lines = [], areas = [];
  if (group.mean.some((v) => v !== null)) {
    if (group.low && !hull) areas.push({ x, low: group.low, high: group.high, color: group.color, name: "middle 90 % of the class", area: true });
    lines.push({ x, y: shown(group.mean), color: group.color, width: 2, edge: true, name: `mean of ${group.name}` });
  }
  for (const record of group.library) {
    const { factor, values } = scaledTo(record.values, spectrum || group.mean);
    lines.push({ ...LIBRARY, x, y: shown(values), name: `${record.name}${hull ? "" : ` × ${factor.toPrecision(2)}`}` });
  }
  return { lines, areas };
}

// The values of `main`, one of the lines, are read off by pointing.
function drawSpectra(box, data, { lines, areas }, hull, height, main) {
  const { x, xLabel, yLabel } = spectrumAxes(data, hull);
  const all = [...lines.flatMap((line) => line.y), ...areas.flatMap((area) => [...area.low, ...area.high])];
  drawChart(box, { x: [x[0], x[x.length - 1]], y: span(all, 0.05), xLabel, yLabel, lines, areas, height,
    read: main && { x, y: main.y, unit: data.wavelengths ? " nm" : "" } });
}

function showPixel(data, pixel, hull) {
  const title = document.getElementById("pixel-title"), text = document.querySelector("#pixel-values textarea");
  const parts = ["pixel-chart", "pixel-key", "pixel-trust"].map((id) => document.getElementById(id));
  if (!pixel) {
    // Until a pixel is chosen: the means of the classes, to have something to look at.
    const { x } = spectrumAxes(data, hull);
    const lines = data.classes.filter((c) => c.n_spectra && !c.rejected).map((c) => (
      { x, y: hull ? hullQuotient(x, c.mean) : c.mean, color: c.color, width: 2, edge: true, name: c.name }));
    title.textContent = "Means of the classes; click a pixel of the map";
    drawSpectra(parts[0], data, { lines, areas: [] }, hull, 300);
    drawKey(parts[1], lines.slice(0, 12));
    return;
  }
  const group = data.classes[pixel.code];
  title.textContent = `Row ${pixel.row}, column ${pixel.column}: ${group.name}`;
  if (!pixel.spectrum) {
    parts.forEach((part) => part.replaceChildren());
    parts[0].spec = { x: [0, 1], y: [0, 1], height: 60 };
    parts[1].textContent = pixel.code ? "No spectrum of this pixel is kept: see what to know first." : "No data here.";
    text.value = "";
  } else {
    const { row, column } = pixel.spectrum, values = Array.from(pixel.spectrum.values);
    if (row !== pixel.row || column !== pixel.column) {
      title.textContent += ` (spectrum of row ${row}, column ${column}: ${data.classes[pixel.storedCode].name})`;
    }
    const stored = data.classes[pixel.storedCode];
    const { lines, areas } = classLines(data, stored, hull, values);
    const { x } = spectrumAxes(data, hull);
    lines.push({ x, y: hull ? hullQuotient(x, values) : values, color: INK, width: 1.8, name: "this pixel" });
    const doubt = 2 * data.spectra.rms_error;
    const [darkest, brightest] = span(values, 0);
    if (doubt > 0.03 * (brightest - darkest) && !hull) areas.push({ x, low: values.map((v) => v - doubt), high: values.map((v) => v + doubt),
      color: SOFT, name: `this pixel ± ${doubt.toPrecision(1)}: what rounding took`, area: true });
    drawSpectra(parts[0], data, { lines, areas }, hull, 300, lines[lines.length - 1]);
    drawKey(parts[1], [lines[lines.length - 1], ...lines.slice(0, -1), ...areas]);
    text.value = values.map((v, i) => `${x[i]}\t${v.toFixed(5)}`).join("\n");
  }
  showTrust(parts[2], pixel.code ? pixel.trust : null);
}

function showTrust(box, layers) {
  box.replaceChildren(...(layers || []).map((layer) => {
    const row = document.createElement("div");
    row.className = "trust-row";
    const [name, bar, value] = ["span", "div", "span"].map((tag) => row.appendChild(document.createElement(tag)));
    name.textContent = layer.name;
    bar.className = "bar";
    bar.appendChild(document.createElement("i")).style.width = `${100 * (layer.share || 0)}%`;
    value.textContent = layer.value === null ? "–" : layer.value.toFixed(2);
    value.className = "number";
    return row;
  }));
}

function figure(parent, caption, note) {
  const made = parent.appendChild(document.createElement("figure"));
  const text = made.appendChild(document.createElement("figcaption"));
  text.textContent = caption;
  if (note) {
    const small = text.appendChild(document.createElement("span"));
    small.className = "small";
    small.textContent = ` ${note}`;
  }
  const box = made.appendChild(document.createElement("div"));
  box.className = "chart";
  return box;
}

function drawClasses(data, hull) {
  const parent = document.getElementById("class-charts");
  parent.replaceChildren();
  for (const group of data.classes) {
    if (!group.n_spectra) continue;
    const count = group.library.length, records = count === 1 ? "1 record" : `${count || "no"} records`;
    const pixels = `${group.n_spectra.toLocaleString("en")} pixel${group.n_spectra === 1 ? "" : "s"}`;
    const box = figure(parent, group.name, group.rejected ? pixels : `${pixels}, ${records}`);
    const drawn = classLines(data, group, hull);
    drawSpectra(box, data, drawn, hull, 190, drawn.lines[0]);
  }
}

function drawTrust(data) {
  const parent = document.getElementById("trust-charts");
  if (!data.trust) return;
  data.classes.forEach((group, code) => {
    if (!code || !group.pixels) return;
    const part = parent.appendChild(document.createElement("div"));
    part.className = "trust-class";
    part.appendChild(document.createElement("h3")).textContent = group.name;
    const grid = part.appendChild(document.createElement("div"));
    grid.className = "trust-grid";
    for (const layer of data.trust.layers) {
      const counts = layer.bars[code], all = counts.reduce((sum, n) => sum + n, 0);
      const wide = (layer.high - layer.low) / counts.length;
      const bars = counts.map((n, i) => ({ x0: layer.low + i * wide, x1: layer.low + (i + 1) * wide,
        y: all ? (100 * n) / all : 0, color: group.color }));
      const box = figure(grid, layer.name);
      const highest = Math.max(...bars.map((bar) => bar.y), 1);
      drawChart(box, { x: [layer.low, layer.high], y: [0, highest], bars, height: 84, bare: true,
        title: `${layer.name} of ${group.name}` });
    }
  });
}

function drawPruning(data) {
  if (!data.pruning) return;
  const { columns, rows, kept } = data.pruning, column = (name) => rows.map((row) => row[columns.indexOf(name)]);
  const x = column("n_units"), lines = [];
  const percent = (name) => column(name).map((v) => (v === null ? null : 100 * v));
  if (columns.includes("accuracy_before")) lines.push({ x, y: percent("accuracy_before"), color: "#d55e00", width: 1.5, dash: "4 3", marks: true, name: "before retraining" });
  lines.push({ x, y: percent("accuracy_after"), color: "#0072b2", width: 2, marks: true, name: "after retraining" });
  if (kept !== null) lines.push({ x: [x[kept]], y: [percent("accuracy_after")[kept]], color: "#e69f00", width: 5, marks: true, name: "kept" });
  // Runs go by rising x, and pruning takes units away.
  for (const line of lines) {
    const order = line.x.map((_, i) => i).sort((a, b) => line.x[a] - line.x[b]);
    Object.assign(line, { x: order.map((i) => line.x[i]), y: order.map((i) => line.y[i]) });
  }
  const ends = span(x, 0.04);
  drawChart(document.getElementById("pruning-chart"), { x: [ends[1], ends[0]], y: span(lines.flatMap((l) => l.y), 0.08),
    xLabel: "hidden units", yLabel: "accuracy / %", lines, height: 230, xTicks: thinned(x) });
  drawKey(document.getElementById("pruning-key"), lines);
}

// Ticks at sizes that stand apart.
function thinned(values) {
  const least = (Math.max(...values) - Math.min(...values)) / 12, found = [];
  for (const v of [...new Set(values)].sort((a, b) => b - a)) {
    if (!found.length || found[found.length - 1] - v >= least) found.push(v);
  }
  return found;
}
