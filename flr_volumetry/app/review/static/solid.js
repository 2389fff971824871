// The liver in 3D: coloured by who gets what, the cut by its distance to the lesions, and grips to move it.
import { add, axesOf, dot, lattice, spanning, sub, times, unit } from "./geometry.js";

const STEPS = 72;
const BACK = 0.16;
// After a frame so many times as long as it took is left to the rest of the page.
const REST = 2, SLOW_REST = 5;
const SLOW_MS = 80, MOST_WAIT_MS = 1500;
// The colours of the report: under 1 mm, 1 to 5, 5 to 10, 10 and more.
const CLASSES = [[1, [163, 59, 0]], [5, [217, 130, 0]], [10, [240, 228, 66]], [Infinity, [227, 232, 236]]];
const VIEWS = { front: [180, 5], right: [270, 5], left: [90, 5], above: [180, 90], below: [180, -90] };

export class Solid {
  constructor(scene, plan, hands) {
    Object.assign(this, { scene, plan, hands });
    this.canvas = document.getElementById("solid");
    this.grips = document.getElementById("solid-grips");
    this.meshes = {};
    this.cost = 0;
    this.drawn = 0;
  }

  async start(getBytes) {
    const view = new niivue.Niivue({
      backColor: [0.09, 0.11, 0.13, 1], show3Dcrosshair: false, isOrientCube: true, isResizeCanvas: true,
      loadingText: "", dragAndDropEnabled: false, logLevel: "error", meshXRay: 0,
    });
    this.view = view;
    await view.attachToCanvas(this.canvas);
    view.setSliceType(view.sliceTypeRender);
    for (const surface of this.scene.surfaces) {
      const bytes = await getBytes(`/api/surface/${surface.key}`);
      const opacity = surface.role === "liver" ? 0.42 : 1;
      const mesh = await niivue.NVMesh.readMesh(bytes.buffer, `${surface.key}.mz3`, view.gl, opacity, rgba(surface.colour), true);
      view.addMesh(mesh);
      view.setMeshShader(mesh.id, "Phong");
      this.meshes[surface.key] = mesh;
    }
    const nothing = new Float32Array(9), one = new Uint32Array([0, 1, 2]);
    this.sheet = new niivue.NVMesh(nothing, one, "cut", new Uint8Array([240, 228, 66, 255]), 0.92, true, view.gl);
    this.still(this.sheet);
    view.addMesh(this.sheet);
    view.setMeshShader(this.sheet.id, "Phong");
    view.setRenderAzimuthElevation(200, 12);
    view.setScale(1.15);
    const draw = view.drawScene.bind(view);
    // Whatever turns the view moves the grips along.
    view.drawScene = (...all) => { const done = draw(...all); this.place(); return done; };
    document.querySelectorAll("[data-view]").forEach((button) => {
      button.addEventListener("click", () => view.setRenderAzimuthElevation(...VIEWS[button.dataset.view]));
    });
  }

  // The cut changes size as it moves; the view must not zoom with it.
  still(mesh) {
    const liver = this.meshes.liver;
    mesh.extentsMin = liver.extentsMin;
    mesh.extentsMax = liver.extentsMax;
    mesh.furthestVertexFromOrigin = liver.furthestVertexFromOrigin;
  }

  setLabels(labels, palette) {
    this.labels = labels;
    this.palette = palette;
    if (!this.meshes.liver) return;
    if (!this.cells) {
      const pts = this.meshes.liver.pts;
      this.cells = new Int32Array(pts.length / 3);
      for (let n = 0; n < this.cells.length; n++) {
        this.cells[n] = labels.nearest([-pts[3 * n], -pts[3 * n + 1], pts[3 * n + 2]]);
      }
    }
    this.draw();
  }

  // Draw soon, but leave the page time for the numbers where drawing is slow.
  draw() {
    this.wanted = true;
    if (this.sheet) this.place();
    if (this.drawing || !this.sheet) return;
    this.drawing = true;
    const free = Math.min(MOST_WAIT_MS, Math.max(0, this.drawn + (this.cost > SLOW_MS ? SLOW_REST : REST) * this.cost - performance.now()));
    setTimeout(() => requestAnimationFrame(() => {
      this.wanted = false;
      const began = performance.now();
      try {
        this.update();
        this.view.drawScene();
        this.afterwards(began);
      } catch (error) {
        this.drawing = false;
        throw error;
      }
    }), free);
  }

