// What is cut: the list of resections, and the controls of the one that is picked.
import { add, axesOf, times } from "./geometry.js";
import { el, mm, ml } from "./words.js";

const DEGREE = Math.PI / 180;
const WORDS = { plane: "Plane", planes: "Planes", surface: "Surface", segments: "Segments", hepatectomy: "Hepatectomy", territory: "Territory",
  wedge: "Wedge", ablation: "Ablation", markup: "Markup", curve: "Curve", anatomical_plane: "Anatomical plane", remnant_mask: "Imported remnant" };

export class Editor {
  constructor(scene, plan, hands) {
    Object.assign(this, { scene, plan, hands });
    this.list = document.getElementById("resections");
    this.form = document.getElementById("controls");
    this.makeButtons();
  }

  makeButtons() {
    const { scene, plan, hands } = this;
    const [low, high, middle] = scene.bounds_mm;
    const first = scene.lesions[0] ? [scene.lesions[0].number] : [];
    const kinds = [
      ["Plane", true, () => ({ kind: "plane", point_mm: middle.slice(), normal: [-1, 0, 0] })],
      ["Surface", true, () => ({ kind: "plane", point_mm: middle.slice(), normal: [-1, 0, 0] })],
      ["Segments", scene.segments.length > 0, () => ({ kind: "segments", segments: [scene.segments[0].number] })],
      ["Territory", scene.territories.length > 0, () => ({ kind: "territory", structure: scene.territories[0].structure, branches: [usual(scene.territories[0])] })],
      ["Wedge", first.length > 0, () => ({ kind: "wedge", lesions: first, margin_mm: 5 })],
      ["Ablation", first.length > 0, () => ({ kind: "ablation", lesions: first, margin_mm: 5 })],
    ];
    const row = document.getElementById("add");
    for (const [name, possible, make] of kinds) {
      if (!possible) continue;
      row.append(el("button", { type: "button", onclick: () => {
        plan.add(make());
        if (name === "Surface") plan.toPatch(scene.bounds_mm);
        hands.edited();
      } }, `+ ${name}`));
    }
    row.append(el("button", { type: "button", onclick: () => {
      plan.stages.push({ name: `stage ${plan.stages.length + 1}`, after: { procedure: "pve", weeks: 4 }, resections: [] });
      plan.picked = { s: plan.stages.length - 1, r: -1, sub: 0 };
      hands.edited();
    } }, "+ Stage"));
  }

  title(item) {
    const { scene } = this;
    switch (item.kind) {
      case "hepatectomy": return (scene.hepatectomies.find((h) => h.key === item.name) || { name: item.name }).name;
      case "segments": return `segments ${item.segments.map((n) => (scene.segments.find((s) => s.number === n) || { roman: n }).roman).join(", ")}`;
      case "wedge": case "ablation": return `${WORDS[item.kind].toLowerCase()} of lesion${item.lesions.length > 1 ? "s" : ""} ${item.lesions.join(", ")}, ${item.margin_mm} mm`;
      case "territory": return item.branches ? `territory of ${item.branches.length} branch${item.branches.length > 1 ? "es" : ""}` : `territory of lesions ${item.lesions.join(", ")}`;
      case "planes": return `beyond ${item.combine} of ${item.planes.length} planes`;
      case "surface": return item.file ? `surface ${item.file}` : "beyond a bent surface";
      case "plane": return "beyond a plane";
      case "anatomical_plane": return `${item.name.replaceAll("_", " ")}, ${item.removes} side`;
      case "markup": return `markup ${item.file}`;
      default: return WORDS[item.kind] || item.kind;
    }
  }

