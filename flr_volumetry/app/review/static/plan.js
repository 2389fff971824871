// The plan being worked on: its stages, what is picked of it, and what can be undone.
import { axesOf, bent, flatPatch, mapPatch, patchFrame, add, spanning, sub, times, transposed, turned, unit, onPatch } from "./geometry.js";

const copy = (x) => JSON.parse(JSON.stringify(x));

export class Plan {
  constructor(changed) {
    this.changed = changed;
    this.stages = [];
    this.picked = null;
    this.past = [];
    this.future = [];
    this.kept = "[]";
    this.shapes = new Map();
  }

  load(stages, { keepHistory = false } = {}) {
    const text = JSON.stringify(stages);
    if (keepHistory && text !== this.kept) this.past.push(this.kept);
    if (!keepHistory) this.past = [];
    this.future = [];
    this.kept = text;
    this.stages = copy(stages);
    this.pickFirst();
  }

  pickFirst() {
    const keep = this.picked && this.item();
    if (keep) return;
    this.picked = null;
    this.stages.forEach((stage, s) => stage.resections.forEach((cut, r) => {
      if (!this.picked || (!this.isCut(this.item()) && this.isCut(cut))) this.picked = { s, r, sub: 0 };
    }));
  }

  item(at = this.picked) { return at && this.stages[at.s] ? this.stages[at.s].resections[at.r] : undefined; }
  isCut(cut) { return !!cut && (cut.kind === "plane" || cut.kind === "planes" || (cut.kind === "surface" && !!cut.control_mm)); }

  // The cut that is moved, as {point, normal} or {control, point, normal}.
  cut(at = this.picked) {
    const item = this.item(at);
    if (!item) return null;
    const placed = this.placed(item, at.sub || 0);
    if (placed) return placed;
    if (item.kind === "plane" && item.normal) return { point: item.point_mm, normal: unit(item.normal) };
    if (item.kind === "planes") {
      const plane = item.planes[Math.min(at.sub || 0, item.planes.length - 1)];
      return plane.normal ? { point: plane.point_mm, normal: unit(plane.normal) } : null;
    }
    if (item.kind === "surface" && item.control_mm && item.control_mm.length === 4 && item.control_mm[0].length === 4) {
      return { control: item.control_mm, ...patchFrame(item.control_mm) };
    }
    return null;
  }

  // Where a plane lies that is given by points, landmarks or a file, as the server worked it out.
  placed(item, sub) {
    const planes = this.shapes.get(JSON.stringify(item));
    const own = item.kind === "planes" ? item.planes[sub] : item;
    if (!planes || own === undefined || own.normal || !planes[sub] || !planes[sub].normal) return null;
    return { point: planes[sub].point_mm, normal: planes[sub].normal };
  }

  heardShapes(shapes) {
    this.shapes.clear();
    this.stages.flatMap((stage) => stage.resections).forEach((item, n) => {
      if (shapes[n] && shapes[n].length) this.shapes.set(JSON.stringify(item), shapes[n]);
    });
  }

  // Every cut of the plan that can be drawn.
  cuts() {
    const all = [];
    this.stages.forEach((stage, s) => stage.resections.forEach((item, r) => {
      const many = item.kind === "planes" ? item.planes.length : 1;
      for (let sub = 0; sub < many; sub++) {
        const cut = this.cut({ s, r, sub });
        const on = this.picked && this.picked.s === s && this.picked.r === r && (this.picked.sub || 0) === sub;
        if (cut) all.push({ ...cut, on, s, r, sub });
      }
    }));
    return all;
  }

  setCut(cut, at = this.picked) {
    const item = this.item(at);
    if (cut.control) item.control_mm = cut.control;
    else if (item.kind === "planes") {
      // A plane that is moved is no longer the one that its points gave; the others stay where they are.
      item.planes = item.planes.map((_, sub) => {
        const own = sub === (at.sub || 0) ? cut : this.cut({ ...at, sub });
        return { point_mm: own.point, normal: own.normal };
      });
    } else this.stages[at.s].resections[at.r] = { kind: "plane", point_mm: cut.point, normal: cut.normal };
  }

  shifted(cut, by) {
    if (cut.control) return { control: mapPatch(cut.control, (p) => add(p, by)) };
    return { point: add(cut.point, by), normal: cut.normal };
  }

  tilted(cut, pivot, axis, radians) {
    const around = (p) => add(pivot, turned(sub(p, pivot), axis, radians));
    if (cut.control) return { control: mapPatch(cut.control, around) };
    return { point: around(cut.point), normal: turned(cut.normal, axis, radians) };
  }

  bent(cut, u, v, by) { return { control: bent(cut.control, u, v, by) }; }
  flipped(cut) {
    return cut.control ? { control: transposed(cut.control) } : { point: cut.point, normal: times(cut.normal, -1) };
  }

  // A patch in place of a plane, that spans the liver and some room around it.
  toPatch(bounds) {
    const item = this.item();
    const fresh = { kind: "surface", control_mm: flatPatch(spanning(this.cut(), bounds, 30)) };
    if (item.kind === "planes") item.planes.splice(this.picked.sub || 0, 1);
    const { s, r } = this.picked;
    if (item.kind === "planes" && item.planes.length) this.stages[s].resections.splice(r + 1, 0, fresh), this.picked = { s, r: r + 1, sub: 0 };
    else this.stages[s].resections[r] = fresh;
  }

  toPlane() {
    const cut = this.cut();
    this.stages[this.picked.s].resections[this.picked.r] = { kind: "plane", point_mm: cut.point, normal: cut.normal };
  }

  surfacePoint(cut, i, j) { return onPatch(cut.control, i / 3, j / 3); }
  axes(cut) { return axesOf(cut.normal); }

  add(cut) {
    if (!this.stages.length) this.stages.push({ name: "", resections: [] });
    const s = this.picked ? this.picked.s : this.stages.length - 1;
    this.stages[s].resections.push(cut);
    this.picked = { s, r: this.stages[s].resections.length - 1, sub: 0 };
  }

  remove(at) {
    this.stages[at.s].resections.splice(at.r, 1);
    this.picked = null;
    this.pickFirst();
  }

  // Keep what was done, so that it can be undone; false if nothing was.
  keep() {
    const text = JSON.stringify(this.stages);
    if (text === this.kept) return false;
    this.past.push(this.kept);
    if (this.past.length > 300) this.past.shift();
    this.future = [];
    this.kept = text;
    return true;
  }

  step(from, to) {
    if (!from.length) return false;
    to.push(this.kept);
    this.kept = from.pop();
    this.stages = JSON.parse(this.kept);
    this.pickFirst();
    return true;
  }

  undo() { return this.step(this.past, this.future); }
  redo() { return this.step(this.future, this.past); }
}
