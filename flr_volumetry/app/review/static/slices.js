// Three slices through one place: the scan, who gets what, and the cut as a line that can be taken hold of.
import { add, crossing, cross, dot, length, lattice, latticeTriangles, spanning, sub, times } from "./geometry.js";

const VIEWS = {
  axial: { axis: 2, right: 0, down: 1, up: false, sides: ["R", "L", "A", "P"] },
  coronal: { axis: 1, right: 0, down: 2, up: true, sides: ["R", "L", "H", "F"] },
  sagittal: { axis: 0, right: 1, down: 2, up: true, sides: ["A", "P", "H", "F"] },
};
const STEPS = 28;
const CELLS = latticeTriangles(STEPS);
const TILT_MM = 55;
const NEAR_PX = 9;
// Pixels are computed here, so they are best kept where the processor has them.
const PLAIN = { alpha: false, willReadFrequently: true };

export class Slices {
  constructor(scene, arrays, plan, hands) {
    Object.assign(this, { scene, arrays, plan, hands });
    this.at = scene.bounds_mm[2].slice();
    this.panes = Object.keys(VIEWS).map((name) => new Pane(name, this));
    this.opacity = 0.42;
    this.margins = [];
    this.labels = null;
    this.fine = null;
    this.pending = false;
  }

  // Draw at the next frame, however often it is asked.
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.panes.forEach((pane) => pane.draw()); });
  }

  go(place) {
    const [low, high] = this.scene.bounds_mm;
    this.at = place.map((x, n) => Math.min(Math.max(x, low[n] - 20), high[n] + 20));
    this.draw();
    this.hands.went(this.at);
  }
}

