// Plans side by side, each with its numbers, and what can be done with it.
import { el, mm, ml, percent } from "./words.js";

export class Table {
  constructor(acts) {
    this.acts = acts;
    this.body = document.getElementById("plan-rows");
    this.steps = {};
  }

  show(plans, current) {
    const focus = document.activeElement && this.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.body.replaceChildren(...plans.map((plan) => this.row(plan, plan.id === current)));
    if (focus) { const again = this.body.querySelector(`[data-key="${focus}"]`); if (again) again.focus(); }
  }

  row(plan, on) {
    const n = plan.numbers || {}, { acts } = this;
    const button = (key, words, act, off = false) => el("button", { type: "button", "data-key": `${plan.id}.${key}`, disabled: off, "aria-label": `${words} ${plan.name}`, onclick: () => act(plan) }, words);
    const step = this.steps[plan.id];
    const report = step ? el("span", { class: "small", role: "status" }, step)
      : plan.report ? el("a", { href: `/report/${plan.id}/report.html`, target: "_blank", rel: "noopener" }, plan.report.revision === plan.revision ? "open report" : "report of an earlier state") : "";
    return el("tr", { class: on ? "on" : "", "data-plan": plan.id },
      el("th", { scope: "row" }, el("button", { type: "button", class: "pick", "data-key": `${plan.id}.open`, "aria-pressed": String(on), onclick: () => acts.open(plan) }, plan.name)),
      el("td", { class: "number" }, ml(n.remnant_functional_ml)), el("td", { class: "number" }, percent(n.flr)), el("td", { class: "number" }, ml(n.resected_ml)),
      el("td", { class: "number" }, n.of ? `${n.cleared} of ${n.of}` : "–"), el("td", { class: "number" }, mm(n.smallest_mm)),
      el("td", { class: "states", title: n.problem || null }, ...(n.problem ? [n.problem] : (n.states || []).map((s) => el("span", { class: `state ${s.css}`, title: `${s.rule}: ${s.words} ${s.asks}` }, `${s.symbol}`, el("span", { class: "hidden" }, `${s.rule} ${s.words} `))))),
      el("td", { class: "acts" }, button("copy", "Copy", acts.copy), button("rename", "Rename", acts.rename), button("delete", "Delete", acts.remove, plan.original),
        button("report", "Report", acts.report, !!step || !!n.problem),
        el("a", { href: `/api/plans/${plan.id}/case.toml`, download: `${plan.name}.toml` }, "TOML"), el("a", { href: `/api/plans/${plan.id}/plan.mrk.json`, download: `${plan.name}.mrk.json` }, "Slicer"), " ", report));
  }
}
