// The page: one plan being worked on, seen in 3D and in slices, its numbers beside it, all plans below.
import { Answer } from "./answer.js";
import { Editor } from "./editor.js";
import { Voxels } from "./geometry.js";
import { getBytes, getJson, Live, me, plans as server } from "./link.js";
import { Plan } from "./plan.js";
import { Slices } from "./slices.js";
import { Solid } from "./solid.js";
import { Table } from "./table.js";

const at = (id) => document.getElementById(id);
const say = (text) => { at("said").textContent = text; };
const rgb = (colour) => [1, 3, 5].map((n) => parseInt(colour.slice(n, n + 2), 16));

async function start() {
  // The secret has done its work: a cookie stands for it now.
  history.replaceState(null, "", "/");
  const scene = await getJson("/api/scene");
  at("case").textContent = scene.case;
  at("disclaimer").textContent = scene.disclaimer;
  at("where").textContent = `Plans are kept in ${scene.folder}`;
  document.title = `Review: ${scene.case}`;
  if (scene.caveats.length) {
    at("caveat-part").hidden = false;
    at("caveats").replaceChildren(...scene.caveats.map((c) => { const li = document.createElement("li"); li.textContent = c; return li; }));
  }
  const arrays = {};
  await Promise.all(scene.arrays.map(async (name) => { arrays[name] = await getBytes(`/api/array/${name}`); }));

  const plan = new Plan();
  const known = new Map();
  let current = null, pieces = null, voxelMl = 0, saving = Promise.resolve(), resting = null, busy = false;
  const latency = { volumes: [], margins: [] };
  const stats = { number: 0, volumes: 0, margins: 0, settled: 0 };

  const hands = {
    point: [1, 1],
    // The cut is under way.
    moved(cut, since) { plan.setCut(cut); this.going(since); },
    going(since) {
      busy = true;
      slices.fine = null;
      live.move(plan.stages, since);
      slices.draw();
      solid.draw();
      const note = at("cut-at");
      if (note && plan.cut()) note.textContent = editor.where(plan.cut());
    },
    // The hand is off: keep it.
    done() {
      busy = false;
      if (plan.keep()) save();
      history_();
      editor.controls();
      solid.draw();
    },
    doneSoon() { clearTimeout(resting); resting = setTimeout(() => this.done(), 350); },
    edited() {
      slices.fine = null;
      live.move(plan.stages);
      if (plan.keep()) save();
      busy = false;
      history_();
      editor.show(pieces, voxelMl);
      slices.draw();
      solid.draw();
    },
    pick(where) { plan.picked = { s: where.s, r: where.r, sub: where.sub || 0 }; editor.show(pieces, voxelMl); slices.draw(); solid.draw(); },
    choose(ij) { this.point = ij; editor.controls(); solid.place(); const b = at(`point-${ij[0]}-${ij[1]}`); if (b && document.activeElement && document.activeElement.id.startsWith("point-")) b.focus(); },
    went(place) { at("place").textContent = `x ${place[0].toFixed(1)}, y ${place[1].toFixed(1)}, z ${place[2].toFixed(1)} mm (LPS)`; },
  };

  const slices = new Slices(scene, arrays, plan, hands);
  const solid = new Solid(scene, plan, hands);
  const editor = new Editor(scene, plan, hands);
  const answer = new Answer(scene);
  const table = new Table({
    open: (p) => open(p),
    copy: (p) => attempt(async () => open(keepPlan(await server.add(`${p.original ? "Plan" : p.name}`, p.stages)))),
    rename: (p) => attempt(async () => { const name = await askName(p.name); if (name) keepPlan(await server.rename(p.id, name)); }),
    remove: (p) => attempt(async () => { await server.remove(p.id); forget(p.id); }),
    report: (p) => attempt(async () => { await saving; table.steps[p.id] = "starting"; refresh(); await server.report(p.id); }),
  });

  slices.veins = ["portal_vein", "hepatic_veins", "inferior_vena_cava"].map((key) => rgb((scene.surfaces.find((s) => s.key === key) || { colour: "#808080" }).colour));
  const palette = () => {
    const c = scene.colours, made = { 1: rgb(c.remnant) };
    let label = 1;
    plan.stages.forEach((stage, s) => stage.resections.forEach((cut) => { made[++label] = rgb(cut.kind === "ablation" ? c.ablated : c.resected[s % c.resected.length]); }));
    return made;
  };

  function refresh() { table.show([...known.values()], current); }
  function keepPlan(saved) { known.set(saved.id, saved); refresh(); return saved; }
  function forget(id) {
    known.delete(id);
    delete table.steps[id];
    if (id === current) open([...known.values()].at(-1));
    refresh();
  }
  function history_() {
    at("undo").disabled = !plan.past.length;
    at("redo").disabled = !plan.future.length;
  }
  async function attempt(act) {
    try { await act(); } catch (error) { say(`Not done: ${error.message}`); }
  }

  function open(saved) {
    if (!saved) return;
    current = saved.id;
    sessionStorage.setItem("plan", saved.id);
    plan.picked = null;
    plan.load(saved.stages);
    pieces = null;
    shown();
    at("plan-name").textContent = saved.name;
    say(saved.original ? "This is the plan of the case file; a change makes a copy of it." : "");
  }

  function shown() {
    slices.fine = null;
    live.move(plan.stages);
    editor.show(pieces, voxelMl);
    history_();
    refresh();
    slices.draw();
    solid.draw();
  }

  // One change after the other is kept on the server; the last one wins.
  function save() {
    const stages = JSON.parse(JSON.stringify(plan.stages));
    at("kept").textContent = "keeping…";
    saving = saving.then(async () => {
      try {
        const base = known.get(current);
        const saved = base.original ? await server.add("Plan 1", stages) : await server.change(current, stages);
        current = saved.id;
        sessionStorage.setItem("plan", saved.id);
        keepPlan(saved);
        at("plan-name").textContent = saved.name;
        at("kept").textContent = `kept ${new Date().toLocaleTimeString()}`;
        at("kept").dataset.revision = saved.revision;
      } catch (error) {
        at("kept").textContent = "not kept";
        say(`Not kept: ${error.message}`);
      }
    });
    return saving;
  }

  const live = new Live((said) => {
    switch (said.type) {
      case "open":
        at("state").textContent = "connected";
        catchUp();
        break;
      case "closed": at("state").textContent = "not connected: the server does not answer"; break;
      case "volumes": {
        pieces = said.pieces;
        answer.show(said);
        const whole = pieces.reduce((sum, p) => sum + p.count, 0);
        voxelMl = whole ? said.total_ml / whole : 0;
        editor.taken(pieces, voxelMl);
        say("");
        stats.volumes = said.number;
        stats.counted = said;
        latency.volumes.push(performance.now() - (live.sent.get(said.number) ?? performance.now()));
        break;
      }
      case "margins":
        answer.margins(said.lesions);
        slices.margins = said.lesions;
        stats.margins = said.number;
        stats.lesions = said.lesions;
        latency.margins.push(performance.now() - (live.sent.get(said.number) ?? performance.now()));
        slices.draw();
        break;
      case "preview":
        slices.labels = solid.labels = new Voxels(scene.preview, said.data);
        if (!solid.distance && arrays.distance) solid.distance = new Voxels(scene.preview, arrays.distance);
        slices.palette = palette();
        if (solid.view) solid.setLabels(slices.labels, slices.palette);
        slices.draw();
        break;
      case "settled":
        if (said.number === live.number && !busy) { answer.settle(said); stats.settled = said.number; stats.facts = said; }
        break;
      case "overlay":
        if (said.number === live.number && !busy) fine(said.data, said.number);
        break;
      case "shapes":
        if (said.number === live.number && !busy) {
          const before = JSON.stringify(plan.cuts());
          plan.heardShapes(said.shapes);
          if (JSON.stringify(plan.cuts()) !== before) { editor.show(pieces, voxelMl); slices.draw(); solid.draw(); }
        }
        break;
      case "unsettled": if (said.number === live.number) at("interval").textContent = said.message; break;
      case "refused": if (said.number === null || said.number === live.number) say(said.message); break;
      case "plan": if (said.by !== me) heard(said.plan); break;
      case "deleted": if (known.has(said.id)) forget(said.id); break;
      case "report": reported(said); break;
      default: break;
    }
  });

  async function fine(data, number) {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
    const voxels = new Uint8Array(await new Response(stream).arrayBuffer());
    if (number !== live.number || busy) return;
    slices.fine = voxels;
    slices.draw();
  }

  // Another page has changed a plan: the last to write wins, and what was here can be had back by undo.
  function heard(saved) {
    const before = known.get(saved.id);
    keepPlan(saved);
    if (saved.id !== current || busy || (before && saved.revision <= before.revision && saved.name === before.name)) return;
    at("plan-name").textContent = saved.name;
    if (JSON.stringify(saved.stages) !== plan.kept) {
      plan.load(saved.stages, { keepHistory: true });
      shown();
      say("Changed on another page.");
    }
  }

  async function catchUp() {
    await attempt(async () => {
      const all = await server.all();
      known.clear();
      all.forEach((p) => known.set(p.id, p));
      const last = sessionStorage.getItem("plan");
      if (!known.has(current)) open(known.get(last) || all.at(-1));
      else { heard(known.get(current)); live.move(plan.stages); refresh(); }
    });
  }

  function reported(said) {
    if (said.step) table.steps[said.id] = `${said.step}…`;
    else {
      delete table.steps[said.id];
      say(said.problem ? `No report: ${said.problem}` : "The report is written.");
    }
    refresh();
  }

  function askName(name) {
    const dialog = at("name-dialog"), input = at("name-input");
    input.value = name;
    dialog.showModal();
    input.select();
    return new Promise((done) => { dialog.onclose = () => done(dialog.returnValue === "ok" ? input.value.trim() : ""); });
  }

  const stepBack = (act) => { if (act()) { save(); shown(); } };
  at("undo").onclick = () => stepBack(() => plan.undo());
  at("redo").onclick = () => stepBack(() => plan.redo());
  at("new").onclick = () => attempt(async () => open(keepPlan(await server.add("Plan", []))));
  at("save").onclick = () => attempt(async () => { hands.done(); await save(); say(`Kept in ${scene.folder}/plans/${current}.toml`); });
  at("report").onclick = () => attempt(async () => { await saving; table.steps[current] = "starting"; refresh(); await server.report(current); });
  at("overlay").oninput = (e) => { slices.opacity = Number(e.target.value) / 100; slices.draw(); };
  at("opacity").oninput = (e) => { solid.view.setMeshProperty(solid.meshes.liver.id, "opacity", Number(e.target.value) / 100); };
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey) {
      const act = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" ? "redo" : key === "s" ? "save" : null;
      if (act) { event.preventDefault(); at(act).click(); }
      return;
    }
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "checkbox") return;
    nudge(event);
  });

  // [ and ] move the cut along its normal, with Shift by 5 mm; I, K, J and L tilt it by a degree.
  function nudge(event) {
    const cut = plan.cut();
    if (!cut) return;
    const far = event.shiftKey ? 5 : 1, key = event.key.toLowerCase();
    const shift = { "]": far, "}": far, "[": -far, "{": -far }[event.key];
    const [a, b] = plan.axes(cut), turn = Math.PI / 180 * far;
    const tilt = { i: [a, -turn], k: [a, turn], j: [b, -turn], l: [b, turn] }[key];
    if (shift === undefined && !tilt) return;
    event.preventDefault();
    hands.moved(shift !== undefined ? plan.shifted(cut, cut.normal.map((x) => x * shift)) : plan.tilted(cut, cut.point, ...tilt), event.timeStamp);
    hands.doneSoon();
  }

  window.flrReview = { plan, slices, solid, live, latency, stats, known, hands, scene, get current() { return current; }, get saving() { return saving; } };
  hands.went(slices.at);
  slices.palette = palette();
  try {
    await solid.start(getBytes);
    if (slices.labels) solid.setLabels(slices.labels, slices.palette);
    solid.draw();
  } catch (error) {
    at("solid-problem").textContent = `The 3D view cannot be shown (${error.message}); the slices show the same plan.`;
    at("solid-problem").hidden = false;
    solid.draw = () => {};
    solid.place = () => {};
  }
  at("page").dataset.ready = "yes";
}

start().catch((error) => { say(`The page cannot start: ${error.message}`); });