  // Draw the list anew; `pieces` says what each resection takes.
  show(pieces = null, voxelMl = 0) {
    const { plan, hands } = this;
    const focus = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.at : null;
    this.list.replaceChildren();
    let number = 0;
    plan.stages.forEach((stage, s) => {
      if (plan.stages.length > 1 || stage.after) this.list.append(this.stageRow(stage, s));
      const rows = stage.resections.map((item, r) => {
        const on = plan.picked && plan.picked.s === s && plan.picked.r === r;
        number += 1;
        const piece = pieces && pieces[number];
        return el("li", { class: on ? "on" : "" },
          el("button", { type: "button", class: "pick", "aria-pressed": String(!!on), "data-at": `${s}.${r}`, onclick: () => hands.pick({ s, r, sub: 0 }) },
            el("i", { class: `dot ${item.kind === "ablation" ? "ablated" : `stage${s % 3}`}`, "aria-hidden": "true" }), this.title(item),
            el("span", { class: "taken", "data-piece": String(number) }, piece ? ml(piece.count * voxelMl) : "")),
          el("button", { type: "button", class: "quiet", "aria-label": `Remove ${this.title(item)}`, onclick: () => { plan.remove({ s, r }); hands.edited(); } }, "✕"));
      });
      this.list.append(el("ol", {}, ...rows));
    });
    if (!plan.stages.some((stage) => stage.resections.length)) this.list.append(el("p", { class: "small" }, "Nothing is cut yet. Add what is to go."));
    this.controls();
    if (focus) { const again = this.list.querySelector(`[data-at="${focus}"]`); if (again) again.focus(); }
  }

  stageRow(stage, s) {
    const { plan, hands } = this;
    const after = stage.after ? [" after ", el("select", { "aria-label": "Procedure before this stage", onchange: (e) => { stage.after.procedure = e.target.value; hands.edited(); } },
      ...[...new Set(["pve", "pve_s4", "lvd", "alpps", stage.after.procedure])].map((p) => el("option", { value: p, selected: p === stage.after.procedure }, p.toUpperCase()))),
    el("input", { type: "number", min: 0, max: 52, step: 0.5, value: stage.after.weeks, "aria-label": "Weeks after it", onchange: (e) => { stage.after.weeks = Number(e.target.value) || 0; hands.edited(); } }), " weeks"] : [];
    return el("p", { class: "stage" }, el("strong", {}, stage.name || `stage ${s + 1}`), ...after,
      plan.stages.length > 1 && !stage.resections.length ? el("button", { type: "button", class: "quiet", "aria-label": "Remove this stage", onclick: () => { plan.stages.splice(s, 1); plan.picked = null; plan.pickFirst(); hands.edited(); } }, "✕") : "");
  }

  taken(pieces, voxelMl) {
    this.list.querySelectorAll("[data-piece]").forEach((span) => {
      const piece = pieces[Number(span.dataset.piece)];
      span.textContent = piece ? ml(piece.count * voxelMl) : "";
    });
  }

  controls() {
    const item = this.plan.item();
    const active = document.activeElement && this.form.contains(document.activeElement) ? document.activeElement.id : "";
    this.form.replaceChildren();
    if (!item) return;
    const legend = el("h3", {}, WORDS[item.kind] || item.kind);
    this.form.append(legend);
    if (this.plan.cut()) this.cutControls(item);
    else if (item.kind === "segments" || item.kind === "hepatectomy") this.segmentControls(item);
    else if (item.kind === "territory") this.territoryControls(item);
    else if (item.kind === "wedge" || item.kind === "ablation") this.lesionControls(item);
    else this.form.append(el("p", { class: "small" }, "Drawn elsewhere, or placed from landmarks: it can be left out, not moved."));
    if (active) { const again = document.getElementById(active); if (again) again.focus(); }
  }

  cutControls(item) {
    const { plan, hands, form } = this;
    if (item.kind === "planes") {
      form.append(el("p", { class: "buttons", role: "group", "aria-label": "Which plane" }, ...item.planes.map((_, n) =>
        el("button", { type: "button", "aria-pressed": String(plan.picked.sub === n), onclick: () => hands.pick({ ...plan.picked, sub: n }) }, `plane ${n + 1}`))));
    }
    const cut = () => plan.cut();
    this.slider("shift", "Along the normal", -60, 60, 0.5, "mm", (base, x) => plan.shifted(base, times(base.normal, x)));
    const middle = this.scene.bounds_mm[2];
    const pivot = (base) => add(middle, times(base.normal, -(base.normal[0] * (middle[0] - base.point[0]) + base.normal[1] * (middle[1] - base.point[1]) + base.normal[2] * (middle[2] - base.point[2]))));
    this.slider("tilt-a", "Tilt up or down", -45, 45, 0.5, "°", (base, x) => plan.tilted(base, pivot(base), axesOf(base.normal)[0], x * DEGREE));
    this.slider("tilt-b", "Tilt to the side", -45, 45, 0.5, "°", (base, x) => plan.tilted(base, pivot(base), axesOf(base.normal)[1], x * DEGREE));
    if (cut().control) this.patchControls();
    const buttons = [el("button", { type: "button", id: "flip", onclick: () => { plan.setCut(plan.flipped(cut())); hands.edited(); } }, "Other side goes")];
    if (cut().control) buttons.push(el("button", { type: "button", id: "flatten", onclick: () => { plan.toPlane(); hands.edited(); } }, "Make it flat"));
    else buttons.push(el("button", { type: "button", id: "bend", onclick: () => { plan.toPatch(this.scene.bounds_mm); hands.edited(); } }, "Make it bendable"));
    form.append(el("p", { class: "buttons" }, ...buttons));
    const at = cut();
    form.append(el("p", { class: "small", id: "cut-at" }, this.where(at)));
  }

