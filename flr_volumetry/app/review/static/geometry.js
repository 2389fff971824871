// Vectors, planes and patches; all in LPS millimetres. A plane is {point, normal}, a patch 4 x 4 control points.
export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const times = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const length = (a) => Math.hypot(a[0], a[1], a[2]);
export const unit = (a) => times(a, 1 / (length(a) || 1));

// Rotation of a vector about a unit axis (Rodrigues).
export function turned(v, axis, radians) {
  const c = Math.cos(radians), s = Math.sin(radians);
  return add(add(times(v, c), times(cross(axis, v), s)), times(axis, dot(axis, v) * (1 - c)));
}

// Two unit vectors in a plane: the first as level as can be, the second as upright.
export function axesOf(normal) {
  const up = Math.abs(normal[2]) < 0.95 ? [0, 0, 1] : [0, 1, 0];
  const aside = unit(cross(up, normal));
  return [aside, cross(normal, aside)];
}

const N = 3;
export function weights(t) {
  const s = 1 - t;
  return [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
}

export function onPatch(control, u, v) {
  const a = weights(u), b = weights(v);
  let point = [0, 0, 0];
  for (let i = 0; i <= N; i++) for (let j = 0; j <= N; j++) point = add(point, times(control[i][j], a[i] * b[j]));
  return point;
}

export function patchFrame(control) {
  let middle = [0, 0, 0];
  for (const row of control) for (const p of row) middle = add(middle, times(p, 1 / 16));
  const du = sub(add(control[3][0], control[3][3]), add(control[0][0], control[0][3]));
  const dv = sub(add(control[0][3], control[3][3]), add(control[0][0], control[3][0]));
  return { point: middle, normal: unit(cross(du, dv)) };
}

// The part of a plane in front of a box: its middle, and how far it goes along either axis.
export function spanning(plane, [low, high], spare) {
  const axes = axesOf(plane.normal);
  const ends = axes.map((axis) => {
    let least = Infinity, most = -Infinity;
    for (let n = 0; n < 8; n++) {
      const corner = [n & 1 ? high[0] : low[0], n & 2 ? high[1] : low[1], n & 4 ? high[2] : low[2]];
      const at = dot(sub(corner, plane.point), axis);
      least = Math.min(least, at);
      most = Math.max(most, at);
    }
    return [(least + most) / 2, (most - least) / 2 + spare];
  });
  const point = add(plane.point, add(times(axes[0], ends[0][0]), times(axes[1], ends[1][0])));
  return { point, normal: plane.normal, reach: [ends[0][1], ends[1][1]] };
}

// A flat patch in a plane, as far as that goes; it faces where the normal points.
export function flatPatch({ point, normal, reach }) {
  const [a, b] = axesOf(normal);
  return [0, 1, 2, 3].map((i) => [0, 1, 2, 3].map((j) =>
    add(point, add(times(a, reach[0] * (2 * i / 3 - 1)), times(b, reach[1] * (2 * j / 3 - 1))))));
}

export const mapPatch = (control, change) => control.map((row) => row.map(change));

// Control points moved as little as can be so that the patch at (u, v) moves by `by`.
export function bent(control, u, v, by) {
  const a = weights(u), b = weights(v);
  let squares = 0;
  for (const x of a) for (const y of b) squares += (x * y) ** 2;
  return control.map((row, i) => row.map((p, j) => add(p, times(by, a[i] * b[j] / squares))));
}

export const transposed = (control) => control[0].map((_, j) => control.map((row) => row[j]));

// Points of a cut at even steps, row by row: of a plane as far as it reaches, of a patch all over.
export function lattice(cut, steps) {
  const points = [];
  if (cut.control) {
    for (let i = 0; i <= steps; i++) for (let j = 0; j <= steps; j++) points.push(onPatch(cut.control, i / steps, j / steps));
    return points;
  }
  const [a, b] = axesOf(cut.normal);
  for (let i = 0; i <= steps; i++) for (let j = 0; j <= steps; j++) {
    points.push(add(cut.point, add(times(a, cut.reach[0] * (2 * i / steps - 1)), times(b, cut.reach[1] * (2 * j / steps - 1)))));
  }
  return points;
}

// Where triangles cross the plane where coordinate `axis` is `at`: pairs of points, and which triangle each is of.
export function crossing(vertices, triangles, axis, at) {
  const found = [];
  for (let t = 0; t < triangles.length; t += 3) {
    const corners = [triangles[t], triangles[t + 1], triangles[t + 2]];
    const ends = [];
    for (let n = 0; n < 3; n++) {
      const p = vertices[corners[n]], q = vertices[corners[(n + 1) % 3]];
      const a = p[axis] - at, b = q[axis] - at;
      if ((a < 0) !== (b < 0)) ends.push(add(p, times(sub(q, p), a / (a - b))));
    }
    if (ends.length === 2) found.push([ends[0], ends[1], t / 3]);
  }
  return found;
}

export function latticeTriangles(steps) {
  const triangles = [];
  for (let i = 0; i < steps; i++) for (let j = 0; j < steps; j++) {
    const a = i * (steps + 1) + j, b = a + steps + 1;
    triangles.push(a, b, a + 1, a + 1, b, b + 1);
  }
  return triangles;
}

export function inverse(affine) {
  const m = affine;
  const det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
    + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  const c = (i, j, k, l) => (m[i][j] * m[k][l] - m[i][l] * m[k][j]) / det;
  const r = [[c(1, 1, 2, 2), c(0, 2, 2, 1), c(0, 1, 1, 2)], [c(1, 2, 2, 0), c(0, 0, 2, 2), c(0, 2, 1, 0)],
    [c(1, 0, 2, 1), c(0, 1, 2, 0), c(0, 0, 1, 1)]];
  const o = [m[0][3], m[1][3], m[2][3]];
  return (p) => { const d = sub(p, o); return [dot(r[0], d), dot(r[1], d), dot(r[2], d)]; };
}

// A grid of voxels that can be asked at a place.
export class Voxels {
  constructor(grid, data) {
    this.shape = grid.shape;
    this.affine = grid.affine;
    this.data = data;
    this.toIndex = inverse(grid.affine);
  }

  cell(p) {
    const q = this.toIndex(p), s = this.shape;
    const i = Math.round(q[0]), j = Math.round(q[1]), k = Math.round(q[2]);
    if (i < 0 || j < 0 || k < 0 || i >= s[0] || j >= s[1] || k >= s[2]) return -1;
    return i + s[0] * (j + s[1] * k);
  }

  at(p) {
    const cell = this.cell(p);
    return cell < 0 ? 0 : this.data[cell];
  }

  // The cell nearest to a place that holds something, two cells away at most; -1 if there is none.
  nearest(p) {
    const q = this.toIndex(p), s = this.shape;
    let best = -1, least = Infinity;
    const base = q.map(Math.round);
    for (let k = -2; k <= 2; k++) for (let j = -2; j <= 2; j++) for (let i = -2; i <= 2; i++) {
      const x = base[0] + i, y = base[1] + j, z = base[2] + k;
      if (x < 0 || y < 0 || z < 0 || x >= s[0] || y >= s[1] || z >= s[2]) continue;
      const cell = x + s[0] * (y + s[1] * z);
      if (!this.data[cell]) continue;
      const d = (x - q[0]) ** 2 + (y - q[1]) ** 2 + (z - q[2]) ** 2;
      if (d < least) { least = d; best = cell; }
    }
    return best;
  }

  smooth(p) {
    const q = this.toIndex(p), s = this.shape;
    const i = Math.min(Math.max(Math.floor(q[0]), 0), Math.max(s[0] - 2, 0));
    const j = Math.min(Math.max(Math.floor(q[1]), 0), Math.max(s[1] - 2, 0));
    const k = Math.min(Math.max(Math.floor(q[2]), 0), Math.max(s[2] - 2, 0));
    const f = [q[0] - i, q[1] - j, q[2] - k].map((x) => Math.min(Math.max(x, 0), 1));
    let sum = 0;
    for (let n = 0; n < 8; n++) {
      const a = n & 1, b = (n >> 1) & 1, c = n >> 2;
      const w = (a ? f[0] : 1 - f[0]) * (b ? f[1] : 1 - f[1]) * (c ? f[2] : 1 - f[2]);
      if (w) sum += w * this.data[i + a + s[0] * (j + b + s[1] * (k + c))];
    }
    return sum;
  }
}
