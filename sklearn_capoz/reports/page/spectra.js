"use strict";
// What the page holds as packed text, unpacked: class codes, spectra, trust values.

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Two-byte numbers: all low bytes come first, and the last bit is the sign.
function paired(bytes) {
  const n = bytes.length / 2, numbers = new Int16Array(n);
  for (let i = 0; i < n; i++) {
    const whole = bytes[i] | (bytes[n + i] << 8);
    numbers[i] = (whole >>> 1) ^ -(whole & 1);
  }
  return numbers;
}

// The codes of a picture of ours: one chunk of data, rows with a byte in front that says "plain".
async function codesOfPicture(source, width) {
  const bytes = bytesOf(source.slice(source.indexOf(",") + 1));
  const view = new DataView(bytes.buffer);
  for (let at = 8; at < bytes.length; at += view.getUint32(at) + 12) {
    if (view.getUint32(at + 4) !== 0x49444154) continue; // "IDAT"
    const rows = await inflate(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
    const height = rows.length / (width + 1), codes = new Uint8Array(width * height);
    for (let row = 0; row < height; row++) {
      const first = row * (width + 1) + 1;
      codes.set(rows.subarray(first, first + width), row * width);
    }
    return codes;
  }
  throw new Error("the picture holds no data");
}

// The codes of the map; of a large one, of every second, third, ... row and column.
class Codes {
  constructor(values, data) {
    this.values = values;
    this.step = data.thinning.picture;
    this.width = Math.ceil(data.columns / this.step);
    this.height = Math.ceil(data.rows / this.step);
  }

  at(row, column) {
    return this.values[Math.floor(row / this.step) * this.width + Math.floor(column / this.step)];
  }
}

// Pixels that have a spectrum and trust values, by cell.
class Cells {
  constructor(data) {
    Object.assign(this, data.thinning, { nRows: data.rows, nColumns: data.columns });
    this.width = Math.ceil(data.columns / this.stored);
    this.size = this.width * Math.ceil(data.rows / this.stored);
  }

  of(row, column) {
    const cell = [row, column].map((i) => Math.floor(i / this.stored));
    const place = (i, n) => Math.min(i * this.stored + this.first,
      Math.floor((n - 1) / this.picture) * this.picture);
    return { index: cell[0] * this.width + cell[1], row: place(cell[0], this.nRows),
      column: place(cell[1], this.nColumns) };
  }
}

class Spectra {
  static async unpack(content, cells, codes, nBands) {
    const found = new Spectra();
    Object.assign(found, { cells, codes, nBands, kind: content.kind, step: content.step });
    found.has = await inflate(bytesOf(content.has));
    found.planes = paired(await inflate(bytesOf(content.planes)));
    if (content.kind === "exact") {
      found.low = content.low;
      return found;
    }
    found.means = new Float32Array(bytesOf(content.means).buffer);
    found.directions = paired(await inflate(bytesOf(content.directions)));
    found.counts = content.n_directions;
    found.firsts = content.n_directions.map(
      (_, code) => content.n_directions.slice(0, code).reduce((sum, n) => sum + n, 0));
    return found;
  }

  // Reflectance of the stored pixel in the cell of a pixel, or null.
  at(row, column) {
    const cell = this.cells.of(row, column);
    if (!this.has[cell.index]) return null;
    const values = new Float64Array(this.nBands), size = this.cells.size;
    if (this.kind === "exact") {
      for (let band = 0; band < this.nBands; band++) {
        const number = this.planes[band * size + cell.index] + 32768;
        values[band] = this.low + number * this.step;
      }
      return { ...cell, values };
    }
    const code = this.codes.at(cell.row, cell.column);
    for (let band = 0; band < this.nBands; band++) values[band] = this.means[code * this.nBands + band];
    for (let i = 0; i < this.counts[code]; i++) {
      const along = (this.planes[i * size + cell.index] * this.step) / 32767;
      const first = (this.firsts[code] + i) * this.nBands;
      for (let band = 0; band < this.nBands; band++) values[band] += along * this.directions[first + band];
    }
    return { ...cell, values };
  }
}

class Trust {
  static async unpack(content, cells) {
    const found = new Trust();
    Object.assign(found, { cells, layers: content.layers, levels: content.levels });
    found.values = await inflate(bytesOf(content.values));
    return found;
  }

  // Value of every layer, null where there is none.
  at(row, column) {
    const { index } = this.cells.of(row, column);
    return this.layers.map((layer, i) => {
      const number = this.values[i * this.cells.size + index];
      if (number === 255) return { ...layer, value: null };
      const share = number / (this.levels - 1);
      return { ...layer, share, value: layer.low + share * (layer.high - layer.low) };
    });
  }
}