  where(cut) {
    const n = cut.normal.map((x) => x.toFixed(3)).join(", ");
    return `Through ${cut.point.map((x) => x.toFixed(1)).join(", ")} mm; what goes lies towards ${n} (LPS).`;
  }

  // A slider that changes the cut relative to where it was when the slider was taken.
  slider(id, words, low, high, step, sign, change) {
    const { plan, hands, form } = this;
    const out = el("output", { for: id }, `0 ${sign}`);
    let base = null;
    const input = el("input", { type: "range", id, min: low, max: high, step, value: 0, oninput: (e) => {
      base = base || plan.cut();
      out.textContent = `${e.target.value} ${sign}`;
      hands.moved(change(base, Number(e.target.value)), e.timeStamp);
    }, onchange: () => {
      base = null;
      clearTimeout(this.rest);
      this.rest = setTimeout(() => { input.value = 0; out.textContent = `0 ${sign}`; hands.done(); }, 350);
    } });
    // Arrow keys change a slider step by step: each step counts from the same place until the keys rest.
    const held = input.onchange;
    input.onchange = (e) => { const keep = base; held(e); base = keep; clearTimeout(input.rest); input.rest = setTimeout(() => { base = null; }, 350); };
    form.append(el("div", { class: "slider" }, el("label", { for: id }, words), input, out));
  }

  patchControls() {
    const { plan, hands, form } = this;
    const grid = el("div", { class: "grid16", role: "group", "aria-label": "Points of the surface, four by four" });
    for (let j = 3; j >= 0; j--) for (let i = 0; i < 4; i++) {
      const on = hands.point[0] === i && hands.point[1] === j;
      grid.append(el("button", { type: "button", id: `point-${i}-${j}`, "aria-pressed": String(on), "aria-label": `Point ${i + 1}, ${j + 1}`, onclick: () => hands.choose([i, j]),
        onkeydown: (e) => {
          const by = { "+": 1, "-": -1, PageUp: 5, PageDown: -5 }[e.key];
          if (!by) return;
          e.preventDefault();
          const cut = plan.cut();
          hands.moved(plan.bent(cut, i / 3, j / 3, times(cut.normal, by)), e.timeStamp);
          hands.doneSoon();
        } }, ""));
    }
    form.append(grid);
    this.slider("bend-by", "Bend at point", -40, 40, 0.5, "mm", (base, x) => plan.bent(base, hands.point[0] / 3, hands.point[1] / 3, times(base.normal, x)));
  }

  segmentControls(item) {
    const { scene, plan, hands, form } = this;
    const named = scene.hepatectomies.find((h) => item.kind === "hepatectomy" && h.key === item.name);
    const gone = new Set(named ? [...named.segments, ...(item.caudate ? [1] : [])] : item.segments || []);
    const replace = (fresh) => { plan.stages[plan.picked.s].resections[plan.picked.r] = fresh; hands.edited(); };
    form.append(el("div", { class: "slider" }, el("label", { for: "named" }, "Named"), el("select", { id: "named", onchange: (e) => {
      const h = scene.hepatectomies.find((x) => x.key === e.target.value);
      if (h) replace({ kind: "hepatectomy", name: h.key, ...(h.caudate_optional ? { caudate: false } : {}) });
    } }, el("option", { value: "" }, "choose segments below"), ...scene.hepatectomies.filter((h) => !h.key.startsWith("seg_")).map((h) =>
      el("option", { value: h.key, selected: named === h }, `${h.name} (${[...h.segments].join(", ")})`)))));
    form.append(el("p", { class: "chips", role: "group", "aria-label": "Segments that go" }, ...scene.segments.filter((s) => s.number > 0).map((s) =>
      el("label", {}, el("input", { type: "checkbox", id: `segment-${s.number}`, checked: gone.has(s.number), onchange: (e) => {
        if (e.target.checked) gone.add(s.number); else gone.delete(s.number);
        if (gone.size) replace({ kind: "segments", segments: [...gone].sort() }); else e.target.checked = true;
      } }), `${s.roman} `, el("span", { class: "small" }, ml(s.ml))))));
  }

