"use strict";
// The map: painted once, shown through a window that is zoomed and dragged.

const NEAREST = 40; // screen pixels of one pixel at the closest

class MapView {
  // chosen(row, column) is called for a click, told(row, column or null) for a pixel pointed at.
  constructor(canvas, codes, data, { chosen, told }) {
    Object.assign(this, { canvas, codes, data, chosen, told, mark: null, only: null });
    this.context = canvas.getContext("2d");
    this.painted = document.createElement("canvas");
    this.painted.width = codes.width;
    this.painted.height = codes.height;
    this.pointers = new Map();
    this.paint();
    this.listen();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    this.resize();
  }

  paint() {
    const colors = Uint32Array.from(this.data.classes, (c, code) => {
      if (code === 0) return 0; // no data: what lies behind the map
      const dimmed = this.only !== null && this.only !== code;
      const [red, green, blue] = [1, 3, 5].map((i) => parseInt(c.color.slice(i, i + 2), 16))
        .map((v) => (dimmed ? Math.round(235 + 0.06 * v) : v));
      return (255 << 24) | (blue << 16) | (green << 8) | red;
    });
    const context = this.painted.getContext("2d"), { values } = this.codes;
    const image = context.createImageData(this.codes.width, this.codes.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < values.length; i++) pixels[i] = colors[values[i]];
    context.putImageData(image, 0, 0);
  }

  show(code) {
    this.only = this.only === code ? null : code;
    this.paint();
    this.draw();
  }

  resize() {
    const width = this.canvas.parentElement.clientWidth;
    const { rows, columns } = this.data;
    const most = Math.max(260, Math.min(0.72 * window.innerHeight, 680));
    const height = Math.round(Math.min(most, Math.max(200, (width * rows) / columns)));
    if (width === this.width && height === this.height) return;
    Object.assign(this, { width, height });
    const dense = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.canvas.style.height = `${height}px`;
    this.fit();
  }

  get whole() {
    return Math.min(this.width / this.data.columns, this.height / this.data.rows);
  }

  fit() {
    this.scale = this.whole;
    this.move(0, 0);
  }

  // Set the upper left corner, in pixels of the map, so that the map fills the window or is amid it.
  move(left, top) {
    const keep = (wanted, size, shown) => {
      const room = shown / this.scale;
      return room >= size ? (size - room) / 2 : Math.min(Math.max(wanted, 0), size - room);
    };
    this.left = keep(left, this.data.columns, this.width);
    this.top = keep(top, this.data.rows, this.height);
    this.draw();
  }

  // Zoom so that what is at a point of the screen stays there.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const column = this.left + x / this.scale, row = this.top + y / this.scale;
    this.scale = Math.min(Math.max(this.scale * factor, this.whole), Math.max(NEAREST, this.whole));
    this.move(column - x / this.scale, row - y / this.scale);
  }

  draw() {
    const { context, scale } = this, dense = window.devicePixelRatio || 1;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.imageSmoothingEnabled = false;
    const step = this.codes.step;
    context.drawImage(this.painted, -this.left * scale, -this.top * scale,
      this.codes.width * step * scale, this.codes.height * step * scale);
    this.canvas.dataset.scale = scale;
    if (this.mark) this.drawMark(context, Math.max(scale, 1));
    this.drawScaleBar();
  }

  drawMark(context, size) {
    const x = (this.mark.column - this.left) * this.scale, y = (this.mark.row - this.top) * this.scale;
    for (const [color, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.strokeRect(x - 1, y - 1, size + 2, size + 2);
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        const from = size / 2 + 4, cx = x + size / 2, cy = y + size / 2;
        context.moveTo(cx + dx * from, cy + dy * from);
        context.lineTo(cx + dx * (from + 7), cy + dy * (from + 7));
      }
      context.stroke();
    }
  }

  drawScaleBar() {
    const metres = this.data.place && this.data.place.metres;
    const box = document.getElementById("scale-bar");
    box.hidden = !metres;
    if (!metres) return;
    const most = (0.3 * this.width * metres) / this.scale, power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((n) => n * power).find((n) => n <= most);
    const bar = box.firstElementChild;
    bar.style.width = `${(length / metres) * this.scale}px`;
    bar.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }

  pixelAt(x, y) {
    const column = Math.floor(this.left + x / this.scale), row = Math.floor(this.top + y / this.scale);
    const inside = row >= 0 && column >= 0 && row < this.data.rows && column < this.data.columns;
    return inside ? { row, column } : null;
  }

  choose(row, column) {
    this.mark = { row, column };
    const x = (column + 0.5 - this.left) * this.scale, y = (row + 0.5 - this.top) * this.scale;
    if (x < 0 || y < 0 || x > this.width || y > this.height) {
      this.move(column - this.width / this.scale / 2, row - this.height / this.scale / 2);
    } else this.draw();
    this.chosen(row, column);
  }

  listen() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = at(event);
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), x, y);
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
      if (this.pointers.size === 1) this.travel = 0;
      else this.travel = Infinity; // two fingers choose nothing
    });
    this.canvas.addEventListener("pointermove", (event) => this.drag(event, at(event)));
    const up = (event) => {
      if (!this.pointers.delete(event.pointerId) || event.type !== "pointerup") return;
      const { x, y } = at(event), pixel = this.pixelAt(x, y);
      if (this.travel < 5 && !this.pointers.size && pixel) this.choose(pixel.row, pixel.column);
    };
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
    this.canvas.addEventListener("pointerleave", () => this.told(null));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
  }

  drag(event, now) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      const pixel = this.pixelAt(now.x, now.y);
      this.told(pixel);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    this.pointers.set(event.pointerId, now);
    this.travel += Math.hypot(now.x - before.x, now.y - before.y);
    if (others.length) {
      const [other] = others;
      const far = (place) => Math.max(1, Math.hypot(place.x - other.x, place.y - other.y));
      this.zoom(far(now) / far(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    const share = others.length ? 0.5 : 1; // of two fingers each moves the map by half
    if (this.travel >= 5) this.move(this.left - (share * (now.x - before.x)) / this.scale,
      this.top - (share * (now.y - before.y)) / this.scale);
  }

  press(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (steps[event.key]) {
      const { rows, columns } = this.data;
      const from = this.mark || { row: rows >> 1, column: columns >> 1 };
      const [down, right] = steps[event.key];
      this.choose(Math.min(Math.max(from.row + down, 0), rows - 1),
        Math.min(Math.max(from.column + right, 0), columns - 1));
    } else return;
    event.preventDefault();
  }
}