  // Find out when the picture is really there, and how long it took.
  afterwards(began) {
    const { gl } = this.view;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const ready = () => {
      const spent = performance.now() - began;
      if (fence && spent < 2 * MOST_WAIT_MS && gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) { setTimeout(ready, 8); return; }
      gl.deleteSync(fence);
      this.drawn = performance.now();
      this.cost = spent;
      this.drawing = false;
      if (this.wanted) this.draw();
    };
    setTimeout(ready, 4);
  }

  update() {
    const { gl } = this.view;
    if (this.labels && this.cells) {
      const { data } = this.labels, n = this.cells.length, colours = new Uint8Array(4 * n);
      for (let v = 0; v < n; v++) {
        const c = this.palette[this.cells[v] < 0 ? 1 : data[this.cells[v]]] || this.palette[1];
        colours.set(c, 4 * v);
        colours[4 * v + 3] = 255;
      }
      this.meshes.liver.rgba255 = colours;
      this.meshes.liver.updateMesh(gl);
    }
    this.updateSheet();
  }

  updateSheet() {
    const points = [], colours = [], triangles = [];
    for (const cut of this.plan.cuts()) this.lay(cut, points, colours, triangles);
    const sheet = this.sheet;
    sheet.visible = triangles.length > 0;
    if (triangles.length) {
      sheet.pts = new Float32Array(points);
      sheet.tris = new Uint32Array(triangles);
      sheet.rgba255 = new Uint8Array(colours);
      sheet.updateMesh(this.view.gl);
      this.still(sheet);
    }
  }

  // The part of a cut that lies in the liver, both sides of it.
  lay(cut, points, colours, triangles) {
    const { labels, distance } = this;
    if (!labels) return;
    const all = lattice(cut.control ? cut : spanning(cut, this.scene.bounds_mm, 0), STEPS);
    const inside = all.map((p) => labels.at(p) > 0);
    for (const side of [1, -1]) {
      const used = new Map();
      const index = (n) => {
        if (!used.has(n)) {
          used.set(n, points.length / 3);
          const p = add(all[n], times(cut.normal, -side * BACK));
          points.push(-p[0], -p[1], p[2]);
          const mm = distance ? distance.smooth(all[n]) / 10 : Infinity;
          const [r, g, b] = distance ? CLASSES.find(([bound]) => mm < bound)[1] : [240, 228, 66];
          colours.push(r, g, b, 255);
        }
        return used.get(n);
      };
      for (let i = 0; i < STEPS; i++) for (let j = 0; j < STEPS; j++) {
        const a = i * (STEPS + 1) + j, b = a + STEPS + 1;
        if (inside[a] + inside[b] + inside[a + 1] + inside[b + 1] < 2) continue;
        const quad = [a, b, a + 1, a + 1, b, b + 1].map(index);
        if (side < 0) triangles.push(...quad);
        else triangles.push(quad[0], quad[2], quad[1], quad[3], quad[5], quad[4]);
      }
    }
  }

  // Where a place is on the screen, in CSS pixels of the canvas.
  project(p) {
    const { view } = this;
    const [m] = view.calculateMvpMatrix(null, [0, 0, 0, 0], view.scene.renderAzimuth, view.scene.renderElevation);
    const x = -p[0], y = -p[1], z = p[2];
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    const u = (m[0] * x + m[4] * y + m[8] * z + m[12]) / w, v = (m[1] * x + m[5] * y + m[9] * z + m[13]) / w;
    const box = this.canvas.getBoundingClientRect();
    return [(u + 1) / 2 * box.width, (1 - v) / 2 * box.height];
  }