  territoryControls(item) {
    const { scene, plan, hands, form } = this;
    const replace = (fresh) => { plan.stages[plan.picked.s].resections[plan.picked.r] = fresh; hands.edited(); };
    form.append(el("div", { class: "slider" }, el("label", { for: "vessel" }, "Vessel"), el("select", { id: "vessel", onchange: (e) => {
      const t = scene.territories.find((x) => x.structure === e.target.value);
      replace({ kind: "territory", structure: t.structure, branches: [usual(t)] });
    } }, ...scene.territories.map((t) => el("option", { value: t.structure, selected: t.structure === item.structure }, t.title)))));
    const territory = scene.territories.find((t) => t.structure === item.structure);
    if (!territory) return;
    const named = (b) => (item.branches || []).some((x) => x === b.number || x === b.path || (b.name && x === b.name));
    const chosen = new Set(territory.branches.filter(named).map((b) => b.number));
    const under = (b) => { for (let p = b.parent; p; p = territory.branches[p - 1].parent) if (chosen.has(p)) return true; return false; };
    form.append(el("div", { class: "tree", role: "group", "aria-label": "Branches cut" }, ...tree(territory.branches).map((b) => {
      const label = el("label", {}, el("input", { type: "checkbox", id: `branch-${b.number}`, checked: chosen.has(b.number) || under(b), disabled: under(b), onchange: (e) => {
        if (e.target.checked) chosen.add(b.number); else chosen.delete(b.number);
        const kept = [...chosen].filter((n) => !under(territory.branches[n - 1]));
        if (kept.length) replace({ kind: "territory", structure: item.structure, branches: kept }); else e.target.checked = true;
      } }), `${b.name || b.path} `, el("span", { class: "small" }, ml(b.ml)));
      label.style.paddingLeft = `${0.9 * (b.order - 1)}rem`;
      return label;
    })));
  }

  lesionControls(item) {
    const { scene, plan, hands, form } = this;
    form.append(el("p", { class: "chips", role: "group", "aria-label": "Lesions" }, ...scene.lesions.map((l) =>
      el("label", {}, el("input", { type: "checkbox", id: `lesion-${l.number}`, checked: item.lesions.includes(l.number), onchange: (e) => {
        const next = e.target.checked ? [...item.lesions, l.number].sort((a, b) => a - b) : item.lesions.filter((n) => n !== l.number);
        if (next.length) { item.lesions = next; hands.edited(); } else e.target.checked = true;
      } }), `${l.number} `, el("span", { class: "small" }, ml(l.ml))))));
    const out = el("output", { for: "margin" }, mm(item.margin_mm));
    form.append(el("div", { class: "slider" }, el("label", { for: "margin" }, "Margin"), el("input", { type: "range", id: "margin", min: 0, max: 30, step: 1, value: item.margin_mm, oninput: (e) => {
      item.margin_mm = Number(e.target.value);
      out.textContent = mm(item.margin_mm);
      hands.going(e.timeStamp);
    }, onchange: () => hands.edited() }), out));
  }
}

// The branch to begin with: the first that has a name and is not the trunk.
const usual = (t) => (t.branches.find((b) => b.name && b.parent) || t.branches.at(-1)).number;

// Branches in the order of the tree: each before those that come from it.
function tree(branches) {
  const order = [];
  const walk = (parent) => branches.filter((b) => b.parent === parent).forEach((b) => { order.push(b); walk(b.number); });
  walk(0);
  return order;
}