class Pane {
  constructor(name, all) {
    Object.assign(this, VIEWS[name], { name, all });
    this.canvas = document.getElementById(`slice-${name}`);
    this.context = this.canvas.getContext("2d", PLAIN);
    this.ground = document.createElement("canvas");
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (e) => this.press(e));
    canvas.addEventListener("pointermove", (e) => this.drag(e));
    canvas.addEventListener("pointerup", (e) => this.release(e));
    canvas.addEventListener("pointercancel", (e) => this.release(e));
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); this.leaf(e.deltaY > 0 ? -1 : 1); }, { passive: false });
    canvas.addEventListener("keydown", (e) => this.key(e));
    new ResizeObserver(() => all.draw()).observe(canvas);
  }

  leaf(by) {
    const step = this.all.scene.grid.affine[0][0];
    const at = this.all.at.slice();
    at[this.axis] += by * Math.max(1, step);
    this.all.go(at);
  }

  key(event) {
    const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    this.leaf(by);
  }

  frame() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    const [low, high] = this.all.scene.bounds_mm;
    const spanX = high[this.right] - low[this.right] + 24, spanY = high[this.down] - low[this.down] + 24;
    const scale = Math.min(w / spanX, h / spanY);
    const midX = (low[this.right] + high[this.right]) / 2, midY = (low[this.down] + high[this.down]) / 2;
    this.view = { w, h, ratio, scale, midX, midY };
  }

  toScreen(p) {
    const { w, h, scale, midX, midY } = this.view;
    return [w / 2 + (p[this.right] - midX) * scale, h / 2 + (p[this.down] - midY) * scale * (this.up ? -1 : 1)];
  }

  toPlace(x, y) {
    const { w, h, scale, midX, midY } = this.view;
    const p = this.all.at.slice();
    p[this.right] = midX + (x - w / 2) / scale;
    p[this.down] = midY + (y - h / 2) / scale * (this.up ? -1 : 1);
    return p;
  }

  draw() {
    this.frame();
    const { context: c, view } = this;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.fillStyle = "#000";
    c.fillRect(0, 0, view.w, view.h);
    this.drawGround();
    this.drawCross();
    this.handles = [];
    for (const cut of this.all.plan.cuts()) this.drawCut(cut);
    this.drawMargins();
    this.drawWords();
  }

  drawGround() {
    const { arrays, scene } = this.all;
    const { shape, affine } = scene.grid;
    const step = affine[0][0];
    const n = Math.round((this.all.at[this.axis] - affine[this.axis][3]) / step);
    if (n < 0 || n >= shape[this.axis]) return;
    const nx = shape[this.right], ny = shape[this.down];
    if (!this.pixels || this.pixels.width !== nx || this.pixels.height !== ny) {
      this.ground.width = nx;
      this.ground.height = ny;
      this.pixels = this.ground.getContext("2d", PLAIN).createImageData(nx, ny);
    }
    const strides = [1, shape[0], shape[0] * shape[1]];
    const sx = strides[this.right], sy = strides[this.down], start = n * strides[this.axis];
    const out = this.pixels.data, { grey, tissue } = arrays;
    const label = this.labeller(n);
    const palette = this.all.palette, opacity = this.all.opacity;
    for (let y = 0; y < ny; y++) {
      const row = this.up ? ny - 1 - y : y;
      for (let x = 0; x < nx; x++) {
        const cell = start + x * sx + row * sy, o = 4 * (y * nx + x);
        const code = tissue[cell];
        let r = grey ? grey[cell] : 24, g = r, b = r;
        if (code) {
          let tint, share = opacity;
          if (code > 10) {
            // A lesion is seen through, and has an outline.
            tint = [255, 255, 255];
            share = tissue[cell + sx] === code && tissue[cell - sx] === code && tissue[cell + sy] === code && tissue[cell - sy] === code ? 0.1 : 0.9;
          }
          else {
            tint = palette[label(cell, x, row)] || palette[1];
            if (code > 1) { const vein = this.all.veins[code - 2]; r = (r + vein[0]) / 2; g = (g + vein[1]) / 2; b = (b + vein[2]) / 2; share = 0.15; }
          }
          if (!grey) share = 0.9;
          r += (tint[0] - r) * share; g += (tint[1] - g) * share; b += (tint[2] - b) * share;
        }
        out[o] = r; out[o + 1] = g; out[o + 2] = b; out[o + 3] = 255;
      }
    }
    this.ground.getContext("2d", PLAIN).putImageData(this.pixels, 0, 0);
    const low = scene.grid.affine, first = [0, 0, 0];
    first[this.right] = low[this.right][3] - step / 2;
    first[this.down] = this.up ? low[this.down][3] + step * (ny - 0.5) : low[this.down][3] - step / 2;
    const [x, y] = this.toScreen(first);
    this.context.imageSmoothingEnabled = true;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(this.ground, x, y, nx * step * this.view.scale, ny * step * this.view.scale);
  }

  // Who gets a voxel: exactly, once the plan rests; by every so many-th voxel while it moves.
  labeller(n) {
    const { fine, labels, scene } = this.all;
    if (fine) return (cell) => fine[cell];
    if (!labels) return () => 1;
    const { affine } = scene.grid, step = affine[0][0];
    const place = [0, 0, 0];
    place[this.axis] = affine[this.axis][3] + n * step;
    return (cell, x, row) => {
      place[this.right] = affine[this.right][3] + x * step;
      place[this.down] = affine[this.down][3] + row * step;
      return labels.at(place) || 1;
    };
  }

  drawCross() {
    const { context: c, view } = this;
    const [x, y] = this.toScreen(this.all.at);
    c.strokeStyle = "rgba(120, 200, 255, 0.45)";
    c.lineWidth = view.ratio;
    c.beginPath();
    c.moveTo(x, 0); c.lineTo(x, view.h);
    c.moveTo(0, y); c.lineTo(view.w, y);
    c.stroke();
  }

  drawCut(cut) {
    const { context: c, view } = this;
    const level = this.all.at[this.axis];
    const vertices = lattice(cut.control ? cut : spanning(cut, this.all.scene.bounds_mm, 400), cut.control ? STEPS : 1);
    const parts = crossing(vertices, cut.control ? CELLS : latticeTriangles(1), this.axis, level);
    if (!parts.length) return;
    const path = new Path2D();
    for (const [a, b] of parts) {
      const [x0, y0] = this.toScreen(a), [x1, y1] = this.toScreen(b);
      path.moveTo(x0, y0);
      path.lineTo(x1, y1);
    }
    c.lineCap = "round";
    c.strokeStyle = "rgba(0, 0, 0, 0.75)";
    c.lineWidth = (cut.on ? 5 : 3.4) * view.ratio;
    c.stroke(path);
    c.strokeStyle = this.all.scene.colours.cut;
    c.lineWidth = (cut.on ? 2.6 : 1.4) * view.ratio;
    c.setLineDash(cut.on ? [] : [6 * view.ratio, 4 * view.ratio]);
    c.stroke(path);
    c.setLineDash([]);
    if (cut.on) this.drawGrips(cut, parts, level);
    else this.handles.push({ kind: "pick", cut, parts });
  }

  // A grip in the middle moves the cut, those beside it tilt it; elsewhere a bent cut is bent.
  drawGrips(cut, parts, level) {
    const { context: c, view } = this;
    let nearest = null, least = Infinity;
    const middle = this.all.scene.bounds_mm[2].slice();
    middle[this.axis] = level;
    for (const [a, b] of parts) {
      const d = sub(b, a), t = Math.min(1, Math.max(0, dot(sub(middle, a), d) / (dot(d, d) || 1)));
      const p = add(a, times(d, t)), far = length(sub(p, middle));
      if (far < least) { least = far; nearest = { p, d }; }
    }
    const axis = [0, 0, 0];
    axis[this.axis] = 1;
    const flat = cut.normal.slice();
    flat[this.axis] = 0;
    const size = length(flat);
    if (size < 0.08) return;
    const along = times(cross(axis, flat), 1 / size);
    const grips = [
      { kind: "move", p: nearest.p },
      { kind: "tilt", p: add(nearest.p, times(along, TILT_MM)), pivot: nearest.p, axis },
      { kind: "tilt", p: add(nearest.p, times(along, -TILT_MM)), pivot: nearest.p, axis },
    ];
    const [x, y] = this.toScreen(nearest.p), [nx, ny] = this.toScreen(add(nearest.p, times(flat, 16 / size)));
    c.strokeStyle = "#fff";
    c.lineWidth = 2 * view.ratio;
    c.beginPath();
    c.moveTo(x, y); c.lineTo(nx, ny);
    const turn = Math.atan2(ny - y, nx - x);
    for (const side of [2.6, -2.6]) { c.moveTo(nx, ny); c.lineTo(nx + 7 * view.ratio * Math.cos(turn + side), ny + 7 * view.ratio * Math.sin(turn + side)); }
    c.stroke();
    for (const grip of grips) {
      const [gx, gy] = this.toScreen(grip.p);
      c.beginPath();
      if (grip.kind === "move") c.rect(gx - 6 * view.ratio, gy - 6 * view.ratio, 12 * view.ratio, 12 * view.ratio);
      else c.arc(gx, gy, 6 * view.ratio, 0, 7);
      c.fillStyle = this.all.scene.colours.cut;
      c.strokeStyle = "#000";
      c.lineWidth = 1.5 * view.ratio;
      c.fill();
      c.stroke();
      this.handles.push({ ...grip, x: gx, y: gy });
    }
    this.handles.push({ kind: cut.control ? "bend" : "move", parts });
  }

  drawMargins() {
    const { context: c, view } = this;
    c.font = `600 ${11.5 * view.ratio}px system-ui, sans-serif`;
    for (const lesion of this.all.scene.lesions) {
      const away = Math.abs(lesion.middle_mm[this.axis] - this.all.at[this.axis]);
      if (away < Math.cbrt(lesion.ml * 1000) * 0.6) this.label(`${lesion.number}`, this.toScreen(lesion.middle_mm), "#111", "#fff");
    }
    for (const m of this.all.margins) {
      if (!m.closest_mm || !m.cut_mm || m.margin_mm === null || m.margin_mm > 60) continue;
      const far = Math.max(...[m.closest_mm, m.cut_mm].map((p) => Math.abs(p[this.axis] - this.all.at[this.axis])));
      if (far > 4) continue;
      const a = this.toScreen(m.closest_mm), b = this.toScreen(m.cut_mm);
      c.strokeStyle = "#fff";
      c.lineWidth = 1.6 * view.ratio;
      c.beginPath();
      c.moveTo(...a); c.lineTo(...b);
      c.stroke();
      this.label(`${m.margin_mm.toFixed(1)} mm`, [(a[0] + b[0]) / 2 + 22 * view.ratio, (a[1] + b[1]) / 2], "#fff", "rgba(0, 0, 0, 0.7)");
    }
  }

  label(text, [x, y], ink, ground) {
    const { context: c, view } = this;
    const wide = c.measureText(text).width + 6 * view.ratio, high = 15 * view.ratio;
    c.fillStyle = ground;
    c.fillRect(x - wide / 2, y - high / 2, wide, high);
    c.fillStyle = ink;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText(text, x, y + 0.5 * view.ratio);
  }

  drawWords() {
    const { context: c, view } = this;
    const pad = 6 * view.ratio;
    c.font = `600 ${12 * view.ratio}px system-ui, sans-serif`;
    c.fillStyle = "#dfe7ee";
    c.textBaseline = "middle";
    c.textAlign = "left"; c.fillText(this.sides[0], pad, view.h / 2);
    c.textAlign = "right"; c.fillText(this.sides[1], view.w - pad, view.h / 2);
    c.textBaseline = "top";
    c.textAlign = "center"; c.fillText(this.sides[2], view.w / 2, pad);
    c.textBaseline = "bottom"; c.fillText(this.sides[3], view.w / 2, view.h - pad);
    c.textAlign = "left"; c.textBaseline = "top";
    const at = this.all.at[this.axis];
    c.fillText(`${this.name}  ${"xyz"[this.axis]} ${at.toFixed(0)} mm`, pad, pad);
  }

  mouse(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.view.ratio, (event.clientY - box.top) * this.view.ratio];
  }

  hit([x, y]) {
    const near = NEAR_PX * this.view.ratio;
    for (const handle of this.handles || []) {
      if (handle.x !== undefined && Math.hypot(handle.x - x, handle.y - y) < near + 3) return handle;
    }
    for (const handle of this.handles || []) {
      if (!handle.parts) continue;
      for (const part of handle.parts) {
        const a = this.toScreen(part[0]), b = this.toScreen(part[1]);
        const dx = b[0] - a[0], dy = b[1] - a[1];
        const t = Math.min(1, Math.max(0, ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1)));
        if (Math.hypot(a[0] + t * dx - x, a[1] + t * dy - y) < near) return { ...handle, part };
      }
    }
    return null;
  }

  press(event) {
    if (event.button !== 0) return;
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.toPlace(...this.mouse(event));
    const handle = this.hit(this.mouse(event));
    if (handle && handle.kind === "pick") {
      this.all.hands.pick(handle.cut);
      this.draw();
    }
    const kind = handle ? (handle.kind === "pick" ? (handle.cut.control ? "move" : "move") : handle.kind) : "look";
    this.grip = { kind: event.shiftKey && handle ? "move" : kind, place, handle, cut: this.all.plan.cut() };
    if (kind === "bend") this.grip.uv = this.uv(handle.part, place);
    if (this.grip.kind === "look") this.all.go(place);
  }

  // Where on the patch a triangle of its lattice lies.
  uv(part, place) {
    const cell = Math.floor(part[2] / 2);
    const i = Math.floor(cell / STEPS), j = cell % STEPS;
    return [(i + 0.5) / STEPS, (j + 0.5) / STEPS, place];
  }

  drag(event) {
    if (!this.view) return;
    const mouse = this.mouse(event);
    if (!this.grip) {
      const handle = this.hit(mouse);
      this.canvas.style.cursor = !handle ? "crosshair" : handle.kind === "tilt" ? "grab" : "move";
      return;
    }
    const place = this.toPlace(...mouse);
    const { kind, cut, place: from, handle, uv } = this.grip;
    if (kind === "look") { this.all.go(place); return; }
    const { plan, hands } = this.all;
    const moved = sub(place, from);
    if (kind === "move") {
      hands.moved(plan.shifted(cut, times(cut.normal, dot(moved, cut.normal))), event.timeStamp);
    } else if (kind === "tilt") {
      const turn = (p) => { const d = sub(p, handle.pivot); return Math.atan2(d[this.down], d[this.right]); };
      // Seen along its axis a turn from right to down is one way round, or the other, by the axes' order.
      const way = cross([+(this.right === 0), +(this.right === 1), +(this.right === 2)], [+(this.down === 0), +(this.down === 1), +(this.down === 2)])[this.axis];
      hands.moved(plan.tilted(cut, handle.pivot, handle.axis, way * (turn(place) - turn(from))), event.timeStamp);
    } else if (kind === "bend") {
      hands.moved(plan.bent(cut, uv[0], uv[1], times(cut.normal, dot(moved, cut.normal))), event.timeStamp);
    }
  }

  release() {
    if (this.grip && this.grip.kind !== "look") this.all.hands.done();
    this.grip = null;
  }
}
