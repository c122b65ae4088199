"use strict";
// Puts the page together once all is unpacked.

async function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const width = Math.ceil(data.columns / data.thinning.picture);
  const codes = new Codes(await codesOfPicture(document.getElementById("picture").src, width), data);
  const cells = new Cells(data);
  const [spectra, trust] = await Promise.all([
    Spectra.unpack(data.spectra, cells, codes, data.bands.length),
    data.trust && Trust.unpack(data.trust, cells),
  ]);
  let pixel = null;
  const asHull = () => document.querySelector("input[name=spectrum]:checked").value === "hull";

  function chosen(row, column) {
    const spectrum = spectra.at(row, column);
    pixel = { row, column, spectrum, code: codes.at(row, column), trust: trust && trust.at(row, column) };
    if (spectrum) pixel.storedCode = codes.at(spectrum.row, spectrum.column);
    showPixel(data, pixel, asHull());
  }

  const place = document.getElementById("place"), help = place.textContent;
  function told(at) {
    if (!at) {
      place.textContent = help;
      return;
    }
    const name = data.classes[codes.at(at.row, at.column)].name;
    place.textContent = `row ${at.row}, column ${at.column}${coordinates(data.place, at)}: ${name}`;
  }

  const view = new MapView(document.getElementById("map"), codes, data, { chosen, told });
  document.getElementById("zoom-in").addEventListener("click", () => view.zoom(1.6));
  document.getElementById("zoom-out").addEventListener("click", () => view.zoom(1 / 1.6));
  document.getElementById("zoom-fit").addEventListener("click", () => view.fit());
  listenToLegend(view);
  for (const input of document.querySelectorAll("input[name=spectrum]")) {
    input.addEventListener("change", () => {
      showPixel(data, pixel, asHull());
      drawClasses(data, asHull());
    });
  }
  showPixel(data, null, false);
  drawClasses(data, false);
  drawTrust(data);
  drawPruning(data);
  document.body.dataset.ready = "yes";
}

// Coordinates of a pixel's middle, in as many digits as its size has.
function coordinates(place, { row, column }) {
  if (!place) return "";
  const [a, b, c, d, e, f] = place.transform, x = column + 0.5, y = row + 0.5;
  const digits = Math.max(0, 1 - Math.floor(Math.log10(Math.abs(a) + Math.abs(b))));
  const [east, north] = [a * x + b * y + c, d * x + e * y + f].map((v) => v.toFixed(digits));
  return ` (${east}, ${north}${place.crs ? ` in ${place.crs}` : ""})`;
}

function listenToLegend(view) {
  const rows = [...document.querySelectorAll("#legend tbody tr")];
  for (const row of rows) {
    const press = () => {
      view.show(Number(row.dataset.code));
      for (const other of rows) other.setAttribute("aria-pressed", String(view.only === Number(other.dataset.code)));
    };
    row.addEventListener("click", press);
    row.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      press();
    });
  }
}

start().catch((error) => {
  document.getElementById("place").textContent =
    `This browser cannot unpack the page (${error.message}): take one of 2023 or later.`;
});
