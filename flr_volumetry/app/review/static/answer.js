// The numbers: what stays, where it stands against the rules, and how far the lesions are from it.
import { el, mm, ml, percent } from "./words.js";

const at = (id) => document.getElementById(id);

export class Answer {
  constructor(scene) {
    this.scene = scene;
    this.rules = at("rules");
    this.lesions = at("lesions");
    this.segments = at("segments");
    this.titles = Object.fromEntries(scene.protocols.map((p) => [p.key, p.title]));
    this.makeLesions();
    this.makeSegments();
  }

  makeLesions() {
    this.rows = {};
    for (const l of this.scene.lesions) {
      const margin = el("td", { class: "number" }, ""), stays = el("td", {}, "");
      this.rows[l.number] = { margin, stays };
      this.lesions.append(el("tr", {}, el("th", { scope: "row" }, `${l.number}`), el("td", { class: "number" }, ml(l.ml)), el("td", {}, l.segments.slice(0, 3).join(", ")), margin, stays));
    }
    if (!this.scene.lesions.length) at("lesion-part").hidden = true;
  }

  makeSegments() {
    this.bars = {};
    for (const s of this.scene.segments) {
      const bar = el("i", {}), text = el("span", { class: "small" }, "");
      this.bars[s.number] = { bar, text, whole: s.ml };
      this.segments.append(el("li", {}, el("b", {}, s.roman), el("span", { class: "bar", "aria-hidden": "true" }, bar), text));
    }
    if (!this.scene.segments.length) at("segment-part").hidden = true;
  }

  // Volumes, shares and states of a plan that may still be moving.
  show(said) {
    at("remnant").textContent = ml(said.remnant_functional_ml);
    at("share").textContent = percent(said.flr);
    at("resected").textContent = ml(said.resected_ml);
    at("ablated").textContent = ml(said.ablated_ml);
    at("total").textContent = ml(said.total_ml);
    at("interval").textContent = "95 % interval follows once the cut rests";
    at("problem").textContent = said.problem;
    at("problem").hidden = !said.problem;
    this.states(said.findings);
    for (const s of this.scene.segments) {
      const left = said.segments ? said.segments[s.number] : s.ml, { bar, text, whole } = this.bars[s.number];
      bar.style.width = `${100 * left / whole}%`;
      text.textContent = `${Math.round(left)} of ${ml(whole)}`;
    }
    for (const l of this.scene.lesions) {
      const left = said.lesions ? said.lesions[l.number] : l.ml;
      const { stays } = this.rows[l.number];
      stays.textContent = left > 0 ? (left < l.ml - 1e-6 ? `${ml(left)} stay` : "stays") : "goes";
      stays.className = left > 0 ? "state below" : "state above";
    }
  }

  states(findings) {
    const key = findings.map((f) => f.rule).join();
    if (key !== this.key) {
      this.key = key;
      this.cells = findings.map(() => ({ state: el("td", { class: "keep" }, ""), margin: el("td", { class: "number" }, "") }));
      this.rules.replaceChildren(...findings.map((f, n) => el("tr", {}, el("th", { scope: "row", title: `${f.title}. ${this.titles[f.protocol] || f.protocol}` }, f.rule), el("td", { class: "keep" }, f.asks), this.cells[n].state, this.cells[n].margin)));
    }
    findings.forEach((f, n) => {
      const { state, margin } = this.cells[n];
      state.className = `keep state ${f.css}`;
      state.textContent = `${f.symbol} ${f.words}`;
      margin.textContent = f.margin_ml === null ? "" : `${f.margin_ml < 0 ? "−" : "+"}${Math.abs(f.margin_ml).toFixed(1)} mL`;
      margin.title = f.margin;
    });
    if (!findings.length) this.rules.replaceChildren(el("tr", {}, el("td", {}, "No rule can be evaluated."))), this.key = "";
  }

  margins(lesions) {
    for (const m of lesions) {
      const row = this.rows[m.number];
      if (row) row.margin.textContent = m.cleared_in_stage ? mm(m.margin_mm) : "0 mm";
    }
  }

  // Intervals, once the plan rests.
  settle(said) {
    const span = said.intervals.remnant_functional_ml;
    const share = said.flr_interval;
    at("interval").textContent = `95 % interval ${Math.round(span[0])} to ${Math.round(span[1])} mL, ${(100 * share[0]).toFixed(1)} to ${(100 * share[1]).toFixed(1)} %`;
    this.states(said.findings);
    at("consequences").replaceChildren(...said.consequences.flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
    at("plan-caveats").replaceChildren(...said.caveats.map((c) => el("li", {}, c)));
  }
}