  place() {
    const cut = this.plan.cut();
    const wanted = [];
    if (cut && this.meshes.liver) {
      const middle = this.scene.bounds_mm[2];
      const foot = sub(middle, times(cut.normal, dot(sub(middle, cut.point), cut.normal)));
      const centre = cut.control ? this.plan.surfacePoint(cut, 1.5, 1.5) : foot;
      const [a, b] = axesOf(cut.normal);
      wanted.push({ kind: "move", p: add(centre, times(cut.normal, 22)), from: centre, along: cut.normal, title: "Move the cut along its normal" });
      for (const [axis, way, words] of [[a, b, "up or down"], [b, a, "to the side"]]) {
        for (const sign of [1, -1]) {
          wanted.push({ kind: "tilt", p: add(centre, times(way, 62 * sign)), pivot: centre, axis, arm: times(way, sign), along: cut.normal, title: `Tilt the cut ${words}` });
        }
      }
      if (cut.control) {
        for (let i = 0; i < 4; i++) for (let j = 0; j < 4; j++) {
          wanted.push({ kind: "bend", p: this.plan.surfacePoint(cut, i, j), u: i / 3, v: j / 3, along: cut.normal, on: this.hands.point[0] === i && this.hands.point[1] === j, ij: [i, j], title: `Bend the cut at ${i + 1}, ${j + 1}` });
        }
      }
    }
    while (this.grips.querySelectorAll("g").length > wanted.length) this.grips.lastElementChild.remove();
    wanted.forEach((grip, n) => this.show(grip, n));
  }

  show(grip, n) {
    let g = this.grips.querySelectorAll("g")[n];
    if (!g) {
      g = document.createElementNS("http://www.w3.org/2000/svg", "g");
      g.append(...["line", "circle", "title"].map((kind) => document.createElementNS("http://www.w3.org/2000/svg", kind)));
      g.addEventListener("pointerdown", (e) => this.press(e, g));
      g.addEventListener("pointermove", (e) => this.drag(e, g));
      for (const end of ["pointerup", "pointercancel"]) g.addEventListener(end, () => { if (g.from) { g.from = null; this.hands.done(); } });
      this.grips.append(g);
    }
    g.grip = grip;
    const [x, y] = this.project(grip.p);
    const [line, circle, title] = g.children;
    g.setAttribute("class", `grip ${grip.kind}${grip.on ? " on" : ""}`);
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    circle.setAttribute("r", grip.kind === "bend" ? 5 : 7);
    title.textContent = grip.title;
    const [fx, fy] = grip.from ? this.project(grip.from) : [x, y];
    for (const [name, value] of [["x1", fx], ["y1", fy], ["x2", x], ["y2", y]]) line.setAttribute(name, value);
  }

  press(event, g) {
    event.preventDefault();
    g.setPointerCapture(event.pointerId);
    g.from = { x: event.clientX, y: event.clientY, grip: g.grip, cut: this.plan.cut() };
    if (g.grip.ij) this.hands.choose(g.grip.ij);
  }

  drag(event, g) {
    if (!g.from) return;
    const { grip, cut, x, y } = g.from;
    // How far along the normal the mouse went; where the normal points at the eye, up counts.
    const p = this.project(grip.p), q = this.project(add(grip.p, times(grip.along, 10)));
    const v = [(q[0] - p[0]) / 10, (q[1] - p[1]) / 10], size = Math.hypot(...v);
    const moved = [event.clientX - x, event.clientY - y];
    const mm = size > 0.25 ? (moved[0] * v[0] + moved[1] * v[1]) / size ** 2 : -moved[1] / 2;
    const { plan, hands } = this;
    if (grip.kind === "move") hands.moved(plan.shifted(cut, times(grip.along, mm)), event.timeStamp);
    else if (grip.kind === "bend") hands.moved(plan.bent(cut, grip.u, grip.v, times(grip.along, mm)), event.timeStamp);
    else {
      const sign = dot(unit(cross3(grip.axis, grip.arm)), grip.along) > 0 ? 1 : -1;
      hands.moved(plan.tilted(cut, grip.pivot, grip.axis, sign * Math.atan2(mm, 62)), event.timeStamp);
    }
  }
}

const cross3 = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const rgba = (colour) => new Uint8Array([1, 3, 5].map((n) => parseInt(colour.slice(n, n + 2), 16)).concat(255));
